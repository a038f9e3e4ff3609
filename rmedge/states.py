"""The states of a body, which may follow which, and what it counts."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Count", "State"]


class State(IntEnum):
    """What a body does now; the numbers are part of the layout in shared memory.

    ======= ============================================================= =====================
    PASSIVE damps; nothing has been asked for                             STAND
    STAND   moves into the default pose while the gains rise              READY
    READY   keeps its balance, whatever is seen                           RUN
    RUN     follows the intent                                            READY, HOLD
    HOLD    has no valid action and holds the last command                RUN, READY
    DAMP    damps, latched: the body stopped itself, and says why         PASSIVE, by a reset
    ESTOP   damps, latched: somebody stopped it                           PASSIVE, by a reset
    ======= ============================================================= =====================

    DAMP and ESTOP follow any other state.
    """

    PASSIVE = 0
    STAND = 1
    READY = 2
    RUN = 3
    HOLD = 4
    DAMP = 5
    ESTOP = 6

    @property
    def stopped(self) -> bool:
        """Latched: only a reset leads out."""
        return self >= State.DAMP

    @property
    def moving(self) -> bool:
        """The pilot has the motors."""
        return _FIRST_MOVING <= self <= _LAST_MOVING


# at every step, where asking the class for a member would take as long as comparing thirty numbers
_FIRST_MOVING, _LAST_MOVING = int(State.READY), int(State.HOLD)


class Count(IntEnum):
    """What a body counts; the numbers are part of the layout in shared memory."""

    STEPS = 0
    OLD_STATES = 1  # older than the warning's budget
    BAD_STATES = 2  # not finite, of the wrong size, from the future, or older than the one before
    READ_ERRORS = 3  # the actuator raised
    WRITE_ERRORS = 4
    INTENTS = 5  # new ones taken up
    BAD_INTENTS = 6  # not finite, of the wrong size, or from the future
    STANDING = 7  # steps at which the intent had decayed to standing
    POLICY_FAILURES = 8
    HELD = 9  # steps in HOLD
    HOLDS = 10  # times it came to that
    DAMPED = 11  # steps that damped
    STOPS = 12  # times it stopped itself or was stopped
    OPERATOR_LOST = 13
    CLAMPED = 14  # joints and limits, together
    REFUSED = 15
