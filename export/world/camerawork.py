"""Camera work: how an actor is filmed, from outside or through the actor's own eyes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rmedge.export.world.actor import Actor, Path
from rmedge.runtimes.painter import View

__all__ = ["Lens", "egocentric", "third_person"]

Z = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Lens:
    """How wide a camera sees, and how its picture is squeezed to a square of ``pixels``."""

    fov_y_rad: float
    stretch: float
    pixels: int

    @classmethod
    def random(cls, rng: np.random.Generator, pixels: int, narrow: float, wide: float) -> Lens:
        """Every picture is seen squeezed to a square: ``stretch`` is the picture's aspect ratio."""
        aspect = rng.choice([16 / 9, 4 / 3, 1.0, 9 / 16, 2.0], p=[0.45, 0.15, 0.2, 0.15, 0.05])
        return cls(rng.uniform(narrow, wide), aspect * rng.uniform(0.93, 1.07), pixels)

    def view(self, eye: np.ndarray, target: np.ndarray, roll: float = 0.0) -> View:
        return View.look_at(
            eye, target, self.fov_y_rad, self.pixels, self.pixels, roll=roll, stretch=self.stretch
        )


def _wander(rng: np.random.Generator, frames: int, size: float, smooth: int = 3) -> np.ndarray:
    """(frames, 3) hand-held wobble of about ``size``."""
    steps = rng.standard_normal((frames + smooth, 3))
    kernel = np.ones(smooth) / smooth
    return size * np.stack([np.convolve(column, kernel, "valid")[:frames] for column in steps.T], 1)


def _ahead(angle: float) -> np.ndarray:
    return np.array([math.cos(angle), math.sin(angle), 0.0])


def third_person(
    rng: np.random.Generator, actor: Actor, path: Path, pixels: int, kind: str = ""
) -> list[View]:
    """Static, panning, following or hand-held, from any side, near or far, seldom with a cut.

    Args:
        kind: ``static``, ``pan`` or ``follow``; drawn when empty.
    """
    frames = len(path.position)
    first = _shot(rng, actor, path, pixels, kind)
    if kind or rng.random() > 0.06:
        return first
    cut = int(rng.integers(8, max(frames - 6, 9)))
    return first[:cut] + _shot(rng, actor, path, pixels, "")[cut:]


def _shot(rng: np.random.Generator, actor: Actor, path: Path, pixels: int, kind: str) -> list[View]:
    frames = len(path.position)
    kind = kind or rng.choice(["static", "pan", "follow"], p=[0.4, 0.25, 0.35])
    lens = Lens.random(rng, pixels, 0.6, 1.2)
    size = rng.choice(["whole", "small", "part"], p=[0.82, 0.08, 0.1])
    fill = {"whole": rng.uniform(0.5, 1.05), "small": rng.uniform(0.3, 0.5), "part": rng.uniform(1.1, 1.7)}[
        size
    ]
    distance = actor.height / (2 * fill * math.tan(lens.fov_y_rad / 2))
    extent = float(np.ptp(path.position, axis=0).max())
    if extent > 0.8 * distance:  # who goes far would leave the picture
        kind = "follow" if extent > 1.2 * distance else "pan"
    middle = 0.5 + (rng.choice([-0.15, 0.2]) if size == "part" else 0.0)
    height = rng.uniform(0.4, 1.1) * actor.height + (rng.uniform(0, 2) if rng.random() < 0.2 else 0)
    offset = distance * _ahead(rng.uniform(-math.pi, math.pi))
    centre = (
        path.position[rng.integers(frames // 4, 3 * frames // 4 + 1)]
        if kind == "static"
        else path.position[0]
    )
    aim = middle * actor.height * Z + rng.normal(0, 0.1, 3) * distance * np.array([1, 1, 0.4])
    shake = _wander(rng, frames, rng.choice([0.0, 0.004, 0.02], p=[0.4, 0.35, 0.25]) * distance)
    turn = rng.uniform(-0.2, 0.2) if kind == "follow" and rng.random() < 0.3 else 0.0  # round the person
    zoom = rng.uniform(-0.1, 0.1) if rng.random() < 0.1 else 0.0  # a share of the distance a second
    lag, views = centre.copy(), []
    for frame in range(frames):
        here = path.position[frame]
        lag = lag + 0.6 * (here - lag)  # nobody pans perfectly
        angle = 0.1 * turn * frame
        cos, sin = math.cos(angle), math.sin(angle)
        away = (1 - 0.1 * zoom * frame) * np.array(
            [cos * offset[0] - sin * offset[1], sin * offset[0] + cos * offset[1]]
        )
        base = {"static": centre, "pan": centre, "follow": lag}[kind]
        target = centre if kind == "static" else lag
        eye = np.array([*(base + away), height]) + 0.3 * shake[frame]
        views.append(lens.view(eye, np.array([*target, 0.0]) + aim + shake[frame]))
    return views


def egocentric(
    rng: np.random.Generator, actor: Actor, path: Path, hip: np.ndarray, lean: np.ndarray, pixels: int
) -> list[View]:
    """A camera on the head, on the chest or in the hand of somebody who moves along a path.

    Args:
        hip: (T, 2) the legs' swing [rad], which the steps' bob follows.
        lean: (T,) of the trunk [rad]; a bow looks down.
    """
    lens = Lens.random(rng, pixels, 0.6, 1.5)
    worn = rng.choice([0.95, 0.8, 0.72], p=[0.45, 0.25, 0.3])  # head, chest, hand
    eye_height = actor.height * worn * rng.uniform(0.97, 1.03)
    out = (
        rng.uniform(0.1, 0.2) if worn > 0.75 else rng.uniform(0.2, 0.45)
    )  # [m] before the axis it turns about
    pitch, offset = rng.uniform(-0.5, 0.1), rng.normal(0, 0.08)
    steadiness = rng.choice([0.1, 0.6, 1.0], p=[0.25, 0.35, 0.4])  # a gimbal, a careful hand, a head
    swing = hip[:, 0]
    # who turns on the spot steps, too: as `human_gait` has it
    speed = np.hypot(path.velocity[:, 0], path.velocity[:, 1]) + 0.25 * np.abs(path.velocity[:, 2])
    running = np.clip((speed - 1.6) / 0.5, 0, 1)
    bob = 0.04 * np.minimum(speed, 2) * np.abs(swing) / max(float(np.abs(swing).max()), 0.2)
    bob = steadiness * bob * (1 + 1.5 * running)
    shake = _wander(rng, len(swing), max(0.003, steadiness * rng.choice([0.005, 0.015, 0.03])))
    breath = _wander(rng, len(swing), 0.004 + 0.012 * steadiness, smooth=8)  # slower than a hand's tremble
    views = []
    for frame in range(len(swing)):
        heading = path.heading[frame] + offset + shake[frame, 0] + breath[frame, 0]
        heading += 0.03 * steadiness * swing[frame]
        tilt = pitch + shake[frame, 1] + breath[frame, 1] + 0.8 * lean[frame]
        eye = np.array([*path.position[frame], eye_height + bob[frame]]) + out * _ahead(path.heading[frame])
        look = math.cos(tilt) * _ahead(heading) + math.sin(tilt) * Z
        views.append(lens.view(eye, eye + look, roll=0.05 * steadiness * swing[frame] + shake[frame, 2]))
    return views
