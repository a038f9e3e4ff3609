"""Precision: a float32 graph in fewer bits, proved to run, to be smaller, and to say what it said."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from inspect import signature
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.qdq_loss_debug import (
    collect_activations,
    modify_model_output_intermediate_tensors,
)
from onnxruntime.transformers.float16 import convert_float_to_float16

from rmedge.errors import CheckError, UsageError
from rmedge.export.graphs import Feed, strip
from rmedge.export.graphs.drift import Drift, compare, drift, noise
from rmedge.export.graphs.layers import LAYERS, Layer, layers, layers_of, prepared, quiet
from rmedge.export.graphs.storage import HALF_MAX, packed

__all__ = [
    "FORMATS",
    "METHODS",
    "SCHEMES",
    "Drift",
    "Layer",
    "compare",
    "convert",
    "drift",
    "layers",
    "quantised_weights",
]

FORMATS = ("float32", "float16", "int8-static", "int8-dynamic", "int8-weights")
METHODS = {
    "percentile": CalibrationMethod.Percentile,
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
}
# of activations that the eight bits cover: an outlier is rare and large. Cosine of the encoder's intent with
# float32: .95 with the extremes covered (min-max), .986 at 99.99, .991 at 99.97, .986 at 99.9
PERCENTILE = 99.97
# activations and weights of static INT8. x86 multiplies unsigned by signed many times as fast as signed by
# signed; ARM does both; TensorRT knows signed ones round zero alone, and biases in float
_SIGNED = {"ActivationSymmetric": True}
SCHEMES: dict[str, tuple[QuantType, dict[str, bool]]] = {
    "U8S8": (QuantType.QUInt8, {}),
    "S8S8": (QuantType.QInt8, _SIGNED),
    "S8S8-float-bias": (QuantType.QInt8, {**_SIGNED, "QuantizeBias": False}),
}
CACHES = "calibration_cache_path" in signature(quantize_static).parameters  # older ones calibrate every time
# who is farther off, as a share of what was said, computes something else (a fused softmax that gives zeros,
# a float16 that overflowed), and that is a fault and no precision
FAULT = 0.5
PROVED = 8  # feeds: a fault shows in the first


def convert(
    graph: bytes,
    format: str,
    feeds: Sequence[Feed] = (),
    method: str = "percentile",
    keep_float: Iterable[str] = (),
    scheme: str = "U8S8",
    operators: Sequence[str] = LAYERS,
    ranges: Path | None = None,
    fault: float = FAULT,
) -> bytes:
    """A float32 graph in one of `FORMATS`; it has been loaded and run before it is given back.

    Args:
        feeds: inputs to calibrate ``int8-static`` on, which needs them; any format is proved on the first of
            them, or on noise where there are none.
        method: how ``int8-static`` finds the range of an activation, one of `METHODS`.
        keep_float: weights, as `layers` names them, that stay as they are.
        scheme: of ``int8-static``, one of `SCHEMES`.
        operators: what ``int8-static`` quantises, besides products with a constant other operators too.
        ranges: a file that keeps what calibration found for this graph, these feeds and operators: the next
            conversion reads it.
        fault: how far an output may be off, as a share of what was said, before it is refused.

    Raises:
        UsageError: an unknown format, method, scheme or weight, or nothing to calibrate on.
        CheckError: a weight stayed in float32, the graph does not run, or it says something else.
    """
    _known(format, method, scheme)
    if format == "float32":
        return graph
    with prepared(graph) as (source, target):
        model = onnx.load(source)
        taken, spared = _chosen(model, format, set(keep_float), operators)
        if format == "int8-static":
            _static(source, target, feeds, method, scheme, operators, spared, ranges)
            _spare(source, target, spared)
        elif format == "int8-dynamic":
            _dynamic(model, source, target, spared)
        elif format == "int8-weights":
            target.write_bytes(packed(model.SerializeToString(), taken=taken))
        else:
            _within_float16(source, feeds)
            kept = [layer.name for layer in layers_of(model) if layer not in taken]
            onnx.save(convert_float_to_float16(model, keep_io_types=True, node_block_list=kept), target)
        made = strip(target.read_bytes())
    _shrunk(format, made, taken)
    _sound(format, graph, made, list(feeds[:PROVED]) or [noise(graph)], fault)
    return made


def quantised_weights(graph: bytes) -> int:
    """How many weight tensors of a graph are 8 bit."""
    model = onnx.load_from_string(graph)
    return sum(t.data_type == TensorProto.INT8 and len(t.dims) > 1 for t in model.graph.initializer)


def _known(format: str, method: str, scheme: str) -> None:
    for what, given, known in (
        ("format", format, FORMATS),
        ("method", method, METHODS),
        ("scheme", scheme, SCHEMES),
    ):
        if given not in known:
            raise UsageError(f"{what}: expected one of {', '.join(known)}, got {given!r}")


def _chosen(
    model: onnx.ModelProto, format: str, kept: set[str], operators: Sequence[str]
) -> tuple[list[Layer], list[str]]:
    """Layers to convert, and the names of products that must stay as they are.

    Products of two activations (attention) are among the latter: their error is the largest of all, and
    ``MatMulConstBOnly`` does not keep static quantisation from them.
    """
    every = layers_of(model)
    strange = kept - {layer.weight for layer in every}
    if strange:
        raise UsageError(
            f"keep_float: expected weights of the graph's layers, got {min(strange)!r}; "
            "precision.layers lists them"
        )
    if format == "int8-dynamic":
        operators = ("Gemm", "MatMul")  # convolutions have no fast dynamic kernel: 4.5 times slower
    taken = [layer for layer in every if layer.weight not in kept and layer.kind in operators]
    if not taken:  # the tools would say nothing, or fail without a reason
        raise CheckError(
            f"{format}: expected weights to convert, got none; "
            f"no {' or '.join(operators)} with a constant is left"
        )
    names = {layer.name for layer in taken}
    return taken, [n.name for n in model.graph.node if n.op_type in LAYERS and n.name not in names]


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Sequence[Feed]):
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def _static(
    source: Path, target: Path, feeds: Sequence[Feed], method: str, scheme: str, operators: Sequence[str],
    spared: list[str], ranges: Path | None,
) -> None:  # fmt: skip
    """QDQ, per channel."""
    if not feeds:
        raise UsageError(
            "calibration: expected inputs to calibrate int8-static on, got none; give some, or choose "
            "int8-dynamic"
        )
    activations, options = SCHEMES[scheme]
    # else a Clip whose bounds a range has is taken out, and who reads in float reads unclipped
    options = {**options, "QDQKeepRemovableActivations": True}
    cache = {} if ranges is None or not CACHES else {"calibration_cache_path": ranges}
    with quiet():
        quantize_static(
            source, target, _Reader(feeds), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=activations, weight_type=QuantType.QInt8, op_types_to_quantize=list(operators),
            nodes_to_exclude=spared, calibrate_method=METHODS[method],
            extra_options={"CalibPercentile": PERCENTILE, **options}, **cache,
        )  # fmt: skip


def _spare(source: Path, target: Path, spared: Iterable[str]) -> None:
    """Let what stays in float read what it read, where the tool has rounded that for a neighbour."""
    model, names = onnx.load(target), set(spared)
    reads = {node.name: node.input for node in onnx.load(source).graph.node if node.name in names}
    for node in model.graph.node:
        if node.name in reads:
            node.input[:] = reads[node.name]
    onnx.save(model, target)


def _dynamic(model: onnx.ModelProto, source: Path, target: Path, spared: list[str]) -> None:
    """Weights per channel; activations are quantised as they come."""
    del model.graph.value_info[:]  # shapes of transposed weights, which the tool would find wrong
    _turn_shared(model)
    onnx.save(model, source)
    # a Gemm is turned into a product of another name before the tool asks which are spared
    spared = [*spared, *(f"{name}_MatMul" for name in spared)]
    with quiet():
        quantize_dynamic(
            source, target, per_channel=True, weight_type=QuantType.QInt8, nodes_to_exclude=spared,
            op_types_to_quantize=["MatMul", "Gemm"],
            extra_options={"DefaultTensorType": TensorProto.FLOAT},  # of which it infers none: unrolled steps
        )  # fmt: skip


def _turn_shared(model: onnx.ModelProto) -> None:
    """Transposed weights of several Gemms, as of unrolled steps, once: the tool turns them for each user."""
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for tensor in model.graph.initializer:
        nodes = users.get(tensor.name, [])
        gemms = [node for node in nodes if node.op_type == "Gemm" and node.input[1] == tensor.name]
        turned = [a for node in gemms for a in node.attribute if a.name == "transB" and a.i]
        if len(turned) == len(nodes) > 1:
            array = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array.T), tensor.name))
            for attribute in turned:
                attribute.i = 0


def _within_float16(source: Path, feeds: Sequence[Feed]) -> None:
    """Ask every activation: a processor computes float16 in float32, and hides what overflows elsewhere."""
    raw = source.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        augmented = str(Path(folder) / "augmented.onnx")
        modify_model_output_intermediate_tensors(str(source), augmented)
        passed = collect_activations(augmented, iter(feeds[:PROVED] or [noise(raw)]))
    for name, arrays in passed.items():
        most = max(float(np.abs(array).max(initial=0.0)) for array in arrays)
        if not most <= HALF_MAX:
            raise CheckError(
                f"float16: expected activations up to {HALF_MAX:.0f}, got {most:.3g} in "
                f"{name}; choose another format"
            )


def _shrunk(format: str, made: bytes, taken: Iterable[Layer]) -> None:
    """The tools skip in silence what they do not like: no weight that was meant may still be float32."""
    model = onnx.load_from_string(made)
    small = {TensorProto.FLOAT16} if format == "float16" else {TensorProto.INT8}
    meant = {layer.weight: layer.size for layer in taken}
    held: dict[int, int] = {}
    for tensor in model.graph.initializer:
        if len(tensor.dims) > 1:
            held[tensor.data_type] = held.get(tensor.data_type, 0) + int(np.prod(tensor.dims))
    converted = sum(count for kind, count in held.items() if kind in small)
    wide = [t.name for t in model.graph.initializer if t.name in meant and t.data_type == TensorProto.FLOAT]
    if wide or 4 * converted < sum(meant.values()):
        raise CheckError(
            f"{format}: expected {sum(meant.values()) // 4} weights in fewer bits, got {converted}; "
            f"{wide[0] if wide else 'some'} stayed in float32: name it in keep_float, or choose another "
            "format"
        )


def _sound(format: str, graph: bytes, made: bytes, feeds: Sequence[Feed], fault: float = FAULT) -> None:
    """It loads, runs and says much the same, at the optimisation that is deployed."""
    try:
        drifts = compare(graph, made, feeds)
    except Exception as error:  # onnxruntime's own errors share no public base
        raise CheckError(
            f"{format}: expected a graph that runs, got: {error}; choose another format"
        ) from error
    name, worst = max(drifts.items(), key=lambda item: np.nan_to_num(item[1].relative, nan=np.inf))
    if not worst.relative < fault:
        raise CheckError(
            f"{format}: expected output {name} within {fault:.0%} of the float32 graph's, "
            f"got {worst.relative:.0%} off; choose another format, or leave operators in float"
        )
