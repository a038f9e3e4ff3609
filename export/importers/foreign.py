"""A foreign policy: all that its file says, in its own joint order and its own units."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rmedge import robots
from rmedge.errors import UsageError

__all__ = ["SENSES", "Carry", "Foreign", "Term", "robot_of", "unmeasured"]

# what a term can be made of, and how many numbers that is; 0: one a joint
SENSES = {
    "base_ang_vel": 3,  # [rad/s] body frame
    "projected_gravity": 3,
    "joint_pos": 0,  # [rad] from the default pose
    "joint_angles": 0,  # [rad] as the encoders say
    "joint_vel": 0,  # [rad/s]
    "actions": 0,  # the last ones, in the policy's own unit
    "command": 3,  # vx, vy [m/s], yaw rate [rad/s]
    "command_lin_vel": 2,
    "command_ang_vel": 1,
    "sin_phase": 2,  # left foot, right foot half a turn later; pi for both while it is told to stand
    "cos_phase": 2,
    "gait_phase": 2,  # sine and cosine of one turn a gait period
}
_ESTIMATED = "train without it (drop it from the actor's observations; a critic may keep it) and export again"
_TRACKING = "a policy that tracks a reference motion cannot follow an intent; bring a velocity policy"
_UNMEASURED = {
    "base_lin_vel": ("linear velocity, which no robot here measures", _ESTIMATED),
    "base_height": ("height, which no robot here measures", _ESTIMATED),
    "height_scan": ("the terrain's heights, which no robot here measures", _ESTIMATED),
    "foot_contact": ("foot contacts, which no robot here measures", _ESTIMATED),
    "accelerometer": ("acceleration, which rmedge's robot state does not carry", _ESTIMATED),
    "time_step": ("a step of a reference motion", _TRACKING),
    "time": ("absolute time, which grows beyond what was trained", "export it with a gait phase instead"),
    "motion": ("a reference motion", _TRACKING),
    "ref_": ("a reference motion", _TRACKING),
}


@dataclass(frozen=True, eq=False)
class Term:
    """One part of an observation: (sense clipped) * scale, or clipped after that, of its last few ticks."""

    name: str  # as the file calls it
    sense: str  # one of ``SENSES``
    scale: np.ndarray  # (n,)
    clip: tuple[float, float] | None = None
    history: int = 1  # ticks, the newest included


@dataclass(frozen=True, eq=False)
class Carry:
    """A memory that goes into the graph at one tick and came out of it at the one before."""

    input: str
    output: str
    start: np.ndarray  # what it is before the first tick
    ticks: int  # how many of the last ticks it is made of


@dataclass(frozen=True, eq=False)
class Foreign:
    """Somebody's policy; its ``Da`` joints are in its own order."""

    format: str
    file: str
    robot: robots.Robot
    joint_names: tuple[str, ...]
    default_pose: np.ndarray  # (Da,) [rad] what observed joint positions are relative to
    kp: np.ndarray  # (Da,) [N m/rad]
    kd: np.ndarray  # (Da,) [N m s/rad]
    action_scale: np.ndarray  # (Da,) [rad] target = action_offset + action_scale * action
    action_offset: np.ndarray  # (Da,) [rad]
    rate_hz: float
    inputs: Mapping[str, tuple[Term, ...]]  # the graph's input -> its terms, in order; a carry has none
    shapes: Mapping[str, tuple[int, ...]]  # of all its inputs
    output: str
    graph: bytes
    command_limits: np.ndarray  # (3, 2) least and most vx, vy [m/s], yaw rate [rad/s]
    layout: str = "term_major"  # or time_major: the order of a history; both have the oldest tick first
    scale_first: bool = False  # scale, then clip
    action_clip: float | None = None  # |action|, before it is scaled
    target_clip: np.ndarray | None = None  # (Da, 2) [rad]
    gait_period_s: float | None = None  # of its phase, where it has one
    carry: Carry | None = None
    licence: str = ""  # "" where nobody says
    sources: Mapping[str, str] = field(default_factory=dict)  # fact -> who says so

    def __post_init__(self) -> None:
        if self.layout == "time_major" and len({term.history for term in self.terms}) > 1:
            raise UsageError(
                f"{self.file}: history: expected as many ticks of every term, as they come tick by tick, got "
                f"{', '.join(f'{term.name} {term.history}' for term in self.terms)}; correct the file"
            )
        for name, terms in self.inputs.items():
            width = self.width(terms)
            shape = self.shapes[name]
            if shape != (1, width) and shape != (width,):
                made_of = ", ".join(f"{t.name} {len(t.scale)}x{t.history}" for t in terms)
                raise UsageError(
                    f"{self.file}: expected an input {name} of {width} numbers ({made_of}), got {shape}; "
                    "the graph and its description are not of the same export"
                )
        if self.gait_period_s is None and any(t.sense.endswith("_phase") for t in self.terms):
            raise UsageError(
                f"{self.file}: expected the period of its gait, got none; --tell gait_period_s=..."
            )

    @property
    def terms(self) -> tuple[Term, ...]:
        """Of all inputs."""
        return tuple(term for terms in self.inputs.values() for term in terms)

    @property
    def sha256(self) -> str:
        """Of the graph."""
        return hashlib.sha256(self.graph).hexdigest()

    @property
    def order(self) -> np.ndarray:
        """(Da,) the robot's index of each joint of the policy."""
        return np.array([self.robot.joint_names.index(name) for name in self.joint_names])

    def in_robot_order(self, values: np.ndarray) -> np.ndarray:
        """(Da,) a number for each joint, in the robot's order."""
        ordered = np.empty_like(values)
        ordered[self.order] = values
        return ordered

    @staticmethod
    def width(terms: tuple[Term, ...]) -> int:
        """How many numbers these terms are."""
        return sum(len(term.scale) * term.history for term in terms)

    def told(self) -> dict[str, Any]:
        """What is worth keeping, for machines."""
        terms = [
            {
                "name": term.name, "sense": term.sense, "size": len(term.scale), "history": term.history,
                "scale": sorted(set(term.scale.tolist())), "clip": list(term.clip) if term.clip else None,
            }
            for term in self.terms
        ]  # fmt: skip
        return {
            "format": self.format,
            "file": self.file,
            "sha256": self.sha256,
            "robot": self.robot.name,
            "rate_hz": self.rate_hz,
            "terms": terms,
            "layout": self.layout,
            "gait_period_s": self.gait_period_s,
            "command_limits": self.command_limits.tolist(),
            "carry_ticks": self.carry.ticks if self.carry else None,
            "licence": self.licence or "not said by its file",
            "sources": dict(self.sources),
        }


