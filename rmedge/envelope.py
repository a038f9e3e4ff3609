"""The envelope: the last thing between a policy and the motors, and it lets nothing unsafe through."""

from __future__ import annotations

import math
from typing import Callable, Mapping

import numpy as np

from rmedge.jerk import JerkLimit
from rmedge.specs import JointTarget, RobotState

__all__ = ["LIMITS", "Envelope"]

LIMITS = ("jerk", "rate", "velocity", "torque", "position")  # in this order; who comes later wins

# no joint angle, speed or gain is larger, and no product of two of them overflows
_MOST = 1e150
_SOFTEST = 1e-6  # [N m/rad] below it a stiffness can push nobody
# a longer silence counts as this: the motors held still, and it must not add up to a leap
_LONGEST_S = 0.02
_NEARLY, _HAIR = 1 - 1e-9, 1e-12  # what is this near to a limit is measured exactly


class Envelope:
    """Holds every command to its limits, and refuses what is not a number; counts it all by joint.

    In this order, in which who comes later wins where two contradict each other:

    - ``jerk``: the third difference of the commands over time, of what this limit lets through (those
      after it may yet change it). One that was held back comes to rest where it is wanted.
    - ``rate``: how fast the commands may move.
    - ``velocity``: a joint that is faster than this is not pushed further that way: its predicted torque
      may only brake it.
    - ``torque``: the predicted torque ``kp (q* - q) - kd dq``.
    - ``position``.

    A limit that a command exceeds is clamped to the nearest command that obeys, or, where ``on_violation``
    says ``reject``, refuses the whole command. So does any number that is not finite, any array of another
    shape, and a gain below zero. A refused command is replaced by the last one that passed, which stands
    still. What is sent is always finite and within the position limits.

    A stamp that goes back or stands still leaves no time to move; a silence of over 20 ms counts as 20 ms.

    Args:
        lower, upper: (Da,) [rad].
        rate_limit: (Da,) [rad/s].
        torque_limit: (Da,) [N m].
        velocity_limit: (Da,) [rad/s], or None: joints may be as fast as they like.
        jerk_limit: (Da,) [rad/s^3], or None.
        on_violation: limit -> ``clamp`` or ``reject``; what it does not name is clamped.

    Attributes:
        clamped: limit -> (Da,) how often it changed a command.
        rejected: limit -> (Da,) how often it refused one; of those that do.
        refused: (Da,) how often a joint was the reason that a command was refused.
        refusals: commands refused in a row.
    """

    def __init__(
        self,
        lower: np.ndarray,
        upper: np.ndarray,
        rate_limit: np.ndarray,
        torque_limit: np.ndarray,
        velocity_limit: np.ndarray | None = None,
        jerk_limit: np.ndarray | None = None,
        on_violation: Mapping[str, str] | None = None,
    ) -> None:
        self.lower, self.upper = np.asarray(lower, float), np.asarray(upper, float)
        self.rate_limit, self.torque_limit = np.asarray(rate_limit, float), np.asarray(torque_limit, float)
        joints = len(self.lower)
        self._holds: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
        self._jerk: JerkLimit | None = None
        if jerk_limit is not None:
            self._jerk = JerkLimit(np.asarray(jerk_limit, float), self.rate_limit)
            self._holds["jerk"] = self._hold_jerk
        self._holds["rate"] = self._hold_rate
        # what a command is made from, a row each: wanted, q, dq; and how large each may be to pass at once
        self._given, self._size = np.zeros((3, joints)), np.zeros((3, joints))
        self._most = np.full((3, joints), _MOST)
        if velocity_limit is not None:
            self._most[2] = velocity_limit
            self._holds["velocity"] = self._hold_velocity
        self._holds.update(torque=self._hold_torque, position=self._hold_position)
        # the same of where it lies, by limit: position, torque, rate, jerk
        self._centres, self._reaches = np.zeros((2, 3 if self._jerk is None else 4, joints))
        self._apart = np.zeros_like(self._centres)
        if self._jerk is not None:
            self._jerk.centre, self._jerk.reach = self._centres[3], self._reaches[3]
        self._centres[0] = (self.lower + self.upper) / 2
        self._reaches[0] = (self.upper - self.lower) / 2 * _NEARLY - _HAIR
        self._on_violation = dict(on_violation or {})
        self._kp = self._kd = np.zeros(0)
        self.reset()

    def reset(self) -> None:
        """A new episode: no last command, and every count from zero."""
        joints = len(self.lower)
        counts = {name: np.zeros(joints, np.int64) for name in self._holds}
        rejects = {name for name in counts if self._on_violation.get(name) == "reject"}
        self.clamped = {name: count for name, count in counts.items() if name not in rejects}
        self.rejected = {name: count for name, count in counts.items() if name in rejects}
        self.refused = np.zeros(joints, np.int64)
        self._last: JointTarget | None = None
        if self._jerk is not None:
            self._jerk.reset()
        self.refusals = 0  # in a row

    def apply(self, target: JointTarget, state: RobotState) -> JointTarget:
        """The nearest safe command to ``target``, seen from ``state``."""
        calm = self._take(target, state)
        if not calm:
            sane = np.logical_and.reduce(self._size <= _MOST) & self._gains_sane
            if np.count_nonzero(sane) < sane.size:
                return self._refuse(target, ~sane)
        self._since(target.stamp_ns)
        wanted, jerk = self._given[0], self._jerk
        if calm and self._lies_within_all():
            safe = wanted.copy()
            if jerk is not None:
                jerk.sent(safe)
        else:
            safe = wanted
            for name, hold in self._holds.items():
                held = hold(safe)
                changed = held != safe
                if np.count_nonzero(changed):
                    if name in self.rejected:
                        self.rejected[name] += changed
                        return self._refuse(target, changed)
                    self.clamped[name] += changed
                safe = held
        self._last = JointTarget(safe, target.kp, target.kd, target.stamp_ns)
        self.refusals = 0
        return self._last

    def _take(self, target: JointTarget, state: RobotState) -> bool:
        """Whether all that is given is a number, and no joint too fast."""
        kp, kd, given, shape = target.kp, target.kd, self._given, self.lower.shape
        if kp is not self._kp or kd is not self._kd or not (_is_constant(kp) and _is_constant(kd)):
            self._take_gains(kp, kd)
        for row, array in enumerate((target.joint_pos, state.joint_pos, state.joint_vel)):
            given[row] = array if array.shape == shape else np.nan
        if not math.isfinite(target.stamp_ns):
            given[0] = np.nan
        np.abs(given, out=self._size)  # positively: what is not a number is not within
        return np.count_nonzero(self._size <= self._most) == given.size and self._all_gains_sane

    def _take_gains(self, kp: np.ndarray, kd: np.ndarray) -> None:
        self._kp, self._kd = kp, kd
        gains = np.full((2, len(self.lower)), np.nan)
        for row, array in enumerate((kp, kd)):
            if array.shape == self.lower.shape:
                gains[row] = array
        self._gains_sane = ((gains >= 0.0) & (gains <= _MOST)).all(0)
        self._all_gains_sane = bool(self._gains_sane.all())
        if self._all_gains_sane:
            self._stiffness = np.maximum(gains[0], _SOFTEST)
            self._lead = gains[1] / self._stiffness
            self._reaches[1] = self.torque_limit / self._stiffness * _NEARLY - _HAIR

    def _since(self, stamp_ns: int) -> None:
        """Open the way to the next command, so long after the last."""
        if self._last is None:
            self._reaches[2:] = np.inf
            return
        self._step_s = h = min(max((stamp_ns - self._last.stamp_ns) * 1e-9, 0.0), _LONGEST_S)
        self._centres[2] = self._last.joint_pos
        np.multiply(self.rate_limit, h * _NEARLY, out=self._reaches[2])
        if self._jerk is not None:
            self._jerk.open(h)

    def _lies_within_all(self) -> bool:
        """Whether the command can pass as it is: so goes nearly every one."""
        if self._jerk is not None and self._jerk.behind:
            return False
        wanted, pos, vel = self._given
        coast = self._centres[1]
        np.multiply(self._lead, vel, out=coast)
        coast += pos
        apart = self._apart
        for row in range(len(apart)):  # by rows: to broadcast so little takes twice as long
            apart[row] = wanted
        apart -= self._centres
        np.abs(apart, out=apart)
        return np.count_nonzero(apart <= self._reaches) == apart.size

    def _hold_rate(self, safe: np.ndarray) -> np.ndarray:
        if self._last is None:
            return safe
        step = self.rate_limit * self._step_s
        return np.minimum(np.maximum(safe, self._last.joint_pos - step), self._last.joint_pos + step)

    def _hold_jerk(self, safe: np.ndarray) -> np.ndarray:
        if self._jerk is None:
            return safe
        wanted = self._hold_position(safe)  # what lies beyond is theirs to count, and no way to go
        command = self._jerk.follow(wanted)
        return np.where(command == wanted, safe, command)

    def _hold_velocity(self, safe: np.ndarray) -> np.ndarray:
        _, pos, vel = self._given
        coast = self._kd * vel / self._stiffness + pos  # no torque is predicted here
        safe = np.where(vel <= self._most[2], safe, np.minimum(safe, coast))
        return np.where(vel >= -self._most[2], safe, np.maximum(safe, coast))

    def _hold_torque(self, safe: np.ndarray) -> np.ndarray:
        # kp (q* - q) - kd dq within +-limit  <=>  q* within q + (kd dq +- limit) / kp
        _, pos, vel = self._given
        damping = self._kd * vel
        low = (damping - self.torque_limit) / self._stiffness + pos
        high = (damping + self.torque_limit) / self._stiffness + pos
        return np.minimum(np.maximum(safe, low), high)

    def _hold_position(self, safe: np.ndarray) -> np.ndarray:
        return np.minimum(np.maximum(safe, self.lower), self.upper)

    def _refuse(self, target: JointTarget, broken: np.ndarray) -> JointTarget:
        self.refused += broken
        self.refusals += 1
        last, pos = self._last, self._given[1]
        if last is not None:
            hold = last.joint_pos
        else:  # nothing was ever sent: stay where the robot is, or in the middle of what it may do
            hold = np.where(np.abs(pos) <= _MOST, pos, (self.lower + self.upper) / 2)
        if self._all_gains_sane:
            kp, kd = target.kp, target.kd
        else:  # the last good gains, or none at all
            kp, kd = (last.kp, last.kd) if last is not None else np.zeros((2, len(pos)))
        stamp_ns = target.stamp_ns if math.isfinite(target.stamp_ns) else (last.stamp_ns if last else 0)
        hold = self._hold_position(hold)
        # it is sent, so the next command's rate counts from here: a gap must not add up to a leap
        self._last = JointTarget(hold, kp, kd, stamp_ns)
        if self._jerk is not None:
            self._jerk.stand(hold)
        return self._last


def _is_constant(array: np.ndarray) -> bool:
    """Nobody can change it, not even through other memory."""
    flags = array.flags
    return flags.owndata and not flags.writeable
