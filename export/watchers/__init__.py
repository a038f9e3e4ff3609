"""Watchers: large or slow networks that see a clip and say what moves, as intents and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

__all__ = ["Watched", "Watcher", "held", "moments"]


@dataclass(frozen=True)
class Watched:
    """What a watcher makes of a clip."""

    latents: np.ndarray  # (T, Z) float32, the intent at every picture
    text: str  # what it would call the motion


class Watcher(Protocol):
    """Anything that understands a clip; the student is distilled from one."""

    def watch(self, pictures: np.ndarray, rate_hz: float) -> Watched:
        """A clip (T, H, W, 3) uint8 RGB, as intents at its own rate and as a sentence."""
        ...


def moments(count: int, rate_hz: float, wanted_hz: float) -> np.ndarray:
    """Which of ``count`` pictures at ``rate_hz`` to look at to see ``wanted_hz``, the first one always."""
    step = max(1.0, rate_hz / wanted_hz)
    return np.round(np.arange(0, count - 0.5, step)).astype(int)


def held(values: np.ndarray, at: np.ndarray, count: int) -> np.ndarray:
    """Values (n, ...) known from the pictures ``at`` (n,) on, for all ``count``: the newest holds."""
    return values[np.searchsorted(at, np.arange(count), "right") - 1]
