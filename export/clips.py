"""Clips of people who move: seeded, rendered in software, with the intent of what the actor did.

A clip is three seconds at the encoder's rate. Its motion is a slice of the teachers' closed-loop motion
(so its intent is known, and changes as motions do); the actor walks it with a person's gait or with the
robot's own. It is seen by a static, panning, following or hand-held camera from any side, on a
treadmill, or through the actor's own eyes; or nobody is there.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path as FilePath

import cv2
import numpy as np

from rmedge.export.actor import Actor, Path, human_gait, robot_gait
from rmedge.export.motion import Library
from rmedge.export.rollouts import Ticks
from rmedge.labels import LABELS
from rmedge.manifest import ImageSpec
from rmedge.robots import Robot
from rmedge.runtimes.features import Features
from rmedge.runtimes.painter import Capsule, View, paint
from rmedge.runtimes.scenery import Furniture, Room

__all__ = ["IMAGE", "RATE_HZ", "Clips", "Tracks", "film", "render", "texture", "tracks_of"]

RATE_HZ = 10.0
FRAMES = 30
TICKS_A_FRAME = 5  # 50 Hz to 10 Hz
PIXELS = 112  # painted at this size, then seen at the encoder's
STORE = 32.0  # features are kept as int8 steps of 1/32
IMAGE = ImageSpec(
    height=96,
    width=96,
    colour="gray",
    motion="dis_flow",
    feature_height=48,
    feature_width=48,
    flow_scale=0.25,
)
VIEWS = ("third", "ego", "none")
EVENLY: Mapping[str, float] = {}
AS_PEOPLE_DO = {
    "walk_forward": 4.0,
    "run_forward": 2.5,
    "stand": 2.5,
    "arc_left": 1.2,
    "arc_right": 1.2,
    "walk_backward": 0.7,
}


def tracks_of(ticks: Ticks, library: Library, robot: Robot, stride: int = 25) -> Tracks:
    """Slices of the rollouts, every half a second; each frame's intent is its segment's, in one gait.

    Motions with a gesture are left out: what the encoder is asked for does not know them yet.
    """
    row_of = {int(segment): row for row, segment in enumerate(library.segment)}
    moving = library.velocity * (library.gait != 0)[:, None]  # what stands is exactly still
    z = np.array([library.prototype(v) for v in moving])
    z_mirrored = np.array([library.prototype(v * [1, -1, -1]) for v in moving])
    length = FRAMES * TICKS_A_FRAME
    starts = np.arange(0, len(ticks.trial) - length, stride)
    starts = starts[ticks.trial[starts] == ticks.trial[starts + length - 1]]
    index = starts[:, None] + np.arange(0, length, TICKS_A_FRAME)
    segments = ticks.segment[index]
    whole = np.isin(segments, library.segment[library.gesture == 0]).all(1)
    index, segments = index[whole], segments[whole]
    rows = np.vectorize(row_of.__getitem__)(segments)
    return Tracks(
        velocity=library.velocity[rows].astype(np.float32),
        joints=ticks.motion[index][..., 6 : 6 + len(robot.joints)] + robot.default_pose.astype(np.float32),
        z=z[rows].astype(np.float32),
        z_mirrored=z_mirrored[rows].astype(np.float32),
        label=library.label[rows],
        robot=robot,
    )


@dataclass(frozen=True)
class Tracks:
    """Motion to act out, at the encoder's rate: slices (N, FRAMES, ...) of the teachers' rollouts."""

    velocity: np.ndarray  # (N, FRAMES, 3)
    joints: np.ndarray  # (N, FRAMES, Da)
    z: np.ndarray  # (N, FRAMES, Z)
    z_mirrored: np.ndarray  # (N, FRAMES, Z) of the same motion with left and right exchanged
    label: np.ndarray  # (N, FRAMES)
    robot: Robot  # whose joints they are


@dataclass(frozen=True)
class Clips:
    """What the encoder learns from."""

    features: np.ndarray  # (N, FRAMES, 3, h, w) int8, steps of 1/32
    z: np.ndarray  # (N, FRAMES, Z)
    z_mirrored: np.ndarray  # (N, FRAMES, Z) of the clip flipped left to right
    facing: (
        np.ndarray
    )  # (N, FRAMES, 2) cosine and sine of the actor's heading seen from the camera, 0 0 if unseen
    velocity: np.ndarray  # (N, FRAMES, 3) of the robot's motion [m/s, m/s, rad/s]
    label: np.ndarray  # (N, FRAMES)
    view: np.ndarray  # (N,) index into VIEWS


def film(seed: int, tracks: Tracks) -> tuple[list[np.ndarray], int, int, np.ndarray]:
    """One clip's pictures (PIXELS, PIXELS, 3) RGB, its track, its view, where the actor faces (FRAMES, 2)."""
    rng = np.random.default_rng(seed)
    view = int(rng.choice(3, p=[0.66, 0.28, 0.06]))
    # through somebody's eyes every motion shows; from outside, forward and backward look much alike in a
    # small picture, and what decides is that people mostly walk forward
    track = _drawn(rng, tracks.label, EVENLY if VIEWS[view] == "ego" else AS_PEOPLE_DO)
    velocity = tracks.velocity[track].copy()
    actor = Actor.random(rng)
    # a person is larger and faster than the robot: the same motion, at a person's speed
    pace = rng.uniform(1.8, 2.9)  # people walk at 1.2 to 1.4 m/s where a G1 walks at 0.5
    fast = np.clip((velocity[:, 0] - 0.6) / 0.1, 0, 1)
    velocity[:, 0] = velocity[:, 0] * pace + fast * rng.uniform(0.4, 1.6)
    velocity[:, 1] *= rng.uniform(1.0, 2.5)
    velocity[:, 2] *= rng.uniform(0.8, 1.4)
    if rng.random() < 0.25:  # slow motion, or a little fast
        velocity *= rng.uniform(0.5, 1.15)
    slow = rng.uniform(0.45, 1.0) if rng.random() < 0.25 else 1.0  # playback rate, which a gait shows
    period = slow / RATE_HZ
    path = Path.along(velocity, period, rng.uniform(-math.pi, math.pi))
    if rng.random() < 0.85:
        pose = human_gait(rng, actor, velocity, period)
    else:
        pose = robot_gait(tracks.joints[track], tracks.robot)
    room = _room(rng)
    look = _lens(rng)
    shapes: list[list[Capsule]]
    facing = np.zeros((FRAMES, 2), np.float32)
    if VIEWS[view] == "ego":
        views, shapes = _egocentric(rng, actor, path, pose.hip, look), [[] for _ in range(FRAMES)]
        if rng.random() < 0.3:
            shapes = _bystander(rng, path)
    elif VIEWS[view] == "third":
        if rng.random() < 0.1:  # on a treadmill: the legs go, the ground does not
            path = Path(np.zeros_like(path.position), path.heading, path.velocity)
        views, shapes = _third_person(rng, actor, path, look), actor.shapes(path, pose)
        ahead = np.array([np.arctan2(view.rotation[1, 2], view.rotation[0, 2]) for view in views])
        facing = np.stack([np.cos(path.heading - ahead), np.sin(path.heading - ahead)], 1).astype(np.float32)
    else:
        still = Path(np.zeros_like(path.position), np.zeros(FRAMES), np.zeros_like(velocity))
        views, shapes = _third_person(rng, actor, still, look, still_only=True), [[] for _ in range(FRAMES)]
    return _paint(rng, room, views, shapes), track, view, facing


