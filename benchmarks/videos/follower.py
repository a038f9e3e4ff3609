"""Followers: whatever turns pictures into joint targets, the bundle's own mirror among them."""

from __future__ import annotations

import atexit
from typing import Any, Mapping, Sequence

import numpy as np

from rmedge.bundle import Bundle
from rmedge.labels import label_of
from rmedge.runtimes import load

__all__ = ["OWN", "commanded", "detection", "team", "word"]

OWN = "mirror"  # the bundle's

RUN_FROM = 0.65  # [m/s] contracts, section 3: of the robot's own gait

_teams: dict[tuple[str, tuple[str, ...]], Mapping[str, Any]] = {}  # what a process opened once


def team(bundle: Bundle, beside: Sequence[str] = (), cores: str = "") -> Mapping[str, Any]:
    """The bundle's mirror and the followers beside it, by name; each is opened once a process.

    A follower is a `Mirror` to the loop. It may say what it asks of the robot with ``velocity(now_ns)``
    (3,), in how many frames it found somebody with ``detection_rate``, and is closed with ``close()``.

    Args:
        cores: where a follower's own processes may run, as in "0"; anywhere, if empty. The mirror has one
            thread in this process.
    """
    key = (bundle.sha256, (*beside, cores))
    if key not in _teams and beside:
        from rmedge.benchmarks.pose import open_follower

        opened: dict[str, Any] = {}
        for name in beside:
            opened[name] = open_follower(name, bundle, cores)
            atexit.register(opened[name].close)
        _teams[key] = {**team(bundle), **opened}
    elif key not in _teams:
        _teams[key] = {OWN: load(bundle)}
    return _teams[key]


def commanded(follower: Any, now_ns: int) -> np.ndarray:
    """(3,) the velocity that is asked of the robot now [m/s, m/s, rad/s]; NaN where a follower has none."""
    if hasattr(follower, "velocity"):
        return np.asarray(follower.velocity(now_ns), float)
    if hasattr(follower, "reading"):
        return follower.reading.of(follower.pilot.wanted(now_ns)).velocity
    return np.full(3, np.nan)


def detection(follower: Any) -> float:
    """The share of the last run's frames in which it found somebody; one that looks for nobody: 1."""
    return float(getattr(follower, "detection_rate", 1.0))


def word(velocity: np.ndarray) -> str:
    """The label of a mean velocity (3,), for those who say no words."""
    return str(label_of(velocity, RUN_FROM))
