"""Deadlines on a fixed grid: a missed one is skipped and counted, never made up, never a drift."""

from __future__ import annotations

from rmedge.clock import Clock

__all__ = ["Rate"]


class Rate:
    """Waits for the instants ``start + k * period``.

    A deadline that has just passed is served at once, late; the ones before it are lost.
    """

    def __init__(self, clock: Clock, period_ns: int) -> None:
        self.period_ns = period_ns
        self.missed = 0  # deadlines that passed before anybody waited for them
        self._clock = clock
        self._next_ns = clock.now_ns() + period_ns

    def wait(self) -> int:
        """Sleep until the next deadline, or return at once for the last one that passed; returns it [ns]."""
        late = (self._clock.now_ns() - self._next_ns) // self.period_ns
        if late > 0:
            self.missed += late
            self._next_ns += late * self.period_ns
        deadline_ns = self._next_ns
        self._clock.sleep_until_ns(deadline_ns)
        self._next_ns += self.period_ns
        return deadline_ns
