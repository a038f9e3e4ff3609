"""A camera that is not there: seeded pictures that move, at a steady rate, on any clock."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmedge.clock import Clock
from rmedge.specs import Frame

__all__ = ["FakeCamera"]

CELL = 8  # [pixel] of the pattern


class FakeCamera:
    """The same seed shows the same pictures; put `faulty` around it to break it.

    Args:
        rate_hz: pictures a second.
    """

    def __init__(self, seed: int = 0, rate_hz: float = 30.0, height: int = 96, width: int = 128) -> None:
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (-(-height // CELL), -(-width // CELL), 3), np.uint8)
        once = coarse.repeat(CELL, 0).repeat(CELL, 1)[:height, :width]
        self._wall = np.concatenate([once, once], 1)  # twice, so that it drifts without a seam
        self._wall.setflags(write=False)
        self._drift = int(rng.integers(1, CELL)) * int(rng.choice([-1, 1]))  # [pixel] a picture
        self._width, self._period_ns = width, round(1e9 / rate_hz)
        self.attach(Clock())

    def attach(self, clock: Clock) -> None:
        self._clock, self._start_ns = clock, clock.now_ns()

    def read(self, max_age_ns: int) -> Frame | None:
        now_ns = self._clock.now_ns()
        number, age_ns = divmod(now_ns - self._start_ns, self._period_ns)
        if age_ns > max_age_ns:
            return None
        shift = number * self._drift % self._width
        return Frame(self._wall[:, shift : shift + self._width], now_ns - age_ns, now_ns, number)

    def __enter__(self) -> FakeCamera:
        return self

    def __exit__(self, *exc: Any) -> None:
        pass
