"""Whatever a state says, the monitor answers: "" only where every number is good, else the reason."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from rmedge.budgets import Budgets
from rmedge.monitor import Monitor
from rmedge.specs import RobotState

JOINTS = 29
BUDGETS = Budgets()
UPRIGHT = np.array([0.0, 0.0, -1.0])
NAMES = tuple(f"joint_{number}" for number in range(JOINTS))
MS = 1_000_000
GOOD = RobotState(
    np.zeros(JOINTS), np.zeros(JOINTS), np.zeros(3), UPRIGHT, 0, motor_temp=np.full(JOINTS, 40.0)
)


def tilted(angle, around=0.0):
    slope = math.sin(angle)
    return np.array([slope * math.cos(around), slope * math.sin(around), -math.cos(angle)])


def speeds(*fast):
    return np.array([*fast, *[0.0] * (JOINTS - len(fast))])


def hot(**temperatures):
    warm = np.full(JOINTS, 40.0)
    for name, value in temperatures.items():
        warm[NAMES.index(name)] = value
    return replace(GOOD, motor_temp=warm)


@pytest.mark.parametrize("temperature", [None, np.full(JOINTS, np.nan), np.full(JOINTS, 89.9)])
def test_all_is_well(temperature):
    monitor = Monitor(BUDGETS, NAMES)
    for now_ms in range(200):
        assert monitor.check(replace(GOOD, motor_temp=temperature), now_ms * MS) == ""


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["joint_pos", "joint_vel", "base_ang_vel", "projected_gravity"])
def test_what_is_not_finite_is_never_well(field, broken):
    array = getattr(GOOD, field).copy()
    for place in range(len(array)):
        bad = array.copy()
        bad[place] = broken
        reason = Monitor(BUDGETS, NAMES).check(replace(GOOD, **{field: bad}), 0)
        assert reason.startswith("state: expected ") and field in reason
        assert f"joint_{place}" in reason or len(array) == 3


@pytest.mark.parametrize("gravity", [(0, 0, 0), (0, 0, -0.9), (0, 0, -9.81), (1, 1, -1), (0, 0, -1e200)])
def test_gravity_is_a_unit_vector(gravity):
    reason = Monitor(BUDGETS).check(replace(GOOD, projected_gravity=np.array(gravity, float)), 0)
    assert reason.startswith("state: expected a unit vector in projected_gravity, got (")


def test_what_float32_rounds_is_a_unit_vector():
    rng = np.random.default_rng(0)
    for vector in rng.normal(size=(1000, 3)):
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        assert not Monitor(BUDGETS).check(replace(GOOD, projected_gravity=unit), 0)  # tilted, but not yet


@pytest.mark.parametrize("around", np.linspace(0, 6, 7))
@pytest.mark.parametrize(("angle", "fallen"), [(0.99, False), (1.01, True), (2.0, True), (math.pi, True)])
def test_a_fall_is_a_tilt_that_lasts(around, angle, fallen):
    monitor, state = Monitor(BUDGETS), replace(GOOD, projected_gravity=tilted(angle, around))
    reasons = [monitor.check(state, now_ms * MS) for now_ms in range(0, 30, 2)]
    assert [bool(reason) for reason in reasons] == [fallen and now_ms >= 20 for now_ms in range(0, 30, 2)]
    assert not fallen or reasons[-1] == (f"tilt: expected at most 1 rad from upright, got {angle:.2f} rad")


def test_a_tilt_that_ends_in_time_is_forgotten():
    monitor, leaning = Monitor(BUDGETS), replace(GOOD, projected_gravity=tilted(1.2))
    for now_ms in range(0, 400, 2):
        assert monitor.check(GOOD if now_ms % 20 == 18 else leaning, now_ms * MS) == ""
    monitor.check(leaning, 400 * MS)
    monitor.reset()
    assert monitor.check(leaning, 500 * MS) == ""


def test_a_clock_that_goes_back_does_not_put_off_a_fall():
    monitor, leaning = Monitor(BUDGETS), replace(GOOD, projected_gravity=tilted(1.2))
    assert monitor.check(leaning, 100 * MS) == ""
    assert monitor.check(leaning, 50 * MS).startswith("tilt: ")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("fast", "flails"),
    [((99.0, 99.0), False), ((25.0,) * 9, False), ((25.1,) * 3, True), ((99.0,) * 9, True)],
)
def test_flailing_is_three_joints_too_fast_either_way(sign, fast, flails):
    reason = Monitor(BUDGETS, NAMES).check(replace(GOOD, joint_vel=sign * speeds(*fast)), 0)
    assert reason.startswith("flail: expected fewer than 3 joints beyond 25 rad/s, got joint_0") == flails
    assert bool(reason) == flails


def test_a_mixed_flail_counts_both_ways():
    assert Monitor(BUDGETS).check(replace(GOOD, joint_vel=speeds(30.0, -30.0, 30.0)), 0) == (
        "flail: expected fewer than 3 joints beyond 25 rad/s, got number 0, number 1, number 2"
    )


def test_a_motor_that_was_too_hot_has_to_cool_down():
    monitor = Monitor(BUDGETS, NAMES)
    reason = "temperature: expected motors below 90 C, and down to 85 C after that, got joint_3"
    for temperature, told in (
        (89.9, ""),
        (90.0, reason),
        (86.0, reason),
        (np.nan, reason),
        (-np.inf, reason),
    ):
        assert monitor.check(hot(joint_3=temperature), 0) == told
    monitor.reset()  # nobody cools a motor by pressing a button
    assert monitor.check(hot(joint_3=86.0), 0) == reason
    assert monitor.check(replace(GOOD, motor_temp=None), 0) == reason
    assert monitor.check(replace(GOOD, motor_temp=np.zeros(3)), 0) == reason
    assert monitor.check(hot(joint_3=85.0), 0) == ""
    assert monitor.check(hot(joint_3=86.0), 0) == ""


def test_each_motor_has_a_memory_of_its_own():
    monitor = Monitor(BUDGETS, NAMES)
    assert "joint_1, joint_2" in monitor.check(hot(joint_1=95.0, joint_2=np.inf), 0)
    assert monitor.check(hot(joint_1=80.0, joint_2=86.0), 0).endswith("got joint_2")
    assert monitor.check(replace(GOOD, motor_temp=np.full(JOINTS, 99.0)), 0).endswith(
        "got joint_0, joint_1, joint_2 and 26 more"
    )


@pytest.mark.parametrize("seed", range(10))
def test_no_state_that_is_not_good_passes(seed):
    """One number of a good state is spoilt: the answer is a reason wherever that number matters."""
    rng = np.random.default_rng(seed)
    for _ in range(200):
        field = rng.choice(["joint_pos", "joint_vel", "base_ang_vel", "projected_gravity", "motor_temp"])
        array = getattr(GOOD, field).copy()
        array[rng.integers(len(array))] = rng.choice([np.nan, np.inf, -np.inf, 1e300, -1e300])
        reason = Monitor(BUDGETS).check(replace(GOOD, **{field: array}), 0)
        value = array[~(np.abs(array) <= 40.0)]
        harmless = {
            "joint_pos": bool(np.isfinite(array).all()), "base_ang_vel": bool(np.isfinite(array).all()),
            "joint_vel": bool(np.isfinite(array).all()),  # one joint is not three
            "projected_gravity": False, "motor_temp": not value[0] >= 90.0,
        }[field]  # fmt: skip
        assert (reason == "") == harmless
