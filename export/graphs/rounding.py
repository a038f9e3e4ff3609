"""Rounding: weights to eight bits so that what one of them is off by, others make up for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from rmedge.export.graphs import Feed
from rmedge.export.graphs.layers import layers_of, prepared

__all__ = ["STEPS", "Rounding"]

TOGETHER = 16  # feeds: products of many rows are quick
ROWS = 32  # places of a picture, or of a sequence, that are looked at in each feed
# of the mean square input, or as much as there are fewer rows than inputs: what feeds do not show, or show by
# chance, is rounded to the nearest step
DAMPING = 0.01
STEPS = 127  # to either side of nought


class Rounding:
    """Of the weights of a graph's layers; found once on feeds, for all conversions of that graph.

    Rounded to the nearest step, what weights are off by adds up in their layer's output. Here one is rounded
    after the other, and those that are left shift to cancel what it is off by in the outputs for these feeds
    (Frantar et al. 2022, "GPTQ", arXiv 2210.17323; the inputs' second moments, largest first). It costs the
    engine nothing: the steps remain as they are.
    """

    def __init__(
        self, graph: bytes, feeds: Sequence[Feed], progress: Callable[[float], None] = lambda done: None
    ) -> None:
        with prepared(graph) as (source, _):
            model = onnx.load(source)
        self._layers = {layer.name: layer for layer in layers_of(model)}
        tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._weights = {
            layer.weight: numpy_helper.to_array(tensors[layer.weight]) for layer in self._layers.values()
        }
        self._nodes = [node for node in model.graph.node if node.name in self._layers]
        self._moments: dict[str, np.ndarray] = {}  # (groups, K, K) of what each weight is multiplied with
        self._rows: dict[str, int] = {}
        heard: list[Feed] = []
        for done, passed in enumerate(_passing(model, [node.input[0] for node in self._nodes], feeds), 1):
            heard.append(passed)
            if len(heard) == TOGETHER or done == len(feeds):
                self._learn(heard)
                heard = []
            progress(done / len(feeds))
        self._found: dict[tuple[str, bytes], np.ndarray] = {}  # by the steps, too: tools may choose their own

    def _learn(self, heard: Sequence[Feed]) -> None:
        for node in self._nodes:
            weight, given = node.input[1], [passed[node.input[0]] for passed in heard]
            rows = [_rows(node, self._weights[weight], one) for one in given]
            known = [one for one in rows if one is not None]
            if known:  # a weight that several layers share answers for all
                seen = np.concatenate(known, 1)
                self._moments[weight] = self._moments.get(weight, 0.0) + seen.swapaxes(1, 2) @ seen
                self._rows[weight] = self._rows.get(weight, 0) + seen.shape[1]

    def __call__(self, quantised: bytes) -> bytes:
        """A static conversion of the graph, its eight-bit weights rounded anew; their scales stay."""
        model = onnx.load_from_string(quantised)
        tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        unpacked = {n.output[0]: n for n in model.graph.node if n.op_type == "DequantizeLinear"}
        for node in model.graph.node:
            layer, unpack = self._layers.get(node.name), unpacked.get((*node.input, "", "")[1])
            if layer is None or unpack is None:
                continue
            tensor = tensors[unpack.input[0]]
            if tensor.data_type == TensorProto.INT8:
                whole = self.whole(layer.weight, np.ravel(numpy_helper.to_array(tensors[unpack.input[1]])))
                if whole is not None:
                    tensor.CopyFrom(numpy_helper.from_array(whole, tensor.name))
        return model.SerializeToString()

    def whole(self, weight: str, step: np.ndarray) -> np.ndarray | None:
        """A weight in whole steps (channels,), int8; None if nothing is known of its inputs."""
        if weight not in self._moments:
            return None
        key = weight, step.tobytes()
        if key not in self._found:
            axis = next(layer.axis for layer in self._layers.values() if layer.weight == weight)
            array, moment = np.moveaxis(self._weights[weight], axis, 0), self._moments[weight]
            each = np.where(step > 0, step, 1).astype(np.float64)  # of a channel of zeros there is no step
            each = np.broadcast_to(each, array.shape[:1]).reshape(len(moment), -1)
            damping = max(DAMPING, moment.shape[-1] / self._rows[weight])
            found = _cancelling(array.reshape(*each.shape, -1), each, moment, damping).reshape(array.shape)
            self._found[key] = np.ascontiguousarray(np.moveaxis(found, 0, axis), np.int8)
        return self._found[key]


def _cancelling(weight: np.ndarray, step: np.ndarray, moment: np.ndarray, damping: float) -> np.ndarray:
    """Weights (G, outputs, K) in whole steps (G, outputs), their inputs' moments (G, K, K) being these."""
    count = weight.shape[-1]
    power = np.diagonal(moment, 0, 1, 2)
    order = np.argsort(-power, axis=-1)
    damped = np.maximum(damping * power.mean(-1), 1e-12)[:, None, None]
    moment = moment.astype(np.float64) + damped * np.eye(count)
    moment = np.take_along_axis(moment, order[:, :, None], 1)
    moment = np.take_along_axis(moment, order[:, None], 2)
    shares = np.linalg.cholesky(np.linalg.inv(moment)).swapaxes(1, 2)
    left = np.take_along_axis(weight.astype(np.float64), order[:, None], 2)
    whole = np.empty_like(left)
    for n in range(count):
        whole[..., n] = np.clip(np.rint(left[..., n] / step), -STEPS, STEPS)
        off = (left[..., n] - whole[..., n] * step) / shares[:, None, n, n]
        left[..., n + 1 :] -= off[..., None] * shares[:, None, n, n + 1 :]
    rounded = np.empty_like(whole)
    np.put_along_axis(rounded, np.broadcast_to(order[:, None], whole.shape), whole, 2)
    return rounded


def _passing(
    model: onnx.ModelProto, names: Sequence[str], feeds: Sequence[Feed]
) -> Iterator[dict[str, np.ndarray]]:
    """What these tensors hold, feed by feed."""
    told = onnx.ModelProto()
    told.CopyFrom(model)
    given = {value.name for value in told.graph.input}
    asked = [name for name in dict.fromkeys(names) if name not in given]
    told_already = {value.name for value in told.graph.output}
    told.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in asked
        if name not in told_already
    )
    session = onnxruntime.InferenceSession(told.SerializeToString(), providers=["CPUExecutionProvider"])
    for feed in feeds:
        yield {**feed, **dict(zip(asked, session.run(asked, feed) if asked else (), strict=True))}


