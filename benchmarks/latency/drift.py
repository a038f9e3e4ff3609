"""Drift: how much slower a machine itself was in one report than in another, whatever ran on it.

In every round bare onnxruntime runs the same graphs beside rmedge's calls of them. Where graphs and
onnxruntime are the same in both reports, what became of these calls is the machine's doing: its clock, its
heat, its neighbours.
"""

from __future__ import annotations

from statistics import median
from typing import Any, Mapping

from rmedge.benchmarks.latency.matching import Pair

__all__ = ["drift"]

SAME = ("provider", "engine", "threads")


def drift(before: Mapping[str, Any], now: Mapping[str, Any], pair: Pair) -> float | None:
    """How many times as long bare onnxruntime took; None where the two reports do not tell.

    The middle one of the graphs' ratios of medians: one graph alone cannot bend it.

    Args:
        pair: a variant of either.
    """
    first, second = pair
    engines = [
        {name: version for name, version in report["context"]["libraries"].items() if "onnxruntime" in name}
        for report in (before, now)
    ]
    alike = first["bundle"]["sha256"] == second["bundle"]["sha256"] and engines[0] == engines[1]
    if not (alike and all(first[key] == second[key] for key in SAME)):
        return None
    found = []
    for graph in set(first["graphs"]) & set(second["graphs"]):
        was, is_now = (variant["graphs"][graph]["bare"]["p50_us"] for variant in pair)
        if was and is_now:
            found.append(is_now / was)
    return median(found) if found else None
