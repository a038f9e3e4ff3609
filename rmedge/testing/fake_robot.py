"""A robot that is not there: joints without mass that follow their targets, on any clock."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from rmedge.clock import Clock
from rmedge.robots import Robot
from rmedge.specs import JointTarget, RobotState

__all__ = ["FakeRobot"]

WARM = 40.0  # [deg C]


class FakeRobot:
    """Obeys every contract of an actuator with a line of arithmetic; put `faulty` around it to break it.

    A joint without mass moves at ``kp / kd (target - q)``, within its limits of speed and position; one that
    is damped stays. When nobody writes for ``timeout_ns`` it damps itself, until the next write.

    Args:
        timeout_ns: its command time-out; None has none.
        keep: how many of the last commands to remember.

    Attributes:
        gravity: (3,) what its attitude sensor says; a unit vector, body frame.
        gyro: (3,) [rad/s].
        motor_temp: (Da,) [deg C].
        sent: (instant [ns], what was written), oldest first; None stands for a damping.
        timed_out: how often it damped itself.
    """

    def __init__(self, robot: Robot, timeout_ns: int | None = 100_000_000, keep: int = 10_000) -> None:
        joints = len(robot.joint_names)
        self.robot, self.timeout_ns = robot, timeout_ns
        self.gravity, self.gyro = np.array([0.0, 0.0, -1.0]), np.zeros(3)
        self.motor_temp = np.full(joints, WARM)
        self.sent: deque[tuple[int, JointTarget | None]] = deque(maxlen=keep)
        self.timed_out = 0
        self._pos, self._vel = robot.default_pose.copy(), np.zeros(joints)
        self._target: JointTarget | None = None  # damped
        self._wrote_ns = 0
        self.attach(Clock())

    @property
    def damped(self) -> bool:
        """Nothing pulls at its joints."""
        self.advance()
        return self._target is None

    def attach(self, clock: Clock) -> None:
        self._clock, self._at_ns = clock, clock.now_ns()
        self._wrote_ns = self._at_ns

    def read(self) -> RobotState:
        self.advance()
        return RobotState(
            joint_pos=self._pos.copy(),
            joint_vel=self._vel.copy(),
            base_ang_vel=np.array(self.gyro, float),
            projected_gravity=np.array(self.gravity, float),
            stamp_ns=self._at_ns,
            motor_temp=np.array(self.motor_temp, float),
        )

    def write(self, target: JointTarget) -> JointTarget:
        target.check(len(self._pos))
        self.advance()
        kept = JointTarget(target.joint_pos.copy(), target.kp.copy(), target.kd.copy(), target.stamp_ns)
        self._target, self._wrote_ns = kept, self._at_ns
        self.sent.append((self._at_ns, kept))
        return target

    def damp(self) -> None:
        self.advance()
        self._target = None
        self.sent.append((self._at_ns, None))

    def advance(self) -> None:
        """Move on to the clock's now; reading and writing do so too."""
        now_ns = self._clock.now_ns()
        if self._target is not None and self.timeout_ns is not None:
            end_ns = self._wrote_ns + self.timeout_ns
            if now_ns >= end_ns:
                self._follow(self._target, end_ns)
                self._target = None
                self.timed_out += 1
        if self._target is not None:
            self._follow(self._target, now_ns)
        elif now_ns > self._at_ns:
            self._vel[:] = 0.0
        self._at_ns = max(self._at_ns, now_ns)

    def _follow(self, target: JointTarget, until_ns: int) -> None:
        robot, seconds = self.robot, (until_ns - self._at_ns) * 1e-9
        if seconds <= 0:
            return
        stiffness = target.kp / np.maximum(target.kd, 1e-6)  # [1/s]
        step = (target.joint_pos - self._pos) * -np.expm1(-stiffness * seconds)
        longest = robot.velocity_limit * seconds
        moved = np.clip(self._pos + np.clip(step, -longest, longest), robot.lower, robot.upper)
        self._vel = (moved - self._pos) / seconds
        self._pos, self._at_ns = moved, until_ns

    def __enter__(self) -> FakeRobot:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.damp()
