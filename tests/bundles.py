"""Makes bundles for the G1: a small one of noise, and the shipped one with patience."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import rmedge
from rmedge import robots
from rmedge.bundle import MANIFEST, seal
from rmedge.labels import LABELS, NONE

SIZE = 4  # Z
CASES = 3
SHIPPED = "g1-mirror"
# what a machine that others use as well may keep a process waiting is not what real-time tests ask about
PATIENT = {
    "latency_budget_ms": {machine: {"encode": 1e3, "policy": 1e3} for machine in ("cpu-x86", "cpu-arm64")},
    "budgets": {"ramp_ms": 100.0, "heartbeat_ms": 2000.0, "hold_ms": 2000.0, "operator_ms": 5000.0},
}


def manifest() -> dict[str, Any]:
    """A complete manifest but for ``files``, which ``seal`` fills."""
    robot = robots.load("g1")
    joints = len(robot.joint_names)
    sizes = {
        "base_ang_vel": 3,
        "projected_gravity": 3,
        "joint_pos": joints,
        "joint_vel": joints,
        "actions": joints,
        "clock": 4,
    }
    return {
        "schema": 1,
        "name": "tiny",
        "robot": {
            "name": "g1",
            "joint_names": list(robot.joint_names),
            "default_pose": robot.default_pose.tolist(),
            "kp": [99.09842777666111] * joints,
            "kd": [6.3088018534966395] * joints,
            "action_scale": 0.25,
        },
        "encoder": {
            "file": "encoder.onnx",
            "rate_hz": 10.0,
            "image": {
                "height": 16,
                "width": 16,
                "colour": "gray",
                "motion": "dis_flow",
                "feature_height": 8,
                "feature_width": 8,
                "flow_scale": 0.25,
            },
            "inputs": {"features": [1, 3, 8, 8], "state": [1, 6]},
            "outputs": {"intent": [1, SIZE], "certainty": [1, 1], "presence": [1, 1], "next_state": [1, 6]},
        },
        "policy": {
            "file": "policy.onnx",
            "rate_hz": 50.0,
            "inputs": {"proprio": [1, 2 * sum(sizes.values())], "intent": [1, SIZE], "noise": [1, 2, joints]},
            "outputs": {"action_chunk": [1, 2, joints]},
            "observation": {
                "layout": "time_major",
                "order": "oldest_first",
                "history": 2,
                "clock_s": 2.0,
                "terms": [
                    {"name": name, "size": size, "scale": 0.05, "clip": 100.0} for name, size in sizes.items()
                ],
            },
            "sampler": {"name": "consistency", "steps": 1, "seed": "per_episode"},
        },
        "readout": {
            "file": "readout.onnx",
            "inputs": {"intent": [1, SIZE]},
            "outputs": {
                "velocity": [1, 3],
                "label_logits": [1, 1 + len(LABELS)],
                "gait_logits": [1, 2],
                "gesture_logits": [1, 2],
            },
            "labels": [NONE, *LABELS],
            "gaits": ["stand", "walk"],
            "gestures": ["none", "wave"],
        },
        "intent": {
            "size": SIZE,
            "stand": [0.1, -0.2, 0.3, 1.0e-7],
            "vocabulary": [
                {
                    "caption": "walk forward",
                    "label": "walk_forward",
                    "gait": "walk",
                    "gesture": "wave",
                    "velocity": [0.1 + 0.2, 0.0, -1.0e-7],
                    "z": np.linspace(-1, 1, SIZE).astype(np.float32).tolist(),
                }
            ],
        },
        "envelope": {
            "rate_limit": robot.velocity_limit.tolist(),
            "torque_limit": robot.torque_limit.tolist(),
            "lower": robot.lower.tolist(),
            "upper": robot.upper.tolist(),
        },
        "latency_budget_ms": {"cpu-x86": {"encode": 10.0, "policy": 2.0}},
        "golden": "golden.npz",
        "tolerance": {"encoder": 1.0e-4, "policy": 1.0e-4, "readout": 1.0e-5},
        "robustness": {"delay_ms": 60.0, "drop": 0.5},
        "quality": {"parity": {"encoder": 1.0e-6}},
        "licence": "Apache-2.0",
        "provenance": {"seed": 0, "date": "2026-01-01"},
    }


def golden(says: dict[str, Any]) -> dict[str, np.ndarray]:
    """Arrays for every input and output that a manifest names, as ``np.savez`` takes them."""
    random = np.random.default_rng(0)
    return {
        f"{graph}.{name}": random.standard_normal((CASES, *shape[1:])).astype(np.float32)
        for graph in ("encoder", "policy", "readout")
        for name, shape in {**says[graph]["inputs"], **says[graph]["outputs"]}.items()
    }


def make(directory: Path, says: dict[str, Any] | None = None) -> Path:
    """A sealed bundle in a directory, which is made; graphs that are already there stay."""
    says = manifest() if says is None else says
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    for graph in ("encoder", "policy", "readout"):
        path = directory / says[graph]["file"]
        if not path.exists():
            path.write_bytes(random.bytes(500))
    if not (directory / says["golden"]).exists():
        np.savez(directory / says["golden"], **golden(says))
    seal(directory, says)
    return directory


def patient(directory: Path, **says: Any) -> Path:
    """The shipped bundle with a short ramp, time enough for a busy machine, and what else it is to say."""
    shutil.copytree(Path(rmedge.__file__).parent / "bundles" / SHIPPED, directory)
    restate(directory, **{**PATIENT, **says})
    return directory


def restate(directory: Path, **says: Any) -> None:
    """Seal it anew, saying this."""
    seal(directory, {**yaml.safe_load((directory / MANIFEST).read_text()), **says})
