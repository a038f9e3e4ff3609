"""The adapter: a foreign policy and a bundle's readout as one graph that rmedge's runtime plays.

::

    intent ── readout ── velocity ── command map ──┐
    proprio ── gather, clip, scale ── observation ─┴─ foreign graph ── action ── action_chunk

The foreign network is untouched but for the version of its operators; what is gathered is where the
runtime's observation has what the foreign one wants, in its order, its units and its history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import version_converter

from rmedge.errors import CheckError
from rmedge.export.importers.commands import STANDS, CommandMap
from rmedge.export.importers.foreign import Foreign
from rmedge.export.importers.network import caller
from rmedge.export.importers.observation import Observation
from rmedge.export.importers.wiring import Wiring

__all__ = ["CLIP", "OPSET", "Adapted", "adapt", "modernised"]

OPSET = 20  # with IR 10: read by onnxruntime 1.18 and newer
# of the runtime's own observation: beyond what a sensor says, as the foreign policy's clips are in the graph
CLIP = 1000.0
MOST_ERROR = 1e-4  # of an action, by the change of operators' versions: kernels may round otherwise

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Adapted:
    """A policy as rmedge plays it."""

    onnx: bytes
    inputs: Shapes
    outputs: Shapes
    history: int  # ticks
    terms: tuple[tuple[str, int], ...]  # (name, size) of a tick's observation, in order
    error: float  # the greatest difference that the change of versions made to an action


def adapt(foreign: Foreign, readout: onnx.ModelProto, size: int, commands: CommandMap) -> Adapted:
    """One graph of a policy and of what turns an intent (1, size) into a velocity.

    Args:
        readout: a model of opset `OPSET` with an input ``intent`` and an output ``velocity`` (1, 3).

    Raises:
        CheckError: the network cannot be brought to `OPSET`, or says something else then.
    """
    joints = len(foreign.joint_names)
    terms = (
        ("base_ang_vel", 3), ("projected_gravity", 3), ("joint_pos", joints), ("joint_vel", joints),
        ("actions", joints), ("clock", 4),
    )  # fmt: skip
    history = foreign.carry.ticks if foreign.carry else max(term.history for term in foreign.terms)
    inputs = {
        "proprio": (1, history * sum(width for _, width in terms)),
        "intent": (1, size),
        "noise": (1, 1, joints),
    }
    outputs = {"action_chunk": (1, 1, joints)}
    network, error = modernised(foreign)
    wiring = Wiring(OPSET)
    velocity = wiring.embed(readout, "readout.", {"intent": "intent"})["velocity"]
    command, still = _command(wiring, velocity, commands)
    observation = Observation(wiring, foreign, dict(terms), history, command, still)
    action = _rolled(wiring, foreign, network, observation, history)
    _act(wiring, foreign, action)
    model = wiring.model(inputs, outputs)
    return Adapted(model.SerializeToString(), inputs, outputs, history, terms, error)


def modernised(foreign: Foreign) -> tuple[onnx.ModelProto, float]:
    """The network with operators of `OPSET`, and by how much that changed an action at most.

    Raises:
        CheckError: it cannot be, or it is another network then.
    """
    before = onnx.load_model_from_string(foreign.graph)
    if all(entry.version == OPSET for entry in before.opset_import if entry.domain in ("", "ai.onnx")):
        return before, 0.0
    try:
        after = version_converter.convert_version(before, OPSET)
    except Exception as error:  # the converter's own errors share no base
        raise CheckError(
            f"{foreign.file}: expected a network that converts to opset {OPSET}, got: "
            f"{str(error).splitlines()[0]}; export it with opset {OPSET}"
        ) from error
    rng = np.random.default_rng(0)
    shapes = foreign.shapes
    place = [value.name for value in before.graph.output].index(foreign.output)
    calls = [caller(model.SerializeToString(), foreign.file) for model in (before, after)]
    worst = 0.0
    for _ in range(16):
        feed = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        one, two = (call(feed)[place] for call in calls)
        worst = max(worst, float(np.abs(one - two).max()))
    if not worst <= MOST_ERROR:
        raise CheckError(
            f"{foreign.file}: expected the same actions with opset {OPSET}, got {worst:.2g} apart; "
            f"export it with opset {OPSET}"
        )
    return after, worst


def _command(wiring: Wiring, velocity: str, commands: CommandMap) -> tuple[str, str]:
    """(1, 3) the command for a velocity (1, 3), and (1, 1) whether it is for standing: see `CommandMap`."""
    limits = np.array([(row[0], row[-1]) for row in commands.achieved])
    within = wiring.bounded(velocity, limits[:, 0], limits[:, 1])  # what it can do of it
    squares = wiring.add("Mul", within, within)
    share = np.zeros((3, 2))  # of the speed and of the turn below which it stands
    share[[0, 1, 2], [0, 0, 1]] = np.array(STANDS)[[0, 0, 1]] ** -2.0
    axes = wiring.constant([1], np.int64)
    most = wiring.add("ReduceMax", wiring.add("MatMul", squares, wiring.constant(share)), axes, keepdims=1)
    still = wiring.add("Less", most, wiring.constant(1.0))
    asked = _lined(wiring, within, commands) if commands.achieved != commands.command else within
    return wiring.add("Where", still, wiring.constant(np.zeros((1, 3))), asked), still


def _lined(wiring: Wiring, velocity: str, commands: CommandMap) -> str:
    """(1, 3) each axis of a velocity (1, 3) along its line of knots."""
    segments = max(map(len, commands.achieved)) - 1
    lower, width, slope = np.zeros((3, segments, 3))  # segments that an axis has not are of no width
    for axis, (x, y) in enumerate(zip(commands.achieved, commands.command, strict=True)):
        lower[: len(x) - 1, axis] = x[:-1]
        width[: len(x) - 1, axis] = np.diff(x)
        slope[: len(x) - 1, axis] = np.diff(y) / np.diff(x)
    beyond = wiring.add("Sub", velocity, wiring.constant(lower))
    along = wiring.bounded(beyond, np.zeros_like(width), width)
    risen = wiring.add("Mul", along, wiring.constant(slope))
    total = wiring.add("ReduceSum", risen, wiring.constant([0], np.int64), keepdims=1)
    return wiring.add("Add", total, wiring.constant([[y[0] for y in commands.command]]))


def _rolled(
    wiring: Wiring, foreign: Foreign, network: onnx.ModelProto, observation: Observation, history: int
) -> str:
    """The action of the newest tick; a network with a carry is called for each tick that it remembers."""
    shapes = foreign.shapes

    def fed(newest: int) -> dict[str, str]:
        return {
            name: observation.observe(terms, newest, shapes[name]) for name, terms in foreign.inputs.items()
        }

    carry = foreign.carry
    if carry is None:
        return wiring.embed(network, "foreign.", fed(history - 1))[foreign.output]
    memory, twin, found = wiring.constant(carry.start), "", ""
    for tick in range(history):
        prefix = f"foreign.{tick}."
        outputs = wiring.embed(network, prefix, {**fed(tick), carry.input: memory}, twin)
        memory, found = outputs[carry.output], outputs[foreign.output]
        twin = twin or prefix
    return found


def _act(wiring: Wiring, foreign: Foreign, action: str) -> None:
    """From an action in the foreign order to a chunk of one row: target = default + scale * action."""
    joints = len(foreign.joint_names)
    found = wiring.add("Reshape", action, wiring.constant([1, 1, joints], np.int64))
    if foreign.action_clip is not None:
        limits = (wiring.constant(bound) for bound in (-foreign.action_clip, foreign.action_clip))
        found = wiring.add("Clip", found, *limits)
    if foreign.target_clip is not None:
        low, high = (
            (foreign.target_clip[:, side] - foreign.action_offset) / foreign.action_scale for side in (0, 1)
        )
        found = wiring.bounded(found, low, high)
    shift = (foreign.action_offset - foreign.default_pose) / foreign.action_scale
    if shift.any():
        found = wiring.add("Add", found, wiring.constant(shift))
    if (foreign.order != np.arange(joints)).any():
        found = wiring.add("Gather", found, wiring.constant(np.argsort(foreign.order), np.int64), axis=2)
    wiring.add("Identity", found, output="action_chunk")
