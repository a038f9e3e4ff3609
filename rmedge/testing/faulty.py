"""Puts faults around any camera, actuator, policy or encoder; what is inside is left as it is."""

from __future__ import annotations

from typing import Any, Sequence

from rmedge.clock import Clock
from rmedge.errors import UsageError
from rmedge.testing.faults import Fault
from rmedge.testing.faulty_devices import FaultyActuator, FaultyCamera
from rmedge.testing.faulty_minds import FaultyEncoder, FaultyPolicy

__all__ = ["faulty"]


def faulty(part: Any, faults: Sequence[Fault], clock: Clock | None = None) -> Any:
    """The same part, with those of the faults that are for its kind of part.

    Time counts from now on that clock, and anew from ``attach``. ``hits`` of what is returned counts, by
    fault, the calls that were changed; everything else that the part has is there as well.

    Raises:
        UsageError: it is none of the four.
    """
    for method, wrapper in (
        ("watch", FaultyEncoder),
        ("act", FaultyPolicy),
        ("write", FaultyActuator),
        ("read", FaultyCamera),
    ):
        if callable(getattr(part, method, None)):
            return wrapper(part, faults, Clock() if clock is None else clock)
    raise UsageError(f"faulty: expected a camera, actuator, policy or encoder, got {type(part).__name__}")
