"""Root motion from poses alone: where a person goes, told by the feet that stand on the ground.

World landmarks have their origin in the hips, so they never move as a whole. But a foot that carries the
body stays where it is on the ground: what it does seen from the hips, the hips do the other way round.
That holds on a treadmill and before a camera that follows, and needs no scale but the body's own.

Which foot it is, a pose hardly says: the higher one is higher by less than the estimator errs. So how
fast the feet pass each other says how fast the person is, and which is higher meanwhile says only
whether it goes forward or backward, over half a stride and more.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from rmedge.benchmarks.pose.landmarks import INDEX, Landmarks
from rmedge.errors import UsageError

__all__ = ["Odometer", "RootMotion", "feet", "ground", "heading", "turned"]

SIDES = ("left", "right")
SPAN_S = 1.0  # velocities are means over so long: one stride
RAISED_M = 0.05  # a foot that is higher by more than so much is no surer to be the one that swings
BACKWARD = -0.3  # from here on it is believed; nearly everybody walks forward
REST = 0.2  # [m/s] between the feet of somebody who stands: the estimator's own unrest
FLIP_RAD = 1.2  # nobody turns so far between two frames: front and back were mistaken
FASTEST_TURN = 2.0  # [rad/s]


@dataclass(frozen=True)
class RootMotion:
    """How a person moves over the ground, in their own frame."""

    velocity: np.ndarray  # (3,) vx, vy [m/s], yaw rate [rad/s]
    heading: float  # [rad] from the camera's line of sight; left is positive


def ground(world: np.ndarray) -> np.ndarray:
    """Camera axes (..., 3) as axes of a level floor: away from the camera, left, up."""
    return np.stack([world[..., 2], -world[..., 0], -world[..., 1]], -1)


def heading(points: np.ndarray) -> float:
    """Where a person (33, 3) on those axes faces [rad]: across the hips and the shoulders, turned right."""
    across = sum(
        points[INDEX[f"left_{part}"]] - points[INDEX[f"right_{part}"]] for part in ("hip", "shoulder")
    )
    return math.atan2(-across[0], across[1])


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    """Points (..., 3) or (..., 2), turned left about the vertical by an angle [rad]."""
    cos, sin = math.cos(angle), math.sin(angle)
    out = np.array(points, float)
    out[..., 0] = cos * points[..., 0] - sin * points[..., 1]
    out[..., 1] = sin * points[..., 0] + cos * points[..., 1]
    return out


def feet(points: np.ndarray) -> np.ndarray:
    """(2, 3) the middle of ankle, heel and toe, left and right."""
    return np.array([points[[INDEX[f"{s}_{p}"] for p in ("ankle", "heel", "toe")]].mean(0) for s in SIDES])


class Odometer:
    """Streams landmarks into root motion."""

    def __init__(self, span_s: float = SPAN_S) -> None:
        self._span_ns = span_s * 1e9
        self.reset()

    def reset(self) -> None:
        """Another person."""
        # instant [ns], heading [rad], left foot seen from the right one (3,) on the floor's axes
        self._past: deque[tuple[int, float, np.ndarray]] = deque()

    def push(self, seen: Landmarks) -> RootMotion:
        """The motion at this frame: over the last stretch of time."""
        points = ground(seen.world)
        facing, (left, right) = heading(points), feet(points)
        self._past.append((seen.captured_ns, facing, left - right))
        while self._past[0][0] < seen.captured_ns - self._span_ns:
            self._past.popleft()
        if len(self._past) < 3:
            return RootMotion(np.zeros(3), facing)
        instants, headings, apart = (np.array(column) for column in zip(*self._past))
        step_s = np.diff(instants) * 1e-9
        if not (step_s > 0).all():
            raise UsageError("odometer: expected later and later frames, got one that is not; reset it")
        planar = _planar(apart, _settled(headings), step_s)
        return RootMotion(np.array([*planar, _turning(headings, step_s)]), facing)


def _planar(apart: np.ndarray, facing: float, step_s: np.ndarray) -> np.ndarray:
    """(2,) forward and left [m/s]: half of how fast the feet (N, 3) pass each other, along and across.

    While the left one carries the body, it goes backward seen from the right one; the other way round
    while the right one does.
    """
    passing = np.diff(turned(apart, -facing)[:, :2], axis=0) / 2  # (N - 1, 2) [m]
    raised = apart[:, 2] - apart[:, 2].mean()  # the mean is the camera's tilt
    swings = np.clip((raised[1:] + raised[:-1]) / 2, -RAISED_M, RAISED_M)  # positive: the left one
    pace = np.abs(passing).sum(0) / step_s.sum()
    goes = (swings @ passing) / np.maximum(np.abs(swings) @ np.abs(passing), 1e-9)  # (2,) -1 .. 1
    along = pace.argmax()  # who steps aside does little else
    velocity = np.zeros(2)
    velocity[0] = max(0.0, pace[0] - REST) * (1.0 if goes[0] > BACKWARD else -1.0)
    if along == 1:
        velocity = np.array([0.0, max(0.0, pace[1] - REST) * np.sign(goes[1])])
    return velocity


def _settled(headings: np.ndarray) -> float:
    """The direction that most of the last ones agree with: mistaken ones are outvoted."""
    return float(headings[np.cos(headings[:, None] - headings).sum(1).argmax()])


def _turning(headings: np.ndarray, step_s: np.ndarray) -> float:
    """Yaw rate [rad/s], without the steps that nobody can make."""
    turns = np.remainder(np.diff(headings) + math.pi, 2 * math.pi) - math.pi
    turns = np.where(np.abs(turns) > FLIP_RAD, 0.0, turns)
    return float(np.clip(turns.sum() / step_s.sum(), -FASTEST_TURN, FASTEST_TURN))
