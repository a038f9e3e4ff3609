"""Clips of people who move: seeded, rendered in software, with the intent of what the actor did.

A clip shows an act at 10 frames a second. It is seen by a static, panning, following or hand-held camera
from any side, on a treadmill, in slow motion, with others about, or through the actor's own eyes; or
nobody is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from rmedge.export.world.actor import LANDMARKS, Actor, Path, Pose, gesturing, human_gait, robot_gait
from rmedge.export.world.acts import FRAME_HZ, Act, Repertoire
from rmedge.export.world.camerawork import egocentric, third_person
from rmedge.export.world.places import develop, room
from rmedge.manifest import ImageSpec
from rmedge.runtimes.features import Features
from rmedge.runtimes.painter import Capsule, View, paint
from rmedge.runtimes.scenery import Room

__all__ = ["IMAGE", "VIEWS", "Rehearsal", "Take", "features_of", "film", "rehearse", "streams"]

FRAMES = 24
PIXELS = 160  # painted at this size, as the encoder sees it
IMAGE = ImageSpec(
    height=64,
    width=64,
    colour="rgb",
    motion="dis_flow",
    feature_height=160,
    feature_width=160,
    flow_scale=0.375,
)
VIEWS = ("third-person", "egocentric", "nobody")
SHARES = (0.66, 0.28, 0.06)
HELD_OUT_SEEDS = 1 << 40  # apart from every seed that is trained on
Shapes = list[list[Capsule]]  # frame by frame
Light = tuple[float, float, float]
Moves = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Take:
    """One clip as it was filmed."""

    pictures: list[np.ndarray]  # T of (PIXELS, PIXELS, 3) uint8 RGB
    rate_hz: float
    view: str  # one of ``VIEWS``
    act: Act
    facing: np.ndarray  # (T, 2) cosine and sine of the actor's heading seen from the camera, 0 0 if unseen
    body: np.ndarray  # (T, LANDMARKS, 2) where the actor's joints are [share of width and height], or nan
    aspect: float  # width by height of what the camera saw, before it was squeezed to a square
    squeeze: float  # share of the width that a length covers, over that of the height; bars count

    def unsqueezed(self) -> list[np.ndarray]:
        """The pictures as the camera saw them, (PIXELS, PIXELS * aspect, 3)."""
        size = (round(PIXELS * self.aspect), PIXELS)
        return [cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR) for picture in self.pictures]


@dataclass(frozen=True)
class Rehearsal:
    """A clip that nobody painted: where an actor's limbs would be in the pictures, and what he does."""

    act: Act
    facing: np.ndarray  # as a `Take` has it
    body: np.ndarray
    squeeze: float


@dataclass(frozen=True)
class Part:
    """What an actor does, and where he goes."""

    act: Act
    actor: Actor
    path: Path
    pose: Pose


@dataclass(frozen=True)
class Scene:
    """Who is seen from where; nothing is painted yet."""

    views: list[View]  # T
    cast: list[Callable[[], Shapes]]  # everybody's body, or what there is of it
    facing: np.ndarray  # (T, 2) see `Take`
    body: np.ndarray  # (T, LANDMARKS, 2) see `Take`; before bars move it


def film(
    seed: int,
    repertoire: Repertoire,
    view: str | None = None,
    seconds: float = FRAMES / FRAME_HZ,
    held_out: bool = False,
    steady: bool = False,
    script: list[tuple[float, np.ndarray, int]] | None = None,
    place: Room | None = None,
) -> Take:
    """One clip; a function of its arguments alone.

    Args:
        view: one of ``VIEWS``; drawn when None.
        held_out: with actors, cameras and backgrounds that training never uses.
        steady: one motion for the whole clip.
        script: what is done instead of what would be drawn: seconds, velocity (3,), gesture.
        place: where it is filmed; drawn when None.
    """
    rng = _chance(seed, held_out)
    view = str(rng.choice(VIEWS, p=SHARES)) if view is None else view
    frames = round(seconds * FRAME_HZ)
    if script is not None:
        act = repertoire.script([(round(s * FRAME_HZ), v, g) for s, v, g in script])
    else:
        act = repertoire.draw(rng, frames, steady, view == "egocentric")
    part = _part(rng, repertoire, act, steady)
    place = place or somewhere(rng, repertoire, held_out)
    if view == "egocentric":
        scene = _lived(rng, part)
        if rng.random() < 0.5:
            place = _at_home(rng, place, part.path)
    elif view == "third-person":
        scene = _watched(rng, part)
    else:
        scene = _empty(rng, part)
    light, develops, moved = _camera(rng)
    pictures = _paint(light, develops, place.draw, scene)
    return Take(
        pictures, FRAME_HZ, view, act, scene.facing, moved(scene.body).astype(np.float32),
        _aspect(scene), _squeeze(scene, moved),
    )  # fmt: skip


