"""A painted person's limbs are where the pose says, and gestures do what they are called."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from rmedge.export.world.actor import LANDMARKS, Actor, Path, gesturing, human_gait
from rmedge.export.world.places import develop

CROWN, HIPS, SHOULDERS, WRISTS, ANKLES = 0, 2, [3, 4], [7, 8], [11, 12]
STILL = np.zeros((20, 3))


def posed(seed, gesture="none", velocity=STILL):
    rng = np.random.default_rng(seed)
    actor = Actor.random(rng)
    pose = gesturing(rng, human_gait(rng, actor, velocity, 0.1), np.full(len(velocity), gesture), 0.1)
    path = Path.along(velocity, 0.1, 0.0)
    return actor, path, pose, actor.landmarks(path, pose)


@pytest.mark.parametrize("seed", range(5))
def test_who_stands_is_upright_on_the_ground_and_as_tall_as_he_is(seed):
    actor, _, _, points = posed(seed)
    assert points.shape == (20, LANDMARKS, 3)
    height = points[:, CROWN, 2]
    assert (np.abs(height / actor.height - 1) < 0.15).all()
    assert (points[:, ANKLES, 2].min(1) < 0.06 * actor.height).all()
    assert (points[:, SHOULDERS[0], 1] > points[:, SHOULDERS[1], 1]).all()  # left is left


def test_landmarks_are_ends_of_the_painted_limbs():
    actor, path, pose, points = posed(1, velocity=np.tile([1.2, 0.0, 0.3], (20, 1)))
    for shapes, here in zip(actor.shapes(path, pose), points, strict=True):
        ends = np.array([end for shape in shapes for end in (shape.start, shape.end)])
        for point in here[[CROWN, *WRISTS, *ANKLES]]:
            assert np.linalg.norm(ends - point, axis=1).min() < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_gestures_do_what_they_are_called(seed):
    up = posed(seed, "arms_up")[3]
    assert (up[:, WRISTS, 2] > up[:, [CROWN], 2]).all()
    plain, bow = posed(seed)[3], posed(seed, "bow")[3]
    assert (bow[:, CROWN, 0] > plain[:, CROWN, 0] + 0.2).all()  # forward
    clap = posed(seed, "clap")[3]
    apart = np.linalg.norm(clap[:, WRISTS[0]] - clap[:, WRISTS[1]], axis=-1)
    assert apart.min() < 0.25 and np.ptp(apart) > 0.1
    wave = posed(seed, "wave")[3]
    raised = wave[:, WRISTS, 2].max(1) - wave[:, SHOULDERS, 2].max(1)
    assert (raised > -0.1).all() and np.ptp(wave[:, WRISTS], axis=0).max() > 0.1


def test_a_gesture_is_taken_up_and_put_down_without_a_jump():
    rng = np.random.default_rng(0)
    pose = human_gait(rng, Actor.random(rng), STILL, 0.1)
    names = np.array(["none"] * 8 + ["arms_up"] * 12)
    angle = gesturing(rng, pose, names, 0.1).shoulder
    np.testing.assert_array_equal(angle[:7], pose.shoulder[:7])
    assert np.abs(np.diff(angle, axis=0)).max() < 1.2 and (angle[-1] > 2).all()
    assert {field.name for field in fields(pose)} == {field.name for field in fields(type(pose))}


def test_bars_move_the_points_of_a_picture_with_it():
    for seed in range(60):
        shoot, moved = develop(np.random.default_rng(seed))
        corners = moved(np.array([[0.0, 0.0], [1.0, 1.0]]))
        if corners[0].any():
            break
    else:
        raise AssertionError("expected bars round some picture")
    picture = np.full((112, 112, 3), 200, np.uint8)
    bright = shoot(picture).mean(-1) > 30
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    found = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]]) / 112
    np.testing.assert_allclose(found, corners, atol=0.02)
