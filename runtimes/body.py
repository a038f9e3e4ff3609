"""The body: reads the robot, acts, and writes, one step a write; it decides when to hold and when to damp.

The ladder, from the mildest rung to the last:

1. The intent is too old or unsure: it decays to standing, in balance (`Pilot.wanted`).
2. The policy is late, fails, or gives what is not finite: its last chunk plays on (`Pilot.act`).
3. No valid action is left: HOLD, the last command goes on.
4. HOLD lasts too long, the robot's state is too old, it falls, flails or overheats: DAMP, at every step,
   latched until somebody resets it, with a reason.

Each rung has its budget in the bundle and its counter here. Nothing that a device or a policy raises
leaves `Body.step`.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from rmedge import kernels
from rmedge.clock import Clock
from rmedge.monitor import Monitor
from rmedge.protocols import Actuator
from rmedge.runtimes.pilot import Pilot
from rmedge.specs import Intent, JointTarget, RobotState
from rmedge.states import Count, State
from rmedge.trace import Marks

__all__ = ["Body"]

FARTHEST = 2.0  # times as far from standing as the farthest motion with a name
STAND, RUN, HOLD = State.STAND, State.RUN, State.HOLD  # to look them up in their class takes longer
SOFTEST = 0.02  # the share of its stiffness that a ramp begins with


class Body:
    """The half of the robot's mind that keeps it on its feet.

    ``step`` is called once a write period, whatever happens elsewhere. It never waits, and never raises.

    Args:
        intents: gives the newest intent, or None; asked at every step in RUN. Without it the pilot's own is
            followed.
        monitor: says when the robot must be damped; None watches for nothing.
        state: what to begin in; a lock-step run begins in RUN.
    """

    def __init__(
        self,
        pilot: Pilot,
        actuator: Actuator,
        clock: Clock,
        intents: Callable[[], Intent | None] | None = None,
        monitor: Monitor | None = None,
        state: State = State.PASSIVE,
    ) -> None:
        self.pilot, self.actuator, self.clock, self.monitor = pilot, actuator, clock, monitor
        self.budgets = pilot.bundle.budgets
        self.state, self.reason = state, ""
        self.counts = [0] * len(Count)
        self.sent: JointTarget | None = None  # the last command that the motors took, None when damped
        # whoever is on the other side of the boards wants to know the state
        self._tells = hasattr(actuator, "state")
        self._intents = intents
        told = pilot.bundle.intent
        # what lies farther out than any motion with a name was never learnt
        self._reach = FARTHEST * max(float(np.linalg.norm(phrase.z - told.stand)) for phrase in told.phrases)
        self._since_ns = clock.now_ns()
        self._seen: RobotState | None = None
        self._stepped_ns = self._wrote_ns = self._since_ns
        self._ramp_from: np.ndarray | None = None
        self._heard_ns: int | None = None  # the operator; None: there is none
        pilot.standing = state is not State.RUN

    def stand(self) -> bool:
        """Rise into the default pose; from PASSIVE only. Whether it does."""
        return self._enter(State.STAND, self.state is State.PASSIVE)

    def run(self) -> bool:
        """Follow the intent; from READY only."""
        return self._enter(State.RUN, self.state is State.READY)

    def rest(self, reason: str = "") -> bool:
        """Keep the balance and follow nothing; from RUN and HOLD."""
        return self._enter(State.READY, self.state in (State.RUN, State.HOLD), reason)

    def stop(self, reason: str) -> bool:
        """Damp, latched."""
        return self._enter(State.DAMP, not self.state.stopped, reason)

    def emergency(self, reason: str) -> bool:
        """Damp, latched, because somebody said so."""
        return self._enter(State.ESTOP, self.state is not State.ESTOP, reason)

    def reset(self) -> bool:
        """Leave a latched stop; the motors stay damped."""
        return self._enter(State.PASSIVE, self.state.stopped)

    def hear(self, now_ns: int) -> None:
        """The operator was alive at this instant; who has once been heard must go on being heard."""
        self._heard_ns = now_ns

    def tally(self) -> list[int]:
        """The counters, brought up to date with what policy and envelope count themselves."""
        envelope = self.pilot.envelope
        self.counts[Count.CLAMPED] = sum(int(joints.sum()) for joints in envelope.clamped.values())
        self.counts[Count.POLICY_FAILURES] = self.pilot.failures
        self.counts[Count.REFUSED] = int(envelope.refused.sum())
        return self.counts

    def step(self, trace: Marks | None = None) -> None:
        """One write period of whatever state it is in."""
        self.counts[Count.STEPS] += 1
        state, now_ns = self._sense()
        if trace:
            trace.mark("read")
        if self.state.moving or self.state is STAND:
            self._watch(state, now_ns)
        self._stepped_ns = now_ns
        if self._tells:
            self.actuator.state = int(self.state)  # type: ignore[attr-defined]
        if self.state is STAND and state is not None:
            self._rise(state, now_ns)
        elif self.state.moving and state is not None:
            self._move(state, now_ns, trace)
        else:
            self._damp()
        if trace:
            trace.mark("write")

    def _enter(self, state: State, allowed: bool, reason: str = "") -> bool:
        if not allowed:
            return False
        if state.stopped:
            self.counts[Count.STOPS] += 1
        if state in (State.STAND, State.READY) and self.state in (State.PASSIVE, State.STAND):
            self.pilot.reset()
        self.state, self.reason, self._since_ns = state, reason, self.clock.now_ns()
        self._ramp_from = None
        self.pilot.standing = state is not State.RUN and state is not State.HOLD
        return True

    def _sense(self) -> tuple[RobotState | None, int]:
        """The newest state that can be believed, if it is not too old; and when it was read."""
        try:
            state = self.actuator.read()
        except Exception:  # a device may raise anything; a robot in motion must not be dropped for one read
            self.counts[Count.READ_ERRORS] += 1
            now_ns = self.clock.now_ns()
        else:
            now_ns = self.clock.now_ns()  # no sooner: a state of this instant is not one from the future
            newest_ns = state.stamp_ns if self._seen is None else self._seen.stamp_ns
            if self._sound(state) and newest_ns <= state.stamp_ns <= now_ns:
                self._seen = state
            else:
                self.counts[Count.BAD_STATES] += 1
        seen = self._seen
        if seen is None:
            return None, now_ns
        age_ns = now_ns - seen.stamp_ns
        if age_ns > self.budgets.state_warn_ns:
            self.counts[Count.OLD_STATES] += 1
            if age_ns > self.budgets.state_ns:
                return None, now_ns
        return seen, now_ns

    def _sound(self, state: RobotState) -> bool:
        joints = self.pilot.bundle.default_pose.shape
        return (
            state.joint_pos.shape == state.joint_vel.shape == joints
            and state.base_ang_vel.shape == state.projected_gravity.shape == (3,)
            and kernels.finite(state.joint_pos, state.joint_vel, state.base_ang_vel, state.projected_gravity)
        )

    def _watch(self, state: RobotState | None, now_ns: int) -> None:
        """Stop for what must not go on, and rest when nobody is at the controls."""
        if state is None:
            wait_ms = self.budgets.state_ms
            self.stop(f"state: expected one every {wait_ms:g} ms, got none; look at the robot's link")
            return
        reason = "" if self.monitor is None else self.monitor.check(state, now_ns)
        gap_ms = (now_ns - self._stepped_ns) / 1e6
        if reason:
            self.stop(reason)
        elif gap_ms > self.budgets.heartbeat_ms:  # whoever owns the motors has damped them by now
            self.stop(
                f"pace: expected a step every {self.budgets.heartbeat_ms:g} ms at the latest, got one after "
                f"{gap_ms:.0f} ms; give the body a core of its own, and SCHED_FIFO"
            )
        elif self._heard_ns is not None and now_ns - self._heard_ns > self.budgets.operator_ns:
            self.counts[Count.OPERATOR_LOST] += 1
            self._heard_ns = None
            self.rest(f"operator: expected a sign of life every {self.budgets.operator_ms:g} ms, got none")

    def _rise(self, state: RobotState, now_ns: int) -> None:
        """Towards the default pose, from limp to stiff."""
        bundle = self.pilot.bundle
        if self._ramp_from is None:
            self._ramp_from = state.joint_pos.copy()
        share = min(1.0, (now_ns - self._since_ns) / self.budgets.ramp_ns)
        pose = self._ramp_from + share * (bundle.default_pose - self._ramp_from)
        stiffness = max(share, SOFTEST) * bundle.kp
        self._write(self.pilot.envelope.apply(JointTarget(pose, stiffness, bundle.kd, now_ns), state), now_ns)
        if share == 1.0:
            self._enter(State.READY, True)

    def _move(self, state: RobotState, now_ns: int, trace: Marks | None) -> None:
        """Balance, or follow; hold when there is no valid action, and stop when that lasts."""
        pilot, counts = self.pilot, self.counts
        if self._intents is not None:
            self._take(self._intents(), now_ns)
        target = pilot.act(state, trace, now_ns)
        if pilot.resting and not pilot.standing:
            counts[Count.STANDING] += 1
        if not pilot.idle_ns:
            if self.state is HOLD:
                self.state = RUN
        else:
            counts[Count.HELD] += 1
            if self.state is RUN:
                counts[Count.HOLDS] += 1
                self.state = HOLD
            if pilot.idle_ns > self.budgets.hold_ns:
                what = f"; {pilot.fault}" if pilot.fault else ""
                self.stop(f"no valid command for {self.budgets.hold_ms:g} ms: the motors were damped{what}")
                self._damp()
                return
        self._write(target, now_ns)

    def _take(self, intent: Intent | None, now_ns: int) -> None:
        """Take up a new intent, if it can be believed."""
        before = self.pilot.intent
        if intent is None or (before is not None and intent.captured_ns <= before.captured_ns):
            return
        z, stand = intent.z, self.pilot.bundle.intent.stand
        sound = z.shape == stand.shape and float(np.linalg.norm(z - stand)) <= self._reach  # not so for a NaN
        if sound and intent.captured_ns <= now_ns:
            self.pilot.intent = intent
            self.counts[Count.INTENTS] += 1
        else:
            self.counts[Count.BAD_INTENTS] += 1

    def _write(self, target: JointTarget, now_ns: int) -> None:
        try:
            self.sent = self.actuator.write(target)
            self._wrote_ns = now_ns
        except Exception as error:  # as for reads
            self.counts[Count.WRITE_ERRORS] += 1
            if now_ns - self._wrote_ns > self.budgets.hold_ns:
                self.stop(f"write: expected the actuator to take commands, got {error!r}")

    def _damp(self) -> None:
        self.counts[Count.DAMPED] += 1
        self.sent = None
        self._wrote_ns = self.clock.now_ns()
        try:
            self.actuator.damp()
        except Exception:  # the next step tries again
            self.counts[Count.WRITE_ERRORS] += 1
