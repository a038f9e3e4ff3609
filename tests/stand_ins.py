"""Stands in for onnxruntime: sessions whose graphs are a line of numpy, to test the rest alone."""

from __future__ import annotations

from typing import Any, Callable, Mapping

import numpy as np
import pytest


class Session:
    """Answers every declared output; pure, and each output depends on each input."""

    def __init__(
        self, graph: bytes, inputs: Mapping[str, Any], outputs: Mapping[str, Any], *engine: Any
    ) -> None:
        self.outputs = outputs

    def run(self, feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        said = sum(float(np.tanh(array).mean()) for array in feed.values())
        answer = {name: np.full(shape, np.tanh(said), np.float32) for name, shape in self.outputs.items()}
        if "action_chunk" in answer:
            answer["action_chunk"] = (feed["noise"] * 0.1 + answer["action_chunk"]).astype(np.float32)
        if "certainty" in answer:
            answer["certainty"] = np.ones((1, 1), np.float32)
        return list(answer.values())

    def bind(self, feed: Mapping[str, np.ndarray]) -> Callable[[], list[np.ndarray]]:
        return lambda: self.run(feed)


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the mirror's parts are built with stand-ins."""
    for part in ("encoder", "policy", "reading"):
        monkeypatch.setattr(f"rmedge.runtimes.{part}.Session", Session)
