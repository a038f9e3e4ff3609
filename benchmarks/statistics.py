"""Statistics: quantiles of measured times, and how many samples a quantile needs before it means anything."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

__all__ = ["QUANTILES", "floor", "summary"]

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
DOUBT = 0.01  # a quantile is established when it is not underestimated, with 99 % confidence


@lru_cache(maxsize=None)
def floor(quantile: float) -> int:
    """The least samples that establish a quantile: MLPerf's early-stopping rule, one sample left to spare.

    With so many samples, the chance that fewer than two lie above the true quantile is below 1 %:
    64 for p90, 662 for p99, 6636 for p99.9.
    """
    count = 2
    while quantile**count + count * (1 - quantile) * quantile ** (count - 1) > DOUBT:
        count += 1
    return count


def summary(spent_ns: np.ndarray) -> dict[str, Any]:
    """count, quantiles and max [us], all of the same samples; a quantile that is not established is None."""
    spent_us = np.asarray(spent_ns) / 1e3
    row: dict[str, Any] = {"count": len(spent_us)}
    for name, quantile in QUANTILES.items():
        established = len(spent_us) >= floor(quantile)
        row[f"{name}_us"] = float(np.quantile(spent_us, quantile)) if established else None
    row["max_us"] = float(spent_us.max()) if len(spent_us) else None
    return row
