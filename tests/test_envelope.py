"""Whatever goes into the envelope, what comes out is safe; whatever it changes, it counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rmedge import robots
from rmedge.envelope import LIMITS, Envelope
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


# As it was before velocity and jerk had limits


def plain(guard, last, wanted, seen):
    """Rate, torque and position, each clamped in turn: (command, what each clamped)."""
    safe, changed = wanted.joint_pos, {}
    windows = {}
    if last is not None:
        step = guard.rate_limit * ((wanted.stamp_ns - last.stamp_ns) * 1e-9)
        windows["rate"] = (last.joint_pos - step, last.joint_pos + step)
    damping = wanted.kd * seen.joint_vel
    windows["torque"] = tuple(
        (damping + sign * guard.torque_limit) / wanted.kp + seen.joint_pos for sign in (-1, 1)
    )
    windows["position"] = (guard.lower, guard.upper)
    for name, (low, high) in windows.items():
        held = np.minimum(np.maximum(safe, low), high)
        changed[name] = held != safe
        safe = held
    return JointTarget(safe, wanted.kp, wanted.kd, wanted.stamp_ns), changed


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("constant", [True, False], ids=["constant gains", "other gains"])
def test_without_the_new_limits_it_is_the_old_one_to_the_bit(seed, constant):
    rng = np.random.default_rng(seed)
    guard, last, stamp = envelope(), None, 0
    counts = {name: np.zeros(JOINTS, int) for name in ("rate", "torque", "position")}
    kp, kd = KP.copy(), KD.copy()
    for _ in range(300):
        stamp += int(rng.integers(1, 20_000_000))
        if not constant:
            kp, kd = KP * rng.uniform(0.1, 2), KD * rng.uniform(0, 2)
        for gains in (kp, kd):
            gains.setflags(write=not constant)
        near = ROBOT.default_pose if last is None else last.joint_pos
        scale = rng.choice([0.0, 1e-4, 0.01, 1.0])
        wanted = JointTarget(rng.normal(near, scale, JOINTS), kp, kd, stamp)
        seen = random_state(rng, stamp)
        expected, changed = plain(guard, last, wanted, seen)
        for name, mask in changed.items():
            counts[name] += mask
        last = guard.apply(wanted, seen)
        np.testing.assert_array_equal(last.joint_pos, expected.joint_pos)
        assert (last.kp is kp, last.kd is kd, last.stamp_ns) == (True, True, stamp)
    for name, count in counts.items():
        np.testing.assert_array_equal(guard.clamped[name], count)
    assert (list(guard.clamped), guard.rejected) == (["rate", "torque", "position"], {})


# Velocity


def fast_envelope(velocity=5.0, on_violation=None):
    limit = np.full(JOINTS, velocity)
    return Envelope(
        ROBOT.lower, ROBOT.upper, np.full(JOINTS, 1e6), ROBOT.torque_limit, limit, on_violation=on_violation
    )


@pytest.mark.parametrize("seed", range(10))
def test_a_joint_that_is_too_fast_is_not_pushed_further(seed):
    rng = np.random.default_rng(seed)
    guard, bitten = fast_envelope(), 0
    for stamp in range(0, 100 * STEP, STEP):
        pose = rng.uniform(ROBOT.lower, ROBOT.upper)
        seen = state(pose, rng.normal(0, 5, JOINTS), stamp)
        before = guard.clamped["velocity"].copy()
        sent = guard.apply(target(rng.normal(pose, 1.0), stamp), seen)
        torque = KP * (sent.joint_pos - pose) - KD * seen.joint_vel
        free = (sent.joint_pos > ROBOT.lower) & (sent.joint_pos < ROBOT.upper)
        assert (torque[free & (seen.joint_vel > 5.0)] <= 1e-9).all()
        assert (torque[free & (seen.joint_vel < -5.0)] >= -1e-9).all()
        bit = guard.clamped["velocity"] - before
        assert not bit[np.abs(seen.joint_vel) <= 5.0].any()
        bitten += bit.sum()
    assert bitten > 100


@pytest.mark.parametrize("sign", [1, -1])
def test_braking_a_fast_joint_is_free(sign):
    guard, pose = fast_envelope(), (ROBOT.lower + ROBOT.upper) / 2
    wanted = pose - sign * 0.01
    sent = guard.apply(target(wanted), state(pose, np.full(JOINTS, sign * 6.0)))
    assert guard.clamped["velocity"].sum() == 0
    np.testing.assert_array_equal(sent.joint_pos[:3], wanted[:3])


# Jerk


def jerky_envelope(jerk, rate=1e3, on_violation=None):
    jerks, rates = np.broadcast_to(jerk, JOINTS).copy(), np.broadcast_to(rate, JOINTS).copy()
    strong, wide = np.full(JOINTS, 1e9), np.full(JOINTS, 10.0)
    return Envelope(-wide, wide, rates, strong, jerk_limit=jerks, on_violation=on_violation)


def sent_by(guard, stamps, wanted):
    """(T, Da) commands for (T,) or (T, Da) wanted positions."""
    still = state(np.zeros(JOINTS))
    rows = (np.broadcast_to(row, JOINTS) for row in wanted)
    return np.array([guard.apply(target(row, stamp), still).joint_pos for row, stamp in zip(rows, stamps)])


def jerk_of(commands, stamps):
    """(T - 3, Da) third divided differences, times six [rad/s^3]."""
    times, level = np.asarray(stamps) * 1e-9, commands
    for order in (1, 2, 3):
        level = np.diff(level, axis=0) / (times[order:] - times[:-order])[:, None]
    return 6 * level


def uneven(rng, count, share):
    """Stamps [ns] of 500 Hz that are early or late by up to a share of a period."""
    return (STEP * (np.arange(count) + 0.5 * share * rng.uniform(-1, 1, count))).astype(np.int64).tolist()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", [0.0, 0.9])
def test_no_command_jerks_more_than_its_limit(seed, share):
    rng = np.random.default_rng(seed)
    limit = 10 ** rng.uniform(2, 7, JOINTS)
    stamps = uneven(rng, 600, share)
    wanted = np.cumsum(rng.normal(0, rng.choice([1e-3, 0.1], (600, JOINTS))), axis=0) % 8 - 4
    wanted[200:300] = wanted[200]  # and let it rest for a while
    guard = jerky_envelope(limit)
    commands = sent_by(guard, stamps, wanted)
    assert (np.abs(jerk_of(commands, stamps)) <= limit * (1 + 1e-6) + 1e-2).all()
    np.testing.assert_array_equal(guard.clamped["jerk"], (commands != wanted).sum(0))
    assert guard.clamped["jerk"].sum() > 0 == guard.clamped["rate"].sum()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("fault", ["step", "blip", "kink"])
@pytest.mark.parametrize("rate", [2.0, 30.0])
def test_what_was_held_back_comes_to_rest_where_it_is_wanted(share, fault, rate):
    """To clamp to the nearest command that obeys would swing for ever, by up to half a radian."""
    ticks = np.arange(1500)
    stamps = uneven(np.random.default_rng(0), len(ticks), share)
    wanted = {
        "step": ticks > 5,
        "blip": (ticks > 100) & (ticks < 110),
        "kink": np.interp(ticks, [0, 250, 260, 270, 500, 550], [0, 0, 0.2, 0.1, 0.3, 0]),
    }[fault].astype(float)
    limit = np.geomspace(1e3, 1e8, JOINTS)
    commands = sent_by(jerky_envelope(limit, rate), stamps, wanted)
    np.testing.assert_allclose(commands[-300:], wanted[-1], atol=1e-3)
    # how far it takes to stop from the 3 rad/s at which the kink ends, or from one leap
    beyond = 0.05 + np.where(
        fault == "kink", 3.0**1.5 / np.sqrt(limit), 2 * np.minimum(limit * 8e-9, rate / 500)
    )
    assert (commands.max(0) <= wanted.max() + beyond).all()
    assert (commands.min(0) >= wanted.min() - beyond).all()


@pytest.mark.parametrize("seed", range(5))
def test_what_obeys_passes_as_it_is(seed):
    rng = np.random.default_rng(seed)
    jerks = rng.uniform(-999.0, 999.0, (300, JOINTS))
    jerks[:3] = 0.0
    wanted = np.cumsum(np.cumsum(np.cumsum(jerks * 8e-9, axis=0), axis=0), axis=0)
    guard = jerky_envelope(1000.0)
    np.testing.assert_array_equal(sent_by(guard, range(0, 300 * STEP, STEP), wanted), wanted)
    assert guard.clamped["jerk"].sum() == 0


def test_a_limit_after_it_does_not_make_it_bite():
    """What the torque limit holds back is not held back again by jerk."""
    limits = ROBOT.lower, ROBOT.upper, np.full(JOINTS, 100.0), ROBOT.torque_limit
    free, held = Envelope(*limits), Envelope(*limits, jerk_limit=np.full(JOINTS, 1e5))
    rng = np.random.default_rng(0)
    for step in range(500):
        wanted = ROBOT.default_pose + 0.05 * np.sin(0.01 * step)
        seen = state(rng.normal(ROBOT.default_pose, 0.5), rng.normal(0, 5, JOINTS))
        both = [guard.apply(target(wanted, step * STEP), seen).joint_pos for guard in (free, held)]
        np.testing.assert_array_equal(*both)
    assert free.clamped["torque"].sum() > 100 and held.clamped["jerk"].sum() == 0


# Rejecting


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_limit_that_rejects_refuses_the_whole_command(limit, sign):
    middle = (ROBOT.lower + ROBOT.upper) / 2
    given = {
        "lower": ROBOT.lower, "upper": ROBOT.upper, "rate_limit": np.full(JOINTS, 1e4),
        "torque_limit": np.full(JOINTS, 1e6), "velocity_limit": np.full(JOINTS, 1e3),
        "jerk_limit": np.full(JOINTS, 1e12),
    }  # fmt: skip
    speed, wanted = np.zeros(JOINTS), middle.copy()
    wanted[4] += sign * 0.1
    if limit == "position":
        wanted[4] = (middle + sign * (ROBOT.upper - middle) * 1.5)[4]
    elif limit == "velocity":
        given["velocity_limit"], speed[4] = np.full(JOINTS, 1.0), sign * 1.1
        wanted[4] += sign * 1.0
        given["lower"], given["upper"] = middle - 5, middle + 5
    else:
        given[f"{limit}_limit"] = np.full(JOINTS, 1e-3)
    if limit == "rate":
        del given["jerk_limit"]  # it comes before, and a leap is a jerk too
    guard = Envelope(**given, on_violation={limit: "reject"})
    guard.apply(target(middle), state(middle))
    for count in (1, 2):
        sent = guard.apply(target(wanted, count * STEP), state(middle, speed))
        np.testing.assert_array_equal(sent.joint_pos, middle)
        assert np.flatnonzero(guard.refused).tolist() == [4]
        assert (guard.refused[4], guard.rejected[limit][4], guard.refusals) == (count, count, count)
    assert limit not in guard.clamped and all(clamped.sum() == 0 for clamped in guard.clamped.values())
    guard.apply(target(middle, 3 * STEP), state(middle))
    assert guard.refusals == 0
    guard.reset()
    assert guard.rejected[limit].sum() == 0


# Time, and what strangers send


def full_envelope(on_violation=None):
    return Envelope(
        ROBOT.lower, ROBOT.upper, ROBOT.velocity_limit, ROBOT.torque_limit, ROBOT.velocity_limit / 2,
        np.full(JOINTS, 1e6), on_violation,
    )  # fmt: skip


@pytest.mark.parametrize("guard", [envelope, full_envelope], ids=["plain", "full"])
@pytest.mark.parametrize("gap", [0, -1, -STEP, -(10**18)])
def test_time_that_does_not_pass_leaves_no_time_to_move(guard, gap):
    guard = guard()
    guard.apply(target(ROBOT.default_pose, 10**18), state())
    sent = guard.apply(target(ROBOT.default_pose + 0.05, 10**18 + gap), state())
    np.testing.assert_array_equal(sent.joint_pos, ROBOT.default_pose)
    for step in range(1, 20):  # and from there it goes on
        on = guard.apply(target(ROBOT.default_pose + 0.01, 10**18 + gap + step * STEP), state())
    np.testing.assert_allclose(on.joint_pos, ROBOT.default_pose + 0.01, atol=1e-4)


@pytest.mark.parametrize("gap", [20_000_000, 10**9, 10**15, 2**62])
def test_a_long_silence_does_not_add_up_to_a_leap(gap):
    guard = envelope(rate=1.0)
    guard.apply(target(ROBOT.default_pose), state())
    sent = guard.apply(target(ROBOT.default_pose + 0.05, gap), state())
    np.testing.assert_allclose(sent.joint_pos - ROBOT.default_pose, 0.02)


def spoilt(rng, array):
    array = np.array(array, float)
    kind = rng.integers(6)
    if kind == 0:
        return array[: rng.integers(JOINTS)]
    if kind == 1:
        return rng.choice([array[:, None], array[None], np.zeros((JOINTS, JOINTS))][:1])
    wrong = [np.nan, np.inf, -np.inf, 1e308, -1e308, 1e200, -1.0, 0.0, 5e-324]
    array[rng.integers(JOINTS, size=rng.integers(1, 4))] = rng.choice(wrong)
    return array


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("policy", ["clamp", "reject"])
def test_whatever_is_given_what_is_sent_is_finite_and_in_position(seed, policy):
    rng = np.random.default_rng(seed)
    guard = full_envelope(dict.fromkeys(LIMITS, policy))
    stamp = 0
    with np.errstate(all="raise", under="ignore"):
        for _ in range(400):
            stamp += int(rng.choice([STEP, STEP, STEP, 0, 1, -STEP, 10**12, -(10**12)]))
            pose = np.clip(rng.normal(ROBOT.default_pose, 0.1), ROBOT.lower, ROBOT.upper)
            given = {
                "wanted": rng.normal(pose, rng.choice([1e-4, 0.01, 1.0])), "q": pose,
                "dq": rng.normal(0, rng.choice([0.1, 5.0, 30.0]), JOINTS), "kp": KP, "kd": KD,
            }  # fmt: skip
            if rng.random() < 0.3:
                name = rng.choice(list(given))
                given[name] = spoilt(rng, given[name])
            when = rng.choice([np.nan, np.inf, -np.inf]) if rng.random() < 0.05 else stamp
            before = guard.refusals
            sent = guard.apply(
                JointTarget(given["wanted"], given["kp"], given["kd"], when),
                state(given["q"], given["dq"], when),
            )
            assert sent.joint_pos.shape == sent.kp.shape == sent.kd.shape == (JOINTS,)
            assert ((sent.joint_pos >= ROBOT.lower) & (sent.joint_pos <= ROBOT.upper)).all()
            assert all((gains >= 0.0).all() and np.isfinite(gains).all() for gains in (sent.kp, sent.kd))
            assert np.isfinite(sent.stamp_ns)
            good = np.isfinite(when) and all(
                array.shape == (JOINTS,) and np.isfinite(array).all() for array in given.values()
            )
            assert good or guard.refusals == before + 1


@pytest.mark.parametrize("gains", ["kp", "kd"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_gains_that_are_none_are_replaced_by_the_last_good_ones(gains, value):
    guard = envelope()
    bad = replace(target(ROBOT.default_pose), **{gains: np.full(JOINTS, value)})
    first = guard.apply(bad, state())
    assert not first.kp.any() and not first.kd.any()  # nothing to go by: no torque
    guard.apply(target(ROBOT.default_pose, STEP), state())
    sent = guard.apply(replace(bad, stamp_ns=2 * STEP), state())
    np.testing.assert_array_equal((sent.kp, sent.kd), (KP, KD))
    assert (guard.refusals, guard.refused.tolist()) == (1, [2] * JOINTS)


def test_gains_that_change_in_place_are_seen():
    """Also where they cannot be written through the array itself: a view of somebody's memory."""
    memory = KP.copy()
    view = memory.view()
    view.setflags(write=False)
    guard, wanted = envelope(), target(ROBOT.default_pose)
    for kp in (memory, view):
        memory[:] = KP
        assert guard.apply(replace(wanted, kp=kp), state()).kp is kp and guard.refusals == 0
        memory[3] = np.nan
        guard.apply(replace(wanted, kp=kp), state())
        assert guard.refusals == 1


def test_what_is_sent_is_nobody_elses():
    guard, wanted = full_envelope(), target(ROBOT.default_pose)
    first = guard.apply(wanted, state())
    second = guard.apply(target(ROBOT.default_pose + 1e-4, STEP), state())
    np.testing.assert_array_equal(first.joint_pos, ROBOT.default_pose)
    assert not np.shares_memory(first.joint_pos, second.joint_pos)
    assert not np.shares_memory(first.joint_pos, wanted.joint_pos)
