"""A round: warm up, then measure ticks until there are enough of them; here, in whatever process this is."""

from __future__ import annotations

import math
import time
from typing import Callable, Sequence

import numpy as np

from rmedge.benchmarks.latency.report import Round, Rules, Ticks, ticks_of
from rmedge.errors import CheckError, InputError
from rmedge.runtimes.loop import Loop
from rmedge.trace import Trace

__all__ = ["measure"]


def measure(make_loop: Callable[[], Loop], rules: Rules, stop: Callable[[], bool] | None = None) -> Round:
    """Warm up, then run loops until there are ticks and seconds enough; the measuring core, in this process.

    Give it anything that a `Loop` takes: `report.variant_of` makes a report's variant of what comes back, and
    knows no more of cameras, mirrors and robots than this does::

        rules = Rules(rounds=1, min_ticks=700, min_seconds=0.0)
        measured = measure(lambda: Loop(camera, mirror, actuator), rules)
        variant_of([measured], rules, period_us=20_000.0, about={...})

    Args:
        make_loop: called for the warm-up, and again for what is measured: once, and once more whenever the
            camera's pictures have ended before there were enough of them.
        rules: a round's share of ``min_ticks`` and ``min_seconds`` is measured.
        stop: asked after every tick, outside the measured time; true ends the round, as Ctrl-C does.

    Raises:
        KeyboardInterrupt: before there was anything to report.
        InputError: a camera whose pictures end at once.
        CheckError: the robot was damped.
    """
    share = Share(math.ceil(rules.min_ticks / rules.rounds), rules.min_seconds / rules.rounds, stop)
    warm = Share(rules.warm_up_ticks, 0.0, stop)
    warm.run(make_loop)
    if warm.interrupted:
        raise KeyboardInterrupt
    share.run(make_loop)
    if not share.ticks:
        raise KeyboardInterrupt
    return Round(
        ticks=_joined(share.parts),
        seconds=share.seconds,
        start_ms=share.began_ns / 1e6,
        warm_up={"ticks": warm.ticks, "seconds": warm.seconds},
        interrupted=share.interrupted,
    )


class Share:
    """How much a round still has to measure, and what it has."""

    def __init__(self, ticks: int, seconds: float, stop: Callable[[], bool] | None) -> None:
        self._enough_ticks, self._enough_s, self._stop = ticks, seconds, stop
        self.parts: list[Ticks] = []
        self.ticks = 0
        self.seconds = 0.0
        self.began_ns = 0
        self.interrupted = False

    def run(self, make_loop: Callable[[], Loop]) -> None:
        """Until it is enough, over as many runs as that takes."""
        while not self._enough(0, 0.0) and not self.interrupted:
            self._once(make_loop())

    def _once(self, loop: Loop) -> None:
        whole, until_ns = 0, 0  # what an end in the middle of a tick leaves is none

        def look(trace: Trace) -> bool:
            nonlocal whole, until_ns
            whole, until_ns = trace.ticks, time.monotonic_ns()
            self.interrupted = self._stop is not None and self._stop()
            return self.interrupted or self._enough(whole, (until_ns - int(trace.begun_ns[0])) / 1e9)

        trace = loop.run(on_tick=look)
        if trace.stopped:
            raise CheckError(
                f"round: expected commands to the end, got a robot that was damped: {trace.stop_reason}; "
                "rmedge verify says whether this machine computes what the bundle promises"
            )
        self.interrupted = self.interrupted or bool(trace.stop_reason)
        if not whole:
            if self.interrupted:
                return
            raise InputError("round: expected pictures for one tick at least, got none; take another camera")
        first_ns = int(trace.begun_ns[0])
        self.began_ns = self.began_ns or first_ns
        self.parts.append(ticks_of(trace, whole, self.began_ns))
        self.ticks += whole
        self.seconds += (until_ns - first_ns) / 1e9

    def _enough(self, ticks: int, seconds: float) -> bool:
        return self.ticks + ticks >= self._enough_ticks and self.seconds + seconds >= self._enough_s


def _joined(parts: Sequence[Ticks]) -> Ticks:
    """One after the other."""
    stages = dict.fromkeys(stage for part in parts for stage in part.spent_us)
    return Ticks(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("start_ms", "tick_us", "sensor_to_actuator_us", "intent_age_us")
        },
        spent_us={stage: np.concatenate([part.spent(stage) for part in parts]) for stage in stages},
    )