def _drawn(rng: np.random.Generator, label: np.ndarray, weight: Mapping[str, float]) -> int:
    """A track whose middle frame has a label drawn with these weights (1 where none is given)."""
    middle = label[:, FRAMES // 2]
    present = np.unique(middle)
    share = np.array([weight.get(LABELS[n], 1.0) for n in present])
    return int(rng.choice(np.flatnonzero(middle == rng.choice(present, p=share / share.sum()))))


def _lens(rng: np.random.Generator) -> dict[str, float]:
    # every picture is seen squeezed to a square: fy / fx is the picture's aspect ratio
    aspect = rng.choice([16 / 9, 4 / 3, 1.0, 9 / 16, 2.0], p=[0.45, 0.15, 0.2, 0.1, 0.1])
    return {"fov_y_rad": rng.uniform(0.6, 1.3), "stretch": aspect * rng.uniform(0.93, 1.07)}


def _wander(rng: np.random.Generator, size: float, smooth: int = 3) -> np.ndarray:
    """(FRAMES, 3) hand-held wobble of about ``size``."""
    steps = rng.standard_normal((FRAMES + smooth, 3))
    steps = np.stack(
        [np.convolve(column, np.ones(smooth) / smooth, "valid")[:FRAMES] for column in steps.T], 1
    )
    return size * steps


def _third_person(
    rng: np.random.Generator, actor: Actor, path: Path, lens: dict[str, float], still_only: bool = False
) -> list[View]:
    kind = rng.choice(["static", "pan", "follow"], p=[0.4, 0.25, 0.35])
    if still_only:
        kind = rng.choice(["static", "pan"], p=[0.8, 0.2])
    fill = rng.uniform(0.5, 1.15)  # how much of the picture's height the person takes
    distance = actor.height / (2 * fill * math.tan(lens["fov_y_rad"] / 2))
    azimuth = rng.uniform(-math.pi, math.pi)
    height = rng.uniform(0.4, 1.1) * actor.height + (rng.uniform(0, 2) if rng.random() < 0.2 else 0)
    away = distance * np.array([math.cos(azimuth), math.sin(azimuth)])
    centre = path.position[rng.integers(8, FRAMES - 8)] if kind == "static" else path.position[0]
    aim = np.array([0.0, 0.0, 0.5 * actor.height]) + rng.normal(0, 0.12, 3) * distance * np.array([1, 1, 0.5])
    shake = _wander(rng, rng.choice([0.0, 0.004, 0.02], p=[0.4, 0.35, 0.25]) * distance)
    drift = np.zeros(FRAMES)
    if still_only and kind == "pan":
        drift = np.linspace(0, rng.uniform(-1, 1), FRAMES)
    turn = rng.uniform(-0.15, 0.15) if kind == "follow" and rng.random() < 0.3 else 0.0  # round the person
    views = []
    for frame in range(FRAMES):
        here = path.position[frame]
        angle = turn * frame / RATE_HZ
        cos, sin = math.cos(angle), math.sin(angle)
        offset = np.array([cos * away[0] - sin * away[1], sin * away[0] + cos * away[1]])
        base = here if kind == "follow" else centre
        target = here if kind in ("follow", "pan") and not still_only else centre
        eye = np.array([*(base + offset), height]) + 0.3 * shake[frame]
        target = np.array([*target, 0.0]) + aim + shake[frame] + drift[frame]
        views.append(View.look_at(eye, target, lens["fov_y_rad"], PIXELS, PIXELS, stretch=lens["stretch"]))
    return views


def _egocentric(
    rng: np.random.Generator, actor: Actor, path: Path, hip: np.ndarray, lens: dict[str, float]
) -> list[View]:
    eye_height = actor.height * rng.uniform(0.7, 0.95)  # worn on the chest or the head
    pitch = rng.uniform(-0.6, 0.1)
    offset = rng.normal(0, 0.1)
    steadiness = rng.choice([0.1, 0.6, 1.0])  # a gimbal, a careful hand, a head
    swing = hip[:, 0]
    speed = np.hypot(path.velocity[:, 0], path.velocity[:, 1])
    bob = steadiness * 0.04 * np.minimum(speed, 2) * np.abs(swing) / max(float(np.abs(swing).max()), 0.2)
    shake = _wander(rng, steadiness * rng.choice([0.005, 0.02, 0.04]))
    lens = {**lens, "fov_y_rad": rng.uniform(0.8, 1.5)}
    views = []
    for frame in range(FRAMES):
        heading = path.heading[frame] + offset + shake[frame, 0] + 0.04 * steadiness * swing[frame]
        tilt = pitch + shake[frame, 1]
        eye = np.array([*path.position[frame], eye_height + bob[frame]])
        ahead = np.array(
            [math.cos(heading) * math.cos(tilt), math.sin(heading) * math.cos(tilt), math.sin(tilt)]
        )
        roll = 0.05 * steadiness * swing[frame] + shake[frame, 2]
        views.append(
            View.look_at(
                eye, eye + ahead, lens["fov_y_rad"], PIXELS, PIXELS, roll=roll, stretch=lens["stretch"]
            )
        )
    return views


def _bystander(rng: np.random.Generator, path: Path) -> list[list[Capsule]]:
    """Somebody else in an egocentric picture, standing or walking across."""
    actor = Actor.random(rng)
    velocity = np.tile([rng.choice([0.0, rng.uniform(0.5, 1.3)]), 0.0, 0.0], (FRAMES, 1))
    other = Path.along(velocity, 1 / RATE_HZ, rng.uniform(-math.pi, math.pi))
    angle = path.heading[0] + rng.uniform(-0.6, 0.6)
    start = path.position[0] + rng.uniform(2.5, 6.0) * np.array([math.cos(angle), math.sin(angle)])
    other = Path(other.position + start, other.heading, velocity)
    return actor.shapes(other, human_gait(rng, actor, velocity, 1 / RATE_HZ))


def texture(rng: np.random.Generator) -> np.ndarray:
    """(128, 128, 3) something like a wall, a floor, a lawn or a facade: mostly calm, seldom loud."""

    def near(colour: np.ndarray, spread: float) -> list[int]:
        return [int(c) for c in np.clip(colour + rng.normal(0, spread, 3), 0, 255)]

    colour = rng.uniform(40, 225) + rng.normal(0, 18, 3)
    picture = np.tile(colour.astype(np.float32), (128, 128, 1))
    rough = rng.choice([2.0, 8.0, 20.0], p=[0.4, 0.4, 0.2])
    for cells in (2, 8, 32):
        coarse = rng.standard_normal((cells, cells, 1)).astype(np.float32) * rng.uniform(0, rough)
        picture += cv2.resize(coarse, (128, 128), interpolation=cv2.INTER_CUBIC)[..., None]
    kind = rng.choice(["plain", "bricks", "planks", "blobs", "windows"], p=[0.4, 0.15, 0.15, 0.1, 0.2])
    shade = float(rng.normal(0, 30))
    if kind == "bricks":
        for row in range(8):
            picture[row * 16] += shade
            picture[row * 16 : row * 16 + 16, (row % 2) * 16 :: 32] += shade
    elif kind == "planks":
        picture[:, :: int(rng.choice([16, 32]))] += shade
    elif kind == "blobs":
        for _ in range(rng.integers(5, 30)):
            centre = tuple(int(c) for c in rng.integers(0, 128, 2))
            cv2.circle(picture, centre, int(rng.integers(2, 22)), near(colour, 40), -1)
    elif kind == "windows":
        for _ in range(rng.integers(2, 12)):
            x, y, w, h = (int(v) for v in (*rng.integers(0, 110, 2), *rng.integers(6, 50, 2)))
            cv2.rectangle(picture, (x, y), (x + w, y + h), near(colour, 50), -1)
    return cv2.GaussianBlur(np.clip(picture, 0, 255).astype(np.uint8), (3, 3), 0)


def _room(rng: np.random.Generator) -> Room:
    half = rng.uniform(4, 25, 2) if rng.random() < 0.6 else rng.uniform(3, 6, 2)
    height = rng.uniform(2.4, 9.0)
    textures = [texture(rng) for _ in range(6)]
    if rng.random() < 0.4:  # the open sky
        textures[5] = np.full((128, 128, 3), rng.integers(150, 255), np.uint8)
    furniture = []
    for _ in range(rng.integers(0, 6)):
        size = rng.uniform(0.15, 1.0, 3)
        angle, far = rng.uniform(-math.pi, math.pi), rng.uniform(2.0, float(half.min()))
        place = np.array([far * math.cos(angle), far * math.sin(angle), size[2]])
        furniture.append(Furniture(place, size, texture(rng), rng.uniform(0.5, 2.0)))
    return Room([-half[0], -half[1], 0], [*half, height], textures, rng.uniform(0.8, 4.0, 6), furniture)


def _paint(
    rng: np.random.Generator, room: Room, views: list[View], shapes: list[list[Capsule]]
) -> list[np.ndarray]:
    angle = rng.uniform(-math.pi, math.pi)
    light = (0.6 * math.cos(angle), 0.6 * math.sin(angle), 0.8)
    gain, lift = rng.uniform(0.5, 1.3), rng.uniform(-30, 40)
    noise = rng.choice([0.0, 3.0, 8.0])
    blur = rng.random() < 0.3
    quality = int(rng.integers(25, 95)) if rng.random() < 0.6 else 0
    bars = rng.integers(4, 30, 2) * (rng.random(2) < 0.1)  # black above and below, or left and right
    pictures = []
    for view, parts in zip(views, shapes, strict=True):
        picture = room.draw(view)
        if parts:
            paint(picture, view, parts, light, tones=2)
        picture = cv2.convertScaleAbs(np.maximum(picture.astype(np.float32) * gain + lift, 0.0))
        if blur:
            picture = cv2.GaussianBlur(picture, (3, 3), 0.8)
        if noise:
            picture = cv2.add(picture, rng.normal(0, noise, picture.shape), dtype=cv2.CV_8U)
        if quality:
            coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
        if bars.any():
            inner = cv2.resize(
                picture, (PIXELS - 2 * int(bars[1]), PIXELS - 2 * int(bars[0])), interpolation=cv2.INTER_AREA
            )
            picture = np.pad(inner, ((bars[0],) * 2, (bars[1],) * 2, (0, 0)))
        pictures.append(picture)
    return pictures


def render(
    tracks: Tracks,
    count: int,
    folder: FilePath,
    seed: int,
    progress: Callable[[float], None] = lambda done: None,
) -> Clips:
    """``count`` clips, on all cores, in shards that are kept in ``folder`` and read again."""
    shard = 64
    jobs = [
        (
            tracks,
            range(seed + first, seed + min(first + shard, count)),
            folder / f"clips-{seed + first:07d}.npz",
        )
        for first in range(0, count, shard)
    ]
    missing = [job for job in jobs if not job[-1].exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(
            min(len(missing), os.cpu_count() or 1), mp_context=get_context("spawn")
        ) as pool:
            for done, _ in enumerate(pool.map(_shard, missing), 1):
                progress(done / len(missing))
    parts = []
    for _, _, path in jobs:
        with np.load(path, allow_pickle=False) as arrays:
            parts.append({name: arrays[name] for name in arrays.files})
    return Clips(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _shard(job: tuple[Tracks, range, FilePath]) -> None:
    tracks, seeds, path = job
    cv2.setNumThreads(1)
    kept: dict[str, list[np.ndarray]] = {name: [] for name in (f.name for f in fields(Clips))}
    period_ns = round(1e9 / RATE_HZ)
    for seed in seeds:
        pictures, track, view, facing = film(seed, tracks)
        stream = Features(IMAGE, period_ns)
        rows = [stream.push(p, (n + 1) * period_ns)[0].copy() for n, p in enumerate(pictures)]
        kept["features"].append(np.clip(np.round(np.array(rows) * STORE), -127, 127).astype(np.int8))
        kept["facing"].append(facing)
        kept["view"].append(np.array(view))
        for name in ("z", "z_mirrored", "velocity", "label"):
            kept[name].append(getattr(tracks, name)[track])
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **{name: np.array(value) for name, value in kept.items()})  # type: ignore[arg-type]
    partial.replace(path)
