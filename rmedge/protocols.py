"""The seams: what a camera and an actuator must do, so that anybody's can be used.

Nothing needs to be inherited. `rmedge.testing` holds the conformance checks.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from rmedge.clock import Clock
from rmedge.specs import Frame, JointTarget, RobotState

__all__ = ["Actuator", "Camera", "Simulated"]


@runtime_checkable
class Camera(Protocol):
    """A source of pictures.

    One that decodes while it is read may have ``listen(marks)``; the loop calls it with its `Marks`, or None
    when it ends, and the camera marks "capture" before it decodes and "decode" after.
    """

    def attach(self, clock: Clock) -> None:
        """Count time on this clock from now on; the loop calls it once."""

    def read(self, max_age_ns: int) -> Frame | None:
        """The newest frame, or None when there is none younger than ``max_age_ns``; never waits."""

    def __enter__(self) -> Camera: ...

    def __exit__(self, *exc: Any) -> None: ...


@runtime_checkable
class Actuator(Protocol):
    """A robot: what its sensors say, and a way to its motors."""

    def attach(self, clock: Clock) -> None:
        """Count time on this clock from now on; the loop calls it once."""

    def read(self) -> RobotState:
        """The newest state."""

    def write(self, target: JointTarget) -> JointTarget:
        """Send a target; returns what was really sent."""

    def damp(self) -> None:
        """No stiffness, only damping, until the next write."""

    def __enter__(self) -> Actuator: ...

    def __exit__(self, *exc: Any) -> None: ...


@runtime_checkable
class Simulated(Actuator, Protocol):
    """An actuator whose physics advance only when told to."""

    def advance(self) -> None:
        """Bring the physics up to the clock's now."""
