"""Rounding: a layer's weights in eight bits give its outputs back better than the nearest steps do."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from rmedge.export import graphs
from rmedge.export.graphs import precision, rounding, search, storage
from rmedge.export.graphs.rounding import Rounding

LAYERS = {
    "convolution": (nn.Conv2d(6, 8, 3, stride=2, padding=1), (1, 6, 9, 8)),
    "grouped": (nn.Conv2d(6, 12, 3, groups=3), (1, 6, 9, 8)),
    "a channel each": (nn.Conv2d(6, 6, (3, 5), padding=(1, 2), groups=6), (1, 6, 9, 8)),
    "dilated": (nn.Conv2d(4, 5, 3, padding=2, dilation=2), (2, 4, 9, 8)),
    "in one axis": (nn.Conv1d(4, 5, 3, padding=1), (1, 4, 12)),
    "linear": (nn.Linear(24, 7), (3, 24)),
    "on a sequence": (nn.Linear(24, 7), (1, 5, 24)),
}


def case(name):
    """A layer's graph, and feeds whose numbers go together, as those of pictures do."""
    layer, shape = LAYERS[name]
    torch.manual_seed(3)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    rng = np.random.default_rng(4)
    axis = -1 if isinstance(layer, nn.Linear) else 1
    along = np.moveaxis(np.ones(shape), axis, -1)
    kinds = rng.normal(size=(2, shape[axis]))

    def feed():
        common = rng.normal(size=(1, 2)) @ kinds + 1  # all of them follow two
        return {"x": np.moveaxis(along * common + 0.1 * rng.normal(size=along.shape), -1, axis).astype("f")}

    return graphs.export(layer, {"x": shape}, ("y",)), [feed() for _ in range(40)]


def off(graph, other, feeds):
    """The mean square of what it says wrong."""
    true, said = (np.array(graphs.infer(one, feeds, ["y"])) for one in (graph, other))
    return np.square(true - said).mean()


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_come_back_better_than_from_the_nearest_steps(name):
    graph, feeds = case(name)
    rounded = Rounding(graph, feeds[:30])
    nearest = storage.packed(graph)
    cancelling = storage.packed(graph, rounded)
    assert off(graph, cancelling, feeds[30:]) < 0.6 * off(graph, nearest, feeds[30:])
    assert len(cancelling) == len(nearest)
    # and likewise in a static conversion, whose scales stay
    static = precision.convert(graph, "int8-static", feeds[:30])
    again = rounded(static)
    assert off(graph, again, feeds[30:]) <= off(graph, static, feeds[30:])
    kept = [
        {t.name: t.raw_data for t in onnx.load_from_string(one).graph.initializer if "scale" in t.name}
        for one in (static, again)
    ]
    assert kept[0] == kept[1] and again != static


def test_no_weight_is_beyond_what_eight_bits_hold_and_none_far_from_where_it_was():
    graph, feeds = case("convolution")
    made = onnx.load_from_string(storage.packed(graph, Rounding(graph, feeds)))
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    (whole,) = (array for name, array in arrays.items() if name.endswith("_quantized"))
    assert whole.dtype == np.int8 and np.abs(whole.astype(int)).max() <= rounding.STEPS
    (scale,) = (array for name, array in arrays.items() if name.endswith("_scale"))
    (layer,) = precision.layers(graph)
    weight = next(
        numpy_helper.to_array(t)
        for t in onnx.load_from_string(graph).graph.initializer
        if t.name == layer.weight
    )
    assert np.abs(whole * scale - weight).max() < 8 * scale.max()


def test_inputs_that_do_not_go_together_give_the_nearest_steps():
    rng = np.random.default_rng(0)
    weight, step = rng.normal(size=(2, 3, 5)), np.full((2, 3), 0.01)
    whole = rounding._cancelling(weight, step, np.stack([np.eye(5)] * 2), 0.01)
    np.testing.assert_array_equal(whole, np.clip(np.rint(weight / 0.01), -127, 127))


def test_inputs_that_are_always_nought_do_no_harm():
    graph, feeds = case("linear")
    silent = [{"x": np.zeros_like(feed["x"])} for feed in feeds]
    assert storage.packed(graph, Rounding(graph, silent)) == storage.packed(graph)


def test_it_is_found_once_and_the_same_every_time():
    graph, feeds = case("grouped")
    rounded = Rounding(graph, feeds)
    first = storage.packed(graph, rounded)
    assert storage.packed(graph, rounded) == storage.packed(graph, Rounding(graph, feeds)) == first


def test_other_steps_are_rounded_to_by_themselves():
    graph, feeds = case("grouped")
    (weight,) = (layer.weight for layer in precision.layers(graph))
    rounded = Rounding(graph, feeds)
    fine, coarse = (np.full(12, step, np.float32) for step in (0.03, 0.3))
    first = rounded.whole(weight, coarse)
    np.testing.assert_array_equal(rounded.whole(weight, fine), Rounding(graph, feeds).whole(weight, fine))
    np.testing.assert_array_equal(rounded.whole(weight, coarse), first)


def test_feeds_are_counted_as_they_are_heard():
    graph, feeds = case("linear")
    heard = []
    Rounding(graph, feeds, heard.append)
    assert heard[-1] == 1.0 and heard == sorted(heard) and len(heard) == len(feeds)


def test_a_transposed_convolution_is_left_to_the_nearest_steps():
    torch.manual_seed(1)
    graph = graphs.export(nn.ConvTranspose2d(3, 4, 2, stride=2), {"x": (1, 3, 4, 4)}, ("y",))
    feeds = [{"x": np.random.default_rng(n).normal(size=(1, 3, 4, 4)).astype(np.float32)} for n in range(4)]
    assert storage.packed(graph, Rounding(graph, feeds)) == storage.packed(graph)


def test_the_search_rounds_so_and_keeps_large_weights_of_float_layers_in_eight_bits():
    torch.manual_seed(5)
    net = nn.Sequential(nn.Linear(80, 80), nn.ReLU(), nn.Linear(80, 60), nn.ReLU(), nn.Linear(60, 4))
    graph = graphs.export(net, {"x": (1, 80)}, ("y",))
    rng = np.random.default_rng(2)
    cases = [{"x": rng.normal(size=(1, 80)).astype(np.float32)} for _ in range(60)]
    weights = [layer.weight for layer in precision.layers(graph)]

    def error(other):
        return off(graph, other, cases[30:])

    found = search.mixed(graph, cases[:30], error, np.inf, keep_float=weights[1:])
    kinds = {t.name: t.data_type for t in onnx.load_from_string(found.onnx).graph.initializer}
    assert precision.quantised_weights(found.onnx) == 2  # a static one, and a large one that is float
    assert kinds[f"{weights[1]}_quantized"] == onnx.TensorProto.INT8
    assert kinds[f"{weights[2]}_half"] == onnx.TensorProto.FLOAT16  # a small one
    plain = precision.convert(graph, "int8-static", cases[:30], keep_float=weights[1:])
    assert found.error < error(storage.packed(plain, None, search.SMALL))
