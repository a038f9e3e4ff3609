"""A stranger's ONNX file: read with care, and asked what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from rmedge.errors import InputError, UsageError

__all__ = ["Network", "caller", "read_file"]

Feed = Mapping[str, np.ndarray]

MOST_BYTES = 64 << 20  # as much as a bundle may hold


def read_file(path: Path) -> bytes:
    """A file's bytes, up to `MOST_BYTES`.

    Raises:
        InputError: it cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{path.name}: expected a readable file, got {str(path)!r} ({error.strerror})"
        ) from error
    if len(data) > MOST_BYTES:
        raise InputError(f"{path.name}: expected at most {MOST_BYTES >> 20} MiB, got more")
    return data


def caller(graph: bytes, file: str) -> Callable[[Feed], list[np.ndarray]]:
    """A stranger's graph as a function of its inputs, on one thread of the CPU.

    Raises:
        UsageError: onnxruntime does not load it, or (when it is called) does not run it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4

    def refused(error: Exception) -> UsageError:
        said = str(error).splitlines()[0]
        return UsageError(f"{file}: expected a graph that onnxruntime runs, got: {said}; export it again")

    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no base
        raise refused(error) from error

    def call(feed: Feed) -> list[np.ndarray]:
        try:
            return session.run(None, feed)
        except Exception as error:  # as above
            raise refused(error) from error

    return call


class Network:
    """A graph that is whole in its bytes, well-formed and of finite weights.

    Attributes:
        inputs, outputs: name -> shape; a length that the graph leaves open is 1 (a batch of one robot).
        metadata: what its exporter wrote beside it.

    Raises:
        InputError: it is no ONNX file, or not all of it is there.
        UsageError: a tensor is not of floats, or its shape is not known; a weight is not finite.
    """

    def __init__(self, data: bytes, file: str):
        try:
            self.model = onnx.load_model_from_string(data)
            onnx.checker.check_model(self.model)
        except Exception as error:  # protobuf's and the checker's errors share no base
            raise InputError(
                f"{file}: expected an ONNX file, got one that is not: {str(error).splitlines()[0]}"
            ) from error
        graph = self.model.graph
        for tensor in _tensors(graph):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise InputError(
                    f"{file}: expected all weights in the file, got {tensor.name} outside; export it whole"
                )
            if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE) and not (
                np.isfinite(numpy_helper.to_array(tensor)).all()
            ):
                raise UsageError(f"{file}: expected finite weights, got NaN or infinity in {tensor.name}")
        weights = {tensor.name for tensor in graph.initializer}
        self.inputs = {v.name: _shape(v, file) for v in graph.input if v.name not in weights}
        self.outputs = {v.name: _shape(v, file) for v in graph.output}
        self.metadata: Mapping[str, str] = {entry.key: entry.value for entry in self.model.metadata_props}
        if not all(isinstance(note, str) for entry in self.metadata.items() for note in entry):
            raise InputError(f"{file}: expected notes that are text, got some that are not; export it again")

    def sole_input(self, file: str) -> str:
        """The name of its one input.

        Raises:
            UsageError: it has more: a memory, a reference motion, a picture.
        """
        if len(self.inputs) != 1:
            names = ", ".join(self.inputs) or "none"
            raise UsageError(
                f"{file}: expected one input, the observation, got {names}; rmedge's policies keep no memory "
                "and track no reference motion: export a feed-forward velocity policy"
            )
        return next(iter(self.inputs))

    def action_output(self, joints: int, file: str) -> str:
        """The name of the output that is one action a joint: the first.

        Raises:
            UsageError: it is something else.
        """
        name, shape = next(iter(self.outputs.items()), ("none", ()))
        if shape not in ((1, joints), (joints,)):
            raise UsageError(f"{file}: expected {joints} actions in its first output, got {name} {shape}")
        return name


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """All constant tensors, those within nodes and their subgraphs too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _tensors(inner)


def _shape(value: onnx.ValueInfoProto, file: str) -> tuple[int, ...]:
    tensor = value.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT or not tensor.HasField("shape"):
        raise UsageError(f"{file}: expected float32 tensors of known shape, got {value.name} otherwise")
    return tuple(dim.dim_value or 1 for dim in tensor.shape.dim)
