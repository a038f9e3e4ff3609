"""The timeline: a clip cut into segments of one label each, from what every frame was taken for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

__all__ = ["Segment", "segments"]

WINDOW_S = 1.0  # one frame's neighbourhood: about a stride
SHORTEST_S = 0.5  # less is half a stride: a doubt, not a motion


@dataclass(frozen=True)
class Segment:
    """A stretch of time with one label, that of the highest mean probability in it."""

    start_s: float
    end_s: float
    label: str
    probability: float
    samples: slice  # which of the instants lie in it


def segments(
    times_s: Sequence[float], probabilities: np.ndarray, labels: Sequence[str], end_s: float
) -> list[Segment]:
    """Cut the time from 0 to ``end_s`` without gaps; nothing was seen where there are no samples.

    Args:
        times_s: (N,) instants, ascending; each sample holds until the next one, the first from 0 on.
        probabilities: (N, L) of each label at each instant.
        labels: (L,).
    """
    times = np.asarray(times_s, dtype=float)
    if not len(times):
        return []
    best = _smoothed(times, probabilities).argmax(1)
    cuts = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), len(times)]
    edges = np.append(times, max(end_s, times[-1]))  # sample i lasts from edge i to edge i + 1
    edges[0] = 0.0
    while True:
        means = np.array([probabilities[a:b].mean(0) for a, b in zip(cuts, cuts[1:])])
        words = means.argmax(1)
        lengths = np.diff(edges[cuts])
        shortest = int(lengths.argmin())
        equal = np.flatnonzero(np.diff(words) == 0)
        if len(equal):
            del cuts[equal[0] + 1]
        elif len(words) > 1 and lengths[shortest] < SHORTEST_S:
            neighbours = [n for n in (shortest - 1, shortest + 1) if 0 <= n < len(words)]
            likelier = max(neighbours, key=lambda n: means[shortest, words[n]])
            del cuts[max(shortest, likelier)]
        else:
            break
    return [
        Segment(float(edges[a]), float(edges[b]), labels[word], float(mean[word]), slice(a, b))
        for a, b, word, mean in zip(cuts, cuts[1:], words, means)
    ]


def _smoothed(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(N, L) mean of the values within half a window of each instant."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    first = np.searchsorted(times, times - WINDOW_S / 2 - 1e-9)
    last = np.searchsorted(times, times + WINDOW_S / 2 + 1e-9)
    return (total[last] - total[first]) / (last - first)[:, None]
