"""The one clock: real time, or simulated time that a lock-step loop turns by hand."""

from __future__ import annotations

import time

__all__ = ["Clock", "ManualClock"]


class Clock:
    """Monotonic real time [ns]."""

    def now_ns(self) -> int:
        """The instant now [ns]."""
        return time.monotonic_ns()

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Return at the deadline, or at once when it has passed."""
        wait_ns = deadline_ns - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / 1e9)


class ManualClock(Clock):
    """Time that moves only when somebody waits for it: deterministic, and nothing sleeps."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        self._now_ns = max(self._now_ns, deadline_ns)
