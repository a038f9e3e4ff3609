"""The encoder streams, stays among its prototypes, and is scored by what is true."""

from __future__ import annotations

import numpy as np
import practice
import pytest
import torch

from rmedge.export import clips, motion, understanding
from rmedge.labels import LABELS


def encoder(count=6, side=16):
    torch.manual_seed(0)
    table = np.random.default_rng(0).normal(size=(count, motion.Z))
    return understanding.StreamingEncoder(table, np.arange(count) % 3, side).eval()


@torch.inference_mode()
def test_frame_by_frame_is_the_whole_clip():
    model = encoder()
    features = torch.randn(2, 12, 3, 16, 16)
    whole = model.conclude(model.logits(features))
    state = torch.zeros(2, understanding.STATE)
    for frame in range(12):
        *said, state = model(features[:, frame], state)
        for part, expected in zip(said, whole, strict=True):
            torch.testing.assert_close(part, expected[:, frame], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_intents_lie_among_the_prototypes_and_certainty_is_a_share():
    model = encoder(count=8)
    logits = torch.cat([scale * torch.randn(50, 9) for scale in (0.0, 1.0, 10.0, 1000.0)])
    intent, certainty, presence = model.conclude(logits)
    assert ((certainty >= 0) & (certainty <= 1)).all() and ((presence >= 0) & (presence <= 1)).all()
    # eight prototypes in 32 dimensions are independent: the weights of a hull's point are unique
    weights, *_ = np.linalg.lstsq(
        model.prototype.numpy().T.astype(float), intent.numpy().T.astype(float), rcond=None
    )
    np.testing.assert_allclose(model.prototype.numpy().T @ weights, intent.numpy().T, atol=1e-4)
    assert (weights > -1e-5).all()
    np.testing.assert_allclose(weights.sum(0), 1.0, atol=1e-4)


@torch.inference_mode()
def test_who_is_sure_says_one_prototype_and_who_is_not_the_middle():
    model = encoder(count=4)  # words 0, 1, 2, 0
    sure = torch.full((1, 5), -30.0)
    sure[0, 2] = 30.0
    intent, certainty, presence = model.conclude(sure)
    torch.testing.assert_close(intent[0], model.prototype[2])
    assert float(certainty) == pytest.approx(1, abs=1e-4) and float(presence) == pytest.approx(1, abs=1e-6)
    intent, certainty, presence = model.conclude(torch.zeros(1, 5))
    # all four alike: the word with two of them has half of the probability and draws with its square
    drawn = torch.tensor([4.0, 1.0, 1.0, 4.0]) / 10
    torch.testing.assert_close(intent[0], drawn @ model.prototype)
    assert float(certainty) == pytest.approx(0.8 * 0.5 + 0.2 * 0.25)
    assert float(presence) == pytest.approx(0.8, abs=1e-5)
    nobody = torch.zeros(1, 5)
    nobody[0, 4] = 30.0
    assert float(model.conclude(nobody)[2]) < 1e-6


def test_who_hardly_moves_is_told_to_stand_still():
    model = encoder(count=6)  # words 0, 1, 2, 0, 1, 2; 0 is to stand
    before = model.prototype.clone()
    model.settle(np.full(motion.Z, 0.5))
    assert (model.prototype[[0, 3]] == 0.5).all()
    torch.testing.assert_close(model.prototype[[1, 2, 4, 5]], before[[1, 2, 4, 5]])


def test_prototypes_stand_for_every_word():
    tracks = practice.tracks()
    table, word = understanding.prototypes(tracks)
    assert word.tolist() == [0] * 10 + [1] * 10 + [4] * 10
    assert table.dtype == np.float32 and table.shape == (3 * understanding.A_LABEL, motion.Z)
    for number, label in enumerate((0, 1, 4)):
        mine = tracks.z[tracks.label == label]
        part = table[number * 10 : number * 10 + 10]
        assert np.abs(part.mean(0) - mine.mean(0)).max() < 0.6
        assert ((part >= mine.min(0) - 1e-6) & (part <= mine.max(0) + 1e-6)).all()
    np.testing.assert_array_equal(table, understanding.prototypes(tracks)[0])


def held_out(count=60):
    rng = np.random.default_rng(3)
    frames = clips.FRAMES
    return clips.Clips(
        **{
            "features": np.zeros((count, frames, 3, 1, 1), np.int8),
            "z": np.zeros((count, frames, motion.Z)),
            "z_mirrored": np.zeros((count, frames, motion.Z)),
            "facing": np.zeros((count, frames, 2)),
            "velocity": rng.normal(0, 0.4, (count, frames, 3)),
            "label": np.tile(rng.integers(len(LABELS), size=(count, 1)), (1, frames)),
            "view": np.arange(count) % 3,
        }
    )


def test_scores_are_one_for_the_truth_and_nought_for_the_mean():
    data = held_out()
    right = understanding.score(data.velocity, data.label, data)
    mean = np.broadcast_to(data.velocity[data.view == 0, 10:].mean((0, 1)), data.velocity.shape)
    wrong = understanding.score(mean, (data.label + 1) % len(LABELS), data)
    for name in ("vx", "vy", "yaw_rate"):
        assert right["third"][f"mae_{name}"] == 0.0 and right["ego"][f"r2_{name}"] == 1.0
        assert wrong["third"][f"r2_{name}"] == pytest.approx(0.0, abs=1e-9)
    assert right["ego"]["label_accuracy"] == right["ego"]["label_macro_average"] == 1.0
    assert wrong["third"]["label_accuracy"] == 0.0
    guess = understanding.constant(data, data)
    assert guess["third"]["r2_vx"] < 0.01
    assert guess["third"]["label_accuracy"] < 0.5
