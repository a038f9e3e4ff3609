"""Teachers keep step by one clock, and see what they were trained to see."""

from __future__ import annotations

import math

import bundles
import numpy as np
import pytest
import stand_ins
from practice import NO_WHEEL, ROBOT, wheel

from rmedge import robots
from rmedge.bundle import Bundle
from rmedge.export.motions import teachers
from rmedge.runtimes.policy import Policy
from rmedge.specs import RobotState

TIMES = np.random.default_rng(0).uniform(0, 60, 200)


def test_the_clock_turns_once_and_twice_a_period():
    seen = teachers.clock(TIMES)
    assert seen.shape == (200, 4)
    once, twice = seen[:, 0] + 1j * seen[:, 1], seen[:, 2] + 1j * seen[:, 3]
    np.testing.assert_allclose(np.abs(once), 1.0)
    np.testing.assert_allclose(once**2, twice)
    np.testing.assert_allclose(np.exp(2j * math.pi * TIMES / teachers.CLOCK_S), once)
    np.testing.assert_allclose(teachers.clock(TIMES + teachers.CLOCK_S), seen, atol=1e-9)
    assert not np.allclose(teachers.clock(teachers.CLOCK_S / 2), teachers.clock(0.0))
    assert teachers.clock(0.0).tolist() == [1.0, 0.0, 1.0, 0.0]
    assert (teachers.CLOCK_S / teachers.GAIT_S).is_integer()  # a whole number of strides


def test_the_deployed_policys_clock_is_the_teachers(monkeypatch, tmp_path):
    stand_ins.install(monkeypatch)
    says = bundles.manifest()
    says["policy"]["observation"]["clock_s"] = teachers.CLOCK_S
    says["policy"]["observation"]["terms"][-1]["scale"] = 1.0
    policy = Policy(Bundle.load(bundles.make(tmp_path / "tiny", says)))
    pose, still = ROBOT.default_pose, np.zeros(3)
    for start_ns in (0, 987_654_321):
        policy.reset()
        for time in (0.0, *np.sort(TIMES).tolist()):
            stamp_ns = start_ns + round(time * 1e9)
            policy.act(RobotState(pose, 0 * pose, still, np.array([0, 0, -1.0]), stamp_ns), np.zeros(4))
            np.testing.assert_allclose(policy._history[-1, -4:], teachers.clock(time), atol=1e-6)


def blank(robot=ROBOT):
    """A teacher without its network."""
    teacher = object.__new__(teachers.Teacher)
    teacher.robot = robot
    return teacher


@pytest.mark.parametrize(("name", "turn", "speed"), [("g1", 1.0, 1.0), ("t1", 4.0, 2.0)])
def test_the_teacher_observes_its_terms_in_alphabetical_order(name, turn, speed):
    robot = robots.load(name)
    n = len(robot.joints)
    seen = blank(robot).observe(
        last_action=np.full((1, n), 1.0), base_ang_vel=np.full((1, 3), 4.0), command=np.array([[5.0, 6, 7]]),
        phase=np.array([[0.0, math.pi / 2]]), joint_pos=robot.default_pose[None] + 2.0,
        joint_vel=np.full((1, n), 20.0), projected_gravity=np.array([[0.0, 0.0, -1.0]]),
    )  # fmt: skip
    expected = [*[1.0] * n, *[turn] * 3, 7, 5, 6, 1, 0, *[2.0] * n, *[speed] * n, 0, 0, -1, 0, 1]
    assert seen.shape == (1, len(expected))
    np.testing.assert_allclose(seen[0], expected, atol=1e-6)


@pytest.mark.parametrize("time", [0.0, 0.3, 0.999, 1.25, 17.4])
def test_feet_go_in_turn_by_the_clock_and_stand_together(time):
    teacher, heard = blank(), []
    teacher.act = heard.append
    n = len(ROBOT.joints)
    senses = {
        "joint_pos": np.tile(ROBOT.default_pose, (2, 1)), "joint_vel": np.zeros((2, n)),
        "base_ang_vel": np.zeros((2, 3)), "projected_gravity": np.tile((0.0, 0.0, -1.0), (2, 1)),
    }  # fmt: skip
    teacher.walk(senses, np.array([(0.5, 0, 0), (0, 0, 0)]), time, np.zeros((2, n)))
    cos, sin = heard[0][:, n + 6 : n + 8], heard[0][:, -2:]
    left = np.exp(2j * math.pi * time / teachers.GAIT_S)
    np.testing.assert_allclose(cos[0] + 1j * sin[0], (left, -left), atol=1e-6)
    np.testing.assert_allclose(cos[1] + 1j * sin[1], (-1, -1), atol=1e-6)


@pytest.mark.skipif(not wheel(), reason=NO_WHEEL)
@pytest.mark.parametrize("robot", ["g1", "t1"])
@pytest.mark.parametrize("name", teachers.NAMES)
def test_a_batch_of_the_pretrained_is_each_alone(robot, name):
    teacher = teachers.Teacher(robots.load(robot), name)
    rows = np.random.default_rng(0).normal(size=(3, 100)).astype(np.float32)
    alone = np.concatenate([teacher.act(row[None]) for row in rows])
    np.testing.assert_array_equal(teacher.act(rows), alone)
    assert alone.shape == (3, len(teacher.robot.joints)) and len(np.unique(alone)) == alone.size
    assert (teacher.kp > 0).all() and (teacher.kd > 0).all()
