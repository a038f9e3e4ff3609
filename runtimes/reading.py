"""The readout: what a point of the intent space says in words and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rmedge.labels import NONE
from rmedge.runtimes.session import Session, options_of

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Meaning", "Reading"]


@dataclass(frozen=True)
class Meaning:
    """One intent in plain terms; every row of probabilities sums to one."""

    labels: np.ndarray  # (len(Reading.labels),) the last one that nobody is there
    gaits: np.ndarray  # (len(Reading.gaits),)
    gestures: np.ndarray  # (len(Reading.gestures),)
    velocity: np.ndarray  # (3,) vx, vy [m/s], yaw rate [rad/s]


class Reading:
    """Says what intents mean.

    Attributes:
        labels: the words for motion, and last ``none``.
        gaits, gestures: as the bundle names them.
    """

    def __init__(self, bundle: Bundle, provider: str = "cpu", threads: int = 1) -> None:
        spec = bundle.readout
        self._session = Session(
            bundle.graph("readout"),
            spec.inputs,
            spec.outputs,
            provider,
            threads,
            options_of(bundle, provider),
        )
        self._named = [column for column, label in enumerate(spec.labels) if label != NONE]
        self.labels = (*(spec.labels[column] for column in self._named), NONE)
        self.gaits, self.gestures = spec.gaits, spec.gestures

    def of(self, z: np.ndarray, presence: float = 1.0, certainty: float = 1.0) -> Meaning:
        """What an intent (Z,) says; what its certainty leaves open is spread evenly over the words."""
        velocity, labels, gaits, gestures = self._session.run({"intent": z[None]})
        words = certainty * _softmax(labels[0, self._named])
        motion = presence * (words + (1 - certainty) / len(words))
        return Meaning(
            np.append(motion, 1 - presence), _softmax(gaits[0]), _softmax(gestures[0]), velocity[0]
        )


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(), dtype=np.float64)
    return raised / raised.sum()
