"""Chunks stay within a segment, and every sampler is what it says."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from practice import JOINTS, TICK, denoiser, inputs, ticks

from rmedge.export import graphs
from rmedge.export.networks.denoiser import CHUNK, HISTORY, ROW_WEIGHT, Chunks, Denoiser, OneStep, Sampler


@pytest.mark.parametrize("seed", range(6))
def test_chunks_never_cross_a_segments_or_a_trials_bounds(seed):
    data = ticks(seed)
    chunks = Chunks(data)
    last = len(data.segment) - CHUNK + 1
    whole = [row for row in range(last) if len(set(data.segment[row : row + CHUNK].tolist())) == 1]
    assert chunks.rows.tolist() == whole
    proprio, intent, chunk = chunks.batch(np.random.default_rng(seed), 400, torch.device("cpu"))
    history = proprio.view(400, HISTORY, TICK)[:, :, 0].long().numpy()
    played = chunk[:, :, 0].long().numpy()
    np.testing.assert_array_equal(history[:, -1], played[:, 0])
    np.testing.assert_array_equal(np.diff(played, axis=1), 1)
    assert (data.segment[played] == data.segment[played[:, :1]]).all()
    assert (data.trial[history] == data.trial[played[:, :1]]).all()
    begin = np.searchsorted(data.trial, data.trial[played[:, 0]])
    expected = np.maximum(played[:, :1] + np.arange(1 - HISTORY, 1), begin[:, None])
    np.testing.assert_array_equal(history, expected)  # before a trial's first tick: the first again
    np.testing.assert_array_equal((intent[:, 0] / 100).round().long().numpy(), data.segment[played[:, 0]])


def test_normalising_gives_the_datas_statistics():
    data, model = ticks(1), denoiser()
    Chunks(data).normalise(model)
    np.testing.assert_allclose(model.action_mean.numpy(), data.label.mean(0), rtol=1e-4)
    np.testing.assert_allclose(
        model.proprio_std.numpy(), np.tile(data.proprio.std(0, ddof=1), HISTORY), rtol=1e-4
    )


class Oracle(Denoiser):
    """Knows the clean chunk."""

    def __init__(self, clean):
        super().__init__(TICK, JOINTS, 8, 1)
        self.clean = clean
        self.times, self.seen = [], []

    def forward(self, x, t, proprio, intent):
        self.times.append(float(t[0, 0]))
        self.seen.append(x)
        return self.clean


@pytest.mark.parametrize("name", ["flow", "consistency"])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 37])
def test_who_knows_the_clean_chunk_reaches_it_in_any_number_of_steps(steps, name):
    proprio, intent, noise = inputs()
    clean = torch.randn_like(noise)
    oracle = Oracle(clean)
    oracle.action_std.fill_(2.0)
    said = Sampler(oracle, name, steps)(proprio, intent, noise)
    torch.testing.assert_close(said, 2.0 * clean)
    np.testing.assert_allclose(oracle.times, np.arange(steps) / steps, atol=1e-6)
    for step, x in enumerate(oracle.seen):  # on the straight way from the noise to the chunk
        torch.testing.assert_close(x, noise + step / steps * (clean - noise), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_flow_is_integrated_as_the_textbook_does():
    model = denoiser()
    proprio, intent, noise = inputs()
    x, steps = noise, 4
    for step in range(steps):
        t = torch.full((len(x), 1), step / steps)
        x = x + (model(x, t, proprio, intent) - x) / (1 - step / steps) / steps
    torch.testing.assert_close(Sampler(model, "flow", steps)(proprio, intent, noise), model.actions(x))


@torch.no_grad()
def test_one_step_is_one_look_from_the_noise_and_two_are_not():
    model = denoiser()
    proprio, intent, noise = inputs()
    one = model.actions(model(noise, torch.zeros(5, 1), proprio, intent))
    for name in ("flow", "consistency"):
        torch.testing.assert_close(Sampler(model, name)(proprio, intent, noise), one)
    two = Sampler(model, "consistency", 2)(proprio, intent, noise)
    middle = (noise + model(noise, torch.zeros(5, 1), proprio, intent)) / 2
    torch.testing.assert_close(two, model.actions(model(middle, torch.full((5, 1), 0.5), proprio, intent)))
    assert not torch.allclose(one, two, atol=1e-4)
    # Euler from a half to the end names the same point
    torch.testing.assert_close(Sampler(model, "flow", 2)(proprio, intent, noise), two)


@torch.no_grad()
def test_a_regression_does_not_look_at_the_noise_but_its_graph_still_takes_it():
    sampler = Sampler(denoiser(), "regression").eval()
    proprio, intent, noise = inputs()
    said = sampler(proprio, intent, noise)
    torch.testing.assert_close(sampler(proprio, intent, 3 * noise + 1), said)
    assert not torch.allclose(sampler(proprio + 1, intent, noise), said)
    shapes = {"proprio": (1, HISTORY * TICK), "intent": (1, intent.shape[1]), "noise": (1, CHUNK, JOINTS)}
    graph = graphs.export(sampler, shapes, ("action_chunk",))
    assert {value.name for value in onnx.load_from_string(graph).graph.input} == set(shapes)
    feed = [
        {name: rows[:1].numpy() for name, rows in zip(shapes, (proprio, intent, noise), strict=True)},
        {name: rows[:1].numpy() for name, rows in zip(shapes, (proprio, intent, -noise), strict=True)},
    ]
    (one,), (other,) = graphs.infer(graph, feed, ("action_chunk",))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one, said[:1].numpy(), atol=1e-5)


def test_every_row_of_a_chunk_counts_and_the_first_counts_most():
    assert len(ROW_WEIGHT) == CHUNK and sum(ROW_WEIGHT) == pytest.approx(1.0)
    assert sorted(ROW_WEIGHT, reverse=True) == list(ROW_WEIGHT) and min(ROW_WEIGHT) > 0


@pytest.mark.parametrize("name", ["consistency", "flow", "regression"])
def test_folding_a_samplers_constants_changes_nothing_that_it_says(name):
    torch.manual_seed(2)
    model = Denoiser(TICK, JOINTS, 16, depth=2)
    for buffer in (model.proprio_mean, model.action_mean):
        buffer.normal_()
    for buffer in (model.proprio_std, model.action_std):
        buffer.uniform_(0.5, 2.0)
    sampler = Sampler(model, name).eval()
    feed = inputs(1)
    with torch.inference_mode():
        before = sampler(*feed)
        torch.testing.assert_close(OneStep(sampler)(*feed), before, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(sampler(*feed), before)  # it is left as it was
