"""Layers: the products with constants that a graph is made of, as the tools of precision meet them."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process

__all__ = ["LAYERS", "Layer", "layers", "layers_of", "prepared", "quiet"]

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Layer:
    """A product with a constant: what precision is about."""

    name: str  # its node's
    kind: str
    weight: str  # its initialiser's name
    size: int  # of the weight in float32 [bytes]
    axis: int  # of the weight, along which its output channels lie


def layers(graph: bytes) -> tuple[Layer, ...]:
    """The layers of a graph as they are converted: constants folded, batch norms within convolutions."""
    with prepared(graph) as (source, _):
        return layers_of(onnx.load(source))


@contextmanager
def prepared(graph: bytes) -> Iterator[tuple[Path, Path]]:
    """Files to convert from, and to: the graph with its shapes inferred and its constants folded.

    Unless that is done first, unrolled steps stay in float32 and transposed weights are overlooked.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw, source, target = (Path(folder) / name for name in ("raw.onnx", "source.onnx", "target.onnx"))
        raw.write_bytes(graph)
        with quiet():
            quant_pre_process(raw, source, skip_symbolic_shape=True)
        _name(source)
        yield source, target


def _name(path: Path) -> None:
    """The tools tell nodes apart by their names, which ONNX does not demand."""
    model = onnx.load(path)
    nameless = [node for node in model.graph.node if not node.name]
    for number, node in enumerate(nameless):
        node.name = f"nameless_{number}"
    if nameless:
        onnx.save(model, path)


@contextmanager
def quiet() -> Iterator[None]:
    """The tools print what they do."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.getLogger().setLevel(level)


def layers_of(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """Products whose second factor is a constant of at least two axes."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer if len(tensor.dims) > 1}
    found = []
    for node in model.graph.node:
        if node.op_type not in LAYERS or node.input[1] not in weights:
            continue
        tensor = weights[node.input[1]]
        axis = {"Conv": 0, "ConvTranspose": 1, "MatMul": len(tensor.dims) - 1}.get(node.op_type)
        if axis is None:
            axis = 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
        found.append(Layer(node.name, node.op_type, tensor.name, 4 * int(np.prod(tensor.dims)), axis))
    return tuple(found)
