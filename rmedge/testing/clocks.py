"""Clocks: what must hold of one, and two that the other checks look through."""

from __future__ import annotations

from typing import Callable

from rmedge.clock import Clock, ManualClock
from rmedge.testing.verdict import require

__all__ = ["Paced", "Watched", "check_clock"]

START_NS = 7_000_000_000  # not zero: nobody may take a clock to start there


class Watched(ManualClock):
    """A clock that tells on those who wait for it."""

    real = False

    def __init__(self) -> None:
        super().__init__(START_NS)
        self.waits = 0

    def sleep_until_ns(self, deadline_ns: int) -> None:
        self.waits += 1

    def turn(self, step_ns: int) -> None:
        """So much later."""
        super().sleep_until_ns(self.now_ns() + step_ns)


class Paced(Clock):
    """The same for real devices, in real time."""

    real = True

    def __init__(self) -> None:
        self.waits = 0

    def sleep_until_ns(self, deadline_ns: int) -> None:
        self.waits += 1
        super().sleep_until_ns(deadline_ns)

    def turn(self, step_ns: int) -> None:
        """So much later."""
        super().sleep_until_ns(self.now_ns() + step_ns)


def check_clock(make: Callable[[], Clock]) -> None:
    """A clock counts whole nanoseconds, never goes back, and wakes nobody early.

    Raises:
        AssertionError: it does not; the message says what must hold and what was found.
    """
    clock = make()
    instants = [clock.now_ns() for _ in range(100)]
    require(all(type(t) is int for t in instants), "now_ns", "an int", type(instants[0]).__name__)
    require(instants == sorted(instants), "now_ns", "instants that never go back", instants)
    deadline_ns = clock.now_ns() + 2_000_000
    clock.sleep_until_ns(deadline_ns)
    woke_ns = clock.now_ns()
    require(woke_ns >= deadline_ns, "sleep_until_ns", f"no return before {deadline_ns}", woke_ns)
    clock.sleep_until_ns(woke_ns - 1_000_000_000)
    took_ns = clock.now_ns() - woke_ns
    require(0 <= took_ns < 500_000_000, "sleep_until_ns", "a return at once from the past", f"{took_ns} ns")
