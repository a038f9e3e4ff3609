"""The witness: stands between a body and a robot, and checks every command by itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from rmedge.bundle import Bundle
from rmedge.clock import Clock
from rmedge.protocols import Actuator
from rmedge.specs import ActionChunk, JointTarget, RobotState

__all__ = ["Overheard", "Witness"]

LONGEST_S = 0.02  # a longer silence counts as this, in the envelope's definition of the rate
ROUNDING = 1e-9  # [rad]


class Witness:
    """Passes everything on; what a command may be is worked out here anew, not asked of the envelope.

    A command is unsafe when it is not finite, when it leaves the position limits, when it breaks the
    limits of rate, velocity or predicted torque though the limits that come after them leave it a choice,
    or when it comes at all after the motors were damped. A jerk limit is not looked at.

    Attributes:
        commands: how many were given; damped: how many times damping was asked for.
        unsafe: what was wrong -> how often.
        stopped_ns: when the motors were damped first; None: they were not.
        state_ns: the stamp of the newest state that can be believed.
        wrote_ns: when the robot last took a command without an error.
    """

    def __init__(self, robot: Actuator, bundle: Bundle, clock: Clock) -> None:
        self.robot, self.clock = robot, clock
        self.limits = bundle.envelope
        self._joints = len(bundle.joint_names)
        self.commands = self.damped = 0
        self.unsafe: Counter[str] = Counter()
        self.stopped_ns: int | None = None
        self.state_ns, self.wrote_ns = 0, clock.now_ns()
        self._state: RobotState | None = None
        self._last: JointTarget | None = None

    def attach(self, clock: Clock) -> None:
        self.clock = clock
        self.robot.attach(clock)

    def read(self) -> RobotState:
        state = self.robot.read()
        newer = self.state_ns <= state.stamp_ns <= self.clock.now_ns()
        if newer and _believable(state, self._joints):
            self._state, self.state_ns = state, state.stamp_ns
        return state

    def write(self, target: JointTarget) -> JointTarget:
        self.commands += 1
        self._check(target)
        self._last = target
        sent = self.robot.write(target)
        self.wrote_ns = self.clock.now_ns()
        return sent

    def damp(self) -> None:
        self.damped += 1
        if self.stopped_ns is None:
            self.stopped_ns = self.clock.now_ns()
        self.robot.damp()

    def __enter__(self) -> Witness:
        return self

    def __exit__(self, *exc: Any) -> None:
        pass

    def _check(self, target: JointTarget) -> None:
        if self.stopped_ns is not None:
            self.unsafe["after a stop"] += 1
        pos, kp, kd = target.joint_pos, target.kp, target.kd
        if not (np.isfinite(pos).all() and np.isfinite(kp).all() and np.isfinite(kd).all()):
            self.unsafe["not finite"] += 1
        elif not ((pos >= self.limits.lower) & (pos <= self.limits.upper)).all():
            self.unsafe["position"] += 1
        elif self._state is None:
            self.unsafe["without a state"] += 1
        elif not self._stands(target):
            low, high = self._allowed(target, self._state)
            if not ((pos >= low - ROUNDING) & (pos <= high + ROUNDING)).all():
                self.unsafe["rate, velocity or torque"] += 1

    def _stands(self, target: JointTarget) -> bool:
        """A limit that refuses instead of clamping gives the last command again, whatever the joints do."""
        refuses = "reject" in self.limits.on_violation.values()
        return refuses and self._last is not None and np.array_equal(target.joint_pos, self._last.joint_pos)

    def _allowed(self, target: JointTarget, state: RobotState) -> tuple[np.ndarray, np.ndarray]:
        """(Da,) lowest and highest: from the limit that wins to the one that yields to all others."""
        limits, last = self.limits, self._last
        kp = np.maximum(target.kp, 1e-6)
        coast = state.joint_pos + target.kd * state.joint_vel / kp  # where no torque is predicted
        reach = limits.torque_limit / kp
        windows = [(coast - reach, coast + reach)]
        if limits.velocity_limit is not None:  # who is too fast already is not pushed further
            fast = state.joint_vel > limits.velocity_limit, state.joint_vel < -limits.velocity_limit
            windows.append((np.where(fast[1], coast, -np.inf), np.where(fast[0], coast, np.inf)))
        if last is not None:
            step_s = min(max((target.stamp_ns - last.stamp_ns) * 1e-9, 0.0), LONGEST_S)
            way = limits.rate_limit * step_s
            windows.append((last.joint_pos - way, last.joint_pos + way))
        low, high = limits.lower, limits.upper
        for least, most in windows:  # what both allow; where they share nothing, the edge next to it
            low, high = (np.minimum(np.maximum(edge, low), high) for edge in (least, most))
        return low, high


def _believable(state: RobotState, joints: int) -> bool:
    rows = (state.joint_pos, state.joint_vel, state.base_ang_vel, state.projected_gravity)
    shapes = ((joints,), (joints,), (3,), (3,))
    return all(row.shape == shape and np.isfinite(row).all() for row, shape in zip(rows, shapes))


class Overheard:
    """A policy whose answers are listened to: until when is there an action that can be believed?

    Attributes:
        until_ns: when the last row of the newest sound chunk ends.
    """

    def __init__(self, policy: Any, joints: int, until_ns: int) -> None:
        self._policy, self._joints = policy, joints
        self.until_ns, self._stamp_ns = until_ns, -1

    def act(self, *args: Any, **kwargs: Any) -> ActionChunk | None:
        chunk: ActionChunk | None = self._policy.act(*args, **kwargs)
        if chunk is not None and chunk.stamp_ns > self._stamp_ns:
            rows = chunk.joint_pos
            if rows.ndim == 2 and rows.shape[1] == self._joints and np.isfinite(rows).all():
                self._stamp_ns = chunk.stamp_ns
                self.until_ns = chunk.stamp_ns + len(rows) * chunk.period_ns
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)
