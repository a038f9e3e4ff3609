"""The camera that never sees anything; it runs the whole stack without one."""

from __future__ import annotations

from typing import Any

from rmedge.clock import Clock
from rmedge.specs import Frame

__all__ = ["NullCamera"]


class NullCamera:
    """Has no pictures."""

    def attach(self, clock: Clock) -> None:
        pass

    def read(self, max_age_ns: int) -> Frame | None:
        return None

    def __enter__(self) -> NullCamera:
        return self

    def __exit__(self, *exc: Any) -> None:
        pass
