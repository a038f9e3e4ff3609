"""The robots' tables add up, and their kinematics obey geometry."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from rmedge import robots
from rmedge.errors import UsageError

PUBLISHED = {"g1": (33.343142, 0.757), "t1": (34.514469, 0.68)}  # mass [kg], height of the standing root [m]


@pytest.fixture(params=robots.names())
def robot(request):
    return robots.load(request.param)


@pytest.fixture
def table(robot):
    return json.loads((Path(robots.__file__).parent / f"{robot.name}.json").read_text(encoding="utf-8"))


def poses(robot, count, seed=0):
    return np.random.default_rng(seed).uniform(robot.lower, robot.upper, (count, len(robot.joints)))


def hanging_on(robot, top):
    """A body and all below it."""
    below = {top}
    for index, body in enumerate(robot.bodies):
        if body.parent in below:
            below.add(index)
    return below


def mirrored(robot, pose):
    """The pose with left and right exchanged; what turns about the transverse axis keeps its sign."""
    names = robot.joint_names
    for one, other in (("left", "right"), ("Left", "Right")):
        names = [n.replace(one, "*").replace(other, one).replace("*", other) for n in names]
    swap = [robot.joint_names.index(name) for name in names]
    return pose[swap] * [1.0 if joint.axis[1] else -1.0 for joint in robot.joints]


def test_the_sums_are_the_published_ones(robot):
    mass, height = PUBLISHED[robot.name]
    assert robot.mass == pytest.approx(mass, abs=1e-9)
    assert len(robot.joint_names) == len(set(robot.joint_names)) == 29
    assert robot.standing_height == pytest.approx(height, abs=2e-3)


def test_the_g1s_joints_are_in_sdk_order():
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
    assert robots.load("g1").joint_names == tuple(f"{name}_joint" for name in order)


def test_the_joints_are_in_the_teachers_order(robot):
    pytest.importorskip("onnxruntime")
    from rmedge.export.motions import teachers

    if not teachers.WHEEL.path.exists():
        pytest.skip("no teachers in the cache: python -m rmedge.export teachers")
    for name in teachers.NAMES:  # a teacher refuses a robot whose joints come in another order
        assert teachers.Teacher(robot, name).kp.shape == robot.default_pose.shape


def test_the_arrays_are_the_tables(robot, table):
    hinges = [row["joint"] for row in table["bodies"] if "joint" in row]
    assert robot.lower.tolist() == [hinge["range"][0] for hinge in hinges]
    assert robot.upper.tolist() == [hinge["range"][1] for hinge in hinges]
    assert robot.torque_limit.tolist() == [hinge["torque_limit"] for hinge in hinges]
    assert robot.velocity_limit.tolist() == [table["velocity_limit"][hinge["name"]] for hinge in hinges]
    assert robot.default_pose.tolist() == [table["default_pose"][hinge["name"]] for hinge in hinges]
    assert ((robot.lower < robot.default_pose) & (robot.default_pose < robot.upper)).all()
    assert (robot.torque_limit > 0).all() and (robot.velocity_limit > 0).all()


def test_the_table_is_symmetric(robot):
    moved = sorted((body for body in robot.bodies if body.joint >= 0), key=lambda body: body.joint)
    mass = np.array([body.mass for body in moved])
    for figure, tolerance in ((mass, 0.04), (robot.torque_limit, 0), (robot.velocity_limit, 0)):
        # the T1's published shanks differ by 3 %
        np.testing.assert_allclose(np.abs(mirrored(robot, figure)), figure, rtol=tolerance)
    np.testing.assert_array_equal(mirrored(robot, robot.default_pose), robot.default_pose)


def test_nothing_can_be_written_to(robot):
    with pytest.raises(ValueError, match="read-only"):
        robot.default_pose[0] = 1.0
    with pytest.raises(FrozenInstanceError):
        robot.name = "g2"


def test_an_unknown_robot_names_the_known():
    with pytest.raises(UsageError) as caught:
        robots.load("r2d2")
    assert str(caught.value) == "robot: expected one of g1, t1, got 'r2d2'"
    assert robots.names() == ("g1", "t1")


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


def test_kinematics_keep_rotations_and_bone_lengths(robot):
    position, rotation = robot.forward_kinematics(poses(robot, 20))
    identity = np.broadcast_to(np.eye(3), rotation.shape)
    np.testing.assert_allclose(rotation @ np.swapaxes(rotation, -1, -2), identity, atol=1e-12)
    for index, body in enumerate(robot.bodies):
        if body.parent >= 0:
            length = np.linalg.norm(position[:, index] - position[:, body.parent], axis=-1)
            np.testing.assert_allclose(length, np.linalg.norm(body.pos), atol=1e-12)


def test_kinematics_start_at_the_root(robot):
    position, rotation = robot.forward_kinematics(poses(robot, 3))
    np.testing.assert_array_equal(position[:, 0], 0.0)
    np.testing.assert_array_equal(rotation[:, 0], np.broadcast_to(np.eye(3), (3, 3, 3)))


def test_any_batch_gives_what_each_pose_gives(robot):
    many = poses(robot, 6).reshape(2, 3, -1)
    position, rotation = robot.forward_kinematics(many)
    assert position.shape == (2, 3, len(robot.bodies), 3)
    for index in np.ndindex(2, 3):
        alone = robot.forward_kinematics(many[index])
        np.testing.assert_allclose(position[index], alone[0], atol=1e-14)
        np.testing.assert_allclose(rotation[index], alone[1], atol=1e-14)


def test_a_joint_moves_what_hangs_on_it_about_its_axis_and_nothing_else(robot):
    pose = poses(robot, 1)[0]
    _, rotation = robot.forward_kinematics(pose)
    for joint in range(len(robot.joints)):
        moved = pose.copy()
        moved[joint] += 0.3
        _, turned = robot.forward_kinematics(moved)
        own = next(n for n, body in enumerate(robot.bodies) if body.joint == joint)
        below = hanging_on(robot, own)
        for index in range(len(robot.bodies)):
            change = rotation[index].T @ turned[index]
            angle = np.arccos(np.clip((np.trace(change) - 1) / 2, -1, 1))
            assert angle == pytest.approx(0.3 if index in below else 0.0, abs=1e-6)
        axis = rotation[own] @ robot.joints[joint].axis
        np.testing.assert_allclose(turned[own] @ robot.joints[joint].axis, axis, atol=1e-12)


def test_a_mirrored_pose_has_mirrored_feet(robot):
    pose = poses(robot, 1, seed=4)[0]
    feet = [n for n, body in enumerate(robot.bodies) if body.name in robot.feet]
    position, _ = robot.forward_kinematics(pose)
    other, _ = robot.forward_kinematics(mirrored(robot, pose))
    np.testing.assert_allclose(other[feet], position[feet[::-1]] * (1, -1, 1), atol=2e-4)


def test_every_role_is_played_by_a_pair_or_by_one(robot, table):
    assert set(table["roles"]) <= set(robot.joint_names)
    assert {name for name, _, _ in table["roles"].values()} <= {*robots.LIMBS, *robots.TRUNK}
    for role in robots.LIMBS:
        left, right = [j.name for j in robot.joints if j.role and j.role.name == role]
        assert "left" in left.lower() and right.lower() == left.lower().replace("left", "right")
    assert all(robot.angles(role, robot.default_pose).shape[-1] <= 1 for role in robots.TRUNK)


def test_angles_of_a_batch_keep_its_shape(robot):
    many = poses(robot, 6).reshape(2, 3, -1)
    assert robot.angles("knee", many).shape == (2, 3, 2)
    assert robot.angles("dance", many).shape == (2, 3, 0)
    np.testing.assert_array_equal(robot.angles("knee", many)[1, 2], robot.angles("knee", many[1, 2]))


def moved_by(robot, role):
    """The bodies that a role's joints move, and the last body that hangs on each: a hand, or a foot."""
    joints = [n for n, joint in enumerate(robot.joints) if joint.role and joint.role.name == role]
    tops = [n for n, body in enumerate(robot.bodies) if body.joint in joints]
    return tops, [max(hanging_on(robot, top)) for top in tops]


