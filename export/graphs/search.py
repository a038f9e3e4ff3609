"""Search: which layers must stay in float for static INT8 to keep within an error budget."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization.qdq_loss_debug import create_weight_matching

from rmedge.export.graphs import Feed
from rmedge.export.graphs.layers import Layer, layers, prepared
from rmedge.export.graphs.precision import convert
from rmedge.export.graphs.rounding import Rounding
from rmedge.export.graphs.storage import halved, packed

__all__ = ["Loss", "Mixed", "losses", "mixed"]

SMALL = 4096  # numbers in a weight: of smaller ones, often the first and the last layers', little is gained


@dataclass(frozen=True)
class Loss:
    """What eight bits cost where one layer alone has them."""

    layer: Layer
    error: float  # of the final output, in the unit of the budget


@dataclass(frozen=True)
class Mixed:
    """A graph of INT8 and float layers."""

    onnx: bytes
    error: float
    method: str  # of calibration
    kept_float: tuple[str, ...]  # weights that compute in float32
    losses: tuple[Loss, ...]  # the worst first; empty where the budget was kept at once


def mixed(
    graph: bytes,
    feeds: Sequence[Feed],
    error: Callable[[bytes], float],
    budget: float,
    method: str = "percentile",
    scheme: str = "U8S8",
    keep_float: Sequence[str] = (),
    progress: Callable[[float], None] = lambda done: None,
) -> Mixed:
    """Static INT8 with as few layers in float as the budget allows.

    Weights are rounded so that their errors cancel, see `Rounding`, and those of `SMALL` numbers and more are
    kept in eight bits even where a layer computes in float. All layers are quantised at first. Where that is
    too much, what each alone does to the final output ranks them, and bisection finds how many of the worst
    must stay in float: about log2 of their number in conversions, all of one calibration.

    Args:
        error: of a graph's final output, in the unit of the budget; asked once a layer and conversion.
        keep_float: weights that stay in float anyway.

    Returns:
        The graph with the fewest in float that is within the budget; where none is, the one with the least
        error, which its ``error`` tells.

    Raises:
        UsageError: as `convert` raises.
        CheckError: as `convert` raises.
    """
    rounded = Rounding(graph, feeds)
    with tempfile.TemporaryDirectory() as folder:
        ranges = Path(folder) / "ranges.json"

        def attempt(more: Sequence[Loss]) -> Mixed:
            kept = (*keep_float, *dict.fromkeys(loss.layer.weight for loss in more))
            # however far off the first is: the error tells, and the next will be nearer
            made = convert(
                graph, "int8-static", feeds, method, kept, scheme, ranges=ranges, fault=float("inf")
            )
            made = halved(packed(rounded(made), rounded, SMALL))
            return Mixed(made, error(made), method, kept, ())

        best = attempt(())
        if best.error <= budget:
            return best
        ranked = losses(graph, best.onnx, error, progress)
        short, enough = 0, len(ranked)  # as many in float are too few; so many leave nothing to quantise
        while enough - short > 1:
            count = (short + enough) // 2
            found = attempt(ranked[:count])
            within = found.error <= budget
            short, enough = (short, count) if within else (count, enough)
            if within or found.error < best.error:
                best = found
        return replace(best, losses=ranked)


def losses(
    graph: bytes,
    quantised: bytes,
    error: Callable[[bytes], float],
    progress: Callable[[float], None] = lambda done: None,
) -> tuple[Loss, ...]:
    """What each layer of a statically quantised graph costs if it alone is in eight bits, the worst first.

    The noise of a layer by itself (signal to noise of its input and its weight) ranks badly: where somebody
    is rests on a few numbers, and a little noise there moves the whole picture.
    """
    made = onnx.load_from_string(quantised)
    with prepared(graph) as (source, target):
        target.write_bytes(quantised)
        weights = create_weight_matching(str(source), str(target))
        plain = onnx.load(source)
    taken = [layer for layer in layers(graph) if layer.weight in weights]
    found = []
    for number, layer in enumerate(taken):
        alone = _alone(plain, made, layer, weights[layer.weight]["dequantized"])
        found.append(Loss(layer, error(alone)))
        progress((number + 1) / len(taken))
    return tuple(sorted(found, key=lambda loss: -loss.error))


def _alone(plain: onnx.ModelProto, made: onnx.ModelProto, layer: Layer, weight: np.ndarray) -> bytes:
    """The float graph with one layer's input and weight rounded as the quantised graph rounds them."""
    model = onnx.ModelProto()
    model.CopyFrom(plain)
    (tensor,) = (t for t in model.graph.initializer if t.name == layer.weight)
    tensor.CopyFrom(numpy_helper.from_array(weight.astype(np.float32), layer.weight))
    (own,) = (node for node in made.graph.node if node.name == layer.name)
    (unpack,) = (node for node in made.graph.node if node.output[0] == own.input[0])
    steps = list(unpack.input[1:])  # the scale and the zero point
    held = {t.name for t in model.graph.initializer}
    model.graph.initializer.extend(
        t for t in made.graph.initializer if t.name in steps and t.name not in held
    )
    rounded = [f"{layer.name}_{stage}" for stage in ("packed", "rounded")]
    place = next(n for n, node in enumerate(model.graph.node) if node.name == layer.name)
    there = model.graph.node[place]
    reads, there.input[0] = there.input[0], rounded[1]
    for node in (
        helper.make_node("DequantizeLinear", [rounded[0], *steps], [rounded[1]]),
        helper.make_node("QuantizeLinear", [reads, *steps], [rounded[0]]),
    ):
        model.graph.node.insert(place, node)
    return model.SerializeToString()
