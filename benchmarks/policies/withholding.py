"""Withholding: results of a policy that come late, or not at all."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from rmedge.specs import ActionChunk, RobotState
from rmedge.trace import Trace

__all__ = ["PROMPT", "WITHHOLDINGS", "Withheld", "Withholding"]


@dataclass(frozen=True)
class Withholding:
    """Which results of a policy arrive, and when; the default is all, at once."""

    every: int = 1  # one result of so many is delivered, the others never
    drop: float = 0.0  # the probability that a result is lost
    late: int = 0  # ticks from question to answer


PROMPT = Withholding()
WITHHOLDINGS = MappingProxyType(
    {"none": PROMPT, "every-second": Withholding(every=2), "three-in-a-row": Withholding(every=4)}
)


class Withheld:
    """A policy whose results are withheld: asked at every tick, it answers with what has arrived by now."""

    def __init__(self, policy: Any, withholding: Withholding, seed: int = 0) -> None:
        self.period_ns = policy.period_ns
        self._policy, self._withholding, self._seed = policy, withholding, seed
        self.reset()

    def reset(self, seed: int = 0) -> None:
        """A new episode: nothing under way, the losses of this seed from their start."""
        self._policy.reset(seed)
        self._losses = np.random.default_rng((self._seed, seed))
        self._asked = 0
        self._coming: deque[ActionChunk | None] = deque([None] * self._withholding.late)

    def act(
        self, state: RobotState, z: np.ndarray, trace: Trace | None = None, sent: np.ndarray | None = None
    ) -> ActionChunk | None:
        """The result that arrives now, with the stamp of when it was asked for; None where none does."""
        chunk = self._policy.act(state, z, trace, sent)
        lost = self._asked % self._withholding.every or self._losses.random() < self._withholding.drop
        self._asked += 1
        self._coming.append(None if lost else chunk)
        return self._coming.popleft()
