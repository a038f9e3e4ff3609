"""Training resumes exactly, ends once, and learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from practice import denoiser, ticks
from torch import nn

from rmedge.export.networks import consistency, training
from rmedge.export.networks.denoiser import Chunks, flow_loss, regression_loss


def interrupted(train, monkeypatch, path, at):
    """Run ``train(path)`` until its loss is asked for the ``at``-th time, then again to its end."""
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 5)
    real, calls = training.np.random.default_rng, []

    def count(seed):
        if isinstance(seed, tuple):  # (seed, step): what `train` gives its loss
            calls.append(seed)
        if len(calls) == at:
            raise KeyboardInterrupt
        return real(seed)

    monkeypatch.setattr(training.np.random, "default_rng", count)
    with pytest.raises(KeyboardInterrupt):
        train(path)
    calls.clear()
    at = -1
    result = train(path)
    return result, len(calls)


def same_weights(one, other):
    for (name, left), (other_name, right) in zip(
        sorted(one.state_dict().items()), sorted(other.state_dict().items()), strict=True
    ):
        assert name == other_name
        assert torch.equal(left, right), name


def fit_line(path, steps=23):
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 1))

    def loss(network, rng):
        x = torch.from_numpy(rng.normal(size=(16, 4)).astype(np.float32))
        noisy = x.sum(1, keepdim=True) + 0.1 * torch.randn(16, 1)
        return (network(x) - noisy).square().mean()

    return training.train(model, loss, steps, path, learning_rate=1e-2, bfloat16=False)


def distil(path):
    torch.manual_seed(5)
    data = ticks(0)
    data.label, data.proprio = np.sin(data.label), np.cos(data.proprio)
    return consistency.distil(denoiser(), Chunks(data), 23, path, batch=32)


@pytest.mark.parametrize("train", [fit_line, distil])
def test_an_interrupted_training_ends_in_the_same_weights(train, monkeypatch, tmp_path):
    whole = train(tmp_path / "whole.pt")
    resumed, steps = interrupted(train, monkeypatch, tmp_path / "resumed.pt", at=13)
    assert steps == 13  # from the checkpoint at ten, not from nought
    same_weights(whole, resumed)
    assert not list(tmp_path.glob("*.partial"))


def test_a_finished_training_is_not_done_again(tmp_path, monkeypatch):
    first = fit_line(tmp_path / "done.pt")
    monkeypatch.setattr(torch.optim.AdamW, "step", None)
    second = fit_line(tmp_path / "done.pt")
    same_weights(first, second)
    assert int(first[2].num_batches_tracked) == 23  # what is no weight comes along too
    assert not second.training and not any(p.requires_grad for p in second.parameters())


@pytest.mark.parametrize("objective", [flow_loss, regression_loss])
def test_training_learns(objective, tmp_path):
    data = ticks(0)
    data.label, data.proprio = np.sin(0.1 * data.label), np.cos(0.1 * data.proprio)
    chunks, model = Chunks(data), denoiser(32)
    chunks.normalise(model)
    loss = objective(chunks, 256)

    def value(network):
        torch.manual_seed(1)
        with torch.no_grad():
            return float(loss(network, np.random.default_rng(1)))

    before = value(model)
    after = value(training.train(model, loss, 150, tmp_path / "learnt.pt", 3e-3, bfloat16=False))
    assert after < 0.6 * before
