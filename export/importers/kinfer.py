"""Archives of kinfer: ``init_fn.onnx``, ``step_fn.onnx`` and ``metadata.json`` in a compressed tar file."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rmedge.errors import InputError, UsageError
from rmedge.export.importers.facts import Facts
from rmedge.export.importers.foreign import Carry, Foreign, Term, robot_of, unmeasured
from rmedge.export.importers.kinds import limits, names, settings, term
from rmedge.export.importers.network import MOST_BYTES, Feed, Network, caller, read_file
from rmedge.fields import positive, text, vector

__all__ = ["read", "recognises"]

SENSES = {
    "joint_angles": "joint_angles",
    "joint_angular_velocities": "joint_vel",
    "projected_gravity": "projected_gravity",
    "gyroscope": "base_ang_vel",
    "command": "command",
}
MEMBERS = ("init_fn.onnx", "step_fn.onnx", "metadata.json")
CARRY = "carry"
VELOCITY = ("vx", "vy", "yaw_rate")
MOST_TICKS = 16  # of memory that is unrolled: each costs a call of the network
DRAWS = 8


def recognises(data: bytes) -> bool:
    """Whether a file begins as a gzip does."""
    return data[:2] == b"\x1f\x8b"


def read(path: Path, told: Mapping[str, Any]) -> Foreign:
    """A policy whose actions are joint positions [rad].

    The archive says joints and shapes alone: pose, gains, rate, the meaning of its commands and the unit of
    its gravity are demanded. A carry that is a history of the last ticks is unrolled over them; any other
    memory is refused, as rmedge's policies keep none between calls.
    """
    file = path.name
    parts = unpack(read_file(path), file)
    says = _metadata(parts["metadata.json"], file)
    step = Network(parts["step_fn.onnx"], f"{file}: step_fn.onnx")
    facts = Facts(file, says, told)
    joint_names = facts.take("joint_names", names)
    joints = len(joint_names)
    robot = robot_of(joint_names, file)
    for name in step.inputs:
        if name not in SENSES and name != CARRY:
            raise unmeasured(name, file, SENSES)
    carry = _carry(step, parts["init_fn.onnx"], file)
    if "command" in step.inputs:
        asked = facts.take("command_names", names, "'command_names=[vx, vy, yaw_rate]' if it is that")
        if asked != VELOCITY:
            raise UsageError(
                f"{file}: command_names: expected {', '.join(VELOCITY)}, got {', '.join(asked)}; "
                "an intent can be turned into a velocity only"
            )
    gravity = 1.0
    if "projected_gravity" in step.inputs:
        gravity = facts.take("gravity", positive, "gravity=9.81, or 1 for a unit vector")
    foreign = Foreign(
        format="kinfer",
        file=file,
        robot=robot,
        joint_names=joint_names,
        default_pose=facts.take("default_pose", vector(joints), "'default_pose=[...]'"),
        kp=facts.take("kp", vector(joints, positive), "'kp=[...]'"),
        kd=facts.take("kd", vector(joints, positive), "'kd=[...]'"),
        action_scale=np.ones(joints),
        action_offset=np.zeros(joints),
        rate_hz=facts.take("rate_hz", positive, "rate_hz=50"),
        inputs={
            name: (_term(name, gravity, joints, file),) for name in step.inputs if name != CARRY
        },
        shapes=step.inputs,
        output=step.action_output(joints, file),
        graph=parts["step_fn.onnx"],
        command_limits=facts.take("command_limits", limits, "'command_limits=[[-1, 1], [-1, 1], [-1, 1]]'"),
        carry=carry,
        licence=facts.take_or("licence", text, ""),
        sources=facts.sources,
    )  # fmt: skip
    facts.finish()
    return foreign


def unpack(data: bytes, file: str) -> dict[str, bytes]:
    """The three members of an archive, each once, plain and of a size that fits.

    Raises:
        InputError: it is damaged, too large, or holds other things.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            plain = packed.read(MOST_BYTES + 1)  # a cap, whatever the headers promise
        if len(plain) > MOST_BYTES:
            raise InputError(f"{file}: expected at most {MOST_BYTES >> 20} MiB unpacked, got more")
        found: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for member in archive:
                if member.name not in MEMBERS or member.name in found or not member.isreg():
                    raise InputError(
                        f"{file}: expected {', '.join(MEMBERS)} once each as plain files, "
                        f"got {member.name!r:.80}"
                    )
                opened = archive.extractfile(member)
                found[member.name] = opened.read() if opened else b""
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: expected an intact tar.gz, got one that is not ({error})") from error
    missing = [name for name in MEMBERS if name not in found]
    if missing:
        raise InputError(f"{file}: expected {', '.join(MEMBERS)}, got none of {', '.join(missing)}")
    return found


