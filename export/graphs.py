"""Networks to ONNX: exported with static shapes, compared with torch, quantised, compared again."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from rmedge.errors import CheckError
from rmedge.runtimes.session import Session

__all__ = ["OPSET", "export", "infer", "parity", "quantise", "quantise_weights", "quantised_weights"]

# of activations that the eight bits cover: an outlier is rare and large. Cosine of the encoder's intent with
# float32: .95 with the extremes covered (min-max), .986 at 99.99, .991 at 99.97, .986 at 99.9
PERCENTILE = 99.97
LAYERS = ("Conv", "Gemm")
OPSET = 20  # with IR 10: read by onnxruntime 1.18 and newer
Shapes = Mapping[str, tuple[int, ...]]
Feed = dict[str, np.ndarray]


def export(model: nn.Module, inputs: Shapes, outputs: Iterable[str]) -> bytes:
    """A network's float32 graph with static shapes and its weights inside."""
    example = tuple(torch.zeros(shape) for shape in inputs.values())
    noisy = logging.getLogger("torch.onnx")
    level, noisy.level = noisy.level, logging.ERROR
    with warnings.catch_warnings(), io.BytesIO() as buffer:
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        program = torch.onnx.export(
            model.eval(), example, input_names=list(inputs), output_names=list(outputs), dynamo=True,
            opset_version=OPSET, external_data=False, verbose=False,
        )  # fmt: skip
        noisy.setLevel(level)
        assert program is not None
        onnx.save(program.model_proto, buffer)
        return _strip(buffer.getvalue())


def _strip(graph: bytes) -> bytes:
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


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: list[Feed]):
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


@contextmanager
def _prepared(graph: bytes) -> Iterator[tuple[Path, Path]]:
    """Files to quantise from and to: the graph with its shapes inferred and its constants folded."""
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (
            Path(folder) / name for name in ("float.onnx", "prepared.onnx", "int8.onnx")
        )
        source.write_bytes(graph)
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        yield prepared, target


def quantise(graph: bytes, feeds: list[Feed], keep_float: Iterable[str] = ()) -> bytes:
    """Static INT8 (QDQ, per channel, U8S8) of a graph's convolutions and layers, calibrated on feeds.

    Args:
        keep_float: names of initialisers whose nodes stay in float32.

    Raises:
        CheckError: nothing was quantised, which the tools do not say.
    """
    with _prepared(graph) as (prepared, target):
        model = onnx.load(prepared)
        kept = set(keep_float)
        layers = [node for node in model.graph.node if node.op_type in LAYERS]
        excluded = [node.name for node in layers if kept & set(node.input)]
        if len(layers) == len(excluded):  # the tools would say nothing, or fail without a reason
            raise CheckError(
                "quantisation: expected INT8 weights, got none; no Conv or Gemm is left to quantise"
            )
        quantize_static(
            prepared, target, _Reader(feeds), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            op_types_to_quantize=list(LAYERS), nodes_to_exclude=excluded,
            calibrate_method=CalibrationMethod.Percentile, extra_options={"CalibPercentile": PERCENTILE},
        )  # fmt: skip
        found = _strip(target.read_bytes())
    count = quantised_weights(found)
    if count < len(layers) - len(excluded):
        raise CheckError(f"quantisation: expected {len(layers) - len(excluded)} INT8 weights, got {count}")
    return found


def quantise_weights(graph: bytes) -> bytes:
    """INT8 weights (per channel) of a graph's layers, activations quantised as they come.

    A small policy called once costs what its weights weigh on their way from memory: a quarter here.

    Raises:
        CheckError: nothing was quantised.
    """
    with _prepared(graph) as (prepared, target):
        model = onnx.load(prepared)
        del model.graph.value_info[:]  # shapes of transposed weights, which the tool would find wrong
        onnx.save(model, prepared)
        quantize_dynamic(prepared, target, per_channel=True, weight_type=QuantType.QInt8)
        found = _strip(target.read_bytes())
    if not quantised_weights(found):
        raise CheckError("quantisation: expected INT8 weights, got none; no layer is left to quantise")
    return found


def quantised_weights(graph: bytes) -> int:
    """How many weight tensors of a graph are 8 bit."""
    model = onnx.load_from_string(graph)
    return sum(t.data_type == onnx.TensorProto.INT8 and len(t.dims) > 1 for t in model.graph.initializer)


def golden(graph: bytes, inputs: Shapes, outputs: Shapes, feeds: list[Feed]) -> dict[str, np.ndarray]:
    """Golden vectors: what this graph says to these feeds here; the batch axis counts the cases."""
    session = Session(graph, inputs, outputs)
    said = [session.run(feed) for feed in feeds]
    arrays = {name: np.concatenate([feed[name] for feed in feeds]) for name in inputs}
    arrays.update({name: np.concatenate([row[n] for row in said]) for n, name in enumerate(outputs)})
    return arrays
