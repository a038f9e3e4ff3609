"""Actuators: robots, real or not, one kind a file, each found by what the user names."""

from __future__ import annotations

from rmedge.errors import UsageError
from rmedge.protocols import Actuator
from rmedge.robots import Robot
from rmedge.runtimes.own import find, is_own

__all__ = ["open_actuator"]

NAMES = ("sim", "null", "boards:DIR", "module:factory")


def open_actuator(name: str, robot: Robot) -> Actuator:
    """The actuator of that name: ``sim`` (MuJoCo, Python 3.11 or newer), ``null``, or ``boards:DIR``.

    The last is a robot that firmware or `rmedge guard` owns, in shared memory. A ``module:factory`` of the
    user's own is called with the robot.

    Raises:
        AbsentError: MuJoCo or the module is not here, or nobody publishes a robot's state in that directory.
        BoardError: the boards there cannot be trusted, or have another writer.
    """
    if name == "sim":
        from rmedge.runtimes.actuators.sim import SimActuator

        return SimActuator(robot)
    if name == "null":
        from rmedge.runtimes.actuators.null import NullActuator

        return NullActuator(robot)
    if name.startswith("boards:"):
        from rmedge.runtimes.actuators.board import BoardActuator

        return BoardActuator(name[len("boards:") :], robot)
    if is_own(name):
        return find(name)(robot)
    raise UsageError(f"actuator: expected one of {', '.join(NAMES)}, got {name!r}")
