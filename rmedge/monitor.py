"""The monitor: looks at the robot's own state and says when it must be damped."""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np

from rmedge import kernels
from rmedge.budgets import Budgets
from rmedge.specs import RobotState

__all__ = ["Monitor"]


class Monitor:
    """Watches for a fall, flailing, heat, and numbers that cannot be.

    Every comparison asks for what is good, so that NaN is never taken for it.

    Args:
        budgets: what is too much.
        joint_names: to name the joints in a reason; without them they are numbered.
    """

    def __init__(self, budgets: Budgets, joint_names: Sequence[str] = ()) -> None:
        self._upright = math.cos(budgets.tilt_rad)
        self._tilt_ns = budgets.tilt_ns
        self._budgets, self._names = budgets, tuple(joint_names)
        self._hot: np.ndarray | None = None  # (Da,) motors that have to cool down first
        self.reset()

    def reset(self) -> None:
        """A new episode; a motor that was too hot is so until it has cooled down."""
        self._tilted_ns: int | None = None

    def check(self, state: RobotState, now_ns: int) -> str:
        """Why the motors must be damped now, or "" when all is well.

        The reason begins with what it is about: ``state``, ``tilt``, ``flail`` or ``temperature``.
        """
        budgets, gravity, speed = self._budgets, state.projected_gravity, state.joint_vel
        if kernels.steady(
            state.joint_pos, speed, state.base_ang_vel, gravity, self._upright, budgets.flail_rad_s
        ):  # so it is at nearly every step
            self._tilted_ns = None
            return self._heat(state.motor_temp)
        for name in ("joint_pos", "joint_vel", "base_ang_vel"):
            numbers = getattr(state, name)
            if not kernels.finite(numbers):
                return f"state: expected finite numbers in {name}, got {self._which(~np.isfinite(numbers))}"
        x, y, z = gravity.tolist()
        if not kernels.SHORTEST <= x * x + y * y + z * z <= kernels.LONGEST:
            return f"state: expected a unit vector in projected_gravity, got ({x:.3g}, {y:.3g}, {z:.3g})"
        if -z >= self._upright:
            self._tilted_ns = None
        elif self._tilted_ns is None:
            self._tilted_ns = now_ns
        elif not 0 <= now_ns - self._tilted_ns < self._tilt_ns:  # time that goes back is no excuse
            tilt = math.acos(max(-1.0, min(1.0, -z)))
            return f"tilt: expected at most {budgets.tilt_rad:g} rad from upright, got {tilt:.2f} rad"
        calm = np.abs(speed) <= budgets.flail_rad_s
        if not np.count_nonzero(calm) > calm.size - budgets.flail_joints:
            return (
                f"flail: expected fewer than {budgets.flail_joints} joints beyond "
                f"{budgets.flail_rad_s:g} rad/s, got {self._which(~calm)}"
            )
        return self._heat(state.motor_temp)

    def _heat(self, temperature: np.ndarray | None) -> str:
        stop, clear = self._budgets.motor_stop_c, self._budgets.motor_clear_c
        if temperature is not None and (self._hot is None or self._hot.size == temperature.size):
            hot = temperature >= stop  # one that is not known is not hot
            if self._hot is not None:
                hot |= self._hot & ~(np.abs(temperature) <= clear)  # but one that was is so until it is
            self._hot = hot if np.count_nonzero(hot) else None
        if self._hot is None:
            return ""
        return (
            f"temperature: expected motors below {stop:g} C, and down to {clear:g} C after that, "
            f"got {self._which(self._hot)}"
        )

    def _which(self, joints: np.ndarray) -> str:
        """The first few of these, by name where they have one."""
        found = np.flatnonzero(joints).tolist()
        named = [
            self._names[joint] if joints.size == len(self._names) else f"number {joint}"
            for joint in found[:3]
        ]
        return ", ".join(named) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
