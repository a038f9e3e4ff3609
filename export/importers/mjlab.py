"""Velocity policies of mjlab and of BeyondMimic's exporter: comma-separated notes in the ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmedge.errors import UsageError
from rmedge.export.importers.facts import Facts
from rmedge.export.importers.foreign import SENSES as SIZES
from rmedge.export.importers.foreign import Foreign, robot_of, unmeasured
from rmedge.export.importers.kinds import limits, names, one_or_each, settings, term
from rmedge.export.importers.network import Network, read_file
from rmedge.fields import count, positive, text, vector

__all__ = ["read", "recognises"]

SENSES = {
    "base_ang_vel": "base_ang_vel",
    "projected_gravity": "projected_gravity",
    "joint_pos": "joint_pos",
    "joint_vel": "joint_vel",
    "actions": "actions",
    "command": "command",
    "velocity_commands": "command",  # as Isaac Lab's own tasks call it
}
COMMANDS = ("twist", "base_velocity")  # what a command is called that is a velocity
TEXTS = ("joint_names", "observation_names", "command_names")
NUMBERS = {  # the file's keys, and what a fact is called here
    "joint_stiffness": "kp",
    "joint_damping": "kd",
    "default_joint_pos": "default_pose",
    "action_scale": "action_scale",
}
ROUNDING = (0.0, 5e-4)  # the exporter writes three decimals


def recognises(metadata: Mapping[str, str]) -> bool:
    """Whether an ONNX file's notes are this exporter's."""
    return {"joint_names", "observation_names"} <= set(metadata)


def read(path: Path, told: Mapping[str, Any]) -> Foreign:
    """A policy of the velocity task.

    The file says neither the rate, nor the range of commands, nor what scales and clips its terms: these are
    demanded. Its numbers have three decimals; exact ones may be told.
    """
    file, data = path.name, read_file(path)
    network = Network(data, file)
    says: dict[str, Any] = {key: network.metadata[key].split(",") for key in TEXTS if key in network.metadata}
    for key, fact in NUMBERS.items():
        if key in network.metadata:
            says[fact] = _numbers(network.metadata[key], key, file)
    facts = Facts(file, says, told, rounding=ROUNDING)
    joint_names = facts.take("joint_names", names)
    robot, joints = robot_of(joint_names, file), len(joint_names)
    observed = _observed(facts, file)
    asked = facts.take("terms", settings, "terms={} where its task scales and clips nothing")
    for name in set(asked) - set(observed):
        raise UsageError(f"{file}: terms: expected some of {', '.join(observed)}, got {name}")
    width = sum(SIZES[SENSES[name]] or joints for name in observed)
    entry = network.sole_input(file)
    ticks = 1  # what the width proves need not be told
    told_each = any(isinstance(said, dict) and "history" in said for said in asked.values())
    if network.inputs[entry][-1:] != (width,) and not told_each:
        ticks = facts.take("history", count)
    default_pose = facts.take("default_pose", vector(joints))
    foreign = Foreign(
        format="mjlab",
        file=file,
        robot=robot,
        joint_names=joint_names,
        default_pose=default_pose,
        kp=facts.take("kp", vector(joints, positive)),
        kd=facts.take("kd", vector(joints, positive)),
        action_scale=facts.take("action_scale", one_or_each(joints)),
        action_offset=default_pose,
        rate_hz=facts.take("rate_hz", positive, "rate_hz=50"),
        inputs={entry: tuple(term(name, SENSES, asked.get(name), joints, file, ticks) for name in observed)},
        shapes=network.inputs,
        output=network.action_output(joints, file),
        graph=data,
        command_limits=facts.take("command_limits", limits, "'command_limits=[[-1, 1], [-1, 1], [-1, 1]]'"),
        licence=facts.take_or("licence", text, ""),
        sources=facts.sources,
    )
    facts.finish()
    return foreign


def _observed(facts: Facts, file: str) -> tuple[str, ...]:
    """The terms, all of which a robot measures, before anything is demanded for a policy that cannot run.

    Raises:
        UsageError: one is not, or its command is no velocity.
    """
    observed = facts.take("observation_names", names)
    commands = facts.take("command_names", names)
    for name in observed:
        if name not in SENSES:
            raise unmeasured(name, file, SENSES)
    if any(SENSES[name] == "command" for name in observed) and not set(commands) <= set(COMMANDS):
        if "motion" in commands:
            raise unmeasured("motion", file, SENSES)
        raise UsageError(
            f"{file}: command_names: expected {' or '.join(COMMANDS)}, got {', '.join(commands)}; "
            "an intent can be turned into a velocity only"
        )
    return observed


def _numbers(value: str, key: str, file: str) -> list[float]:
    try:
        return [float(part) for part in value.split(",")]
    except ValueError as error:
        raise UsageError(
            f"{file}: {key}: expected numbers with commas between them, got {value[:60]!r}; export it again"
        ) from error
