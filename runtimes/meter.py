"""The meter: what a real-time body's steps cost, in constant memory however long it runs."""

from __future__ import annotations

import time
from typing import Any

from rmedge.histogram import Histogram

__all__ = ["Meter"]

ENGINE = ("policy",)  # onnxruntime's, not our own


class Meter:
    """Marks stages as a `Trace` does, and keeps their distributions; nothing grows.

    A row a step: ``period_error`` (how late it began), ``step``, ``own`` (the step without the engine), the
    stages, and, when a command goes out on an intent, ``capture_to_write`` from the light to the motors.
    """

    def __init__(self) -> None:
        self.histograms: dict[str, Histogram] = {}
        self._began_ns = self._last_ns = self._engine_ns = 0

    def begin(self, deadline_ns: int) -> None:
        """A step begins that was due then."""
        self._began_ns = self._last_ns = now_ns = time.monotonic_ns()
        self._engine_ns = 0
        self.add("period_error", now_ns - deadline_ns)

    def mark(self, stage: str) -> None:
        """The time since the last mark went into this stage."""
        now_ns = time.monotonic_ns()
        spent_ns = now_ns - self._last_ns
        self._last_ns = now_ns
        if stage in ENGINE:
            self._engine_ns += spent_ns
        self.add(stage, spent_ns)

    def end(self, captured_ns: int | None) -> None:
        """The step is over; what was written followed an intent that was captured then."""
        step_ns = self._last_ns - self._began_ns
        self.add("step", step_ns)
        self.add("own", step_ns - self._engine_ns)
        if captured_ns is not None:
            self.add("capture_to_write", self._last_ns - captured_ns)

    def add(self, name: str, spent_ns: int) -> None:
        """One sample of a row."""
        histogram = self.histograms.get(name)
        if histogram is None:
            histogram = self.histograms[name] = Histogram()
        histogram.add(spent_ns)

    def report(self) -> dict[str, dict[str, Any]]:
        """Rows of counts and quantiles [us]."""
        return {name: _microseconds(histogram) for name, histogram in sorted(self.histograms.items())}


def _microseconds(histogram: Histogram) -> dict[str, Any]:
    told = histogram.told()
    spent = {
        f"{name[:-3]}_us": None if ns is None else ns / 1e3 for name, ns in told.items() if name != "count"
    }
    return {"count": told["count"], **spent}
