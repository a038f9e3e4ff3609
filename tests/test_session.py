"""A session runs the graph that was declared, where it was asked for, or says why not."""

from __future__ import annotations

import base64
import builtins
import sys

import numpy as np
import pytest

from rmedge.errors import AbsentError, BundleError, UsageError
from rmedge.runtimes.session import PROVIDERS, Session

ort = pytest.importorskip("onnxruntime")
INPUTS, OUTPUTS = {"intent": (1, 4)}, {"twice": (1, 4), "sum": (1, 1)}


# ONNX, opset 11, kept as bytes so that no exporter is needed:
# twice = Mul(intent, 2), sum = ReduceSum(intent, axes=[1])
TINY = base64.b64decode(
    "CAYSADqjAQoZCgZpbnRlbnQKA3R3bxIFdHdpY2UiA011bAolCgZpbnRlbnQSA3N1bSIJUmVkdWNlU3VtKgsKBGF4ZXNAAaAB"
    "BxIEdGlueSoPCAEQASIEAAAAQEIDdHdvWhgKBmludGVudBIOCgwIARIICgIIAQoCCARiFwoFdHdpY2USDgoMCAESCAoCCAEK"
    "AggEYhUKA3N1bRIOCgwIARIICgIIAQoCCAFCBAoAEAs="
)


@pytest.fixture
def graph():
    return TINY


def test_outputs_come_in_the_declared_order(graph):
    intent = np.array([[1, 2, 3, 4]], np.float32)
    twice, total = Session(graph, INPUTS, OUTPUTS).run({"intent": intent})
    np.testing.assert_array_equal(twice, 2 * intent)
    assert total.tolist() == [[10.0]]
    swapped = dict(reversed(list(OUTPUTS.items())))
    total, twice = Session(graph, INPUTS, swapped).run({"intent": intent})
    assert total.tolist() == [[10.0]]


@pytest.mark.parametrize(
    ("inputs", "outputs", "kind"),
    [
        ({"intent": (1, 5)}, OUTPUTS, "inputs"),
        ({"intent": (4,)}, OUTPUTS, "inputs"),
        ({"z": (1, 4)}, OUTPUTS, "inputs"),
        ({**INPUTS, "noise": (1, 1)}, OUTPUTS, "inputs"),
        ({}, OUTPUTS, "inputs"),
        (INPUTS, {"twice": (1, 4), "sum": (1,)}, "outputs"),
        (INPUTS, {"twice": (1, 4)}, "outputs"),
        (INPUTS, {**OUTPUTS, "more": (1, 1)}, "outputs"),
    ],
)
def test_a_graph_that_is_not_as_declared_is_refused(graph, inputs, outputs, kind):
    with pytest.raises(BundleError, match=f"graph {kind}: expected .*, got .*; export the bundle again"):
        Session(graph, inputs, outputs)


def test_a_graph_with_free_sizes_or_other_types_is_refused(graph):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(graph)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    with pytest.raises(BundleError, match="batch"):
        Session(model.SerializeToString(), INPUTS, OUTPUTS)
    double = onnx.TensorProto.DOUBLE
    model = onnx.load_from_string(graph)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = double
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    with pytest.raises(BundleError, match="double"):
        Session(model.SerializeToString(), INPUTS, OUTPUTS)


@pytest.mark.parametrize("graph", [b"", b"no graph at all", b"\x08\x07" * 40])
def test_bytes_that_are_no_graph_are_refused(graph):
    with pytest.raises(BundleError, match=r"graph: expected one that onnxruntime .* loads, got: "):
        Session(graph, INPUTS, OUTPUTS)


def test_an_unknown_provider_names_the_known():
    with pytest.raises(UsageError) as caught:
        Session(b"", INPUTS, OUTPUTS, provider="abacus")
    assert str(caught.value) == "provider: expected one of cpu, cuda, tensorrt, got 'abacus'"


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_an_absent_provider_is_no_other_one(graph, provider, monkeypatch):
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(
        AbsentError, match=f"provider: expected {PROVIDERS[provider]}, got a build with CPU"
    ) as caught:
        Session(graph, INPUTS, OUTPUTS, provider=provider)
    assert caught.value.exit_code == 3


def test_a_provider_that_silently_gives_way_is_found_out(graph, monkeypatch):
    # as a GPU build on a machine without a driver: it offers CUDA, warns, and runs on the CPU
    monkeypatch.setattr(ort, "get_available_providers", lambda: list(PROVIDERS.values()))
    real = ort.InferenceSession

    def giving_way(graph, options, providers):
        assert providers == ["CUDAExecutionProvider"]
        return real(graph, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(ort, "InferenceSession", giving_way)
    with pytest.raises(AbsentError, match="expected CUDAExecutionProvider, got CPUExecutionProvider"):
        Session(graph, INPUTS, OUTPUTS, provider="cuda")


def test_no_onnxruntime_is_absent_with_the_command_that_brings_it(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AbsentError, match=r'pip install "rmedge\[cpu\]"'):
        Session(b"", INPUTS, OUTPUTS)


def test_the_provider_in_use_is_told(graph):
    assert Session(graph, INPUTS, OUTPUTS).provider == "CPUExecutionProvider"
