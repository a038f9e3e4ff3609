"""Velocity policies of holosoma: joints and gains in the ONNX file, the rest in its package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmedge.errors import UsageError
from rmedge.export.importers.facts import Facts
from rmedge.export.importers.foreign import Foreign, robot_of, unmeasured
from rmedge.export.importers.kinds import limits, names, one_or_each, settings, term
from rmedge.export.importers.network import Network, read_file
from rmedge.export.motions import teachers
from rmedge.fields import positive, text, vector
from rmedge.robots import Robot

__all__ = ["read", "recognises"]

SENSES = {
    "actions": "actions",
    "base_ang_vel": "base_ang_vel",
    "command_ang_vel": "command_ang_vel",
    "command_lin_vel": "command_lin_vel",
    "cos_phase": "cos_phase",
    "dof_pos": "joint_pos",
    "dof_vel": "joint_vel",
    "projected_gravity": "projected_gravity",
    "sin_phase": "sin_phase",
}
# the file's keys, and what a fact is called here
KEYS = {"dof_names": "joint_names", "kp": "kp", "kd": "kd", "action_scale": "action_scale"}
AXES = ("lin_vel_x", "lin_vel_y", "ang_vel_yaw")  # of its command_ranges


def recognises(metadata: Mapping[str, str]) -> bool:
    """Whether an ONNX file's notes are holosoma's."""
    return "dof_names" in metadata


def read(path: Path, told: Mapping[str, Any]) -> Foreign:
    """A policy of the locomotion task.

    The file has joints, gains and ranges; pose, scales, rate and gait are those that the package publishes
    for this robot, unless they are told. Terms come in alphabetical order whatever the configuration's
    (``sorted`` in its BasePolicy), and nothing is clipped but the action.
    """
    file, data = path.name, read_file(path)
    network = Network(data, file)
    if "time_step" in network.inputs:
        raise unmeasured("time_step", file, SENSES)
    says = {KEYS[key]: _json(key, note, file) for key, note in network.metadata.items() if key in KEYS}
    ranges = _json("command_ranges", network.metadata.get("command_ranges", "null"), file)
    if isinstance(ranges, dict):
        says["command_limits"] = [ranges.get(axis) for axis in AXES]
    joint_names = Facts(file, says, {}).take("joint_names", names)
    robot = robot_of(joint_names, file)
    facts = Facts(file, says, told, _published(robot, joint_names), package=teachers.PACKAGE)
    joints = len(facts.take("joint_names", names))
    default_pose = facts.take("default_pose", vector(joints))
    asked = facts.take("terms", settings)
    foreign = Foreign(
        format="holosoma",
        file=file,
        robot=robot,
        joint_names=joint_names,
        default_pose=default_pose,
        kp=facts.take("kp", vector(joints, positive)),
        kd=facts.take("kd", vector(joints, positive)),
        action_scale=facts.take("action_scale", one_or_each(joints)),
        action_offset=default_pose,
        rate_hz=facts.take("rate_hz", positive),
        inputs={
            network.sole_input(file): tuple(
                term(name, SENSES, asked[name], joints, file) for name in sorted(asked)
            )
        },
        shapes=network.inputs,
        output=network.action_output(joints, file),
        graph=data,
        command_limits=facts.take("command_limits", limits, "'command_limits=[[-1, 1], [-1, 1], [-1, 1]]'"),
        action_clip=teachers.ACTION_CLIP,
        gait_period_s=facts.take("gait_period_s", positive),
        licence=facts.take_or("licence", text, ""),
        sources=facts.sources,
    )
    facts.finish()
    return foreign


def _json(key: str, value: str, file: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: {key}: expected JSON, got {value[:60]!r}; export it again") from error


def _published(robot: Robot, joint_names: tuple[str, ...]) -> dict[str, Any]:
    """What the package's configuration says of that robot's locomotion task."""
    default = dict(zip(robot.joint_names, robot.default_pose.tolist(), strict=True))
    scaled = {
        "base_ang_vel": {"scale": teachers.ANG_VEL_SCALE[robot.name]},
        "dof_vel": {"scale": teachers.DOF_VEL_SCALE[robot.name]},
    }
    return {
        "default_pose": [default[name] for name in joint_names],
        "action_scale": teachers.ACTION_SCALE,
        "rate_hz": float(teachers.TICK_HZ),
        "gait_period_s": teachers.GAIT_S,
        "terms": {name: scaled.get(name, {}) for name in SENSES},
    }
