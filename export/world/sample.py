"""The demo's sample clip: ten seconds of a painted person who stands, walks, turns and stops."""

from __future__ import annotations

from pathlib import Path as FilePath

import numpy as np

from rmedge.export.world.actor import Actor, Path, human_gait
from rmedge.export.world.places import texture
from rmedge.runtimes.film import Film
from rmedge.runtimes.painter import View, paint, shadow
from rmedge.runtimes.scenery import Furniture, Room

__all__ = ["paint_clip"]

FPS = 30
WIDTH, HEIGHT = 480, 360
SCENES = (  # seconds, velocity: vx, vy [m/s], yaw rate [rad/s]
    (1.5, (0.0, 0.0, 0.0)),
    (3.5, (1.1, 0.0, 0.0)),
    (2.5, (0.9, 0.0, 0.6)),
    (1.5, (1.1, 0.0, 0.0)),
    (1.0, (0.0, 0.0, 0.0)),
)


def paint_clip(path: FilePath, seed: int = 5) -> None:
    """Write the clip as an .mp4: the same pictures for the same seed."""
    rng = np.random.default_rng(seed)
    surfaces = [texture(rng) for _ in range(6)]
    box = Furniture(np.array([-2.5, 3.0, 0.4]), np.array([0.5, 0.4, 0.4]), texture(rng))
    wanted = np.concatenate([np.tile(v, (round(s * FPS), 1)) for s, v in SCENES])
    ease = np.ones(FPS // 3) / (FPS // 3)  # nobody starts or stops at once
    padded = np.pad(wanted, ((len(ease) // 2, len(ease) - 1 - len(ease) // 2), (0, 0)), "edge")
    velocity = np.stack([np.convolve(column, ease, "valid") for column in padded.T], 1)
    way = Path.along(velocity, 1 / FPS, np.pi / 2)
    actor = Actor(
        height=1.74, girth=1.0, top=(178, 58, 52), sleeves=(178, 58, 52), trousers=(44, 62, 96),
        shoes=(36, 34, 34), skin=(214, 170, 140), hair=(58, 42, 34),
    )  # fmt: skip
    bodies = actor.shapes(way, human_gait(rng, actor, velocity, 1 / FPS))
    room = Room([-7, -3, 0], [7, 13, 3.2], surfaces, 2.0, [box])
    with Film(path, FPS, WIDTH, HEIGHT) as film:
        for body, place in zip(bodies, way.position, strict=True):
            # a camera that walks beside and looks across, as somebody who films a friend would
            eye = np.array([place[0] + 3.4, place[1] - 0.6, 1.5])
            view = View.look_at(eye, np.array([*place, 0.9]), 0.75, WIDTH, HEIGHT)
            picture = room.draw(view)
            shadow(picture, view, np.array([[*place, 0.0]]), 0.35)
            paint(picture, view, body, tones=6)
            film.add(picture)
