"""Scenery: rooms show the side that is looked at, furniture stands before walls, the floor has a sky."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge.errors import UsageError
from rmedge.runtimes.painter import View
from rmedge.runtimes.scenery import Furniture, Room, floor

FOV = np.radians(60.0)
ROOM_COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0), (0, 200, 200), (200, 0, 200)]


def plain(*colour):
    return np.full((32, 32, 3), colour, dtype=np.uint8)


@pytest.mark.parametrize("side", range(6))
@pytest.mark.parametrize("eye", [(0, 0, 1.5), (1.9, -1.5, 0.4), (-30, 0, 1)])
def test_room_shows_the_side_that_is_looked_at(side, eye):
    room = Room((-2, -2, 0), (2, 2, 3), [plain(*colour) for colour in ROOM_COLOURS])
    eye = np.clip(eye, (-30, -1.9, 0.1), (1.9, 1.9, 2.9))
    direction = np.zeros(3)
    direction[side // 2] = 1 if side % 2 else -1
    if side == 4:
        direction = np.array([0, 0, -1])
    if eye[0] < -2 and side == 0:
        return  # seen from without, that wall is the eye's own
    seen = room.draw(View.look_at(eye, eye + direction, 0.3, 33, 33))[16, 16].astype(float)
    want = np.array(ROOM_COLOURS[side]) * Room.SHADES[side]
    np.testing.assert_allclose(seen, want, atol=2)


def test_texture_moves_with_the_wall():
    stripes = plain(255, 255, 255)
    stripes[:, :16] = 0
    room = Room((-2, -2, 0), (2, 2, 3), [stripes] * 6, scale=1.0)
    view = View.look_at((0, 0, 1.5), (2, 0, 1.5), 1.0, 96, 96)
    picture = room.draw(view)[48, :, 0]
    half = 255 * Room.SHADES[1] / 2
    edges = np.flatnonzero(np.diff((picture > half).astype(int)))
    want = np.sort(view.project([[2, y, 1.5] for y in np.arange(-1, 1.5, 0.5)])[0][:, 0])
    want = want[(want > 0) & (want < 95)]
    np.testing.assert_allclose(edges + 0.5, want, atol=1.0)


def test_furniture_stands_before_the_wall():
    piece = Furniture((1, 0, 1.5), (0.2, 0.3, 0.3), plain(10, 200, 10))
    bare = Room((-2, -2, 0), (2, 2, 3), [plain(200, 10, 10)] * 6)
    room = Room((-2, -2, 0), (2, 2, 3), [plain(200, 10, 10)] * 6, furniture=[piece])
    view = View.look_at((-1, 0, 1.5), (2, 0, 1.5), FOV, 64, 64)
    changed = (room.draw(view) != bare.draw(view)).any(axis=2)
    half = 0.3 / 1.8 * view.focal[0]
    assert changed[32, 32] and changed.sum() == pytest.approx((2 * half) ** 2, rel=0.15)
    behind = View.look_at((-1, 0, 1.5), (-2, 0, 1.5), FOV, 64, 64)
    np.testing.assert_array_equal(room.draw(behind), bare.draw(behind))


def test_room_says_what_is_wrong_with_it():
    with pytest.raises(UsageError, match="room textures: expected 6 pictures, got 5"):
        Room((0, 0, 0), (1, 1, 1), [plain(1, 1, 1)] * 5)
    with pytest.raises(UsageError, match="room: expected low < high"):
        Room((0, 0, 0), (1, 0, 1), [plain(1, 1, 1)] * 6)


def test_floor_has_sky_above_and_chequers_below():
    view = View.look_at((0, 0, 1), (3, 0, 0.8), FOV, 160, 120)
    image = floor(view)
    horizon = int(view.project(view.eye[None] + [[1.0, 0, 0]])[0][0, 1])
    step = np.abs(np.diff(image.astype(int), axis=1)).max(axis=(1, 2))  # along a row
    assert step[: horizon - 2].max() <= 2 and step[-1] > 4
    assert image[0, 0, 2] < image[horizon - 2, 0, 2]
