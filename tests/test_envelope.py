"""Whatever goes into the envelope, what comes out is safe; whatever it changes, it counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rmedge import robots
from rmedge.envelope import Envelope
from rmedge.specs import JointTarget, RobotState

ROBOT = robots.load("g1")
JOINTS = len(ROBOT.joint_names)
KP, KD = np.linspace(14, 100, JOINTS), np.linspace(0.9, 6.5, JOINTS)
STEP = 2_000_000
UPRIGHT = np.array([0.0, 0.0, -1.0])


def envelope(rate=None):
    rate = ROBOT.velocity_limit if rate is None else np.full(JOINTS, rate)
    return Envelope(ROBOT.lower, ROBOT.upper, rate, ROBOT.torque_limit)


def state(joint_pos=None, joint_vel=None, stamp=0):
    joint_pos = ROBOT.default_pose if joint_pos is None else joint_pos
    joint_vel = np.zeros(JOINTS) if joint_vel is None else joint_vel
    return RobotState(joint_pos, joint_vel, np.zeros(3), UPRIGHT, stamp)


def target(joint_pos, stamp=0):
    return JointTarget(np.asarray(joint_pos, float), KP, KD, stamp)


def random_state(rng, stamp):
    slack = rng.choice([0.0, 0.3])  # a real joint can stand a little beyond its limit
    pose = rng.uniform(ROBOT.lower - slack, ROBOT.upper + slack)
    return state(pose, rng.normal(0, rng.choice([0.0, 1.0, 20.0]), JOINTS), stamp)


def random_target(rng, stamp):
    pose = rng.normal(ROBOT.default_pose, rng.choice([0.01, 0.5, 5.0, 1e6]), JOINTS)
    return target(pose, stamp)


def torque_bounds(seen):
    """The targets whose predicted torque is within the limit."""
    bounds = [(KD * seen.joint_vel + sign * ROBOT.torque_limit) / KP + seen.joint_pos for sign in (-1, 1)]
    return bounds[0], bounds[1]


@pytest.mark.parametrize("seed", range(20))
def test_every_command_is_within_all_limits_that_leave_room(seed):
    rng = np.random.default_rng(seed)
    guard = envelope()
    last, last_stamp, checked = None, 0, np.zeros(2, int)
    for stamp in range(STEP, 60 * STEP, STEP):
        seen = random_state(rng, stamp)
        sent = guard.apply(random_target(rng, stamp), seen)
        assert (sent.stamp_ns, sent.kp is KP, sent.kd is KD) == (stamp, True, True)
        assert ((sent.joint_pos >= ROBOT.lower) & (sent.joint_pos <= ROBOT.upper)).all()
        low, high = torque_bounds(seen)
        low, high = np.maximum(low, ROBOT.lower), np.minimum(high, ROBOT.upper)
        room = low <= high
        torque = KP * (sent.joint_pos - seen.joint_pos) - KD * seen.joint_vel
        assert (np.abs(torque) <= ROBOT.torque_limit * (1 + 1e-9) + 1e-9)[room].all()
        checked[0] += room.sum()
        if last is not None:
            reach = ROBOT.velocity_limit * (stamp - last_stamp) * 1e-9 + 1e-9
            room &= np.maximum(low, last - reach) <= np.minimum(high, last + reach)
            assert (np.abs(sent.joint_pos - last) <= reach)[room].all()
            checked[1] += room.sum()
        last, last_stamp = sent.joint_pos, stamp
    assert (checked > 100).all()  # the laws were put to use


def test_a_harmless_command_passes_untouched_and_uncounted():
    guard = envelope()
    for step in range(1, 50):
        wanted = ROBOT.default_pose + 0.001 * step
        sent = guard.apply(target(wanted, step * STEP), state(stamp=step * STEP))
        np.testing.assert_array_equal(sent.joint_pos, wanted)
    assert all((count == 0).all() for count in (*guard.clamped.values(), guard.refused))
    assert guard.refusals == 0


def test_what_was_sent_is_not_the_askers_array():
    wanted = ROBOT.default_pose.copy()
    sent = envelope().apply(target(wanted), state())
    wanted += 1.0
    np.testing.assert_array_equal(sent.joint_pos, ROBOT.default_pose)


@pytest.mark.parametrize("seed", range(20))
def test_its_own_output_at_the_same_instant_passes_unchanged(seed):
    rng = np.random.default_rng(100 + seed)
    guard = envelope()
    for stamp in (STEP, 2 * STEP, 3 * STEP):
        seen = random_state(rng, stamp)
        sent = guard.apply(random_target(rng, stamp), seen)
        again = guard.apply(sent, seen)
        np.testing.assert_array_equal(again.joint_pos, sent.joint_pos)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["target", "joint_pos", "joint_vel"])
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_what_is_not_finite_never_passes_and_is_counted(broken, where, first):
    guard = envelope()
    before = ROBOT.default_pose + 0.01
    if not first:
        guard.apply(target(before), state())
    pose, velocity, wanted = ROBOT.default_pose.copy(), np.zeros(JOINTS), ROBOT.default_pose.copy()
    {"target": wanted, "joint_pos": pose, "joint_vel": velocity}[where][[3, 7]] = broken
    sent = guard.apply(target(wanted, STEP), state(pose, velocity, STEP))
    assert np.isfinite(sent.joint_pos).all()
    assert ((sent.joint_pos >= ROBOT.lower) & (sent.joint_pos <= ROBOT.upper)).all()
    if not first:
        np.testing.assert_array_equal(sent.joint_pos, before)
    assert np.flatnonzero(guard.refused).tolist() == [3, 7]
    assert guard.refused.sum() == 2
    assert all((count == 0).all() for count in guard.clamped.values())
    assert guard.refusals == 1


def test_refusals_are_counted_in_a_row():
    guard = envelope()
    bad = target(np.full(JOINTS, np.nan))
    assert [guard.apply(bad, state()) and guard.refusals for _ in range(3)] == [1, 2, 3]
    guard.apply(target(ROBOT.default_pose), state())
    assert guard.refusals == 0


def test_a_gap_of_refused_commands_does_not_add_up_to_a_leap():
    guard = envelope(rate=1.0)
    guard.apply(target(ROBOT.default_pose), state())
    for step in range(1, 26):
        held = guard.apply(target(np.full(JOINTS, np.nan), step * STEP), state(stamp=step * STEP))
        np.testing.assert_array_equal(held.joint_pos, ROBOT.default_pose)
    sent = guard.apply(target(ROBOT.default_pose + 0.03, 26 * STEP), state(stamp=26 * STEP))
    np.testing.assert_allclose(sent.joint_pos - ROBOT.default_pose, 0.002)  # one step at 1 rad/s


@pytest.mark.parametrize("limit", ["rate", "torque", "position"])
def test_every_intervention_is_counted_once_by_joint_and_kind(limit):
    wanted = ROBOT.default_pose.copy()
    pose, gentle = ROBOT.default_pose, np.full(JOINTS, 1e-6)
    guard = envelope(rate=1e6)
    kp = KP
    guard.apply(target(ROBOT.default_pose), state())
    if limit == "rate":
        guard = envelope(rate=1.0)
        guard.apply(target(ROBOT.default_pose), state())
        wanted[[2, 5]] += (0.1, -0.1)
    elif limit == "torque":
        wanted[[2, 5]] += (0.1, -0.1)
        kp = np.full(JOINTS, 1e4)
    else:
        wanted[2], wanted[5], kp = ROBOT.upper[2] + 0.5, ROBOT.lower[5] - 0.5, gentle
    for step in (1, 2):  # still wanted, still out of reach
        seen = state(pose, stamp=step * STEP)
        guard.apply(JointTarget(wanted, kp, KD, step * STEP), seen)
        count = guard.clamped[limit]
        assert count[[2, 5]].tolist() == [step, step]
        assert count.sum() == 2 * step
    assert sum(count.sum() for count in guard.clamped.values()) == 4


def test_the_torque_limit_knows_the_joints_speed():
    pose = (ROBOT.lower + ROBOT.upper) / 2
    speed = np.full(JOINTS, 2.0)
    sent = envelope().apply(target(np.full(JOINTS, 1e3)), state(pose, speed))
    torque = KP * (sent.joint_pos - pose) - KD * speed
    free = sent.joint_pos < ROBOT.upper
    assert free.any()
    np.testing.assert_allclose(torque[free], ROBOT.torque_limit[free])


def test_a_new_episode_starts_from_zero_and_leaves_the_old_counts_alone():
    guard = envelope(rate=1e-3)
    guard.apply(target(ROBOT.default_pose), state())
    guard.apply(target(ROBOT.default_pose + 0.03, STEP), state(stamp=STEP))
    guard.apply(target(np.full(JOINTS, np.nan), STEP), state(stamp=STEP))
    clamped, refused = guard.clamped, guard.refused
    guard.reset()
    assert (guard.clamped["rate"].sum(), guard.refused.sum(), guard.refusals) == (0, 0, 0)
    assert (clamped["rate"].sum(), refused.sum()) == (JOINTS, JOINTS)
    free = guard.apply(target(ROBOT.default_pose + 0.03, 2 * STEP), state(stamp=2 * STEP))
    np.testing.assert_allclose(free.joint_pos, ROBOT.default_pose + 0.03)  # no last command, no rate


def test_records_are_not_changed():
    wanted, seen = target(np.full(JOINTS, 9.0)), state()
    kept = replace(wanted, joint_pos=wanted.joint_pos.copy())
    envelope().apply(wanted, seen)
    np.testing.assert_array_equal(wanted.joint_pos, kept.joint_pos)
    np.testing.assert_array_equal(seen.joint_pos, ROBOT.default_pose)
