"""Clips are functions of their seeds, and what is held out is never trained on."""

from __future__ import annotations

import numpy as np
import practice
import pytest

from rmedge.export.world import clips, places


@pytest.mark.parametrize("view", clips.VIEWS)
def test_a_clip_is_a_function_of_its_seed(view):
    repertoire = practice.repertoire()
    one, same, other = (clips.film(s, repertoire, view, seconds=0.6) for s in (3, 3, 4))
    assert len(one.pictures) == 6 and one.view == view
    for picture, again in zip(one.pictures, same.pictures, strict=True):
        assert picture.shape == (clips.PIXELS, clips.PIXELS, 3) and picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, again)
    np.testing.assert_array_equal(one.act.z, same.act.z)
    assert not np.array_equal(one.pictures[0], other.pictures[0])
    assert (np.hypot(*one.facing.T) > 0.99).all() == (view == "third-person")


def test_what_was_squeezed_to_a_square_is_shown_as_it_was():
    for seed in range(4):
        take = clips.film(seed, practice.repertoire(), "third-person", seconds=0.2)
        height, width, _ = take.unsqueezed()[0].shape
        assert height == clips.PIXELS and width == pytest.approx(clips.PIXELS * take.aspect, abs=1)
        assert 0.5 < take.aspect < 2.2
        assert take.squeeze * take.aspect == pytest.approx(1, abs=0.8)  # but for bars


def test_what_is_held_out_hangs_on_no_wall_in_training():
    repertoire = practice.repertoire()
    red, green = (np.full((64, 64, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 255, 0)))
    repertoire.photographs, repertoire.held_out = np.array([red, green]), np.array([True, False])

    def seen(held_out):
        takes = [clips.film(s, repertoire, "nobody", seconds=0.1, held_out=held_out) for s in range(25)]
        pictures = np.array([take.pictures[0] for take in takes]).astype(int).reshape(-1, 3)
        return [int((pictures[:, c] - pictures[:, 1 - c] > 90).sum()) for c in (0, 1)]

    in_training, held_out = seen(False), seen(True)
    assert in_training[1] > 1000 and held_out[0] > 1000
    assert in_training[0] < 0.02 * in_training[1] and held_out[1] < 0.02 * held_out[0]
    assert not set(places.KINDS) & set(places.HELD_OUT_KINDS)


def test_nobody_moves_where_nobody_is():
    still = clips.film(1, practice.repertoire(), "nobody", seconds=0.5)
    assert not still.facing.any()
