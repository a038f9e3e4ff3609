"""Graphs say what torch says, and tell nothing of where they were made."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from rmedge.export import graphs

PATH = re.compile(rb"\.py\b|site-packages|/(home|root|tmp|usr)/")


class Tiny(nn.Module):
    """Two inputs, two outputs, a convolution and a product."""

    def __init__(self):
        super().__init__()
        self.see = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten())
        self.judge = nn.Linear(8 * 16 + 4, 4)

    def forward(self, features, state):
        state = torch.tanh(self.judge(torch.cat([self.see(features), state], 1)))
        return state.sum(1, keepdim=True), state


SHAPES = {"features": (1, 3, 8, 8), "state": (1, 4)}


def feeds(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(2)
    model = Tiny().eval()
    return model, graphs.export(model, SHAPES, ("sum", "next_state"))


def test_the_exported_graph_says_what_torch_says(tiny):
    model, graph = tiny
    assert graphs.parity(model, graph, feeds(10), ("sum", "next_state")) < 1e-5
    with torch.no_grad():
        model.judge.bias += 0.01
        try:
            assert graphs.parity(model, graph, feeds(10), ("sum", "next_state")) > 1e-3
        finally:
            model.judge.bias -= 0.01


def test_the_exported_graph_is_static_whole_and_tells_nothing_of_this_machine(tiny):
    _, graph = tiny
    model = onnx.load_from_string(graph)
    shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in model.graph.input}
    assert shapes == SHAPES
    assert [v.name for v in model.graph.output] == ["sum", "next_state"]
    assert all(t.data_location == onnx.TensorProto.DEFAULT for t in model.graph.initializer)
    assert model.opset_import[0].version == graphs.OPSET
    assert not PATH.search(graph)


def test_stripping_takes_out_every_note(tiny):
    model = onnx.load_from_string(tiny[1])
    secret = "/home/somebody/train.py"
    graph = model.graph
    for holder in (model, graph.node[0], graph.input[0], graph.output[0], graph.initializer[0]):
        holder.doc_string = secret
        holder.metadata_props.add(key="where", value=secret)
    graph.metadata_props.add(key="where", value=secret)
    graph.value_info.add(name="between", doc_string=secret)
    marked = model.SerializeToString()
    assert secret.encode() in marked
    assert secret.encode() not in graphs.strip(marked)


def test_golden_vectors_are_the_graphs_own(tiny):
    _, graph = tiny
    arrays = graphs.golden(graph, SHAPES, {"sum": (1, 1), "next_state": (1, 4)}, feeds(3))
    assert set(arrays) == {"features", "state", "sum", "next_state"}
    assert all(len(array) == 3 for array in arrays.values())
    np.testing.assert_allclose(arrays["next_state"].reshape(3, 4).sum(1), arrays["sum"].ravel(), atol=1e-5)