def rehearse(seed: int, repertoire: Repertoire, seconds: float = FRAMES / FRAME_HZ) -> Rehearsal:
    """What `film` would film from outside in a given place, many times as fast."""
    rng = _chance(seed, False)
    part = _part(rng, repertoire, repertoire.draw(rng, round(seconds * FRAME_HZ)))
    scene = _watched(rng, part)
    _, _, moved = _camera(rng)
    return Rehearsal(part.act, scene.facing, moved(scene.body).astype(np.float32), _squeeze(scene, moved))


def _chance(seed: int, held_out: bool) -> np.random.Generator:
    return np.random.default_rng(seed + HELD_OUT_SEEDS if held_out else seed)


def _part(rng: np.random.Generator, repertoire: Repertoire, act: Act, steady: bool = False) -> Part:
    actor = Actor.random(rng)
    # playback: some videos are slow motion, which a gait shows and what is meant does not depend on
    slow = rng.uniform(0.35, 0.9) if rng.random() < (0.12 if not steady else 0.0) else 1.0
    period_s = slow / FRAME_HZ
    path = Path.along(act.velocity, period_s, rng.uniform(-math.pi, math.pi))
    return Part(act, actor, path, _pose(rng, repertoire, actor, act, period_s))


def _lived(rng: np.random.Generator, part: Part) -> Scene:
    """Through the actor's own eyes."""
    actor, path, pose = part.actor, part.path, part.pose
    cast: list[Callable[[], Shapes]] = []
    views = egocentric(rng, actor, path, pose.hip, pose.lean, PIXELS)
    if rng.random() < 0.25:
        cast.append(lambda: actor.shapes(path, pose, limbs_only=True))
    if rng.random() < 0.3:
        cast.append(_bystander(rng, path, near=2.5))
    return Scene(views, cast, *_unseen(len(views)))


def _watched(rng: np.random.Generator, part: Part) -> Scene:
    """From outside."""
    actor, path, pose = part.actor, part.path, part.pose
    if rng.random() < 0.1:  # on a treadmill: the legs go, the ground does not
        path = Path(np.zeros_like(path.position), path.heading, path.velocity)
    views = third_person(rng, actor, path, PIXELS)
    cast = [lambda: actor.shapes(path, pose)]
    ahead = np.array([np.arctan2(v.rotation[1, 2], v.rotation[0, 2]) for v in views])
    facing = np.stack([np.cos(path.heading - ahead), np.sin(path.heading - ahead)], 1).astype(np.float32)
    body = _seen(actor.landmarks(path, pose), views)
    if rng.random() < 0.25:  # others, farther away
        for _ in range(rng.integers(1, 4)):
            cast.append(_behind(rng, path, views[0]))
    return Scene(views, cast, facing, body)


def _empty(rng: np.random.Generator, part: Part) -> Scene:
    """Where nobody is."""
    path, frames = part.path, len(part.act.velocity)
    still = Path(np.zeros_like(path.position), np.zeros(frames), np.zeros_like(path.velocity))
    views = third_person(rng, part.actor, still, PIXELS, "static")[:1] * frames
    cast = [_thing(rng, frames)] if rng.random() < 0.3 else []
    return Scene(views, cast, *_unseen(frames))


