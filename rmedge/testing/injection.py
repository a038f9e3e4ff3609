"""Injection: what every faulty part has, whatever it is a part of."""

from __future__ import annotations

from collections import Counter
from typing import Any, Sequence

import numpy as np

from rmedge.clock import Clock
from rmedge.testing.faults import Fault

__all__ = ["Injection", "altered"]


class Injection:
    """Stands before a part, passes on what it does not know, and knows which of its faults are on."""

    part = ""
    error: type[Exception] = OSError

    def __init__(self, inner: Any, faults: Sequence[Fault], clock: Clock) -> None:
        self.inner = inner
        self.hits: Counter[Fault] = Counter()
        self._faults = [fault for fault in faults if fault.part == self.part]
        self._begin(clock)

    def attach(self, clock: Clock) -> None:
        self._begin(clock)
        if hasattr(self.inner, "attach"):
            self.inner.attach(clock)

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # not there yet: a copy is being made
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __enter__(self) -> Any:
        self.inner.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.inner.__exit__(*exc)

    def _begin(self, clock: Clock) -> None:
        self._clock, self._start_ns = clock, clock.now_ns()
        self._planned = sorted(self._faults, key=lambda fault: fault.at_ns, reverse=True)
        self._running: list[Fault] = []
        self._draws = {fault: np.random.default_rng(fault.seed) for fault in self._faults}

    def _on(self, *names: str) -> dict[str, Fault]:
        """Those of these that hit the call that asks, by what follows the dot; each is counted."""
        if not (self._planned or self._running):
            return {}
        now_ns = self._clock.now_ns() - self._start_ns
        while self._planned and self._planned[-1].at_ns <= now_ns:
            self._running.append(self._planned.pop())
        if not self._running:
            return {}
        self._running = [fault for fault in self._running if now_ns < fault.at_ns + fault.for_ns]
        hit = {}
        for fault in self._running:
            name = fault.kind.partition(".")[2]
            if name in names and (fault.share == 1.0 or self._draws[fault].random() < fault.share):
                hit[name] = fault
                self.hits[fault] += 1
        return hit

    def _suffer(self, *names: str) -> bool:
        """Wait, or raise, where one of these is on; whether one was."""
        hit = self._on(*names)
        for name, fault in hit.items():
            if name.startswith("slow"):
                self._clock.sleep_until_ns(self._clock.now_ns() + int(fault.amount * 1e9))
            elif name.endswith(("raises", "link_lost")):
                raise self.error(f"{self.part}: injected: {name}")
        return bool(hit)

    def _shift_ns(self) -> int:
        """How far a stamp is off."""
        jumps = self._on("jump_forward", "jump_back")
        return sum(int(f.amount * 1e9) * (1 if name == "jump_forward" else -1) for name, f in jumps.items())


def altered(numbers: np.ndarray, at: int, value: float) -> np.ndarray:
    """A copy with that number in the last axis, there."""
    changed = numbers.copy()
    changed[..., at % numbers.shape[-1]] = value
    return changed
