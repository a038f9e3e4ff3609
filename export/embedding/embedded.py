"""Graphs for a program without Python: raw robot state, or pixels, in; joint targets, or an intent, out.

Each is the bundle's own graph, its nodes and weights untouched, and around it, as ONNX, what rmedge does
before and after it. What must be remembered goes in and comes out as a tensor: all zero is a new episode.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper, parser

from rmedge.bundle import Bundle
from rmedge.errors import BundleError, CheckError, UsageError
from rmedge.export.embedding import header, ticks
from rmedge.export.embedding.pixels import seeing
from rmedge.runtimes.features import Size
from rmedge.runtimes.session import Session

__all__ = ["BUNDLE", "embed", "encoder", "policy"]

BUNDLE = "rmedge.bundle"  # the graphs' metadata: the sha256 of the bundle that they were made of
OLDEST = 11  # of ONNX's operator sets: the first with Round; Slice takes its places as inputs from 10 on
NEAR = 1e-6  # [rad] of the runtime's own targets, on the same engine: it should be nothing at all
INSIDE = "bundle/"  # how the names of the bundle's own nodes and tensors begin

# What runtimes/policy.py does before the graph, in its precision: in double, and rounded once.
# cos x is 1 - 2 sin^2 x/2, because onnxruntime 1.19 has no Cos for doubles.
FEEL = """
feel (double[1,Da] joint_pos, double[1,Da] joint_vel, double[1,Da] sent, double[1,3] base_ang_vel,
      double[1,3] projected_gravity, int64[1,1] stamp_ns, double[1,M] memory)
    => (float[1,P] felt, double[1,M] next_memory)
{{
    begun = Slice (memory, at_0, at_1, columns)
    going = Cast <to = 9> (begun)
    began_ns = Slice (memory, at_1, at_2, columns)
    kept = Slice (memory, at_second, at_end, columns)

    now_ns = Cast <to = 11> (stamp_ns)
    start_ns = Where (going, began_ns, now_ns)
    start = Cast <to = 7> (start_ns)
    since = Sub (stamp_ns, start)
    since_ns = Cast <to = 11> (since)
    angle = Mul (turning, since_ns)
    angles = Mul (angle, multiples)
    sines = Sin (angles)
    halves = Slice (sines, at_0, at_2, columns)
    squares = Mul (halves, halves)
    twice_squares = Mul (two, squares)
    cosines = Sub (one, twice_squares)
    both = Concat <axis = 1> (cosines, sines)

    of_clock = Gather <axis = 1> (both, as_in_clock)
    of_joint_pos = Sub (joint_pos, default)
    moved = Sub (sent, default)
    of_actions = Div (moved, scale)
    of_joint_vel = Identity (joint_vel)
    of_base_ang_vel = Identity (base_ang_vel)
    of_projected_gravity = Identity (projected_gravity)
    tick = Concat <axis = 1> ({terms})
    scaled = Mul (tick, factor)
    single = Cast <to = 1> (scaled)
    raised = Max (single, least)
    row = Min (raised, most)
    row_kept = Cast <to = 11> (row)

    first = Concat <axis = 1> ({rows})
    later = Concat <axis = 1> (kept, row_kept)
    history = Where (going, later, first)
    felt = Cast <to = 1> (history)
    next_memory = Concat <axis = 1> (one, start_ns, history)
}}
"""

AIM = """
aim (float[1,Ta,Da] chunk) => (double[1,Ta,Da] joint_target)
{
    actions = Cast <to = 11> (chunk)
    moves = Mul (scale, actions)
    joint_target = Add (default, moves)
}
"""


def embed(bundle: Bundle, out: Path, camera: Size | None = None) -> float:
    """Write all that a program in C or C++ needs of a bundle into a folder, and prove it.

    ``policy.onnx``, ``encoder.onnx``, the header ``rmedge_bundle.h``, and ``ticks.txt``: states to replay
    with the joint targets of rmedge's own policy.

    Returns:
        the greatest difference of the embedded policy from rmedge's own over those ticks [rad].

    Raises:
        UsageError: the folder cannot be written; or a camera's size as `encoder` says.
        BundleError: a graph is not what the bundle declares, or its operators are too old.
        CheckError: the embedded policy does not say what rmedge's own does.
        AbsentError: OpenCV is not here, whose resize the encoder's is made from.
    """
    graphs = {"policy": policy(bundle), "encoder": encoder(bundle, camera)}
    told = ticks.rehearse(bundle)
    error = float(np.abs(ticks.replay(graphs["policy"], told) - told.joint_target).max())
    if not error <= NEAR:
        raise CheckError(f"embedded policy: expected rmedge's own targets within {NEAR} rad, got {error}")
    files = {f"{name}.onnx": graph for name, graph in graphs.items()}
    files["rmedge_bundle.h"] = header.header(bundle, graphs, told).encode("ascii")
    files["ticks.txt"] = told.text().encode("ascii")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (out / name).write_bytes(data)
    except OSError as problem:
        raise UsageError(
            f"out: expected a folder that can be written, got {str(out)!r} ({problem.strerror})"
        ) from problem
    return error


def policy(bundle: Bundle) -> bytes:
    """The policy from raw state: what `Policy.act` does, with its history in ``memory``.

    Inputs: joint_pos, joint_vel, sent (1, Da), base_ang_vel, projected_gravity (1, 3), as in `RobotState`,
    and memory (1, M), double; stamp_ns (1, 1) int64; intent (1, Z) and noise, float. ``sent`` is what was
    really commanded last [rad], the default pose before anything was. Outputs: joint_target (1, Ta, Da)
    [rad] and next_memory, double.

    The memory holds a 1, the first stamp [ns] and the history (To, Do), oldest first.

    Raises:
        BundleError: the graph is not what the bundle declares, or its operators are too old.
    """
    inner = _inner(bundle, "policy")
    observation, joints = bundle.policy.observation, len(bundle.joint_names)
    default, scale = bundle.default_pose, bundle.action_scale
    sizes = [term.size for term in observation.terms]
    most = np.repeat([term.clip for term in observation.terms], sizes).astype(np.float32)
    shapes = {
        "Da": joints,
        "M": ticks.memory_size(bundle),
        "P": observation.history * observation.size,
        "Ta": bundle.policy.outputs["action_chunk"][1],
    }
    flow = FEEL.format(
        terms=", ".join(f"of_{term.name}" for term in observation.terms),
        rows=", ".join(["row_kept"] * observation.history),
    )
    constants = {
        **{f"at_{at}": np.array([at]) for at in range(3)},
        "at_second": np.array([2 + observation.size]),  # where the second oldest row begins
        "at_end": np.array([shapes["M"]]),
        "columns": np.array([1]),
        "turning": np.array([[2e-9 * math.pi / observation.clock_s]]),  # [rad/ns]
        "multiples": np.array([[0.5, 1.0, 2.0]]),
        "as_in_clock": np.array([0, 3, 1, 4]),  # of cos x, cos 2x, sin x/2, sin x, sin 2x
        "one": np.ones((1, 1)),
        "two": np.full((1, 1), 2.0),
        "default": default,
        "scale": scale,
        "factor": np.repeat([term.scale for term in observation.terms], sizes),
        "least": -most,
        "most": most,
    }
    feel = _part(flow, shapes, constants, inner)
    aim = _part(AIM, shapes, {"default": default, "scale": scale}, inner, "aim/")
    felt = compose.merge_models(feel, inner, io_map=[("felt", "proprio")])
    whole = compose.merge_models(felt, aim, io_map=[("action_chunk", "chunk")])
    return _sealed(whole, bundle)


def encoder(bundle: Bundle, camera: Size | None = None) -> bytes:
    """The encoder: from pixels where the bundle looks at colours alone, and else its own graph as it is.

    From pixels: pixels (1, H, W, 3) uint8 RGB of the camera's size, or of the bundle's picture where none
    is given, and state (1, S). No ONNX operator computes a dense optical flow: with one, the inputs are the
    features (1, C, h, w) of `runtimes.features.Features`.

    Raises:
        UsageError: a camera's size was given to a bundle that sees motion, or one that cannot be resized.
        BundleError: the graph is not what the bundle declares, or its operators are too old.
        AbsentError: OpenCV is not here.
    """
    image = bundle.encoder.image
    if image.motion != "none":
        if camera is not None:
            raise UsageError(
                f"camera: expected none for a bundle that sees {image.motion}, got {camera[1]}x{camera[0]}; "
                "compute its features beside the graph, as rmedge.runtimes.features does"
            )
        return _checked(bundle, "encoder")
    inner = _inner(bundle, "encoder")
    flow, shapes, constants = seeing(image, camera or (image.height, image.width))
    eye = _part(flow, shapes, constants, inner)
    return _sealed(compose.merge_models(eye, inner, io_map=[("seen", "features")]), bundle)


def _checked(bundle: Bundle, name: str) -> bytes:
    """The bundle's graph, which is what the bundle declares."""
    graph, spec = bundle.graph(name), getattr(bundle, name)
    Session(graph, spec.inputs, spec.outputs)
    return graph


