"""The trace: every tick's time by stage, its frame's age, its intent; the report is made after the loop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rmedge.specs import Intent

__all__ = ["STAGES", "Marks", "Report", "Trace"]

STAGES = (
    "capture",
    "decode",
    "preprocess",
    "encode",
    "read",
    "observe",
    "policy",
    "plan",
    "envelope",
    "write",
    "physics",
)
FOREIGN = (
    "capture",
    "decode",
    "encode",
    "policy",
    "physics",
)  # the camera and its decoder, onnxruntime and the simulator: not rmedge's own
_COLUMN = {name: column for column, name in enumerate(STAGES)}


class Marks(Protocol):
    """Whoever is told when a stage ends."""

    def mark(self, stage: str) -> None:
        """The time since the last mark went into this stage."""


class Trace:
    """Preallocated rows of nanoseconds, one a policy tick; `mark` adds what passed since the last mark.

    Attributes:
        intents: every intent the encoder gave, oldest first.
        stop_reason: why the loop ended before its time, or "".
        stopped: the body stopped itself; the motors were damped.
    """

    def __init__(self, period_ns: int, expected_ticks: int = 3000) -> None:
        self.period_ns = period_ns
        self.ticks = 0
        self.intents: list[Intent] = []
        self.stop_reason = ""
        self.stopped = False
        self.missed_deadlines = 0  # of the write rate's grid; none in lock-step
        self.clamped: dict[str, np.ndarray] = {}
        self.refused = 0
        self.policy_failures = 0  # calls that raised, or gave what is not finite
        self._spent = np.zeros((max(expected_ticks, 1), len(STAGES)), np.int64)
        self._age = np.full(len(self._spent), -1, np.int64)
        self._stamp = np.zeros(len(self._spent), np.int64)
        self._begun = np.zeros(len(self._spent), np.int64)
        self._answered = np.zeros(len(self._spent), np.int64)
        self._row = self._spent[0]
        self._last_ns = 0

    def begin(self, stamp_ns: int) -> None:
        """A tick starts at this instant of the loop's clock."""
        if self.ticks == len(self._spent):
            self._spent = np.concatenate([self._spent, np.zeros_like(self._spent)])
            self._age = np.concatenate([self._age, np.full_like(self._age, -1)])
            self._stamp = np.concatenate([self._stamp, np.zeros_like(self._stamp)])
            self._begun = np.concatenate([self._begun, np.zeros_like(self._begun)])
            self._answered = np.concatenate([self._answered, np.zeros_like(self._answered)])
        self._row = self._spent[self.ticks]
        self._stamp[self.ticks] = stamp_ns
        self._last_ns = self._begun[self.ticks] = time.monotonic_ns()
        self.ticks += 1

    def mark(self, stage: str) -> None:
        """The time since the last mark went into this stage."""
        now_ns = time.monotonic_ns()
        self._row[_COLUMN[stage]] += now_ns - self._last_ns
        self._last_ns = now_ns

    def skip(self) -> None:
        """The time since the last mark was spent waiting: it belongs to no stage."""
        self._last_ns = time.monotonic_ns()

    def answered(self) -> None:
        """The first command of this tick is out; what is marked from here on prepares the others."""
        self._answered[self.ticks - 1] = self._last_ns - self._begun[self.ticks - 1]

    def used(self, frame_age_ns: int) -> None:
        """This tick acts on an intent that is this old."""
        self._age[self.ticks - 1] = frame_age_ns

    @property
    def spent_ns(self) -> np.ndarray:
        """(ticks, stages) [ns]."""
        return self._spent[: self.ticks]

    @property
    def begun_ns(self) -> np.ndarray:
        """(ticks,) when each began, in real time whatever the loop's clock is [ns]."""
        return self._begun[: self.ticks]

    @property
    def answered_ns(self) -> np.ndarray:
        """(ticks,) from when each began to its first command [ns]."""
        return self._answered[: self.ticks]

    @property
    def age_ns(self) -> np.ndarray:
        """(ticks,) of the frame that the tick acts on; -1 where there is none [ns]."""
        return self._age[: self.ticks]

    @property
    def compute_ns(self) -> np.ndarray:
        """(ticks,) everything but the physics [ns]."""
        return self.spent_ns.sum(1) - self.spent_ns[:, _COLUMN["physics"]]

    @property
    def own_ns(self) -> np.ndarray:
        """(ticks,) rmedge's own cost: without the camera, onnxruntime and the physics [ns]."""
        return self.spent_ns.sum(1) - self.spent_ns[:, [_COLUMN[name] for name in FOREIGN]].sum(1)

    @property
    def capture_to_actuator_ns(self) -> np.ndarray:
        """(ticks with an intent,) age of the frame at the tick plus the tick's compute [ns]."""
        return (self.age_ns + self.compute_ns)[self.age_ns >= 0]

    def report(self) -> Report:
        """The figures of the run."""
        return Report.of(self)


