"""A made-up camera for benchmarks: a textured wall that drifts past at 30 frames a second."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmedge.clock import Clock
from rmedge.specs import Frame

__all__ = ["SyntheticCamera"]

PERIOD_NS = 33_333_333
DRIFT = 6  # [pixel] a frame


class SyntheticCamera:
    """Deterministic pictures of the size a webcam gives; not a picture of anything real."""

    def __init__(self, height: int = 480, width: int = 640) -> None:
        cells = (-(-height // 16), -(-width // 16), 3)
        coarse = np.random.default_rng(0).integers(0, 256, cells, np.uint8)
        once = coarse.repeat(16, 0).repeat(16, 1)[:height, :width]
        self._wall = np.concatenate([once, once], 1)  # twice, so that it drifts without a seam
        self._width = width
        self._start_ns = 0
        self._clock = Clock()

    def attach(self, clock: Clock) -> None:
        self._clock, self._start_ns = clock, clock.now_ns()

    def read(self, max_age_ns: int) -> Frame | None:
        now_ns = self._clock.now_ns()
        sequence, age_ns = divmod(now_ns - self._start_ns, PERIOD_NS)
        if age_ns > max_age_ns:
            return None
        shift = sequence * DRIFT % self._width
        pixels = self._wall[:, shift : shift + self._width]
        return Frame(pixels, now_ns - age_ns, now_ns, sequence)

    def __enter__(self) -> SyntheticCamera:
        return self

    def __exit__(self, *exc: Any) -> None:
        pass
