"""Policies and encoders that break to order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Sequence

import numpy as np

from rmedge.clock import Clock
from rmedge.specs import ActionChunk, Frame, Intent
from rmedge.testing.faults import Fault
from rmedge.testing.injection import Injection, altered

__all__ = ["FaultyEncoder", "FaultyPolicy"]

_ANSWER = ("silent", "stale", "nan", "inf", "wrong_shape", "wild")


class FaultyPolicy(Injection):
    """A policy that breaks to order."""

    part = "policy"
    error = RuntimeError

    def __init__(self, inner: Any, faults: Sequence[Fault], clock: Clock) -> None:
        super().__init__(inner, faults, clock)
        self._last: ActionChunk | None = None
        self._side = 1.0

    def act(self, *args: Any, **kwargs: Any) -> ActionChunk | None:
        self._suffer("slow", "raises")
        on = self._on(*_ANSWER)
        chunk: ActionChunk | None = self.inner.act(*args, **kwargs)
        if "stale" in on:
            return self._last
        self._last = chunk
        if chunk is None or "silent" in on:
            return None
        rows = chunk.joint_pos
        if "wild" in on:
            self._side = -self._side
            rows = rows + self._side * on["wild"].amount
        return replace(chunk, joint_pos=_broken(rows, on))


class FaultyEncoder(Injection):
    """An encoder that breaks to order."""

    part = "encoder"
    error = RuntimeError

    def __init__(self, inner: Any, faults: Sequence[Fault], clock: Clock) -> None:
        super().__init__(inner, faults, clock)
        self._last: Intent | None = None

    def watch(self, frame: Frame, *args: Any, **kwargs: Any) -> Intent:
        self._suffer("slow", "raises")
        on = self._on(*_ANSWER)
        intent: Intent = self.inner.watch(frame, *args, **kwargs)
        if "silent" in on:
            return self._last or replace(intent, certainty=0.0)
        self._last = intent
        z = intent.z * np.float32(on["wild"].amount) if "wild" in on else intent.z
        return replace(intent, z=_broken(z, on))


def _broken(answer: np.ndarray, on: dict[str, Fault]) -> np.ndarray:
    """(..., D) with what these do to it."""
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        if name in on:
            answer = altered(answer, on[name].joint, value)
    return answer[..., :-1] if "wrong_shape" in on else answer
