"""A person made of capsules: a body, clothes, a gait that goes with a path over the ground, and gestures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rmedge.robots import LIMBS, TRUNK, Robot
from rmedge.runtimes.painter import Capsule

__all__ = ["LANDMARKS", "Actor", "Path", "Pose", "gesturing", "human_gait", "robot_gait"]

Colour = tuple[int, int, int]
Link = Callable[[np.ndarray, np.ndarray, float, float, Colour], Capsule]
BONES = ("hip", "knee", "ankle", "toe", "chest", "shoulder", "elbow", "wrist", "neck", "crown")
PAIRED = ("shoulder", "elbow", "wrist", "knee", "ankle")
LANDMARKS = 3 + 2 * len(PAIRED)
RUN_FROM = 1.8  # [m/s] contracts, section 3: from here a person runs


@dataclass(frozen=True)
class Path:
    """A way over the ground, sampled at the clip's frames."""

    position: np.ndarray  # (T, 2) [m]
    heading: np.ndarray  # (T,) [rad]
    velocity: np.ndarray  # (T, 3) vx, vy [m/s], yaw rate [rad/s] in the mover's frame

    @classmethod
    def along(cls, velocity: np.ndarray, period_s: float, heading: float) -> Path:
        """The way that a velocity (T, 3) leads from the origin."""
        turned = heading + np.concatenate([[0.0], np.cumsum(velocity[:-1, 2])]) * period_s
        cos, sin = np.cos(turned), np.sin(turned)
        step = np.stack(
            [cos * velocity[:, 0] - sin * velocity[:, 1], sin * velocity[:, 0] + cos * velocity[:, 1]], 1
        )
        position = np.concatenate([np.zeros((1, 2)), np.cumsum(step[:-1] * period_s, 0)])
        return cls(position, turned, velocity)


@dataclass(frozen=True)
class Pose:
    """Joint angles over time, each (T,) or (T, 2) for left and right [rad]; flexion is positive."""

    hip: np.ndarray
    abduction: np.ndarray
    knee: np.ndarray
    shoulder: np.ndarray
    spread: np.ndarray
    elbow: np.ndarray
    inward: np.ndarray  # of the forearm
    lean: np.ndarray
    twist: np.ndarray
    bounce: np.ndarray  # (T,) [m] the feet leave the ground by this much


