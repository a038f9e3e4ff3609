"""The report: what rounds of ticks say about each variant, as one dictionary of JSON's own types.

The shape is published in ``report.schema.json``. Times are [us] unless a name says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

import numpy as np

from rmedge.benchmarks.statistics import QUANTILES, floor, quantile_interval
from rmedge.trace import FOREIGN, STAGES, Trace

__all__ = ["SCHEMA", "Round", "Rules", "Ticks", "row", "ticks_of", "variant_of"]

SCHEMA = "rmedge-bench/1"
WORST = 10  # longest ticks that are named one by one


@dataclass(frozen=True)
class Rules:
    """What a figure needs to be one: MLPerf's single-stream rules, with rounds in place of one run."""

    rounds: int = 10
    min_seconds: float = 10.0  # of all rounds of a variant together, as measured by the wall
    min_ticks: int = 1000  # likewise
    warm_up_ticks: int = 50  # a round, before anything counts
    confidence: float = 0.99
    paced: bool = False


@dataclass(frozen=True)
class Ticks:
    """What (N,) ticks took [us]; NaN where there is nothing to say."""

    start_ms: np.ndarray  # since the round began to measure
    spent_us: Mapping[str, np.ndarray]  # by stage; NaN where it did not run in this tick
    tick_us: np.ndarray  # all stages but the physics
    sensor_to_actuator_us: np.ndarray  # age of the frame at the tick plus the tick; NaN without an intent
    intent_age_us: np.ndarray

    def spent(self, stage: str) -> np.ndarray:
        """(N,) [us] of any stage."""
        return self.spent_us.get(stage, np.full(len(self.tick_us), np.nan))

    @property
    def own_us(self) -> np.ndarray:
        """(N,) without the camera and its decoder, onnxruntime and the physics."""
        own = [spent for stage, spent in self.spent_us.items() if stage not in FOREIGN]
        return np.nansum(own, axis=0) if own else np.zeros(len(self.tick_us))


@dataclass(frozen=True)
class Round:
    """One process's part: its ticks and what came before them.

    `rmedge.benchmarks.latency.round.measure` makes one in this process, of anything that a `Loop` takes;
    ``rmedge-bench run`` has each made in a fresh one.
    """

    ticks: Ticks
    seconds: float  # that it measured for, by the wall
    start_ms: float = 0.0  # when it began to measure, since the run began
    interrupted: bool = False
    cold_start: Mapping[str, float | None] = field(default_factory=dict)
    warm_up: Mapping[str, float] = field(default_factory=lambda: {"ticks": 0, "seconds": 0.0})
    graphs: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)  # bare and call (M,) [us]


def ticks_of(trace: Trace, ticks: int | None = None, began_ns: int | None = None) -> Ticks:
    """The first so many ticks (all) of a loop's trace; a stage that never ran is left out.

    ``began_ns``: when the round began to measure, in real time (with the first tick).
    """
    spent_us = np.where(trace.spent_ns > 0, trace.spent_ns / 1e3, np.nan)[:ticks]
    age_us = np.where(trace.age_ns >= 0, trace.age_ns / 1e3, np.nan)[:ticks]
    tick_us = trace.compute_ns[:ticks] / 1e3
    ran = {stage: spent_us[:, column] for column, stage in enumerate(STAGES)}
    return Ticks(
        start_ms=(trace.begun_ns[:ticks] - (trace.begun_ns[:1] if began_ns is None else began_ns)) / 1e6,
        spent_us={stage: spent for stage, spent in ran.items() if np.isfinite(spent).any()},
        tick_us=tick_us,
        sensor_to_actuator_us=age_us + tick_us,
        intent_age_us=age_us,
    )


def row(parts: Sequence[np.ndarray], seconds: float, rules: Rules) -> dict[str, Any]:
    """count, quantiles with their intervals, max and jitter of one quantity.

    A quantile is None unless there are samples enough for it (`statistics.floor`) and they were taken over
    ``rules.min_seconds``; its interval is of order statistics, and None where no two samples bound it.

    Args:
        parts: (N,) [us] of each round, in the order in which they were measured; NaN is left out.
        seconds: that all rounds together measured for.
    """
    parts = [part[np.isfinite(part)] for part in parts]
    every = np.sort(np.concatenate([*parts, np.zeros(0)]))
    steps = np.concatenate([*(np.abs(np.diff(part)) for part in parts), np.zeros(0)])
    told: dict[str, Any] = {"count": len(every)}
    intervals: dict[str, list[float] | None] = {}
    for name, quantile in QUANTILES.items():
        established = len(every) >= floor(quantile) and seconds >= rules.min_seconds
        told[f"{name}_us"] = _tenth(np.quantile(every, quantile)) if established else None
        ranks = quantile_interval(len(every), quantile, rules.confidence)
        intervals[name] = None if ranks is None else [_tenth(every[rank]) for rank in ranks]
    told["interval_us"] = intervals
    told["max_us"] = _tenth(every[-1]) if len(every) else None
    # RFC 3550, 6.4.1, as a plain mean: its running filter is for those who cannot keep the samples
    told["jitter_us"] = _tenth(steps.mean()) if len(steps) else None
    return told


