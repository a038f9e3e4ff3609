"""A target says what suits it, and refuses a graph that its engine cannot read."""

from __future__ import annotations

from dataclasses import replace

import onnx
import pytest
from onnx import TensorProto, helper

from rmedge.bundle import Bundle
from rmedge.errors import UsageError
from rmedge.export.graphs import OPSET, precision, targets
from rmedge.runtimes.gate import TARGETS as TIMED
from rmedge.runtimes.session import PROVIDERS


def graph(*kinds, shape=(1, 4), opset=20, domain=""):
    """A chain of operators of one input."""
    names = ["x", *(f"t{n}" for n in range(len(kinds)))]
    nodes = [
        helper.make_node(kind, [names[n]], [names[n + 1]], f"node{n}", domain=domain)
        for n, kind in enumerate(kinds)
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in (names[0], names[-1])]
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    made = helper.make_model(helper.make_graph(nodes, "chain", ends[:1], ends[1:]), opset_imports=opsets)
    return made.SerializeToString()


@pytest.mark.parametrize("target", targets.TARGETS.values(), ids=lambda target: target.name)
def test_every_target_is_made_of_what_there_is(target):
    assert targets.find(target.name) is target
    assert target.provider in PROVIDERS
    assert target.formats and set(target.formats) <= set(precision.FORMATS)
    assert "float32" in target.formats  # whatever the budget, something is left to choose
    assert target.quantisation in precision.SCHEMES
    assert target.opset >= OPSET
    assert all(isinstance(text, str) for option in target.options.items() for text in option)
    targets.check(graph("Relu", "Sigmoid"), target)


def test_the_processors_are_those_that_the_gate_times():
    on_cpu = {target.machine: name for name, target in targets.TARGETS.items() if target.provider == "cpu"}
    assert on_cpu == dict(TIMED)


def test_a_target_is_here_on_its_own_machine_with_its_own_provider_alone(monkeypatch):
    for machine, providers, here in (
        ("x86_64", ["CPUExecutionProvider"], {"cpu-x86"}),
        ("aarch64", ["CPUExecutionProvider"], {"cpu-arm64"}),
        ("aarch64", ["CUDAExecutionProvider", "CPUExecutionProvider"], {"cpu-arm64", "orin-cuda"}),
        # a graphics processor in a workstation is no Orin
        ("x86_64", list(PROVIDERS.values()), {"cpu-x86"}),
    ):
        monkeypatch.setattr(targets.platform, "machine", lambda machine=machine: machine)
        monkeypatch.setattr(targets.onnxruntime, "get_available_providers", lambda given=providers: given)
        assert {name for name, target in targets.TARGETS.items() if target.here} == here


def test_an_unknown_target_names_the_known():
    with pytest.raises(UsageError, match=r"target: expected one of cpu-x86, cpu-arm64, .*, got 'toaster'"):
        targets.find("toaster")


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("orin-tensorrt", "DynamicQuantizeLinear"),
        ("orin-cuda", "DynamicQuantizeLinear"),
        ("orin-tensorrt", "Det"),
    ],
)
def test_an_operator_that_the_target_lacks_is_refused_by_name(target, kind):
    with pytest.raises(
        UsageError, match=rf"target: expected operators that {target} has, got {kind} \(node1\)"
    ):
        targets.check(graph("Relu", kind), target)
    targets.check(graph("Relu", kind), "cpu-x86")


def test_an_engines_own_operators_are_for_it_alone():
    own = graph("Gelu", domain="com.microsoft")
    targets.check(own, "cpu-arm64")
    with pytest.raises(UsageError, match="orin-tensorrt has, got Gelu"):
        targets.check(own, "orin-tensorrt")
    with pytest.raises(UsageError, match="cpu-x86 has, got Gelu"):
        targets.check(graph("Gelu", domain="somebody.else"), "cpu-x86")


def test_operators_within_a_branch_are_found():
    inner = onnx.load_from_string(graph("Det")).graph
    del inner.input[:]
    condition = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    nodes = [
        helper.make_node("Constant", [], ["c"], value=condition),
        helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 4)) for name in "xy")
    whole = helper.make_model(helper.make_graph(nodes, "whole", [x], [y]))
    with pytest.raises(UsageError, match="got Det"):
        targets.check(whole.SerializeToString(), targets.find("orin-tensorrt"))


def test_a_newer_opset_and_free_shapes_are_refused():
    with pytest.raises(UsageError, match="target: expected opset 20 or older for cpu-x86, got 23"):
        targets.check(graph("Relu", opset=23), "cpu-x86")
    free = graph("Relu", shape=("batch", 4))
    with pytest.raises(UsageError, match=r"target: expected static shapes for orin-cuda, got .* input 'x'"):
        targets.check(free, "orin-cuda")
    targets.check(free, replace(targets.find("orin-cuda"), static=False))


def test_the_shipped_graphs_suit_the_processors_and_tensorrt_refuses_the_dynamic_ones():
    bundle = Bundle.load("g1-mirror")
    for name in ("encoder", "policy", "readout"):
        for target in ("cpu-x86", "cpu-arm64"):
            targets.check(bundle.graph(name), target)
    with pytest.raises(UsageError, match="orin-tensorrt has, got DynamicQuantizeLinear"):
        targets.check(bundle.graph("policy"), "orin-tensorrt")