def _rows(node: onnx.NodeProto, weight: np.ndarray, passed: np.ndarray) -> np.ndarray | None:
    """(groups, n, K) of what a layer multiplies its weight with; None where that is not known here."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Conv" and attributes.get("auto_pad", b"NOTSET") == b"NOTSET":
        return _windows(weight, passed, attributes)
    if weight.ndim != 2 or node.op_type not in ("Gemm", "MatMul") or attributes.get("transA", 0):
        return None
    rows = passed.reshape(1, -1, passed.shape[-1])
    return rows[:, _some(rows.shape[1])]


def _windows(weight: np.ndarray, passed: np.ndarray, attributes: dict[str, Any]) -> np.ndarray:
    """What a convolution of any number of axes sees at some places."""
    size = weight.shape[2:]
    axes = range(2, 2 + len(size))
    pads = attributes.get("pads", [0] * 2 * len(size))
    gaps = attributes.get("dilations", [1] * len(size))
    strides = attributes.get("strides", [1] * len(size))
    around = zip(pads[: len(size)], pads[len(size) :], strict=True)
    padded = np.pad(passed, [(0, 0), (0, 0), *around])
    reach = [gap * (one - 1) + 1 for gap, one in zip(gaps, size, strict=True)]
    seen = np.lib.stride_tricks.sliding_window_view(padded, reach, tuple(axes))
    steps = (slice(None, None, by) for by in (1, 1, *strides, *gaps))
    seen = seen[tuple(steps)]  # (B, C, *places, *size)
    places = seen.shape[2 : 2 + len(size)]
    chosen = _some(int(np.prod(places)))
    some: tuple[Any, ...] = (slice(None), slice(None), *np.unravel_index(chosen, places))
    seen = seen[some]  # (B, C, n, *size)
    groups = passed.shape[1] // weight.shape[1]
    seen = seen.reshape(len(passed), groups, weight.shape[1], len(chosen), -1)
    return seen.transpose(1, 0, 3, 2, 4).reshape(groups, -1, weight[0].size)


def _some(count: int) -> np.ndarray:
    """At most `ROWS` of so many places, from the first to the last."""
    return np.linspace(0, count - 1, min(ROWS, count)).astype(int)
