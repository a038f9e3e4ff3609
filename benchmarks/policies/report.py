"""The report: trials of policies as rows, one a policy, that can be held against each other."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, Callable, Sequence

import numpy as np

from rmedge.benchmarks.policies.closed_loop import Trial
from rmedge.benchmarks.policies.grid import REFERENCE
from rmedge.benchmarks.policies.measures import MEASURES
from rmedge.benchmarks.statistics import wilson
from rmedge.export.motions.teachers import NAMES

__all__ = ["by_caption", "by_physics", "by_policy", "standing"]


def standing(trials: Sequence[Trial]) -> dict[str, Any]:
    """How many did not fall."""
    stood = sum(trial.fell_at_s is None for trial in trials)
    return {
        "success": stood / len(trials),
        "interval": wilson(stood, len(trials)),
        "trials": len(trials),
    }


def by_policy(trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    """A row for every policy; its velocity error is also a multiple of the better walking teacher's.

    Measures are means over the trials that did not fall: one that lies on the floor makes no errors of note.
    What was never measured is NaN.
    """
    rows = {}
    for policy, mine in _by(trials, lambda trial: trial.policy).items():
        upright = [trial.measures for trial in mine if trial.fell_at_s is None]
        falls = [trial.fell_at_s for trial in mine if trial.fell_at_s is not None]
        rows[policy] = row = {
            **standing(mine),
            "fall_time_s": float(np.mean(falls)) if falls else None,
            **{name: _mean([told[name] for told in upright], mine[0].measures[name]) for name in MEASURES},
        }
        row["velocity_error_mean"] = float(np.mean(row["velocity_error"]))
    errors = {name: rows[name]["velocity_error_mean"] for name in NAMES if name in rows}
    best = min((name for name in errors if errors[name] > 0), key=errors.__getitem__, default=None)
    for row in rows.values():
        row["reference"] = best
        row["velocity_error_ratio"] = row["velocity_error_mean"] / errors[best] if best else math.nan
    return rows


def by_caption(trials: Sequence[Trial]) -> dict[str, dict[str, dict[str, Any]]]:
    """Caption -> policy -> success, velocity_error_mean, trials."""
    keys = ("success", "velocity_error_mean", "trials")
    return {
        caption: {name: {key: row[key] for key in keys} for name, row in by_policy(mine).items()}
        for caption, mine in _by(trials, lambda trial: trial.cell.caption).items()
    }


def by_physics(trials: Sequence[Trial]) -> dict[str, dict[str, dict[str, Any]]]:
    """Physics -> policy -> success, interval, trials, and the gap: how many more succeed in the reference."""
    rows = {
        physics: {name: standing(own) for name, own in _by(mine, lambda trial: trial.policy).items()}
        for physics, mine in _by(trials, lambda trial: trial.cell.physics).items()
    }
    for policies in rows.values():
        for name, row in policies.items():
            row["gap"] = rows[REFERENCE][name]["success"] - row["success"]
    return rows


def _by(trials: Sequence[Trial], key: Callable[[Trial], str]) -> dict[str, list[Trial]]:
    """In the order of their first."""
    found = defaultdict(list)
    for trial in trials:
        found[key(trial)].append(trial)
    return found


def _mean(values: list[Any], like: Any) -> Any:
    """Of numbers or of vectors; NaN in the same shape where there are none."""
    return np.mean(values or [np.full(np.shape(like), math.nan)], 0).tolist()
