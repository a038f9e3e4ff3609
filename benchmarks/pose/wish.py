"""What is read from a frame and asked of the robot: a velocity, and what its arms do meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["STAND", "Wish"]


@dataclass(frozen=True, eq=False)
class Wish:
    """What the robot should do, in plain terms."""

    velocity: np.ndarray = field(default_factory=lambda: np.zeros(3))  # (3,) [m/s, m/s, rad/s]
    gesture: str = "none"  # of the troupe's repertoire
    joints: np.ndarray | None = None  # (Da,) [rad] the pose itself; None: as the robot stands or walks
    seen: bool = True  # somebody was found in the frame


STAND = Wish(seen=False)