def _metadata(data: bytes, file: str) -> dict[str, Any]:
    try:
        says = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: metadata.json: expected JSON, got: {error}") from error
    if not isinstance(says, dict):
        raise InputError(f"{file}: metadata.json: expected a mapping, got {type(says).__name__}")
    return {key: says[key] for key in ("joint_names", "command_names") if says.get(key)}


def _term(name: str, gravity: float, joints: int, file: str) -> Term:
    scaled = {"scale": gravity} if name == "projected_gravity" else {}
    return term(name, SENSES, settings(scaled, name), joints, file)


def _carry(step: Network, init: bytes, file: str) -> Carry | None:
    """The memory of a step function, if it has one: a history.

    Raises:
        UsageError: it remembers more than `MOST_TICKS`.
    """
    if CARRY not in step.inputs:
        return None
    first = Network(init, f"{file}: init_fn.onnx")
    output = list(step.outputs)[1] if len(step.outputs) == 2 else ""
    shape = step.inputs[CARRY]
    if first.inputs or list(first.outputs.values()) != [shape] or step.outputs.get(output) != shape:
        raise UsageError(f"{file}: carry: expected one shape {shape} into and out of the step, got others")
    (start,) = caller(init, f"{file}: init_fn.onnx")({})
    if start.shape != shape or not np.isfinite(start).all():
        raise UsageError(f"{file}: carry: expected finite numbers {shape} to begin with, got {start.shape}")
    ticks = memory(caller(step.model.SerializeToString(), file), step.inputs, start)
    if ticks is None:
        raise UsageError(
            f"{file}: carry: expected a memory of at most {MOST_TICKS} ticks, got one that still tells "
            "how it began after them; rmedge's policies keep none between calls: export a feed-forward "
            "network over a history of observations"
        )
    return Carry(CARRY, output, start, ticks)


def memory(
    call: Callable[[Feed], list[np.ndarray]], inputs: Mapping[str, tuple[int, ...]], start: np.ndarray
) -> int | None:
    """How many of the last ticks an action is made of; None: of more than `MOST_TICKS`.

    Tried, not proved: from its own start and from `DRAWS` other ones, the same random inputs must lead to
    the same actions to the bit. A recurrent network never forgets so.
    """
    rng = np.random.default_rng(0)
    senses = {name: shape for name, shape in inputs.items() if name != CARRY}
    worst = 1
    for _ in range(DRAWS):
        feeds = [
            {name: rng.standard_normal(shape).astype(np.float32) for name, shape in senses.items()}
            for _ in range(2 * MOST_TICKS)
        ]
        other = (start + rng.standard_normal(start.shape) * rng.choice([0.1, 1.0, 10.0])).astype(np.float32)
        one, two = start, other
        for tick, feed in enumerate(feeds):
            action, one = call({**feed, CARRY: one})
            again, two = call({**feed, CARRY: two})
            if not np.array_equal(action, again):
                worst = max(worst, tick + 2)
        if not np.array_equal(one, two):
            return None
    return worst if worst <= MOST_TICKS else None
