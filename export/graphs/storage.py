"""Storage: weights that are kept in fewer bits than they compute in, and widened when a graph is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rmedge.export.graphs.layers import Layer, layers_of
from rmedge.export.graphs.rounding import STEPS, Rounding

__all__ = ["HALF_MAX", "halved", "packed"]

HALF_MAX = float(np.finfo(np.float16).max)
HALF_LEAST = float(np.finfo(np.float16).tiny)  # below it digits are lost


def halved(graph: bytes) -> bytes:
    """A graph whose float32 weights are kept in float16 and widened when it is loaded.

    It computes in float32 as before, and as fast: engines fold what is constant. What float16 cannot hold
    stays, and so does what has one axis only, where there is little to gain.
    """
    model = onnx.load_from_string(graph)
    widen = []
    for tensor in model.graph.initializer:
        weight = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.FLOAT and weight.ndim > 1 and _fits_half(weight):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(weight.astype(np.float16), f"{name}_half"))
            widen.append(
                helper.make_node("Cast", [tensor.name], [name], f"{name}_widen", to=TensorProto.FLOAT)
            )
    return _led(model, widen)


def packed(
    graph: bytes, rounding: Rounding | None = None, least: int = 0, taken: Iterable[Layer] | None = None
) -> bytes:
    """A graph whose layers' float32 weights are kept in INT8, with a scale a channel.

    It computes in float32 as before, and as fast: engines fold what is constant. (They do not fold a
    ``DequantizeLinear``: unpacked so, the weights cost four times the whole encoder's time, at every call.)

    Args:
        rounding: how weights are rounded; to the nearest step where None.
        least: numbers in a weight to be packed.
        taken: layers to pack; all where None.
    """
    model = onnx.load_from_string(graph)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    unpack = []
    for layer in {layer.weight: layer for layer in (layers_of(model) if taken is None else taken)}.values():
        name, tensor = layer.weight, tensors[layer.weight]
        weight = numpy_helper.to_array(tensor)
        if weight.size < least or tensor.data_type != TensorProto.FLOAT:
            continue
        others = tuple(axis for axis in range(weight.ndim) if axis != layer.axis)
        scale = (np.abs(weight).max(others, keepdims=True) / np.float32(STEPS)).astype(np.float32)
        whole = rounding.whole(name, scale.ravel()) if rounding else None
        if whole is None:
            whole = np.rint(weight / np.where(scale > 0, scale, 1)).astype(np.int8)
        scales = numpy_helper.from_array(scale, f"{name}_scale")
        model.graph.initializer.remove(tensor)
        model.graph.initializer.extend([numpy_helper.from_array(whole, f"{name}_quantized"), scales])
        unpack += [
            helper.make_node(
                "Cast", [f"{name}_quantized"], [f"{name}_whole"], f"{name}_widen", to=TensorProto.FLOAT
            ),
            helper.make_node("Mul", [f"{name}_whole", scales.name], [name], f"{name}_unpack"),
        ]
    return _led(model, unpack)


def _fits_half(weight: np.ndarray) -> bool:
    """Whether float16 holds it: nothing too large and, in a row, where each number counts, none too small."""
    size = np.abs(weight[weight != 0])
    row = weight.size == max(weight.shape, default=0)
    return bool(size.max(initial=0.0) < HALF_MAX and (not row or size.min(initial=1.0) >= HALF_LEAST))


def _led(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> bytes:
    """A graph that begins with these nodes."""
    after = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *after])
    return model.SerializeToString()