def variant_of(
    rounds: Sequence[Round],
    rules: Rules,
    period_us: float,
    about: Mapping[str, Any],
    watched: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One variant's part of a report.

    Args:
        rounds: at least one, of one tick or more.
        about: name, bundle, provider, engine, threads, precision, power_mode, camera and actuator.
        watched: gauges, throttling and energy_mj_per_tick, where somebody watched the process.
    """
    seconds = sum(each.seconds for each in rounds)

    def rows(parts: Sequence[np.ndarray]) -> dict[str, Any]:
        return row(parts, seconds, rules)

    stages = [stage for stage in STAGES if any(stage in each.ticks.spent_us for each in rounds)]
    ticks = [each.ticks for each in rounds]
    return {
        **about,
        "period_us": period_us,
        "warm_up": {key: sum(each.warm_up[key] for each in rounds) for key in ("ticks", "seconds")},
        "rounds": [
            {
                "round": index,
                "start_ms": _tenth(each.start_ms),
                "seconds": round(each.seconds, 3),
                "ticks": len(each.ticks.tick_us),
            }
            for index, each in enumerate(rounds)
        ],
        "cold_start": [
            {"round": index, **each.cold_start} for index, each in enumerate(rounds) if each.cold_start
        ],
        "stages": {stage: rows([each.spent(stage) for each in ticks]) for stage in stages},
        "tick": rows([each.tick_us for each in ticks]),
        "own": rows([each.own_us for each in ticks]),
        "sensor_to_actuator": rows([each.sensor_to_actuator_us for each in ticks]),
        "intent_age": rows([each.intent_age_us for each in ticks]),
        "deadlines": _deadlines([each.tick_us for each in ticks], period_us),
        "throughput_hz": round(sum(len(each.tick_us) for each in ticks) / seconds, 2) if seconds else None,
        "worst": _worst(ticks, stages),
        **(watched or NOT_WATCHED),
        "graphs": _graphs(rounds, rules),
        "ticks": _listed(ticks, stages),
    }


NOT_WATCHED: dict[str, Any] = {
    "gauges": {
        name: []
        for name in ("at_ms", "cpu_percent", "resident_mb", "frequency_mhz", "temperature_c", "power_w")
    },
    "throttling": {"seen": None, "why": "nobody watched"},
    "energy_mj_per_tick": None,
}


def _deadlines(parts: Sequence[np.ndarray], period_us: float) -> dict[str, int]:
    """How many ticks took longer than the period, and how many at most in a row of one round."""
    missed = [part > period_us for part in parts]
    longest = 0
    for late in missed:
        ends = np.flatnonzero(np.diff(np.concatenate([[0], late.astype(np.int8), [0]])))
        longest = max(longest, int((ends[1::2] - ends[::2]).max()) if len(ends) else 0)
    return {"misses": int(sum(late.sum() for late in missed)), "longest_streak": longest}


def _worst(rounds: Sequence[Ticks], stages: Sequence[str]) -> list[dict[str, Any]]:
    """The longest ticks, each with the stage that was most over its own median."""
    tick_us = np.concatenate([each.tick_us for each in rounds])
    start_ms = np.concatenate([each.start_ms for each in rounds])
    of = np.concatenate([np.full(len(each.tick_us), index) for index, each in enumerate(rounds)])
    place = np.concatenate([np.arange(len(each.tick_us)) for each in rounds])
    timed = [stage for stage in stages if stage != "physics"]
    spent = np.array([np.concatenate([each.spent(stage) for each in rounds]) for stage in timed])
    over = np.nan_to_num(spent - np.nanmedian(spent, axis=1, keepdims=True), nan=-np.inf)
    told = []
    for at in np.argsort(-tick_us, kind="stable")[:WORST]:
        column = int(over[:, at].argmax())
        told.append(
            {
                "tick": int(place[at]),
                "round": int(of[at]),
                "at_ms": _tenth(start_ms[at]),
                "tick_us": _tenth(tick_us[at]),
                "stage": timed[column],
                "stage_us": _tenth(spent[column, at]),
            }
        )
    return told


def _graphs(rounds: Sequence[Round], rules: Rules) -> dict[str, Any]:
    """Per graph: ``bare`` onnxruntime, rmedge's ``call`` of it, and the difference of each pair.

    Pairs follow the ticks in a process that is warm by then, so that their number alone must be enough.
    """
    told = {}
    for name in dict.fromkeys(name for each in rounds for name in each.graphs):
        pairs = [each.graphs[name] for each in rounds if name in each.graphs]
        bare, call = ([np.asarray(pair[which]) for pair in pairs] for which in ("bare", "call"))
        more = [ours - theirs for ours, theirs in zip(call, bare)]
        told[name] = {
            which: row(parts, math.inf, rules)
            for which, parts in (("bare", bare), ("call", call), ("overhead", more))
        }
    return told


def _listed(rounds: Sequence[Ticks], stages: Sequence[str]) -> dict[str, Any]:
    """Every tick, so that others may do their own statistics."""
    return {
        "round": [index for index, each in enumerate(rounds) for _ in each.tick_us],
        "start_ms": _numbers([each.start_ms for each in rounds], 3),
        "spent_us": {stage: _numbers([each.spent(stage) for each in rounds]) for stage in stages},
        "tick_us": _numbers([each.tick_us for each in rounds]),
        "sensor_to_actuator_us": _numbers([each.sensor_to_actuator_us for each in rounds]),
        "intent_age_us": _numbers([each.intent_age_us for each in rounds]),
    }


def _numbers(parts: Sequence[np.ndarray], digits: int = 1) -> list[float | None]:
    every = np.round(np.concatenate(parts), digits)
    return [value if value == value else None for value in every.tolist()]


def _tenth(value: float) -> float:
    return round(float(value), 1)
