"""The words for motion over the ground, and the rule that gives a motion its word."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["LABELS", "NONE", "label_of"]

NONE = "none"  # nobody is seen
LABELS = (
    "stand",
    "walk_forward",
    "walk_backward",
    "run_forward",
    "side_step_left",
    "side_step_right",
    "turn_left",
    "turn_right",
    "arc_left",
    "arc_right",
)


def label_of(velocity: Any, run_from: float) -> Any:
    """The word for a velocity (..., 3): vx, vy [m/s], yaw rate [rad/s], in the mover's own terms.

    Args:
        run_from: forward speed from which walking is running [m/s]; 1.8 for a person, 0.65 for a G1.

    Returns:
        A word of ``LABELS``, or an array of them, shaped like the velocities.
    """
    velocity = np.asarray(velocity, dtype=float)
    vx, vy, yaw = velocity[..., 0], velocity[..., 1], velocity[..., 2]
    speed, turn = np.hypot(vx, vy), np.abs(yaw)
    side = np.where(yaw > 0, "left", "right")
    moving = np.select(
        [np.abs(vy) > np.abs(vx), vx < 0, vx >= run_from],
        [np.where(vy > 0, "side_step_left", "side_step_right"), "walk_backward", "run_forward"],
        "walk_forward",
    )
    word = np.select(
        [(speed < 0.1) & (turn < 0.15), (turn >= 0.25) & (speed < 0.2), turn >= 0.25],
        ["stand", np.char.add("turn_", side), np.char.add("arc_", side)],
        moving,
    )
    return word if word.ndim else str(word)
