"""The streaming encoder: one frame in, one intent out, at a cost that does not grow with the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmedge.runtimes.features import Features
from rmedge.runtimes.session import Session, options_of
from rmedge.runtimes.taught import Recognition
from rmedge.specs import Frame, Intent
from rmedge.trace import Marks

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Encoder"]


class Encoder:
    """Watches frames, at the bundle's rate, and says what motion it sees."""

    def __init__(self, bundle: Bundle, provider: str = "cpu", threads: int = 1) -> None:
        spec = bundle.encoder
        self.period_ns = spec.period_ns
        self.image_ns = bundle.budgets.image_ns  # an older picture says nothing about now
        self._session = Session(
            bundle.graph("encoder"),
            spec.inputs,
            spec.outputs,
            provider,
            threads,
            options_of(bundle, provider),
        )
        self._features = Features(spec.image, spec.period_ns)
        self._recognition = Recognition(bundle.intent.taught, spec.period_ns)
        self._rest = np.zeros(spec.inputs["state"], np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self._features.reset()
        self._recognition.reset()
        self._state = self._rest

    @property
    def memory(self) -> np.ndarray:
        """(S,) float32, what it holds of the frames so far."""
        return self._state[0]

    def watch(self, frame: Frame, trace: Marks | None = None) -> Intent:
        """The intent at this frame, in the light of the frames before it."""
        features = self._features.push(frame.pixels, frame.captured_ns)
        if trace:
            trace.mark("preprocess")
        feed = {"features": features, "state": self._state}
        z, certainty, presence, self._state = self._session.run(feed)
        if trace:
            trace.mark("encode")
        if not (np.isfinite(z).all() and np.isfinite(self._state).all()):
            self.reset()  # a memory that is not finite would never get well again
            return Intent(np.zeros_like(z[0]), 0.0, 0.0, frame.captured_ns)
        intent = Intent(z[0], float(certainty[0, 0]), float(presence[0, 0]), frame.captured_ns)
        return self._recognition.of(intent, self.memory)
