"""The robot's table adds up, and its kinematics obey geometry."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from rmedge import robots
from rmedge.errors import UsageError

ROBOT = robots.load("g1")
TABLE = json.loads((Path(robots.__file__).parent / "g1.json").read_text(encoding="utf-8"))


def poses(count, seed=0):
    return np.random.default_rng(seed).uniform(ROBOT.lower, ROBOT.upper, (count, len(ROBOT.joints)))


def test_the_sums_are_the_published_ones():
    assert ROBOT.mass == pytest.approx(33.343142, abs=1e-9)
    assert len(ROBOT.joint_names) == len(set(ROBOT.joint_names)) == 29
    assert ROBOT.standing_height == pytest.approx(0.757, abs=2e-3)


def test_the_joints_are_in_sdk_order():
    legs = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
    arms = (
        "shoulder_pitch",
        "shoulder_roll",
        "shoulder_yaw",
        "elbow",
        "wrist_roll",
        "wrist_pitch",
        "wrist_yaw",
    )
    order = [
        *(f"left_{name}" for name in legs), *(f"right_{name}" for name in legs),
        "waist_yaw", "waist_roll", "waist_pitch",
        *(f"left_{name}" for name in arms), *(f"right_{name}" for name in arms),
    ]  # fmt: skip
    assert ROBOT.joint_names == tuple(f"{name}_joint" for name in order)


def test_the_arrays_are_the_tables():
    hinges = [row["joint"] for row in TABLE["bodies"] if "joint" in row]
    assert ROBOT.lower.tolist() == [hinge["range"][0] for hinge in hinges]
    assert ROBOT.upper.tolist() == [hinge["range"][1] for hinge in hinges]
    assert ROBOT.torque_limit.tolist() == [hinge["torque_limit"] for hinge in hinges]
    assert ROBOT.velocity_limit.tolist() == [TABLE["velocity_limit"][hinge["name"]] for hinge in hinges]
    assert ROBOT.default_pose.tolist() == [TABLE["default_pose"][hinge["name"]] for hinge in hinges]
    assert ((ROBOT.lower < ROBOT.default_pose) & (ROBOT.default_pose < ROBOT.upper)).all()
    assert (ROBOT.torque_limit > 0).all() and (ROBOT.velocity_limit > 0).all()


def test_the_table_is_symmetric():
    mass = {body.name: body.mass for body in ROBOT.bodies}
    for name, value in mass.items():
        if name.startswith("left_"):
            assert mass["right_" + name[5:]] == pytest.approx(value, rel=0.01)
    limit = dict(zip(ROBOT.joint_names, ROBOT.torque_limit))
    assert all(limit[name] == limit[name.replace("left", "right")] for name in limit)


def test_nothing_can_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        ROBOT.default_pose[0] = 1.0
    with pytest.raises(FrozenInstanceError):
        ROBOT.name = "g2"


def test_an_unknown_robot_names_the_known():
    with pytest.raises(UsageError) as caught:
        robots.load("r2d2")
    assert str(caught.value) == "robot: expected one of g1, got 'r2d2'"
    assert robots.names() == ("g1",)


@pytest.mark.parametrize("name", ["../g1", "", "G1", "g1.json"])
def test_a_robots_name_is_no_path(name):
    with pytest.raises(UsageError):
        robots.load(name)


def test_rotations_are_rotations():
    for quat in np.random.default_rng(1).normal(size=(50, 4)):
        rotation = robots.rotation_matrix(quat)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        np.testing.assert_allclose(robots.rotation_matrix(-3.0 * quat), rotation, atol=1e-12)
        inverse = quat * (1, -1, -1, -1)
        np.testing.assert_allclose(robots.rotation_matrix(inverse), rotation.T, atol=1e-12)
        np.testing.assert_allclose(rotation @ quat[1:], quat[1:], atol=1e-12)  # the axis stays


def test_a_rotation_turns_the_right_way():
    quarter = robots.rotation_matrix((np.sqrt(0.5), 0, 0, np.sqrt(0.5)))  # about z
    np.testing.assert_allclose(quarter @ (1, 0, 0), (0, 1, 0), atol=1e-12)


def test_kinematics_keep_rotations_and_bone_lengths():
    position, rotation = ROBOT.forward_kinematics(poses(20))
    identity = np.broadcast_to(np.eye(3), rotation.shape)
    np.testing.assert_allclose(rotation @ np.swapaxes(rotation, -1, -2), identity, atol=1e-12)
    for index, body in enumerate(ROBOT.bodies):
        if body.parent >= 0:
            length = np.linalg.norm(position[:, index] - position[:, body.parent], axis=-1)
            np.testing.assert_allclose(length, np.linalg.norm(body.pos), atol=1e-12)


def test_kinematics_start_at_the_root():
    position, rotation = ROBOT.forward_kinematics(poses(3))
    np.testing.assert_array_equal(position[:, 0], 0.0)
    np.testing.assert_array_equal(rotation[:, 0], np.broadcast_to(np.eye(3), (3, 3, 3)))


def test_any_batch_gives_what_each_pose_gives():
    many = poses(6).reshape(2, 3, -1)
    position, rotation = ROBOT.forward_kinematics(many)
    assert position.shape == (2, 3, len(ROBOT.bodies), 3)
    for index in np.ndindex(2, 3):
        alone = ROBOT.forward_kinematics(many[index])
        np.testing.assert_allclose(position[index], alone[0], atol=1e-14)
        np.testing.assert_allclose(rotation[index], alone[1], atol=1e-14)


def test_a_joint_moves_what_hangs_on_it_about_its_axis_and_nothing_else():
    pose = poses(1)[0]
    _, rotation = ROBOT.forward_kinematics(pose)
    for joint in range(len(ROBOT.joints)):
        moved = pose.copy()
        moved[joint] += 0.3
        _, turned = ROBOT.forward_kinematics(moved)
        own = next(n for n, body in enumerate(ROBOT.bodies) if body.joint == joint)
        below = {own}
        for index, body in enumerate(ROBOT.bodies):
            if body.parent in below:
                below.add(index)
        for index in range(len(ROBOT.bodies)):
            change = rotation[index].T @ turned[index]
            angle = np.arccos(np.clip((np.trace(change) - 1) / 2, -1, 1))
            assert angle == pytest.approx(0.3 if index in below else 0.0, abs=1e-6)
        axis = rotation[own] @ ROBOT.joints[joint].axis
        np.testing.assert_allclose(turned[own] @ ROBOT.joints[joint].axis, axis, atol=1e-12)


def test_a_mirrored_pose_has_mirrored_feet():
    names = ROBOT.joint_names
    swap = [names.index(n.replace("left", "x").replace("right", "left").replace("x", "right")) for n in names]
    sign = np.array([-1.0 if "roll" in n or "yaw" in n else 1.0 for n in names])
    pose = poses(1, seed=4)[0]
    feet = [n for n, body in enumerate(ROBOT.bodies) if body.name in ROBOT.feet]
    position, _ = ROBOT.forward_kinematics(pose)
    mirrored, _ = ROBOT.forward_kinematics((sign * pose)[swap])
    np.testing.assert_allclose(mirrored[feet], position[feet[::-1]] * (1, -1, 1), atol=2e-4)
