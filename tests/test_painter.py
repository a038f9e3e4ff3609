"""The painter: where things land on the picture, what hides what, and that no view breaks it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rmedge import robots
from rmedge.runtimes import painter
from rmedge.runtimes.painter import Box, Capsule, View
from rmedge.runtimes.scenery import Furniture, Room, floor

RED, BLUE = (220, 30, 30), (30, 30, 220)
FOV = np.radians(60.0)


def black(view):
    return np.zeros((view.height, view.width, 3), dtype=np.uint8)


def painted(view, *shapes):
    image = black(view)
    painter.paint(image, view, shapes)
    return image


def plain(*colour):
    return np.full((32, 32, 3), colour, dtype=np.uint8)


def centroid(image):
    weight = image.sum(axis=2).astype(float)
    rows, columns = np.indices(weight.shape)
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()


def test_target_is_in_the_middle_and_left_up_are_left_up():
    view = View.look_at((0, 0, 1), (3, 0, 1), FOV, 101, 81)
    pixels, depth = view.project(np.array([[3.0, 0, 1], [3, 1, 1], [3, 0, 2], [-3, 0, 1]]))
    np.testing.assert_allclose(pixels[0], (50, 40))
    np.testing.assert_allclose(depth, (3, 3, 3, -3))
    assert pixels[1, 0] < 50 and pixels[2, 1] < 40


def test_rays_undo_project():
    view = View.look_at((1, 2, 1.5), (-2, 0.5, 0.3), FOV, 40, 30, roll=0.3, stretch=1.2)
    points = view.eye + 2.5 * view.rays()[[0, 13, 29], [39, 7, 0]]
    pixels, depth = view.project(points)
    np.testing.assert_allclose(pixels, [[39, 0], [7, 13], [0, 29]], atol=1e-4)
    np.testing.assert_allclose(depth, 2.5, rtol=1e-6)


def test_stretch_is_the_ratio_of_the_focal_lengths():
    view = View.look_at((0, 0, 0), (1, 0, 0), FOV, 64, 48, stretch=1.25)
    assert view.focal[1] / view.focal[0] == pytest.approx(1.25)


@pytest.mark.parametrize("target", [(0, 0, 5), (0, 0, -5), (0, 0, 0)])
def test_every_direction_has_a_proper_rotation(target):
    rotation = View.look_at((0, 0, 0), target, FOV, 8, 8).rotation
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_ball_covers_its_disc():
    view = View.look_at((-4, 0, 0), (0, 0, 0), FOV, 128, 128)
    image = painted(view, Capsule((0, 0, 0), (0, 0, 0), 0.5, 0.5, RED))
    radius = 0.5 / 4 * view.focal[1]
    assert (image[:, :, 0] > 45).sum() == pytest.approx(np.pi * radius**2, rel=0.1)  # 45: half the rim


@pytest.mark.parametrize("shift", [0.2, 0.5, 0.9])
def test_motion_is_drawn_below_the_pixel(shift):
    view = View.look_at((-4, 0, 0), (0, 0, 0), FOV, 96, 96)
    step = np.array([0, -shift, 0]) * 4 / view.focal[0]  # `shift` pixels to the right
    limbs = [Capsule(at + [0, 0, 0.5], at - [0, 0, 0.5], 0.2, 0.1, RED) for at in (np.zeros(3), step)]
    before, after = (centroid(painted(view, limb)) for limb in limbs)
    np.testing.assert_allclose(after - before, (shift, 0), atol=0.08)


@pytest.mark.parametrize("order", [1, -1])
def test_nearer_hides_farther_in_any_order(order):
    view = View.look_at((-4, 0, 0), (0, 0, 0), FOV, 64, 64)
    near = Capsule((0, 0, -0.3), (0, 0, 0.3), 0.2, 0.2, RED)
    far = Box((1, 0, 0), np.eye(3), (0.2, 0.6, 0.6), BLUE)
    image = painted(view, *(near, far)[::order]).astype(int)
    assert image[32, 32, 0] > image[32, 32, 2]
    assert image[32, 27, 2] > image[32, 27, 0]


def test_faces_towards_the_lamp_are_brighter():
    view = View.look_at((-3, 0, 3), (0, 0, 0), FOV, 64, 64)
    image = black(view)
    painter.paint(image, view, [Box((0, 0, 0), np.eye(3), (0.5, 0.5, 0.5), RED)], light=(0, 0, 1))
    top, side = (view.project([at])[0][0].astype(int) for at in ([0, 0, 0.5], [-0.5, 0, 0]))
    assert image[top[1], top[0], 0] > image[side[1], side[0], 0] + 30


def test_what_lies_behind_is_not_drawn():
    view = View.look_at((0, 0, 0), (1, 0, 0), FOV, 64, 64)
    capsule = Capsule((-2, 0, 0), (-3, 0, 0), 0.4, 0.4, RED)
    box = Box((-2, 0, 0), np.eye(3), (0.3, 0.3, 0.3), RED)
    assert not painted(view, capsule, box).any()


def test_no_view_breaks_the_painter():
    rng = np.random.default_rng(0)
    robot = robots.load("g1")
    table = Furniture((1, 1, 0.5), (0.4, 0.4, 0.5), plain(9, 9, 9))
    room = Room((-3, -3, 0), (3, 3, 3), [plain(90, 90, 90)] * 6, 1.0, [table])
    shapes = painter.robot_shapes(robot, robot.default_pose, (0, 0, robot.standing_height), np.eye(3))
    shapes.append(Capsule((0, 0, 0), (0, 0, np.nan), 0.1, 0.1, RED))
    for _ in range(60):
        eye, target = rng.uniform(-4, 4, (2, 3)) * rng.choice([0.05, 1.0])
        view = View.look_at(eye, target, rng.uniform(0.2, 2.6), 48, 36, roll=rng.uniform(-3, 3))
        image = room.draw(view)
        painter.shadow(image, view, [(0, 0.1, 0), (0, -0.1, 0)], 0.3)
        painter.paint(image, view, shapes)
        assert floor(view).shape == image.shape == (36, 48, 3)


def test_robot_stands_where_it_is_put_and_moves_with_its_joints():
    robot = robots.load("g1")
    view = View.look_at((3, 0, 0.8), (0, 0, 0.7), FOV, 160, 160)
    pose = robot.default_pose.copy()
    here = painted(view, *painter.robot_shapes(robot, pose, (0, 0, robot.standing_height), np.eye(3)))
    rows = np.flatnonzero(here.any(axis=(1, 2)))
    sole = view.project([[0.1, 0, 0]])[0][0, 1]
    crown = view.project([[0, 0, 1.28]])[0][0, 1]
    assert rows[-1] == pytest.approx(sole, abs=4) and rows[0] == pytest.approx(crown, abs=5)

    aside = painted(view, *painter.robot_shapes(robot, pose, (0, 0.5, robot.standing_height), np.eye(3)))
    assert centroid(aside)[0] > centroid(here)[0] + 15  # its left is the picture's right when it faces us
    pose[robot.joint_names.index("left_shoulder_pitch_joint")] -= 1.5
    waving = painter.robot_shapes(robot, pose, (0, 0, robot.standing_height), np.eye(3))
    assert (painted(view, *waving) != here).sum() > 500


@pytest.mark.parametrize("name", robots.names())
def test_every_robot_is_dressed_alike_from_head_to_foot(name):
    robot = robots.load(name)
    shapes = painter.robot_shapes(robot, robot.default_pose, (0, 0, robot.standing_height), np.eye(3))
    (visor,) = [shape for shape in shapes if shape.colour == painter.VISOR]
    boxes = sorted((s for s in shapes if isinstance(s, Box)), key=lambda box: box.centre[2])
    assert [b.colour for b in boxes] == [painter.GRAPHITE] * 3 + [painter.SHELL]  # soles, pelvis, chest
    assert boxes[1].centre[2] < 0.1 < 0.4 < boxes[2].centre[2] < boxes[3].centre[2] < visor.start[2]

    ends = np.array([(*s.start, *s.end) for s in shapes if isinstance(s, Capsule)]).reshape(-1, 2, 3)
    other = ends * (1, -1, 1)  # left and right look the same
    apart = np.linalg.norm(ends[:, None] - other[None], axis=-1)  # (N, N, 2)
    apart = np.minimum(apart, np.linalg.norm(ends[:, None, ::-1] - other[None], axis=-1)).max(-1)
    assert (apart.min(0) < 0.005).all()


def test_a_robot_without_arms_is_dressed_too():
    table = json.loads((Path(robots.__file__).parent / "g1.json").read_text(encoding="utf-8"))
    table["bodies"] = [
        row for row in table["bodies"] if row["name"].startswith(("pelvis", "left_hip", "left_k"))
    ]
    legs = robots.from_table(table)
    shapes = painter.robot_shapes(legs, legs.default_pose, (0, 0, 0.8), np.eye(3))
    colours = [shape.colour for shape in shapes]
    assert painter.SHELL in colours and painter.GRAPHITE in colours and painter.VISOR not in colours


def test_shadow_darkens_the_ground_below_and_nothing_far_away():
    view = View.look_at((-3, 0, 1.5), (0, 0, 0), FOV, 120, 90)
    image = np.full((90, 120, 3), 200, dtype=np.uint8)
    painter.shadow(image, view, [(0, 0, 0.4)], radius=0.3)
    assert image[44, 60, 0] < 150
    assert (image[:, [0, -1]] == 200).all()
