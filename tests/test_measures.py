"""Measures: each is what its unit says on a motion whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge import robots
from rmedge.benchmarks.policies.measures import (
    MEASURES,
    action_rate,
    foot_slip,
    heading_error,
    jerk,
    measure,
    mpjpe_mm,
    places,
    power,
    torque_share,
    upper_body,
    velocity_error,
)
from rmedge.benchmarks.policies.recording import Recording

S = 0.02  # [s] a tick
TIME = S * np.arange(200)


def test_velocity_error_is_a_distance_by_component() -> None:
    velocity = np.array([[0.5, 0.1, 0.0], [0.7, -0.1, 0.0]])
    assert velocity_error(velocity, np.array([0.6, 0.0, -0.2])) == pytest.approx([0.1, 0.1, 0.2])


def test_heading_error_is_none_for_who_turns_as_asked_from_wherever() -> None:
    assert heading_error(1.0 + 0.4 * TIME, 0.4, S) == pytest.approx(0.0, abs=1e-12)
    # who does not turn at all is off by half of the whole turn, on average
    assert heading_error(0 * TIME, 0.4, S) == pytest.approx(0.4 * TIME[-1] / 2)


def test_mpjpe_is_a_metric_in_millimetres_over_what_both_have() -> None:
    random = np.random.default_rng(0)
    a, b, c = random.standard_normal((3, 10, 4, 3))
    assert mpjpe_mm(a, a) == 0.0
    assert mpjpe_mm(a, b) == mpjpe_mm(b, a) > 0
    assert mpjpe_mm(a, c) <= mpjpe_mm(a, b) + mpjpe_mm(b, c)
    assert mpjpe_mm(a, a + [0.003, 0.0, 0.004]) == pytest.approx(5.0)
    assert mpjpe_mm(a, np.concatenate([a[:5], b, c])[:5]) == 0.0


@pytest.mark.parametrize("name", robots.names())
def test_the_upper_body_moves_with_no_leg(name: str) -> None:
    robot = robots.load(name)
    upper, still = upper_body(robot), places(robot, robot.default_pose[None])[0]
    assert 10 < upper.sum() < len(robot.bodies) - 12
    assert not any(upper[n] for n, body in enumerate(robot.bodies) if body.name in robot.feet)
    for index, body in enumerate(robot.bodies):
        moved = robot.default_pose.copy()
        if body.joint >= 0 and not upper[index]:
            moved[body.joint] += 0.3
            assert (places(robot, moved[None])[0] == still)[upper].all(), body.name


def test_slip_is_of_feet_on_the_floor() -> None:
    nan = np.nan
    assert foot_slip(np.array([[0.2, nan], [0.0, nan], [nan, 0.4]])) == pytest.approx(0.2)
    assert np.isnan(foot_slip(np.full((3, 2), nan)))


def test_action_rate_and_jerk_are_derivatives() -> None:
    ramp, cubic = np.stack([2.0 * TIME, -4.0 * TIME], 1), np.stack([TIME**3, -2 * TIME**3], 1)
    assert action_rate(ramp, S) == pytest.approx(3.0)
    assert jerk(ramp, S) == pytest.approx(0.0, abs=1e-6)
    assert jerk(cubic, S) == pytest.approx(9.0)  # 6 and 12
    assert np.isnan(jerk(cubic[:3], S))


def test_torque_and_power() -> None:
    torque, speed = np.array([[10.0, -5.0], [0.0, 5.0]]), np.array([[1.0, 2.0], [9.0, -2.0]])
    assert torque_share(torque, np.array([20.0, 10.0])) == pytest.approx((0.5 + 0.5 + 0.0 + 0.5) / 4)
    assert power(torque, speed) == pytest.approx((20.0 + 10.0) / 2)


def _standing(ticks: int, fell_at_s: float | None = None) -> Recording:
    robot = robots.load("g1")
    still = np.zeros((ticks, len(robot.joints)))
    velocity = np.zeros((ticks, 3))
    velocity[:50] = 9.0  # the first second does not count
    return Recording(
        S, fell_at_s, velocity, velocity[:, 2].copy(), still + robot.default_pose, still, still, still,
        np.zeros((ticks, 2)), np.tile([0.0, 0.0, -1.0], (ticks, 1)),
    )  # fmt: skip


def test_all_measures_of_who_stands_are_zero_after_the_first_second() -> None:
    done = _standing(100)
    told = measure(robots.load("g1"), done, done, np.zeros(3))
    assert set(told) == set(MEASURES)
    assert all(np.all(np.asarray(value) == 0.0) for value in told.values())


def test_who_falls_at_once_is_measured_all_the_same() -> None:
    told = measure(robots.load("g1"), _standing(1, 0.02), _standing(100), np.zeros(3))
    assert told["velocity_error"] == (9.0, 9.0, 9.0) and np.isnan(told["jerk"])
