"""Pretrained policies of a published package: fetched, hash-checked; its velocity policies as teachers."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from rmedge.errors import IntegrityError
from rmedge.export.wheels import Wheel
from rmedge.robots import Robot

__all__ = [
    "ACTION_SCALE",
    "CLOCK_S",
    "NAMES",
    "PACKAGE",
    "TICK_HZ",
    "Teacher",
    "clock",
    "fetch",
    "session",
]

PACKAGE = "holosoma-inference==0.1.3"
WHEEL = Wheel(
    PACKAGE,
    "holosoma_inference-0.1.3-py3-none-any.whl",
    "3c11fd4595bc82921d4c44f77357667828761548c1ce74782ea77937b2ab0ef7",
    "teachers",
)
NAMES = FAST, STEADY = (
    "fastsac",
    "ppo",
)  # words and standing are the steady one's, what a video shows the fast one's
TICK_HZ = 50
# both gaits have a period of one second; gestures and dances may take two
GAIT_S, CLOCK_S = 1.0, 2.0
STANDS = 0.01  # a command below this norm
ACTION_SCALE = 0.25
ACTION_CLIP = 100.0
# observation scales by robot: the T1's policies were trained with two others
ANG_VEL_SCALE = {"g1": 0.25, "t1": 1.0}
DOF_VEL_SCALE = {"g1": 0.05, "t1": 0.1}


def fetch() -> Path:
    """The teachers' wheel in the cache, downloaded with pip when it is not there."""
    return WHEEL.fetch()


def clock(clock_s: Any) -> np.ndarray:
    """The time of an episode (...) [s] as a policy sees it (..., 4): cosines and sines of one and two turns.

    Teachers keep their phase by a clock of their own, which nobody could guess from what a robot feels;
    all motion goes by this one instead, so teacher and student are in step.
    """
    angle = 2 * math.pi * np.asarray(clock_s)[..., None] / CLOCK_S * np.array([1.0, 2.0])
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos[..., 0], sin[..., 0], cos[..., 1], sin[..., 1]], -1)


def session(member: str) -> tuple[onnxruntime.InferenceSession, dict[str, Any]]:
    """One of the package's networks, on one thread, and what its metadata says."""
    data = WHEEL.read(f"holosoma_inference/models/{member}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    opened = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    meta = opened.get_modelmeta().custom_metadata_map
    said = {key: json.loads(meta[key]) for key in ("dof_names", "kp", "kd")}
    return opened, {**said, "sha256": hashlib.sha256(data).hexdigest()}


class Teacher:
    """One velocity policy, for a batch of robots at 50 Hz."""

    def __init__(self, robot: Robot, name: str):
        self.robot = robot
        self.name = name
        self._session, meta = session(f"loco/{robot.name}_29dof/{name}_{robot.name}_29dof.onnx")
        if tuple(meta["dof_names"]) != robot.joint_names:
            raise IntegrityError(f"teacher {name}: its joints are not the robot's, in the robot's order")
        self.kp, self.kd = np.array(meta["kp"]), np.array(meta["kd"])
        self.sha256 = meta["sha256"]

    def walk(
        self, senses: dict[str, np.ndarray], command: np.ndarray, clock_s: float, last_action: np.ndarray
    ) -> np.ndarray:
        """Actions (B, Da) for commands (B, 3) in [-1, 1], at one time of the clock [s]."""
        left = 2 * math.pi * clock_s / GAIT_S
        phase = (np.array([left, left + math.pi]) + math.pi) % (2 * math.pi) - math.pi
        standing = np.linalg.norm(command, axis=1) < STANDS
        feet = np.where(standing[:, None], math.pi, phase)
        return self.act(
            self.observe(
                last_action, senses["base_ang_vel"], command, feet, senses["joint_pos"],
                senses["joint_vel"], senses["projected_gravity"],
            )
        )  # fmt: skip

    def observe(
        self,
        last_action: np.ndarray,
        base_ang_vel: np.ndarray,
        command: np.ndarray,
        phase: np.ndarray,
        joint_pos: np.ndarray,
        joint_vel: np.ndarray,
        projected_gravity: np.ndarray,
    ) -> np.ndarray:
        """The teacher's observation (B, 100): its terms in alphabetical order."""
        terms = [
            last_action,
            base_ang_vel * ANG_VEL_SCALE[self.robot.name],
            command[:, 2:],
            command[:, :2],
            np.cos(phase),
            joint_pos - self.robot.default_pose,
            joint_vel * DOF_VEL_SCALE[self.robot.name],
            projected_gravity,
            np.sin(phase),
        ]
        return np.concatenate(terms, axis=1).astype(np.float32)

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Actions (B, Da) for observations (B, 100); its graph takes one robot a call."""
        rows = [self._session.run(None, {"actor_obs": row[None]})[0][0] for row in observation]
        return np.clip(np.array(rows), -ACTION_CLIP, ACTION_CLIP)
