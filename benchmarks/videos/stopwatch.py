"""The stopwatch: from frame to command, one clip after another, alone in the process."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import numpy as np

from rmedge.benchmarks.pose.landmarks import one_core
from rmedge.benchmarks.statistics import summary
from rmedge.benchmarks.videos.follower import team
from rmedge.benchmarks.videos.painted import FIRST_SEED, VIEWS, Terms
from rmedge.benchmarks.videos.playing import Reel, play
from rmedge.trace import STAGES, Trace

__all__ = ["CLIPS", "clock", "frames_ns", "ticks_ns", "watching_ns"]

CLIPS = 20  # of 40 frames: more than the 662 that establish a p99
WARM_UP = -1  # the clip before the first
SEEN = [STAGES.index(stage) for stage in ("preprocess", "encode")]


def frames_ns(trace: Trace, every: int) -> np.ndarray:
    """(frames,) from a frame to the command that answers it, whatever stage it was in [ns]."""
    return trace.answered_ns[::every]


def ticks_ns(trace: Trace, every: int) -> np.ndarray:
    """(frames,) all compute of these ticks [ns]: the writes that follow read the simulator, too."""
    return trace.compute_ns[::every]


def watching_ns(trace: Trace, every: int) -> np.ndarray:
    """(frames,) of these, until the frame was understood [ns]."""
    return trace.spent_ns[::every, SEEN].sum(1)


def clock(
    terms: Terms, clips: int = CLIPS, progress: Callable[[float], None] = lambda done: None
) -> dict[str, Any]:
    """System -> quantiles of frame to command, its whole tick, and understanding a frame [us]; of a clip [s].

    One thread each: what runs beside this process is held to one core. The systems take turns clip by
    clip, so that what else the machine does meets all of them.
    """
    from rmedge.export.world.clips import film

    spent: dict[str, list[tuple[np.ndarray, ...]]] = {}
    for number in range(WARM_UP, clips):
        view = VIEWS[number % len(VIEWS)]
        take = film(
            FIRST_SEED - 2 - number, terms.repertoire, view, terms.seconds, held_out=True, steady=True
        )
        for name, follower in team(terms.bundle, terms.beside, one_core()).items():
            reel = Reel(take.unsqueezed(), take.rate_hz)
            trace = play(follower, reel, terms.bundle.robot, terms.seconds).trace
            every = max(1, round(follower.encoder.period_ns / follower.pilot.policy.period_ns))
            if number != WARM_UP:
                rows = (of(trace, every) for of in (frames_ns, ticks_ns, watching_ns))
                spent.setdefault(name, []).append((*rows, trace.compute_ns.sum() / 1e9))
        progress((number + 1) / clips)
    return {name: _row(runs) for name, runs in spent.items()}


def _row(runs: Sequence[tuple[np.ndarray, ...]]) -> dict[str, Any]:
    frames, ticks, watching, clips = zip(*runs)
    return {
        "frame": summary(np.concatenate(frames)),
        "tick": summary(np.concatenate(ticks)),
        "understanding": summary(np.concatenate(watching)),
        "clip_s": {"count": len(clips), "p50": float(np.median(clips)), "max": float(max(clips))},
    }
