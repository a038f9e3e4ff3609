"""The robot that is not there: it stands in its default pose and takes every command."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmedge.clock import Clock
from rmedge.robots import Robot
from rmedge.specs import JointTarget, RobotState

__all__ = ["NullActuator"]


class NullActuator:
    """Obeys every contract and moves nothing."""

    def __init__(self, robot: Robot) -> None:
        # all that it ever feels; nobody can write to it
        self._pose = robot.default_pose
        self._still, self._level = np.zeros_like(self._pose), np.zeros(3)
        self._down = np.array([0.0, 0.0, -1.0])
        for numbers in (self._still, self._level, self._down):
            numbers.flags.writeable = False
        self._clock = Clock()

    def attach(self, clock: Clock) -> None:
        self._clock = clock

    def read(self) -> RobotState:
        return RobotState(
            joint_pos=self._pose,
            joint_vel=self._still,
            base_ang_vel=self._level,
            projected_gravity=self._down,
            stamp_ns=self._clock.now_ns(),
        )

    def write(self, target: JointTarget) -> JointTarget:
        target.check(len(self._pose))
        return target

    def damp(self) -> None:
        pass

    def advance(self) -> None:
        pass

    def __enter__(self) -> NullActuator:
        return self

    def __exit__(self, *exc: Any) -> None:
        pass
