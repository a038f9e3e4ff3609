"""Calibration: how fast a foreign policy goes at which command, measured in the simulator and inverted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rmedge import runtimes
from rmedge.bundle import Bundle
from rmedge.export.importers.adapter import OPSET
from rmedge.export.importers.commands import CommandMap
from rmedge.export.importers.foreign import Foreign
from rmedge.export.importers.whole import base_of, whole
from rmedge.runtimes.cameras.null import NullCamera
from rmedge.trace import Trace

__all__ = ["LEVELS", "achieved", "calibrate", "obedient", "steering"]

LEVELS = (0.25, 0.5, 0.75, 1.0)  # of what each axis may be commanded, either way
SECONDS = 5.0
SETTLING_S = 1.5  # a gait that starts from standing is not yet its own


def calibrate(
    foreign: Foreign,
    base: str | Path | None = None,
    levels: Sequence[float] = LEVELS,
    seconds: float = SECONDS,
    progress: Callable[[float], None] = lambda done: None,
) -> CommandMap:
    """What to command for a velocity, axis by axis, one alone at a time, in the reference physics.

    From standing outwards; a command at which the robot falls is not asked of it, nor what is beyond.
    """
    with tempfile.TemporaryDirectory() as folder:
        bundle = obedient(foreign, Path(folder) / "obedient", base)
        lines = []
        for axis, limits in enumerate(foreign.command_limits):
            lines.append(_line(bundle, axis, limits, levels, seconds))
            progress((axis + 1) / 3)
    return CommandMap.of([got for got, _ in lines], [asked for _, asked in lines])


def _line(
    bundle: Bundle, axis: int, limits: np.ndarray, levels: Sequence[float], seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """What one axis achieved, and what it had been commanded; standing, at zero, is among them."""
    got, asked = [0.0], [0.0]
    for limit in limits[limits != 0.0]:
        for level in sorted(levels):
            command = np.zeros(3)
            command[axis] = level * limit
            velocity = achieved(bundle, command, seconds)
            if velocity is None:
                break
            got.append(velocity[axis])
            asked.append(command[axis])
    return np.array(got), np.array(asked)


def obedient(foreign: Foreign, out: Path, base: str | Path | None = None) -> Bundle:
    """A bundle of the policy whose intent *is* the velocity: its first three numbers."""
    return whole(foreign, out, base, velocity=steering(base_of(foreign, base).intent.size))


def steering(size: int) -> onnx.ModelProto:
    """From ``intent`` (1, size) to ``velocity`` (1, 3): its first three numbers."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["intent", "first"], ["velocity"], axis=1)],
        "steering",
        [helper.make_tensor_value_info("intent", onnx.TensorProto.FLOAT, (1, size))],
        [helper.make_tensor_value_info("velocity", onnx.TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(np.arange(3), "first")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def achieved(bundle: Bundle, command: np.ndarray, seconds: float = SECONDS) -> np.ndarray | None:
    """(3,) the mean velocity of a simulated robot whose intent begins with a command (3,); None: it fell."""
    from rmedge.runtimes.actuators.sim import SimActuator  # MuJoCo, where somebody measures

    mirror = runtimes.load(bundle)
    z = np.zeros(bundle.intent.size, np.float32)
    z[:3] = command
    mirror.follow(z)
    robot = SimActuator(bundle.robot)
    rows: list[np.ndarray] = []

    def look(trace: Trace) -> bool:
        rows.append(robot.world.velocity)
        return robot.fell_at_s is not None

    runtimes.Loop(NullCamera(), mirror, robot).run(seconds, on_tick=look)
    if robot.fell_at_s is not None:
        return None
    return np.mean(rows[round(SETTLING_S * bundle.policy.rate_hz) :], axis=0)
