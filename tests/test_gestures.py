"""Gestures stay within a robot's limits and come round with the clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rmedge import robots
from rmedge.export.motions import gestures, teachers

EACH = [(robot, name) for robot in robots.names() for name in gestures.of(robots.load(robot))]
TIMES = np.linspace(0, teachers.CLOCK_S, 101)


@pytest.mark.parametrize(("robot", "name"), EACH)
def test_a_gesture_stays_within_the_limits_and_comes_round_with_the_clock(robot, name):
    robot = robots.load(robot)
    gesture = gestures.of(robot)[name]
    track = np.array([gesture.at(time) for time in TIMES])
    assert track.shape == (len(TIMES), len(gesture.joints))
    assert ((track >= robot.lower[gesture.joints]) & (track <= robot.upper[gesture.joints])).all()
    for turns in (1, 2, 7):
        again = np.array([gesture.at(time + turns * teachers.CLOCK_S) for time in TIMES])
        np.testing.assert_allclose(again, track, atol=1e-9)
    assert len(np.unique(gesture.joints)) == len(gesture.joints)
    legs = ("hip", "knee", "ankle")
    assert not [
        robot.joint_names[n] for n in gesture.joints if any(leg in robot.joint_names[n] for leg in legs)
    ]
    # it is approached at this speed: what were much faster would never be reached
    assert (np.abs(np.diff(track, axis=0)) <= 1.01 * gestures.SPEED * TIMES[1]).all()


def test_the_g1_has_at_least_six_gestures_and_no_two_are_alike():
    robot = robots.load("g1")
    found = gestures.of(robot)
    assert next(iter(found)) == gestures.NONE and len(found) >= 7
    poses = []
    for gesture in found.values():
        pose = np.tile(robot.default_pose, (len(TIMES), 1))
        pose[:, gesture.joints] = [gesture.at(time) for time in TIMES]
        poses.append(pose)
    for number, one in enumerate(poses):
        for other in poses[:number]:
            assert np.abs(one - other).max() > 0.3


def test_a_robot_that_nobody_knows_has_no_gesture_but_none():
    stranger = replace(robots.load("g1"), name="stranger")
    found = gestures.of(stranger)
    assert list(found) == [gestures.NONE]
    assert found[gestures.NONE].at(0.3).shape == (0,)


@pytest.mark.parametrize(
    "wave",
    [(3.0, 0.0, 0.0, 0.0), (0.0, 3.0, 1.0, 0.0), (0.0, -3.0, 1.0, 0.0), (np.nan, 0, 0, 0), (0, np.nan, 0, 0)],
)
def test_a_gesture_beyond_the_limits_is_refused(wave):
    with pytest.raises(ValueError, match="gesture: expected positions within the limits of g1, got"):
        gestures.Gesture(robots.load("g1"), {"left_elbow_joint": wave})


def test_both_arms_do_the_same_mirrored():
    robot = robots.load("g1")
    for name in ("arms_up", "carry", "clap"):
        gesture = gestures.of(robot)[name]
        at = dict(zip((robot.joint_names[n] for n in gesture.joints), gesture.at(0.3), strict=True))
        for joint, angle in at.items():
            if joint.startswith("left"):
                outward = -1 if joint.endswith(("roll_joint", "yaw_joint")) else 1
                assert at[joint.replace("left", "right")] == pytest.approx(outward * angle)