def _inner(bundle: Bundle, name: str) -> onnx.ModelProto:
    """The bundle's graph with other names inside, and its own where it begins and ends."""
    model = onnx.load_from_string(_checked(bundle, name))
    version = _operators(model)[0].version
    if version < OLDEST:
        raise BundleError(
            f"{name}: expected a graph of operator set {OLDEST} or newer, got {version}; export it again"
        )
    return compose.add_prefix(model, INSIDE, rename_inputs=False, rename_outputs=False)


def _operators(model: onnx.ModelProto) -> list[onnx.OperatorSetIdProto]:
    """The set of ONNX's own operators that a graph is written in."""
    return [one for one in model.opset_import if one.domain in ("", "ai.onnx")]


def _part(
    flow: str,
    shapes: dict[str, int],
    constants: dict[str, np.ndarray],
    beside: onnx.ModelProto,
    prefix: str = "",
) -> onnx.ModelProto:
    """A graph from its text, with numbers for the letters of its shapes, to be merged with another."""
    graph = parser.parse_graph(flow)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    for value in (*graph.input, *graph.output):
        for extent in value.type.tensor_type.shape.dim:
            if extent.dim_param:
                extent.dim_value = shapes[extent.dim_param]
    model = helper.make_model(graph, opset_imports=_operators(beside), ir_version=beside.ir_version)
    return compose.add_prefix(model, prefix, rename_inputs=False, rename_outputs=False) if prefix else model


def _sealed(model: onnx.ModelProto, bundle: Bundle) -> bytes:
    model.producer_name = "rmedge"
    del model.metadata_props[:]
    helper.set_model_props(model, {BUNDLE: bundle.sha256})
    return bytes(model.SerializeToString())
