"""Wiring: ONNX nodes, constants and whole networks, joined one by one into a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper

__all__ = ["Wiring"]


class Wiring:
    """A graph that grows; every call gives the names of what it made."""

    def __init__(self, opset: int):
        self._opsets = {"": opset}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._functions: list[onnx.FunctionProto] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A constant array."""
        name = f"rmedge.c{len(self._constants)}"
        self._constants[name] = numpy_helper.from_array(np.asarray(value, dtype), name)
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """One node of one output."""
        name = output or f"rmedge.v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def bounded(self, values: str, low: np.ndarray, high: np.ndarray) -> str:
        """Values, each within its own bounds."""
        if np.ptp(low) == np.ptp(high) == 0.0:  # one node for two
            bounds = (self.constant(bound.flat[0]) for bound in (low, high))
            return self.add("Clip", values, *bounds)
        return self.add("Min", self.add("Max", values, self.constant(low)), self.constant(high))

    def embed(
        self, model: onnx.ModelProto, prefix: str, feeds: Mapping[str, str], twin: str = ""
    ) -> dict[str, str]:
        """A whole network, its inputs fed from here; gives its outputs by their own names.

        Args:
            prefix: of all its names here.
            twin: the prefix of an earlier copy, whose weights it shares.
        """
        inner = compose.add_prefix(model, prefix)
        for tensor in inner.graph.initializer:
            tensor.doc_string = ""
            if twin:
                self.add("Identity", twin + tensor.name.removeprefix(prefix), output=tensor.name)
            else:
                self._constants[tensor.name] = tensor
        for name, source in feeds.items():
            self.add("Identity", source, output=prefix + name)
        for node in inner.graph.node:
            node.doc_string = ""  # notes hold paths of the machine that exported
            del node.metadata_props[:]
            self._nodes.append(node)
        self._functions += inner.functions
        for entry in inner.opset_import:
            self._opsets.setdefault("" if entry.domain == "ai.onnx" else entry.domain, entry.version)
        return {value.name.removeprefix(prefix): value.name for value in inner.graph.output}

    def model(
        self, inputs: Mapping[str, tuple[int, ...]], outputs: Mapping[str, tuple[int, ...]]
    ) -> onnx.ModelProto:
        """All of it as one checked model, of IR 10: read by onnxruntime 1.18 and newer."""

        def declared(shapes: Mapping[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
            return [
                helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
                for name, shape in shapes.items()
            ]

        graph = helper.make_graph(
            self._nodes, "policy", declared(inputs), declared(outputs), list(self._constants.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(*entry) for entry in self._opsets.items()],
            functions=self._functions,
            ir_version=10,
            producer_name="rmedge",
        )
        onnx.checker.check_model(model, full_check=True)
        return model
