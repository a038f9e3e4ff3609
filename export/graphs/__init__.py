"""Graphs: networks to ONNX with static shapes, in fewer bits, and proved against torch and themselves."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from rmedge.runtimes.session import Session

__all__ = ["OPSET", "Feed", "Shapes", "export", "golden", "infer", "parity", "stream", "strip"]

OPSET = 20  # with IR 10: read by onnxruntime 1.18 and newer
Shapes = Mapping[str, tuple[int, ...]]
Feed = dict[str, np.ndarray]


def export(model: nn.Module, inputs: Shapes, outputs: Iterable[str], batch: bool = False) -> bytes:
    """A network's float32 graph with static shapes and its weights inside.

    Args:
        batch: leave the first axis free, to evaluate many cases in a call on a workstation; what a bundle
            holds is static.
    """
    # an example of one would be taken for a constant
    shapes = [(2, *shape[1:]) if batch else shape for shape in inputs.values()]
    free = [{0: torch.export.Dim("batch")} for _ in shapes] if batch else None
    noisy = logging.getLogger("torch.onnx")
    level = noisy.level
    noisy.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), io.BytesIO() as buffer:
            warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
            program = torch.onnx.export(
                model.eval(), tuple(torch.zeros(shape) for shape in shapes), input_names=list(inputs),
                output_names=list(outputs), dynamo=True, opset_version=OPSET, external_data=False,
                verbose=False, dynamic_shapes=free,
            )  # fmt: skip
            assert program is not None
            onnx.save(program.model_proto, buffer)
            return strip(buffer.getvalue())
    finally:
        noisy.setLevel(level)


def strip(graph: bytes) -> bytes:
    """Without the exporter's notes, which hold paths of the machine that exported."""
    model = onnx.load_from_string(graph)
    model.doc_string = ""
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    return model.SerializeToString()


def infer(graph: bytes, feeds: Iterable[Feed], outputs: Iterable[str]) -> list[list[np.ndarray]]:
    """A graph's named outputs for each feed, on the CPU."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = list(outputs)
    return [session.run(names, feed) for feed in feeds]


def stream(graph: bytes) -> Callable[[np.ndarray, np.ndarray], list[np.ndarray]]:
    """A streaming encoder's graph as a function: features and state to intent and next state."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return lambda features, state: session.run(
        ["intent", "next_state"], {"features": features, "state": state}
    )


def parity(model: nn.Module, graph: bytes, feeds: list[Feed], outputs: Iterable[str]) -> float:
    """The greatest absolute difference between torch and ONNX over these feeds."""
    names = list(outputs)
    worst = 0.0
    with torch.inference_mode():
        for feed, found in zip(feeds, infer(graph, feeds, names), strict=True):
            said = model(*(torch.from_numpy(value) for value in feed.values()))
            said = said if isinstance(said, tuple) else (said,)
            worst = max(
                worst, *(float(np.abs(a.numpy() - b).max()) for a, b in zip(said, found, strict=True))
            )
    return worst


def golden(graph: bytes, inputs: Shapes, outputs: Shapes, feeds: list[Feed]) -> dict[str, np.ndarray]:
    """Golden vectors: what this graph says to these feeds here; the batch axis counts the cases."""
    session = Session(graph, inputs, outputs)
    said = [session.run(feed) for feed in feeds]
    arrays = {name: np.concatenate([feed[name] for feed in feeds]) for name in inputs}
    arrays.update({name: np.concatenate([row[n] for row in said]) for n, name in enumerate(outputs)})
    return arrays