@dataclass(frozen=True)
class Actor:
    """A body's measures [m] and colours."""

    height: float
    girth: float  # scales every radius
    top: Colour
    sleeves: Colour
    trousers: Colour
    shoes: Colour
    skin: Colour
    hair: Colour
    legs: float = 0.5  # hip to sole, as a share of the height
    shoulders: float = 0.105  # half their width, likewise
    coat: float = 0.0  # [m] that a coat or skirt hangs below the hip
    backpack: Colour | None = None
    hat: bool = False
    locks: float = 0.04  # [m] that the hair falls behind the head

    @classmethod
    def random(cls, rng: np.random.Generator) -> Actor:
        def cloth() -> Colour:
            if rng.random() < 0.4:  # greys, black and white are what most people wear
                return (int(rng.integers(15, 240)),) * 3
            return tuple(int(c) for c in rng.integers(10, 245, 3))  # type: ignore[return-value]

        top = cloth()
        skin = np.array([224, 180, 150]) * rng.uniform(0.35, 1.1)
        skin_colour: Colour = tuple(int(min(c, 255)) for c in skin)  # type: ignore[assignment]
        hair: Colour = tuple(int(c) for c in np.array([60, 45, 35]) * rng.uniform(0.2, 3.0))  # type: ignore[assignment]
        sleeves = skin_colour if rng.random() < 0.35 else top
        silhouette = rng.random() < 0.05  # some videos show no more than an outline
        if silhouette:
            top = sleeves = trousers = shoes = skin_colour = hair = (int(rng.integers(0, 60)),) * 3
        else:
            trousers = skin_colour if rng.random() < 0.12 else cloth()
            shoes = cloth()
        return cls(
            height=rng.uniform(1.5, 1.95), girth=rng.uniform(0.8, 1.35), top=top, sleeves=sleeves,
            trousers=trousers, shoes=shoes, skin=skin_colour, hair=hair, legs=rng.uniform(0.46, 0.53),
            shoulders=rng.uniform(0.09, 0.125), coat=rng.uniform(0.1, 0.4) if rng.random() < 0.2 else 0.0,
            backpack=cloth() if rng.random() < 0.15 and not silhouette else None, hat=rng.random() < 0.2,
            locks=rng.uniform(0.12, 0.25) if rng.random() < 0.25 else rng.uniform(0.03, 0.08),
        )  # fmt: skip

    @property
    def leg(self) -> float:
        """Hip to sole [m]."""
        return self.legs * self.height

    def shapes(self, path: Path, pose: Pose, limbs_only: bool = False) -> list[list[Capsule]]:
        """The body at every frame; ``limbs_only`` leaves out what its own eyes do not see of it."""
        bones = self._bones(pose)
        frames = []
        for frame in range(len(path.heading)):
            placed = self._placed(path, frame, float(bones["pelvis"][frame]))
            frames.append(self._frame(placed, {name: bones[name][frame] for name in BONES}))
        return [parts[-12:] if limbs_only else parts for parts in frames]

    def landmarks(self, path: Path, pose: Pose) -> np.ndarray:
        """(T, 13, 3) [m] in the world: crown, neck, middle of the hips, then left and right of the others."""
        bones = self._bones(pose)
        middle = np.zeros((len(path.heading), 1, 3))
        single = [bones["crown"][:, None], bones["neck"][:, None], middle]
        local = np.concatenate([*single, *(bones[name] for name in PAIRED)], 1)
        places = [self._placed(path, n, float(bones["pelvis"][n])) for n in range(len(local))]
        return np.array([p + points @ r.T for (p, r), points in zip(places, local, strict=True)])

    def _bones(self, pose: Pose) -> dict[str, np.ndarray]:
        """Where the joints are in the pelvis' frame, (T, 3) or (T, 2, 3), and how high that is (T,) [m]."""
        unit = self.height
        thigh, shin = 0.51 * self.leg - 0.015 * unit, 0.49 * self.leg
        upper, lower = 0.175 * unit, 0.155 * unit
        side = np.array([1.0, -1.0])
        # the leg's plane swings in pitch by the hip's flexion and in roll by its abduction
        hip = np.stack([np.zeros(2), 0.055 * unit * side, np.zeros(2)], -1)  # (2, 3)
        knee = hip + thigh * _limb(pose.hip, side * pose.abduction)
        ankle = knee + shin * _limb(pose.hip - pose.knee, side * pose.abduction)
        # toes a little up when the leg swings, flat on the ground otherwise
        toe = ankle + 0.1 * unit * np.stack(
            [np.cos(0.3 * pose.knee), np.zeros_like(pose.knee), -np.sin(0.3 * pose.knee)], -1
        )
        trunk = _limb(math.pi + pose.lean, 0.0 * pose.lean)  # upwards
        chest = 0.29 * unit * trunk
        across = np.stack([-np.sin(pose.twist), np.cos(pose.twist), np.zeros_like(pose.twist)], -1)
        shoulder = chest[:, None] + self.shoulders * unit * across[:, None] * side[None, :, None]
        elbow = shoulder + upper * _limb(pose.shoulder, side * pose.spread)
        forearm = _limb(pose.shoulder + pose.elbow, side * pose.spread * 0.5)
        forearm = forearm - np.sin(pose.inward)[..., None] * np.stack([0 * side, side, 0 * side], -1)
        return {
            "pelvis": pose.bounce - ankle[..., 2].min(1) + 0.03 * unit,
            "hip": np.broadcast_to(hip, knee.shape),
            "knee": knee,
            "ankle": ankle,
            "toe": toe,
            "chest": chest,
            "shoulder": shoulder,
            "elbow": elbow,
            "wrist": elbow + lower * forearm / np.linalg.norm(forearm, axis=-1, keepdims=True),
            "neck": chest + 0.05 * unit * trunk,
            "crown": chest + 0.135 * unit * trunk,
        }

    @staticmethod
    def _placed(path: Path, frame: int, pelvis: float) -> tuple[np.ndarray, np.ndarray]:
        cos, sin = math.cos(path.heading[frame]), math.sin(path.heading[frame])
        rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return np.array([*path.position[frame], pelvis]), rotation

    def _frame(self, placed: tuple[np.ndarray, np.ndarray], bones: dict[str, np.ndarray]) -> list[Capsule]:
        hip, knee, ankle, toe, chest, shoulder, elbow, wrist, neck, crown = (bones[name] for name in BONES)
        origin, rotation = placed
        thick = self.height * self.girth

        def link(start: np.ndarray, end: np.ndarray, first: float, last: float, colour: Colour) -> Capsule:
            return Capsule(
                origin + rotation @ start, origin + rotation @ end, first * thick, last * thick, colour
            )

        parts = [
            link(np.zeros(3), 0.6 * chest, 0.075, 0.07, self.top),
            link(0.5 * chest, 0.92 * chest, 0.075, 0.08, self.top),
            link(0.9 * shoulder[0] + 0.1 * chest, 0.9 * shoulder[1] + 0.1 * chest, 0.045, 0.045, self.top),
            link(hip[0], hip[1], 0.06, 0.06, self.trousers),
            link(chest, neck, 0.03, 0.03, self.skin),
            link(neck + 0.4 * (crown - neck), crown, 0.042, 0.048, self.skin),
            *self._hair_and_eyes(link, neck, crown),
        ]
        if self.coat:
            fall = np.array([0.0, 0.0, -self.coat])
            parts.append(
                link(np.zeros(3), 0.5 * (knee[0] + knee[1]) * np.array([1, 0, 0]) + fall, 0.07, 0.1, self.top)
            )
        if self.backpack:
            behind = np.array([-0.08 * self.height, 0.0, 0.0])
            parts.append(link(0.35 * chest + behind, 0.85 * chest + behind, 0.07, 0.065, self.backpack))
        if self.hat:
            parts.append(
                link(crown, crown + np.array([0.04 * self.height, 0.0, 0.01]), 0.05, 0.03, self.shoes)
            )
        for n in range(2):
            parts += [
                link(hip[n], knee[n], 0.052, 0.036, self.trousers),
                link(knee[n], ankle[n], 0.036, 0.024, self.trousers),
                link(ankle[n], toe[n], 0.025, 0.018, self.shoes),
                link(shoulder[n], elbow[n], 0.032, 0.026, self.top),
                link(elbow[n], wrist[n], 0.025, 0.019, self.sleeves),
                link(wrist[n], wrist[n] + 0.25 * (wrist[n] - elbow[n]), 0.021, 0.018, self.skin),
            ]
        return parts

    def _hair_and_eyes(self, link: Link, neck: np.ndarray, crown: np.ndarray) -> list[Capsule]:
        """What tells the back of a head from its front."""
        wide = 0.045 * self.height * self.girth  # [m] the head's radius
        ahead, aside, up = np.eye(3)
        brow = neck + 0.72 * (crown - neck) + 0.85 * wide * ahead
        shade: Colour = tuple(c // 2 for c in self.skin)  # type: ignore[assignment]
        above, behind = 0.02 * up - 0.012 * ahead, -self.locks * up - 0.035 * ahead
        return [
            link(crown + above, crown + behind, 0.047, 0.044, self.hair),
            link(brow + 0.45 * wide * aside, brow - 0.45 * wide * aside, 0.006, 0.006, shade),
        ]


def _limb(pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) that hang down, swung forward by ``pitch`` and outward (left) by ``roll``."""
    return np.stack([np.sin(pitch), np.cos(pitch) * np.sin(roll), -np.cos(pitch) * np.cos(roll)], -1)


def human_gait(rng: np.random.Generator, actor: Actor, velocity: np.ndarray, period_s: float) -> Pose:
    """A person's gait for a velocity (T, 3): cadence and stride from the speed, the rest a matter of style.

    The stride follows from the speed (``v = 4 f L sin A``), the knee flexes in swing, the arms counter
    the legs; walking backward runs the phase backward; from 1.8 m/s on it is a run with flight.
    """
    vx, vy, yaw = velocity.T
    speed = np.hypot(vx, vy) + 0.25 * np.abs(yaw)
    moving = np.clip(speed / 0.25, 0.0, 1.0)
    running = np.clip((vx - 1.6) / 0.4, 0.0, 1.0)
    cadence = rng.uniform(0.8, 1.1) * (0.75 + 0.2 * np.minimum(speed, 1.5) + 0.35 * running)  # [strides/s]
    direction = np.where(vx < -0.05, -1.0, 1.0)
    phase = rng.uniform(0, 2 * math.pi) + np.cumsum(2 * math.pi * cadence * direction * moving) * period_s
    phase = phase[:, None] + np.array([0.0, math.pi])
    stride = np.abs(vx)[:, None] / (4 * cadence[:, None] * actor.leg)
    amplitude = np.arcsin(np.clip(stride * (1 - 0.25 * running[:, None]), 0, 0.75))
    swing = np.maximum(0.0, np.cos(phase + 0.3)) ** 1.5
    lift = moving[:, None] * (0.35 + 1.3 * amplitude * rng.uniform(0.7, 1.2) + 0.9 * running[:, None])
    sway = np.sin(phase) * (0.35 * np.clip(np.abs(vy), 0, 1))[:, None] * np.sign(vy)[:, None]
    arms = rng.choice([0.0, 0.5, 1.0, 1.4], p=[0.15, 0.25, 0.4, 0.2])
    rest = rng.uniform(-0.1, 0.5) if rng.random() < 0.8 else rng.uniform(0.5, 1.4)
    idle = 0.03 * np.sin(np.arange(len(vx)) * period_s * rng.uniform(0.5, 2.0) + rng.uniform(0, 6))
    return Pose(
        hip=amplitude * np.sin(phase) + 0.1 * lift * swing + 0.5 * idle[:, None],
        abduction=rng.uniform(0.0, 0.08) + np.maximum(0.0, sway * np.array([1.0, -1.0])),
        knee=rng.uniform(0.02, 0.2) + lift * swing + 0.25 * running[:, None],
        shoulder=-arms * (0.9 * amplitude + 0.4 * running[:, None]) * np.sin(phase)
        + idle[:, None]
        + 0.2 * rest,
        spread=np.full((len(vx), 2), rng.uniform(0.05, 0.3)),
        elbow=np.clip(
            rest + 0.9 * running[:, None] + 0.2 * arms * np.maximum(0, -np.sin(phase)) * amplitude, 0, 2.2
        ),
        inward=np.zeros((len(vx), 2)),
        lean=-(rng.uniform(-0.03, 0.1) + 0.12 * running) + idle,
        twist=0.1 * arms * amplitude[:, 0] * np.sin(phase[:, 0]),
        bounce=running * rng.uniform(0.02, 0.07) * np.abs(np.sin(phase[:, 0])),
    )


def robot_gait(joints: np.ndarray, robot: Robot) -> Pose:
    """The pose of a person who moves as a robot's joints (T, Da) do."""
    trunk = {role: robot.angles(role, joints).sum(1) for role in TRUNK}  # zero where it has no such joint
    limbs = {role: robot.angles(role, joints) for role in LIMBS}
    still = np.zeros((len(joints), 2))
    return Pose(**trunk, **limbs, inward=still, bounce=still[:, 0])


def gesturing(rng: np.random.Generator, pose: Pose, gesture: np.ndarray, period_s: float) -> Pose:
    """The pose with the upper body doing what ``gesture`` (T,) names, as people do it; "none" leaves it.

    A gesture is taken up and put down within half a second.
    """
    for name in dict.fromkeys(gesture.tolist()):
        if name in _GESTURES:
            share = _eased(gesture == name, period_s)
            time_s = np.arange(len(gesture)) * period_s
            pose = _blended(pose, _GESTURES[name](rng, time_s), share)
    return pose


Change = dict[str, tuple[np.ndarray, np.ndarray]]  # angle -> (T, 2) or (T,) and which limbs it holds for
BOTH = np.array([1.0, 1.0])


def _eased(on: np.ndarray, period_s: float) -> np.ndarray:
    """(T,) 0 to 1: on or off, a quarter of a second from one to the other either way."""
    if on.all():
        return np.ones(len(on))
    width = max(1, round(0.4 / period_s))
    padded = np.concatenate([np.repeat(on[:1], width), on]).astype(float)
    return np.convolve(padded, np.ones(width) / width, "valid")[1:]


def _blended(pose: Pose, change: Change, share: np.ndarray) -> Pose:
    found = {}
    for angle, (value, held) in change.items():
        before = getattr(pose, angle)
        weight = share[:, None] * held if before.ndim == 2 else share * held
        found[angle] = before + weight * (value - before)
    return replace(pose, **found)


def _arms(rng: np.random.Generator, time_s: np.ndarray, hz: tuple[float, float]) -> tuple[np.ndarray, float]:
    """A swing (T,) in [-1, 1] at a frequency drawn within ``hz``, and its phase."""
    phase = rng.uniform(0, 2 * math.pi)
    return np.sin(2 * math.pi * rng.uniform(*hz) * time_s + phase), phase


def _flat(value: float, time_s: np.ndarray) -> np.ndarray:
    return np.full((len(time_s), 2), value)


def _wave(rng: np.random.Generator, time_s: np.ndarray) -> Change:
    arm = np.array([0.0, 1.0]) if rng.random() < 0.6 else np.array([1.0, 0.0])
    swing, _ = _arms(rng, time_s, (0.8, 2.2))
    raised, bent = rng.uniform(0.9, 2.2), rng.uniform(0.6, 1.4)
    return {
        "shoulder": (_flat(raised, time_s), arm),
        "spread": (_flat(rng.uniform(0.3, 0.9), time_s), arm),
        "elbow": (_flat(bent, time_s), arm),
        "inward": (np.stack([swing, swing], 1) * rng.uniform(0.4, 0.8) - 0.1, arm),
    }


def _arms_up(rng: np.random.Generator, time_s: np.ndarray) -> Change:
    return {
        "shoulder": (_flat(rng.uniform(2.6, 3.2), time_s), BOTH),
        "spread": (_flat(rng.uniform(-0.5, 0.1), time_s), BOTH),  # turned over: outward is inward
        "elbow": (_flat(rng.uniform(0.0, 0.4), time_s), BOTH),
    }


def _carry(rng: np.random.Generator, time_s: np.ndarray) -> Change:
    return {
        "shoulder": (_flat(rng.uniform(0.3, 0.9), time_s), BOTH),
        "spread": (_flat(rng.uniform(0.0, 0.2), time_s), BOTH),
        "elbow": (_flat(rng.uniform(0.7, 1.3), time_s), BOTH),
        "inward": (_flat(rng.uniform(-0.05, 0.15), time_s), BOTH),
    }


def _swing_arms(rng: np.random.Generator, time_s: np.ndarray) -> Change:
    swing, _ = _arms(rng, time_s, (0.7, 1.3))
    reach = rng.uniform(0.7, 1.2)
    return {
        "shoulder": (np.stack([swing, -swing], 1) * reach, BOTH),
        "elbow": (_flat(rng.uniform(0.0, 0.5), time_s), BOTH),
    }


def _bow(rng: np.random.Generator, time_s: np.ndarray) -> Change:
    return {"lean": (np.full(len(time_s), -rng.uniform(0.4, 0.9)), np.array(1.0))}


def _twist(rng: np.random.Generator, time_s: np.ndarray) -> Change:
    swing, _ = _arms(rng, time_s, (0.4, 0.8))
    return {"twist": (swing * rng.uniform(0.4, 0.9), np.array(1.0))}


def _clap(rng: np.random.Generator, time_s: np.ndarray) -> Change:
    swing, _ = _arms(rng, time_s, (0.9, 2.2))
    return {
        "shoulder": (_flat(rng.uniform(0.7, 1.1), time_s), BOTH),
        "spread": (_flat(0.15, time_s), BOTH),
        "elbow": (_flat(rng.uniform(0.4, 0.9), time_s), BOTH),
        "inward": (np.stack([swing, swing], 1) * rng.uniform(0.3, 0.45) + 0.1, BOTH),
    }


_GESTURES = {
    "wave": _wave,
    "arms_up": _arms_up,
    "carry": _carry,
    "swing_arms": _swing_arms,
    "bow": _bow,
    "twist": _twist,
    "clap": _clap,
}