def _unseen(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The facing and the body of whoever is not seen."""
    return np.zeros((frames, 2), np.float32), np.full((frames, LANDMARKS, 2), np.nan, np.float32)


def _aspect(scene: Scene) -> float:
    return scene.views[0].focal[1] / scene.views[0].focal[0]


def _squeeze(scene: Scene, moved: Moves) -> float:
    wide, high = moved(np.ones(2)) - moved(np.zeros(2))
    return wide / high / _aspect(scene)


def somewhere(rng: np.random.Generator, repertoire: Repertoire, held_out: bool) -> Room:
    """A room, with the photographs of that world on its walls."""
    return room(rng, repertoire.photographs[repertoire.held_out == held_out], held_out)


def _at_home(rng: np.random.Generator, place: Room, path: Path) -> Room:
    """With the walls as near to where one walks as in a flat: near things move by much when one turns."""
    before, beyond = rng.uniform(0.5, 2.5, (2, 2))
    low, high = path.position.min(0) - before, path.position.max(0) + beyond
    return place.between([*low, 0.0], [*high, rng.uniform(2.3, 3.2)])


def _pose(rng: np.random.Generator, repertoire: Repertoire, actor: Actor, act: Act, period_s: float) -> Pose:
    if act.joints is not None:
        return robot_gait(act.joints.astype(float), repertoire.robot)
    pose = human_gait(rng, actor, act.velocity, period_s)
    return gesturing(rng, pose, np.array(repertoire.gestures)[act.gesture], period_s)


def _seen(points: np.ndarray, views: list[View]) -> np.ndarray:
    """(T, K, 2) where points (T, K, 3) are in the pictures [share]; nan where half of them are outside."""
    seen = np.full((*points.shape[:2], 2), np.nan, np.float32)
    for n, view in enumerate(views):
        pixels, depth = view.project(points[n])
        share = (pixels + 0.5) / (view.width, view.height)
        inside = (depth > 0.1) & ((share > -0.05) & (share < 1.05)).all(1)
        if inside.mean() > 0.5:
            seen[n] = np.clip(share, -1, 2)
    return seen


def _bystander(rng: np.random.Generator, path: Path, near: float) -> Callable[[], Shapes]:
    """Somebody else in an egocentric picture, standing or walking across."""
    angle = path.heading[0] + rng.uniform(-0.6, 0.6)
    start = path.position[0] + rng.uniform(near, 6.0) * np.array([math.cos(angle), math.sin(angle)])
    return _somebody(rng, start, len(path.heading))


def _behind(rng: np.random.Generator, path: Path, view: View) -> Callable[[], Shapes]:
    """Somebody farther from the camera than the actor."""
    away = path.position[0] - view.eye[:2]
    far = rng.uniform(1.5, 2.6) * np.linalg.norm(away)
    angle = math.atan2(away[1], away[0]) + rng.uniform(-0.5, 0.5)
    return _somebody(
        rng, view.eye[:2] + far * np.array([math.cos(angle), math.sin(angle)]), len(path.heading)
    )


def _somebody(rng: np.random.Generator, start: np.ndarray, frames: int) -> Callable[[], Shapes]:
    actor = Actor.random(rng)
    velocity = np.tile([rng.choice([0.0, rng.uniform(0.5, 1.3)]), 0.0, 0.0], (frames, 1))
    other = Path.along(velocity, 1 / FRAME_HZ, rng.uniform(-math.pi, math.pi))
    other = Path(other.position + start, other.heading, velocity)
    pose = human_gait(rng, actor, velocity, 1 / FRAME_HZ)
    return lambda: actor.shapes(other, pose)


def _thing(rng: np.random.Generator, frames: int) -> Callable[[], Shapes]:
    """A ball or a box that rolls through a room where nobody is."""
    start, velocity = rng.uniform(-2, 2, 2), rng.uniform(-1, 1, 2)
    radius, colour = rng.uniform(0.08, 0.35), tuple(int(c) for c in rng.integers(10, 245, 3))
    places = [np.array([*(start + velocity * n / FRAME_HZ), radius]) for n in range(frames)]
    return lambda: [[Capsule(place, place, radius, radius, colour)] for place in places]  # type: ignore[arg-type]


def _camera(rng: np.random.Generator) -> tuple[Light, Callable[[np.ndarray], np.ndarray], Moves]:
    """The light, what develops a picture, and where bars move its points: see `develop`."""
    angle = rng.uniform(-math.pi, math.pi)
    return (0.6 * math.cos(angle), 0.6 * math.sin(angle), 0.8), *develop(rng)


def _paint(
    light: Light,
    develops: Callable[[np.ndarray], np.ndarray],
    behind: Callable[[View], np.ndarray],
    scene: Scene,
) -> list[np.ndarray]:
    everybody = [shapes() for shapes in scene.cast]
    pictures = []
    still: np.ndarray | None = None  # a camera that does not move sees the same room
    for number, view in enumerate(scene.views):
        if still is None or number == 0 or view is not scene.views[number - 1]:
            still = behind(view)
        picture = still.copy()
        parts = [part for shapes in everybody for part in shapes[number]]
        if parts:
            paint(picture, view, parts, light, tones=2)
        pictures.append(develops(picture))
    return pictures


def features_of(take: Take) -> np.ndarray:
    """(T, 5, h, w) float32 what a camera's pictures are to the encoder."""
    period_ns = round(1e9 / take.rate_hz)
    stream = Features(IMAGE, period_ns)
    return np.array([stream.push(p, (n + 1) * period_ns)[0].copy() for n, p in enumerate(take.pictures)])


def streams(repertoire: Repertoire, count: int, seed: int) -> np.ndarray:
    """(count, T, 5, h, w) float16: held-out clips as a camera gives them to the whole encoder."""
    takes = (film(seed + n, repertoire, held_out=True) for n in range(count))
    return np.array([features_of(take).astype(np.float16) for take in takes])