def quantiles_us(spent_ns: np.ndarray) -> dict[str, float]:
    """count, p50, p95, p99 and max [us] of one array, all from the same samples."""
    if not len(spent_ns):
        return {"count": 0}
    p50, p95, p99 = np.percentile(spent_ns, (50, 95, 99)) / 1e3
    return {
        "count": len(spent_ns),
        "p50_us": float(p50),
        "p95_us": float(p95),
        "p99_us": float(p99),
        "max_us": float(spent_ns.max() / 1e3),
    }


@dataclass(frozen=True)
class Report:
    """What a run cost, by stage; prints as a table."""

    ticks: int
    misses: int
    period_ms: float
    stages: dict[str, dict[str, float]]
    tick: dict[str, float]
    own: dict[str, float]
    capture_to_actuator_ms: dict[str, float]
    frame_age_ms: dict[str, float]
    clamped: dict[str, int]
    refused: int
    policy_failures: int
    stop_reason: str

    @classmethod
    def of(cls, trace: Trace) -> Report:
        spent = trace.spent_ns
        stages = {}
        for column, name in enumerate(STAGES):
            ran = spent[:, column]
            stages[name] = quantiles_us(ran[ran > 0])
        age = trace.age_ns
        return cls(
            ticks=trace.ticks,
            misses=int((trace.compute_ns > trace.period_ns).sum()),
            period_ms=trace.period_ns / 1e6,
            stages={name: row for name, row in stages.items() if row["count"]},
            tick=quantiles_us(trace.compute_ns),
            own=quantiles_us(trace.own_ns),
            capture_to_actuator_ms=_milliseconds(trace.capture_to_actuator_ns),
            frame_age_ms=_milliseconds(age[age >= 0]),
            clamped={name: int(count.sum()) for name, count in trace.clamped.items()},
            refused=trace.refused,
            policy_failures=trace.policy_failures,
            stop_reason=trace.stop_reason,
        )

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return dict(vars(self))

    def __str__(self) -> str:
        head = f"{'stage':<12}{'count':>8}{'p50 us':>10}{'p95 us':>10}{'p99 us':>10}{'max us':>10}"
        lines = [head]
        rows = [*self.stages.items(), ("tick", self.tick), ("own cost", self.own)]
        for name, row in rows:
            if row.get("count"):
                figures = "".join(f"{row[key]:>10.1f}" for key in ("p50_us", "p95_us", "p99_us", "max_us"))
                lines.append(f"{name:<12}{row['count']:>8}{figures}")
        delays = {
            "frame age at use [ms]": self.frame_age_ms,
            "capture to actuator [ms]": self.capture_to_actuator_ms,
        }
        for name, row in delays.items():
            if row:
                lines.append(f"{name}: " + "  ".join(f"{key} {value:.1f}" for key, value in row.items()))
        lines.append(f"{self.ticks} ticks of {self.period_ms:g} ms, {self.misses} missed")
        if self.clamped or self.refused:
            counts = "  ".join(f"{name} {count}" for name, count in self.clamped.items())
            lines.append(f"envelope: joints clamped: {counts}; joints refused: {self.refused}")
        if self.policy_failures:
            lines.append(f"policy calls that failed: {self.policy_failures}")
        if self.stop_reason:
            lines.append(f"stopped: {self.stop_reason}")
        return "\n".join(lines)


def _milliseconds(values_ns: np.ndarray) -> dict[str, float]:
    row = quantiles_us(values_ns)
    return {key[:-3]: value / 1e3 for key, value in row.items() if key != "count"}
