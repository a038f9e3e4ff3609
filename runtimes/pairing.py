"""Pairing: two calls timed in turns within one run, so that whatever else the machine does falls on both."""

from __future__ import annotations

import time
from typing import Any, Callable

import numpy as np

__all__ = ["WARM_UP", "pair"]

WARM_UP = 50  # calls before anything counts: caches, allocator arenas, the processor's clock


def pair(
    first: Callable[[], Any],
    second: Callable[[], Any],
    samples: int,
    on_pair: Callable[[int], Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(samples,) [ns] of each, taken in turns, each first half of the time."""
    spent = np.zeros((2, samples), np.int64)
    for _ in range(WARM_UP):
        first()
        second()
    for sample in range(samples):
        for which in (0, 1) if sample % 2 else (1, 0):
            call = (first, second)[which]
            start = time.monotonic_ns()
            call()
            spent[which, sample] = time.monotonic_ns() - start
        if on_pair is not None:
            on_pair(sample)
    return spent[0], spent[1]
