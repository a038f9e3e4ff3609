"""Gestures: upper-body motions that are laid over a gait, as joint positions by the clock.

A velocity teacher keeps its balance while its arms and waist do something else, so the positions of a
gesture's joints replace the teacher's own. They are approached no faster than `SPEED`, from where the
last command was: what to do next follows from what can be seen, and the student can learn it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from rmedge.robots import Robot

__all__ = ["GESTURES", "NONE", "Gesture", "of"]

NONE = "none"
SPEED = 5.0  # [rad/s] at most, between gestures too
# joint -> (mean, amplitude [rad], cycles a second, phase [rad]); an amplitude of 0 holds still
Wave = tuple[float, float, float, float]


def _both(**waves: tuple[float, float, float, float]) -> dict[str, Wave]:
    """The same for both arms of a G1, rolls and yaws mirrored; a phase is the left arm's and the right's."""
    found = {}
    for name, (mean, amplitude, hz, lag) in waves.items():
        outward = -1.0 if name.endswith(("roll", "yaw")) else 1.0
        found[f"left_{name}_joint"] = (mean, amplitude, hz, 0.0)
        found[f"right_{name}_joint"] = (outward * mean, outward * amplitude, hz, lag)
    return found


GESTURES: Mapping[str, Mapping[str, Mapping[str, Wave]]] = {
    "g1": {
        "wave": {
            "right_shoulder_pitch_joint": (-1.2, 0.0, 0.0, 0.0),
            "right_shoulder_roll_joint": (-1.0, 0.0, 0.0, 0.0),
            "right_shoulder_yaw_joint": (-0.2, 0.6, 1.0, 0.0),
            "right_elbow_joint": (0.0, 0.0, 0.0, 0.0),
        },
        "arms_up": _both(
            shoulder_pitch=(-3.0, 0.0, 0.0, 0.0), shoulder_roll=(0.2, 0.0, 0.0, 0.0),
            elbow=(1.4, 0.0, 0.0, 0.0),
        ),
        "carry": _both(
            shoulder_pitch=(-0.7, 0.0, 0.0, 0.0), shoulder_roll=(0.1, 0.0, 0.0, 0.0),
            elbow=(0.4, 0.0, 0.0, 0.0),
        ),
        "swing_arms": _both(
            shoulder_pitch=(0.1, 0.8, 1.0, math.pi), shoulder_roll=(0.2, 0.0, 0.0, 0.0),
            elbow=(1.0, 0.0, 0.0, 0.0),
        ),
        "bow": {"waist_pitch_joint": (0.35, 0.0, 0.0, 0.0)},
        "twist": {"waist_yaw_joint": (0.0, 0.5, 0.5, 0.0)},
        "clap": _both(
            shoulder_pitch=(-0.8, 0.0, 0.0, 0.0), shoulder_roll=(0.15, 0.0, 0.0, 0.0),
            shoulder_yaw=(-0.35, 0.45, 1.0, 0.0), elbow=(0.5, 0.0, 0.0, 0.0),
        ),
    },
}  # fmt: skip


class Gesture:
    """Positions of some joints by the clock."""

    def __init__(self, robot: Robot, waves: Mapping[str, Wave]):
        self.joints = np.array([robot.joint_names.index(name) for name in waves], dtype=int)
        self._waves = np.array(list(waves.values())).reshape(-1, 4).T
        reach = np.abs(self._waves[1])
        if not ((self._waves[0] - reach >= robot.lower[self.joints]).all()
                and (self._waves[0] + reach <= robot.upper[self.joints]).all()):  # fmt: skip
            raise ValueError(
                f"gesture: expected positions within the limits of {robot.name}, got {dict(waves)}"
            )

    def at(self, clock_s: float) -> np.ndarray:
        """Positions (joints,) [rad]."""
        mean, amplitude, hz, phase = self._waves
        return mean + amplitude * np.sin(2 * math.pi * hz * clock_s + phase)


def of(robot: Robot) -> dict[str, Gesture]:
    """A robot's gestures by name; none is one of them."""
    table = {NONE: {}, **GESTURES.get(robot.name, {})}
    return {name: Gesture(robot, waves) for name, waves in table.items()}
