"""Throttling: whether the machine slowed itself down while it was measured, and how that was told."""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

from rmedge.runtimes.doctor import System

__all__ = ["Alarms", "throttling"]

COUNTERS = (
    "/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count",
    "/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/package_throttle_count",
    "/sys/class/hwmon/hwmon*/oc[0-9]_event_cnt",  # a Jetson's, of over-current and under-voltage; unverified
)
FIRST_MS = 2000.0  # of what is watched: what the clock is when nothing is hot yet
FALLEN = 0.9  # of the lowest clock of that time
TWICE = 2  # samples in a row: one alone may be of another core on its way up


class Alarms:
    """The machine's own counters of having been slowed down, from now on."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._before = self._read()

    def risen(self) -> Mapping[str, int] | None:
        """Which counters rose, and by how much; None: there are none to read."""
        if not self._before:
            return None
        now = self._read()
        more = {path: now.get(path, count) - count for path, count in self._before.items()}
        return {path: count for path, count in more.items() if count > 0}

    def _read(self) -> dict[str, int]:
        paths = [path for pattern in COUNTERS for path in self._system.glob(pattern)]
        texts = {path: self._system.read(path) or "" for path in paths}
        return {path: int(text) for path, text in texts.items() if re.fullmatch(r"\d{1,18}", text)}


def throttling(
    risen: Mapping[str, int] | None, at_ms: Sequence[float], frequency_mhz: Sequence[float | None]
) -> dict[str, Any]:
    """``seen`` and ``why``; seen is None where neither counters nor clocks tell.

    Args:
        risen: as of `Alarms`.
        at_ms: (N,) when the clock was looked at, rising; of times alone when something was measured, for a
            core that waits may slow down.
        frequency_mhz: (N,) of the core that measured.
    """
    if risen:
        path, count = max(risen.items(), key=lambda item: item[1])
        others = f", and {len(risen) - 1} more counters" if len(risen) > 1 else ""
        return {"seen": True, "why": f"{path} rose by {count}{others}"}
    clocks = [(at, clock) for at, clock in zip(at_ms, frequency_mhz) if clock is not None]
    first = min((clock for at, clock in clocks if at <= clocks[0][0] + FIRST_MS), default=None)
    if first is not None:
        slow = [clock < FALLEN * first for _, clock in clocks]
        for place in range(len(slow) - TWICE + 1):
            if all(slow[place : place + TWICE]):
                at, clock = clocks[place]
                why = f"the clock fell from {first:.0f} to {clock:.0f} MHz after {at / 1e3:.1f} s"
                return {"seen": True, "why": why}
    if risen is None and first is None:
        return {"seen": None, "why": "neither counters nor clocks can be read here"}
    return {"seen": False, "why": ""}
