"""Reaction time: from the instant a motion changes to the instant the command is half way there."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from rmedge.benchmarks.statistics import wilson

__all__ = ["CHANGES", "TOLERANCE", "half_way_s", "summary"]

TOLERANCE = (0.2, 0.15, 0.25)  # [m/s, m/s, rad/s] contracts, section 2: what is nearer counts as the same
SETTLED_S = 1.0  # before the change, and at the end: what is commanded there is taken to be meant
# labels before and after
CHANGES = (
    ("stand", "walk_forward"),
    ("walk_forward", "stand"),
    ("stand", "turn_left"),
    ("walk_forward", "walk_backward"),
    ("walk_forward", "turn_right"),
    ("turn_left", "turn_right"),
    ("side_step_left", "walk_forward"),
    ("walk_forward", "arc_left"),
)


def half_way_s(times_s: np.ndarray, command: np.ndarray, changed_s: float) -> float | None:
    """Seconds from a change to the first instant from which half of it is done; None: nothing changed.

    The way goes from the mean command in the second before the change to that of the last second. A
    command that is on the far side already when the motion changes has not reacted to it.

    Args:
        times_s: (T,) when each command was in force.
        command: (T, 3) [m/s, m/s, rad/s].
    """
    if not (len(times_s) and times_s[-1] > changed_s + SETTLED_S / 2):
        return None  # the loop had ended before
    before = (times_s >= changed_s - SETTLED_S) & (times_s < changed_s)
    after = times_s >= times_s[-1] - SETTLED_S
    start = command[before].mean(0)
    way = (command[after].mean(0) - start) / TOLERANCE
    if not (np.abs(way) > 1.0).any():  # positive form: what is not a number has gone nowhere
        return None
    along = ((command - start) / TOLERANCE) @ way / (way @ way)
    waiting = np.flatnonzero(times_s >= changed_s)
    if along[waiting[0]] >= 0.5 and along[waiting[0] - 1] >= 0.5:
        return None
    return float(times_s[waiting[along[waiting] >= 0.5][0]] - changed_s)


def summary(reactions: Sequence[float | None]) -> dict[str, Any]:
    """Median and 90 % quantile of those that came, and how many came."""
    came = [seconds for seconds in reactions if seconds is not None]
    return {
        "changes": len(reactions),
        "reacted": len(came),
        "share": len(came) / len(reactions),
        "interval": wilson(len(came), len(reactions)),
        "median_s": float(np.median(came)) if came else None,
        "p90_s": float(np.quantile(came, 0.9)) if came else None,
    }
