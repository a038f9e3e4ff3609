"""Statistics: quantiles and proportions, and how much the samples at hand say about them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Callable, Sequence

import numpy as np

__all__ = ["QUANTILES", "clustered", "floor", "quantile_interval", "student", "summary", "wilson"]

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


@lru_cache(maxsize=None)
def quantile_interval(count: int, quantile: float, confidence: float) -> tuple[int, int] | None:
    """Between which two of so many sorted samples the true quantile lies, as indices (from 0) into them.

    The order-statistic interval: how many samples fall below a quantile is binomial, whatever their
    distribution (Conover, Practical Nonparametric Statistics, 3.2). Each side is missed with at most half
    of 1 - ``confidence``; None where even the smallest and the largest sample are no such bounds.
    """
    if not count:
        return None
    below = np.arange(1, count + 1)
    steps = np.log((count - below + 1) / below) + math.log(quantile) - math.log1p(-quantile)
    chance = np.exp(count * math.log1p(-quantile) + np.concatenate([[0.0], np.cumsum(steps)]))
    missed = (1 - confidence) / 2
    low = int(np.searchsorted(np.cumsum(chance), missed, side="right")) - 1
    high = count - int(np.searchsorted(np.cumsum(chance[::-1]), missed, side="right"))
    return (low, high) if low >= 0 and high < count else None


@lru_cache(maxsize=None)
def student(confidence: float, freedom: int) -> float:
    """How far Student's t goes, either way, with that probability, at so many degrees of freedom."""
    low, high = 0.0, 1.0
    while _within(high, freedom) < confidence:
        high *= 2
    for _ in range(60):  # halvings: down to the last bit
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """The probability of at most +-t (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    term = math.cos(angle) if freedom % 2 else 1.0
    total = 0.0
    for step in range(1 + freedom % 2, freedom, 2):
        total += term
        term *= math.cos(angle) ** 2 * step / (step + 1)
    total *= math.sin(angle)
    return total if freedom % 2 == 0 else 2 / math.pi * (angle + total)


def summary(spent_ns: np.ndarray) -> dict[str, Any]:
    """count, quantiles and max [us], all of the same samples; a quantile that is not established is None."""
    spent_us = np.asarray(spent_ns) / 1e3
    row: dict[str, Any] = {"count": len(spent_us)}
    for name, quantile in QUANTILES.items():
        established = len(spent_us) >= floor(quantile)
        row[f"{name}_us"] = float(np.quantile(spent_us, quantile)) if established else None
    row["max_us"] = float(spent_us.max()) if len(spent_us) else None
    return row


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927)."""
    if not trials:
        return 0.0, 1.0
    p = successes / trials
    centre = p + z * z / (2 * trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def clustered(
    clusters: Sequence[str], statistic: Callable[[np.ndarray], float], draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of a statistic whose samples come in clusters, each as good as one sample.

    A percentile bootstrap: whole clusters are drawn with replacement, as many as there are.

    Args:
        clusters: (N,) which cluster each sample is of, as the parts of one clip are.
        statistic: of rows (M,) into the samples; a row may come more than once.
    """
    _, of = np.unique(np.asarray(clusters), return_inverse=True)
    rows = [np.flatnonzero(of == cluster) for cluster in range(of.max() + 1)]
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(rows), size=(draws, len(rows)))
    values = [statistic(np.concatenate([rows[cluster] for cluster in draw])) for draw in drawn]
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)
