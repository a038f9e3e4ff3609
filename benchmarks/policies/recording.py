"""The recording: what a simulated robot did, looked at once a policy tick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmedge.runtimes.actuators.sim import SimActuator
from rmedge.trace import Trace

__all__ = ["Recorder", "Recording"]


@dataclass(frozen=True, eq=False)
class Recording:
    """The true motion of one robot, ``T`` ticks of it: until the end, or until it fell."""

    period_s: float
    fell_at_s: float | None
    velocity: np.ndarray  # (T, 3) vx, vy [m/s] in the yaw frame, yaw rate [rad/s]
    heading: np.ndarray  # (T,) [rad], full turns counted
    joint_pos: np.ndarray  # (T, Da) [rad]
    joint_vel: np.ndarray  # (T, Da) [rad/s]
    command: np.ndarray  # (T, Da) [rad] joint positions wanted of the motors
    torque: np.ndarray  # (T, Da) [N m]
    slip: np.ndarray  # (T, feet) planar speed where a foot touches the floor [m/s]; NaN in the air
    gravity: np.ndarray  # (T, 3) unit vector, body frame; (0, 0, -1) upright


class Recorder:
    """Watches a loop from its ``on_tick``, and ends it at a fall."""

    def __init__(self, robot: SimActuator) -> None:
        self._robot = robot
        self._ticks: list[tuple[np.ndarray | float, ...]] = []

    def __call__(self, trace: Trace) -> bool:
        world = self._robot.world
        self._ticks.append(
            (
                world.velocity, self._robot.heading_change, world.joint_pos.copy(), world.joint_vel.copy(),
                world.data.ctrl.copy(), world.torque, world.foot_slip,
                world.projected_gravity,
            )
        )  # fmt: skip
        return self._robot.fell_at_s is not None

    def of(self, trace: Trace) -> Recording:
        """All of it, once the loop has ended; a robot that was damped for want of commands fell, too."""
        fell_at_s = self._robot.fell_at_s
        if fell_at_s is None and trace.stop_reason:
            fell_at_s = self._robot.world.time_ns / 1e9
        return Recording(trace.period_ns / 1e9, fell_at_s, *map(np.array, zip(*self._ticks)))
