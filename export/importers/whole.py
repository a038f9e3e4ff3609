"""Making it whole: a foreign policy in the body of a base bundle, built as a bundle of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import utils, version_converter

from rmedge import document
from rmedge.bundle import Bundle
from rmedge.errors import UsageError
from rmedge.export.build import build
from rmedge.export.importers.adapter import CLIP, OPSET, Adapted, adapt
from rmedge.export.importers.commands import CommandMap
from rmedge.export.importers.foreign import Foreign
from rmedge.fields import MANIFEST

__all__ = ["base_of", "velocity_of", "whole"]

NO_GESTURE = "none"
TOLERANCE = 1e-3  # of an action, on another engine: proved on noise, where actions are large


def whole(
    foreign: Foreign,
    out: str | Path,
    base: str | Path | None = None,
    commands: CommandMap | None = None,
    velocity: onnx.ModelProto | None = None,
) -> Bundle:
    """A bundle in a new directory: the foreign policy in float32, and a base's eyes, words and limits.

    Args:
        base: a shipped name, directory or ``.rmedge`` file; None: the robot's own ``-mirror``.
        commands: what to command for a velocity; None: that velocity, within the policy's range.
        velocity: from ``intent`` (1, Z) to ``velocity`` (1, 3), of opset `OPSET`; None: the base's readout.

    Raises:
        UsageError: something is there already, or the base drives another robot.
        BundleError: the policy does not fit the base's limits.
        CheckError: the network cannot be merged.
    """
    out = Path(out)
    if out.exists() or out.is_symlink():
        raise UsageError(f"import: expected a new directory, got {str(out)!r}, which is there; name another")
    source = base_of(foreign, base)
    commands = commands or CommandMap.clipped(foreign.command_limits)
    adapted = adapt(foreign, velocity or velocity_of(source), source.intent.size, commands)
    spec = _spec(source, foreign, adapted, commands)
    return build(out, policy=adapted.onnx, base=source, spec=spec, precision="float32")


def base_of(foreign: Foreign, base: str | Path | None = None) -> Bundle:
    """The bundle that gives what a policy does not bring; None: the robot's own ``-mirror``."""
    return Bundle.load(f"{foreign.robot.name}-mirror" if base is None else base, foreign.robot.name)


def velocity_of(base: Bundle) -> onnx.ModelProto:
    """The part of a bundle's readout that says an intent's velocity, in operators of `OPSET`."""
    readout = onnx.load_model_from_string(base.graph("readout"))
    part = utils.Extractor(readout).extract_model(["intent"], ["velocity"])
    return version_converter.convert_version(part, OPSET)


def _spec(base: Bundle, foreign: Foreign, adapted: Adapted, commands: CommandMap) -> dict[str, Any]:
    """What the bundle's manifest says otherwise than the base's."""
    phrases = document.parse(base.files[MANIFEST], MANIFEST)["intent"]["vocabulary"]
    body = ("default_pose", "kp", "kd", "action_scale")
    return {
        "robot": {name: foreign.in_robot_order(getattr(foreign, name)).tolist() for name in body},
        "policy": {
            "rate_hz": foreign.rate_hz,
            "observation": {
                "layout": "time_major",
                "order": "oldest_first",
                "history": adapted.history,
                "clock_s": foreign.gait_period_s or base.policy.observation.clock_s,
                "terms": [
                    {"name": name, "size": size, "scale": 1.0, "clip": CLIP} for name, size in adapted.terms
                ],
            },
            "sampler": {"name": "regression", "steps": 1, "seed": "per_episode"},
        },
        # it follows velocities, and cannot do what the base says of gestures
        "intent": {"vocabulary": [phrase for phrase in phrases if phrase["gesture"] == NO_GESTURE]},
        "tolerance": {"policy": TOLERANCE},
        "licence": f"policy: {foreign.licence or 'not said by its file'}; the rest: {base.licence}",
        "provenance": {
            "imported": {**foreign.told(), "opset_max_abs_error": adapted.error},
            "commands": commands.told(),
        },
    }