def robot_of(joint_names: tuple[str, ...], file: str) -> robots.Robot:
    """The robot that has these joints, in whatever order.

    Raises:
        UsageError: none has these and no others.
    """
    known = [robots.load(name) for name in robots.names()]
    for robot in known:
        if sorted(robot.joint_names) == sorted(joint_names):
            return robot
    nearest = max(known, key=lambda robot: len(set(robot.joint_names) & set(joint_names)))
    missing = sorted(set(nearest.joint_names) - set(joint_names))
    strange = sorted(set(joint_names) - set(nearest.joint_names))
    raise UsageError(
        f"{file}: joint_names: expected each joint of {' or '.join(robots.names())} once, got "
        f"{len(joint_names)} joints; {nearest.name} has {_some(missing)} more and lacks {_some(strange)}"
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") or "none"


def unmeasured(name: str, file: str, known: Mapping[str, str]) -> UsageError:
    """The error for a term that is none of ``known``, by what it would need."""
    for part, (what, remedy) in _UNMEASURED.items():
        if name.startswith(part):
            return UsageError(f"{file}: {name}: expected what the robot measures, got {what}; {remedy}")
    return UsageError(
        f"{file}: {name}: expected one of {', '.join(known)}, got a term of another kind; "
        "rename it if it means one of these, or train without it"
    )
