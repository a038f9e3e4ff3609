"""A person made of capsules: a body, clothes, and a gait that goes with a path over the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rmedge.robots import LIMBS, TRUNK, Robot
from rmedge.runtimes.painter import Capsule

__all__ = ["Actor", "Path", "Pose"]

Colour = tuple[int, int, int]
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
            trousers=trousers, shoes=shoes, skin=skin_colour, hair=hair,
        )  # fmt: skip

    @property
    def leg(self) -> float:
        """Hip to sole [m]."""
        return 0.5 * self.height

    def shapes(self, path: Path, pose: Pose) -> list[list[Capsule]]:
        """The body at every frame."""
        unit = self.height
        thigh, shin, upper, lower = 0.245 * unit, 0.235 * unit, 0.175 * unit, 0.155 * unit
        side = np.array([1.0, -1.0])
        # the leg's plane swings in pitch by the hip's flexion and in roll by its abduction
        hip = np.stack([np.zeros(2), 0.055 * unit * side, np.zeros(2)], -1)  # (2, 3)
        knee = hip + thigh * _limb(pose.hip, side * pose.abduction)
        ankle = knee + shin * _limb(pose.hip - pose.knee, side * pose.abduction)
        # toes a little up when the leg swings, flat on the ground otherwise
        toe = ankle + 0.1 * unit * np.stack(
            [np.cos(0.3 * pose.knee), np.zeros_like(pose.knee), -np.sin(0.3 * pose.knee)], -1
        )
        lowest = ankle[..., 2].min(1)  # (T,)
        pelvis = pose.bounce - lowest + 0.03 * unit
        trunk = _limb(math.pi + pose.lean, 0.0 * pose.lean)  # upwards
        chest = 0.29 * unit * trunk
        across = np.stack([-np.sin(pose.twist), np.cos(pose.twist), np.zeros_like(pose.twist)], -1)
        shoulder = chest[:, None] + 0.105 * unit * across[:, None] * side[None, :, None]
        elbow = shoulder + upper * _limb(pose.shoulder, side * pose.spread)
        wrist = elbow + lower * _limb(pose.shoulder + pose.elbow, side * pose.spread * 0.5)
        neck, crown = chest + 0.05 * unit * trunk, chest + 0.135 * unit * trunk
        return [
            self._frame(
                self._placed(path, frame, float(pelvis[frame])),
                hip, knee[frame], ankle[frame], toe[frame], chest[frame], shoulder[frame], elbow[frame],
                wrist[frame], neck[frame], crown[frame],
            )
            for frame in range(len(pelvis))
        ]  # fmt: skip

    @staticmethod
    def _placed(path: Path, frame: int, pelvis: float) -> tuple[np.ndarray, np.ndarray]:
        cos, sin = math.cos(path.heading[frame]), math.sin(path.heading[frame])
        rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return np.array([*path.position[frame], pelvis]), rotation

    def _frame(
        self, placed: tuple[np.ndarray, np.ndarray], hip: np.ndarray, knee: np.ndarray, ankle: np.ndarray,
        toe: np.ndarray, chest: np.ndarray, shoulder: np.ndarray, elbow: np.ndarray, wrist: np.ndarray,
        neck: np.ndarray, crown: np.ndarray,
    ) -> list[Capsule]:  # fmt: skip
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
            link(
                crown - np.array([0.012, 0, -0.008]),
                crown - np.array([0.03, 0, 0.02]),
                0.048,
                0.045,
                self.hair,
            ),
        ]
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
        lean=-(rng.uniform(-0.03, 0.1) + 0.12 * running) + idle,
        twist=0.1 * arms * amplitude[:, 0] * np.sin(phase[:, 0]),
        bounce=running * rng.uniform(0.02, 0.07) * np.abs(np.sin(phase[:, 0])),
    )


def robot_gait(joints: np.ndarray, robot: Robot) -> Pose:
    """The pose of a person who moves as a robot's joints (T, Da) do."""
    trunk = {role: robot.angles(role, joints).sum(1) for role in TRUNK}  # zero where it has no such joint
    limbs = {role: robot.angles(role, joints) for role in LIMBS}
    return Pose(**trunk, **limbs, bounce=np.zeros(len(joints)))
