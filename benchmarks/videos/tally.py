"""The tally: what systems made of painted clips, as rows that can be held against each other."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

import numpy as np

from rmedge.benchmarks.policies import apart
from rmedge.benchmarks.policies.apart import Comparison
from rmedge.benchmarks.statistics import wilson
from rmedge.benchmarks.videos import reaction
from rmedge.benchmarks.videos.labelling import score
from rmedge.benchmarks.videos.painted import Reaction, Showing

__all__ = ["by_system", "by_word", "compared", "reacted", "row", "where_detected", "words"]

DETECTED = 0.9  # of the frames: the clips on which a follower that looks for people is judged kindly
EVERY = "all"


def row(showings: Sequence[Showing]) -> dict[str, Any]:
    """Success, and how near; errors are means over the clips without a fall, NaN of none."""
    upright = [s for s in showings if s.fell_at_s is None]
    seen = [s for s in showings if s.detection >= DETECTED]
    errors = [np.abs(np.subtract(s.velocity, s.asked)) for s in upright]
    said = [s.said == s.label for s in showings if s.said]
    gestures = [s.said_gesture == s.gesture for s in showings if s.said_gesture]
    return {
        **_share([s.success for s in showings]),
        "falls": len(showings) - len(upright),
        "velocity_error": np.mean(errors or [np.full(3, np.nan)], 0).tolist(),
        **{
            name: float(np.mean([getattr(s, name) for s in upright])) if upright else float("nan")
            for name in ("mpjpe_mm", "mpkpe_mm", "mpjpe_rad")
        },
        "label_accuracy": float(np.mean(said)) if said else None,
        "gesture_accuracy": float(np.mean(gestures)) if gestures else None,
        "detection": float(np.mean([s.detection for s in showings])),
        "where_detected": _share([s.success for s in seen]) if seen else None,
    }


def by_system(showings: Sequence[Showing]) -> dict[str, dict[str, Any]]:
    """System -> view, or all of them -> `row`."""
    return {
        system: {EVERY: row(mine), **_rows(mine, lambda s: s.view, row)}
        for system, mine in _grouped(showings, lambda s: s.system).items()
    }


def where_detected(showings: Sequence[Showing], judged: str) -> dict[str, Any]:
    """System -> how many of the clips on which it found somebody ``judged`` succeeds at; None of no clips."""
    own = {s.seed: s.success for s in showings if s.system == judged}
    found = {
        system: [own[s.seed] for s in mine if s.detection >= DETECTED]
        for system, mine in _grouped(showings, lambda s: s.system).items()
    }
    return {system: _share(successes) if successes else None for system, successes in found.items()}


def by_word(showings: Sequence[Showing], key: str) -> dict[str, Any]:
    """View -> label or gesture (``key``) -> system -> how many succeed."""
    return _rows(
        showings,
        lambda s: s.view,
        lambda mine: _rows(
            mine,
            lambda s: getattr(s, key),
            lambda own: _rows(own, lambda s: s.system, lambda one: _share([s.success for s in one])),
        ),
    )


def words(showings: Sequence[Showing], system: str, key: str) -> dict[str, Any]:
    """View -> how well a system labelled its clips, or named their gestures; who did not say is left out."""
    spoken = "said" if key == "label" else "said_gesture"
    mine = [s for s in showings if s.system == system and getattr(s, spoken)]

    def scored(own: Sequence[Showing]) -> dict[str, Any]:
        truth, said = ([getattr(s, name) for s in own] for name in (key, spoken))
        return score(truth, said, [str(s.seed) for s in own])

    return _rows(mine, lambda s: s.view, scored)


def compared(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The share of motions that are nearer to their own teacher, and of pairs of which both are."""
    pairs = _grouped(comparisons, lambda c: str(c.seed)).values()
    both = _share([all(c.right for c in pair) for pair in pairs])
    return {**apart.summary(comparisons), "both": both}


def reacted(reactions: Sequence[Reaction]) -> dict[str, Any]:
    """System -> view, or all -> reaction times, and by change."""
    return {
        system: {
            EVERY: _times(mine),
            **_rows(mine, lambda r: r.view, _times),
            "by_change": _rows(mine, lambda r: r.change, _times),
        }
        for system, mine in _grouped(reactions, lambda r: r.system).items()
    }


def _times(reactions: Sequence[Reaction]) -> dict[str, Any]:
    return reaction.summary([r.seconds for r in reactions])


def _share(right: Sequence[bool]) -> dict[str, Any]:
    count = sum(right)
    return {"success": count / len(right), "interval": wilson(count, len(right)), "trials": len(right)}


def _grouped(items: Sequence[Any], key: Callable[[Any], str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def _rows(
    items: Sequence[Any], key: Callable[[Any], str], made: Callable[[Sequence[Any]], Mapping[str, Any]]
) -> dict[str, Any]:
    return {name: made(mine) for name, mine in _grouped(items, key).items()}
