"""Latency reports that nobody measured: seeded, of the published shape, for tests of what reads them."""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np

from rmedge.benchmarks.latency import report
from rmedge.benchmarks.latency.report import Round, Rules, Ticks

PERIOD_US = 20_000.0
EVERY = 5  # ticks an encoder's picture
MEDIANS_US = {
    "capture": 60.0,
    "decode": 900.0,
    "preprocess": 420.0,
    "encode": 4200.0,
    "read": 18.0,
    "observe": 34.0,
    "policy": 260.0,
    "plan": 40.0,
    "envelope": 110.0,
    "write": 22.0,
}
SEEN = ("capture", "decode", "preprocess", "encode")  # run with a picture only
NAMES = ("cpu · 1 thread", "cpu · 2 threads", "cuda · 1 thread", "tensorrt · 1 thread")


def make(
    seed: int = 0,
    scale: float = 1.0,
    rounds: int = 5,
    ticks: int = 400,
    variants: int = 1,
    slow: Mapping[str, float] | None = None,
    misses: int = 0,
    throttled: bool = False,
    synthetic: bool = True,
    context: Mapping[str, Any] | None = None,
    rules: Rules | None = None,
) -> dict[str, Any]:
    """A report.

    Args:
        scale: of every stage, as on a slower machine.
        ticks: a round.
        variants: at most four; each is a quarter slower than the one before.
        slow: by stage, how many times slower it is.
        misses: so many ticks of the first round of every variant, one after another from its middle on,
            take longer than the period.
        throttled: the processor slowed down, and the gauges show it.
        context: facts that differ.
        rules: by default such that this many ticks are enough.
    """
    rules = rules or Rules(rounds=rounds, min_seconds=1e-3, min_ticks=rounds * ticks)
    random = np.random.default_rng(seed)
    return {
        "schema": report.SCHEMA,
        "made": {
            "at": "2026-11-22T20:00:00Z",
            "rmedge": "0.1.0",
            "commit": None,
            "command": "rmedge-bench run",
            "stop_reason": "",
        },
        "context": {**CONTEXT, **(context or {})},
        "rules": dict(vars(rules)),
        "variants": [
            _variant(
                random, index, scale * 1.25**index, ticks, slow or {}, misses, throttled, synthetic, rules
            )
            for index in range(variants)
        ],
    }


def _variant(
    random: np.random.Generator,
    index: int,
    scale: float,
    ticks: int,
    slow: Mapping[str, float],
    misses: int,
    throttled: bool,
    synthetic: bool,
    rules: Rules,
) -> dict[str, Any]:
    provider, threads = NAMES[index].split(" · ")
    measured, began_ms = [], 0.0
    for number in range(rules.rounds):
        made = _round(random, scale, ticks, slow, misses if number == 0 else 0, began_ms + 1500.0)
        measured.append(made)
        began_ms = made.start_ms + 1e3 * made.seconds
    return report.variant_of(
        measured,
        rules,
        PERIOD_US,
        {
            "name": f"g1-mirror · {NAMES[index]}",
            "bundle": {"name": "g1-mirror", "sha256": "5f" * 32, "robot": "g1"},
            "provider": provider,
            "engine": {"cpu": "CPU", "cuda": "CUDA", "tensorrt": "Tensorrt"}[provider] + "ExecutionProvider",
            "threads": int(threads.split()[0]),
            "precision": {"encoder": "int8", "policy": "int8", "readout": None},
            "power_mode": None,
            "camera": {"name": "synthetic" if synthetic else "/dev/video0", "synthetic": synthetic},
            "actuator": "null",
        },
        _watched(random, began_ms, throttled),
    )


def _round(
    random: np.random.Generator,
    scale: float,
    ticks: int,
    slow: Mapping[str, float],
    misses: int,
    start_ms: float,
) -> Round:
    """Log-normal stages about a speed that differs from round to round, as processes do."""
    speed = scale * random.lognormal(0.0, 0.02)
    seen = np.arange(ticks) % EVERY == 0
    spent_us = {}
    for stage, median in MEDIANS_US.items():
        taken = median * speed * slow.get(stage, 1.0) * random.lognormal(0.0, 0.08, ticks)
        taken *= np.where(random.random(ticks) < 0.004, 2.5, 1.0)  # somebody else had the processor
        spent_us[stage] = np.where(seen, taken, np.nan) if stage in SEEN else taken
    spent_us["policy"][ticks // 2 : ticks // 2 + misses] += PERIOD_US
    tick_us = np.nansum(list(spent_us.values()), axis=0)
    age_us = 20_000.0 * (np.arange(ticks) % EVERY) + 1e3
    graphs = {}
    for name, median in {"encoder": 4200.0, "policy": 255.0, "readout": 12.0}.items():
        bare = median * speed * random.lognormal(0.0, 0.06, ticks)
        graphs[name] = {"bare": bare, "call": bare + 9.0 * random.lognormal(0.0, 0.2, ticks)}
    return Round(
        ticks=Ticks(
            start_ms=np.concatenate([[0.0], np.cumsum(tick_us)[:-1]]) / 1e3,
            spent_us=spent_us,
            tick_us=tick_us,
            sensor_to_actuator_us=age_us + tick_us,
            intent_age_us=age_us,
        ),
        seconds=float(tick_us.sum() / 1e6),
        start_ms=start_ms,
        cold_start={
            "import_ms": 310.0 * speed,
            "bundle_ms": 45.0 * speed,
            "load_ms": 95.0 * speed,
            "engine_build_ms": None,
            "first_ms": 9.0 * speed,
            "total_ms": 520.0 * speed,
        },
        warm_up={"ticks": 50, "seconds": 0.1},
        graphs=graphs,
    )


def _watched(random: np.random.Generator, ends_ms: float, throttled: bool) -> dict[str, Any]:
    at_ms = np.arange(100.0, max(ends_ms, 1200.0), 200.0)
    late = at_ms > at_ms[-1] / 2
    return {
        "gauges": {
            "at_ms": at_ms.round(1).tolist(),
            "cpu_percent": (98.0 + random.random(len(at_ms))).round(1).tolist(),
            "resident_mb": np.minimum(140.0, 60.0 + at_ms / 20).round(1).tolist(),
            "frequency_mhz": np.where(late & throttled, 1400.0, 2000.0).tolist(),
            "temperature_c": (45.0 + 40.0 * at_ms / at_ms[-1]).round(1).tolist(),
            "power_w": [None, *(9.0 + random.random(len(at_ms) - 1)).round(2).tolist()],
        },
        "throttling": {
            "seen": throttled,
            "why": "the processor's clock fell from 2000 to 1400 MHz" if throttled else "",
        },
        "energy_mj_per_tick": 21.5,
    }


CONTEXT: Mapping[str, Any] = {
    "machine": "Board of the tests",
    "machine_id": "0123456789abcdef",
    "processor": "Processor of the tests",
    "cpu_flags": ["avx2", "avx512_vnni"],
    "architecture": "x86_64",
    "cores": 8,
    "cores_allowed": 8,
    "memory_gb": 16.0,
    "governor": "performance",
    "clocks_locked": True,
    "power_mode": None,
    "container": None,
    "virtual_machine": None,
    "kernel": "6.1.0",
    "system": "Linux-6.1.0-x86_64",
    "python": "3.11.9",
    "own_kernels": "compiled",
    "libraries": {"numpy": "2.0.0", "onnxruntime": "1.20.0"},
    "load_average": [0.1, 0.2, 0.3],
    "swap": "none",
    "gpu": None,
}
