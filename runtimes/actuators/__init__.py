"""Actuators: robots, real or not, one kind a file, each found by what the user names."""

from __future__ import annotations

from rmedge.errors import UsageError
from rmedge.protocols import Simulated
from rmedge.robots import Robot

__all__ = ["open_actuator"]

NAMES = ("sim", "null")


def open_actuator(name: str, robot: Robot) -> Simulated:
    """The actuator of that name: ``sim`` (MuJoCo, Python 3.11 or newer) or ``null``.

    Raises:
        AbsentError: MuJoCo is not installed.
    """
    if name == "sim":
        from rmedge.runtimes.actuators.sim import SimActuator

        return SimActuator(robot)
    if name == "null":
        from rmedge.runtimes.actuators.null import NullActuator

        return NullActuator(robot)
    raise UsageError(f"actuator: expected one of {', '.join(NAMES)}, got {name!r}")