def places(robot, role=None, angle=0.0):
    """Every body's place [m] seen from the hips, all roles at zero but one."""
    pose = robot.default_pose.copy()
    for index, joint in enumerate(robot.joints):
        if joint.role:
            wanted = angle if joint.role.name == role else 0.0
            pose[index] = joint.role.sign * (wanted - joint.role.offset)
    position, rotation = robot.forward_kinematics(pose)
    hips, _ = moved_by(robot, "hip")
    return (position - position[hips].mean(0)) @ rotation[robot.bodies[hips[0]].parent]


def test_with_every_role_at_zero_it_stands_upright_with_hanging_arms(robot):
    here = places(robot)
    for role in ("shoulder", "hip"):
        tops, tips = moved_by(robot, role)
        across, down = here[tips] - here[tops], here[tops, 2] - here[tips, 2]
        assert (down > 0.25).all() and (np.linalg.norm(across[:, :2], axis=1) < 0.4 * down).all(), role


@pytest.mark.parametrize(
    ("role", "towards"),
    [
        ("hip", (1, 0)), ("knee", (-1, 0)), ("abduction", (0, 1)),
        ("shoulder", (1, 0)), ("elbow", (1, 0)), ("spread", (0, 1)),
    ],
)  # fmt: skip
def test_a_limbs_angle_means_what_it_does_in_a_person(robot, role, towards):
    _, tips = moved_by(robot, role)
    went = (places(robot, role, 0.4) - places(robot))[tips, :2]
    outward = np.array([(1, 1), (1, -1)])  # of the left and of the right
    assert (went * outward @ towards > 0.03).all()


def test_the_trunks_angles_mean_what_they_do_in_a_person(robot):
    shoulders, _ = moved_by(robot, "shoulder")
    for role, towards in (("twist", (-1, 1)), ("lean", (-1, -1))):
        if moved_by(robot, role)[0]:  # a T1 cannot lean
            went = (places(robot, role, 0.4) - places(robot))[shoulders, 0]
            assert (went * towards > 0.03).all(), role
