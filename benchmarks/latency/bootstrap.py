"""The bootstrap: the ratio of two builds' quantiles, and how far it would be off if both ran once more.

What differs between two processes (where their memory lies, which core they got) and from minute to
minute is more than what differs within one, so the sample is the round and not the tick (Kalibera & Jones,
"Rigorous Benchmarking in Reasonable Time", ISMM 2013). Rounds are drawn with replacement and their ticks
stay as they are, in the order and with the streaks that they had: drawing ticks anew as well would count
what differs within a round twice (Davison & Hinkley, Bootstrap Methods, 3.8).

Of five rounds a percentile interval is too narrow, so the draws give a standard error, and Student's t at
Welch's degrees of freedom makes the interval of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Sequence

import numpy as np

from rmedge.benchmarks.statistics import student

__all__ = ["LEAST_US", "Ratio", "ratios"]

DRAWS = 400  # a standard error to 4 %; of five rounds there are but 126 different draws
LEAST_US = 0.05  # half of the tenth that a report is written to: a stage that takes less takes this


@dataclass(frozen=True)
class Ratio:
    """How many times the first's quantile the second's is."""

    first_us: float
    second_us: float
    ratio: float
    interval: tuple[float, float] | None  # None: of one round nobody knows how rounds differ


def ratios(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], quantiles: Sequence[float], confidence: float
) -> list[Ratio]:
    """A ratio for each quantile.

    Args:
        first: (N,) [us] of each round, none of them empty.
        second: likewise.
        confidence: with which each interval holds the true ratio.
    """
    below, above = _at(first, quantiles), _at(second, quantiles)
    told = [Ratio(float(one), float(other), float(other / one), None) for one, other in zip(below, above)]
    if min(len(first), len(second)) < 2:
        return told
    parts = np.stack([_variance(first, quantiles), _variance(second, quantiles)])  # (2, quantiles)
    reach = np.array([student(confidence, each) for each in _freedom(parts, len(first), len(second))])
    half = np.exp(reach * np.sqrt(parts.sum(0)))  # (quantiles,)
    return [replace(one, interval=(one.ratio / by, one.ratio * by)) for one, by in zip(told, half.tolist())]


def _at(rounds: Sequence[np.ndarray], quantiles: Sequence[float]) -> np.ndarray:
    """(quantiles,) of all rounds together [us]."""
    return np.maximum(np.quantile(np.concatenate(rounds), quantiles), LEAST_US)


def _variance(rounds: Sequence[np.ndarray], quantiles: Sequence[float]) -> np.ndarray:
    """(quantiles,) variance of the logarithm, from round to round; seeded."""
    count = len(rounds)
    drawn = np.sort(np.random.default_rng(0).integers(count, size=(DRAWS, count)))
    drawn, often = np.unique(drawn, axis=0, return_counts=True)
    logs = np.log([_at([rounds[index] for index in draw], quantiles) for draw in drawn])
    mean = np.average(logs, axis=0, weights=often)
    # as many draws as rounds see their spread too small by one in `count`
    return np.average((logs - mean) ** 2, axis=0, weights=often) * count / (count - 1)


def _freedom(parts: np.ndarray, first: int, second: int) -> list[int]:
    """Welch's degrees of freedom, rounded down."""
    total, each = parts.sum(0), np.array([[first - 1], [second - 1]])
    least = min(first, second) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        free = total**2 / (parts**2 / each).sum(0)
    return [int(np.floor(one)) if one >= least else least for one in free]
