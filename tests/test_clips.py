"""Clips are functions of their seeds, drawn by the weight of their words."""

from __future__ import annotations

import numpy as np
import practice
import pytest

from rmedge.export import clips
from rmedge.labels import LABELS


@pytest.fixture(scope="module")
def tracks():
    return practice.tracks()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_clip_is_a_function_of_its_seed(tracks, seed):
    one, same, other = (clips.film(s, tracks) for s in (seed, seed, seed + 1000))
    assert len(one[0]) == clips.FRAMES
    for picture, again in zip(one[0], same[0], strict=True):
        assert picture.shape == (clips.PIXELS, clips.PIXELS, 3) and picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, again)
    assert one[1:3] == same[1:3]
    np.testing.assert_array_equal(one[3], same[3])
    assert one[3].shape == (clips.FRAMES, 2)
    assert not np.array_equal(one[0][0], other[0][0])


@pytest.mark.parametrize("weight", [{}, {"walk_forward": 4.0}])
def test_clips_are_drawn_by_the_weight_of_their_label(tracks, weight):
    rng = np.random.default_rng(0)
    drawn = [int(tracks.label[clips._drawn(rng, tracks.label, weight), 0]) for _ in range(900)]
    shares = np.array([weight.get(LABELS[label], 1.0) for label in (0, 1, 4)])
    for label, share in zip((0, 1, 4), shares / shares.sum(), strict=True):
        assert drawn.count(label) == pytest.approx(900 * share, abs=60)
