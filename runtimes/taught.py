"""Taught motions: recognised by where the encoder's memory lies, with no network of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

import numpy as np

from rmedge.manifest import Taught
from rmedge.specs import Intent

__all__ = ["WINDOW_NS", "Recognition", "distances"]

WINDOW_NS = 500_000_000  # of memory that is looked at together: half a stride
EDGE = 0.5  # certainty at the radius; at the centre it is 1


def distances(memory: np.ndarray, centre: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """How far memories (..., S) lie from a centre (S,), in the spread of what was taught."""
    with np.errstate(over="ignore"):  # infinitely far is far
        return np.sqrt(np.mean(np.square((memory - centre) * weight), axis=-1))


class Recognition:
    """Replaces the intent of frames in which a taught motion is seen by that motion's own."""

    def __init__(self, taught: Sequence[Taught], period_ns: int) -> None:
        self._taught = taught
        self._last = max(1, round(WINDOW_NS / period_ns))  # frames
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self._memories: list[np.ndarray] = []

    def of(self, intent: Intent, memory: np.ndarray) -> Intent:
        """This intent, or that of the taught motion that the newest memories (S,) lie in.

        Presence stays the encoder's: a recognised motion of nobody is not followed either.
        """
        if not self._taught:
            return intent
        self._memories = [*self._memories[1 - self._last :], memory] if self._last > 1 else [memory]
        if len(self._memories) < self._last:
            return intent  # it has seen too little yet
        mean = np.asarray(np.mean(self._memories, axis=0, dtype=np.float64))
        inside, nearest = min(
            (float(distances(mean, taught.centre, taught.weight)) / taught.radius, index)
            for index, taught in enumerate(self._taught)
        )
        if not inside <= 1.0:
            return intent
        found = self._taught[nearest]
        certainty = 1.0 - (1.0 - EDGE) * inside**2
        return replace(intent, z=found.phrase.z, certainty=certainty, name=found.name)
