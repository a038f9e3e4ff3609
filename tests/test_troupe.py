"""The troupe is its walkers with gestures laid over them, and its dances, on one clock."""

from __future__ import annotations

import numpy as np
import pytest
from practice import NO_WHEEL, ROBOT, wheel

from rmedge import robots
from rmedge.export.motions import dances, gestures, teachers
from rmedge.export.motions.teachers import ACTION_SCALE, TICK_HZ
from rmedge.export.motions.troupe import Motion, Troupe, gestures_of

pytestmark = pytest.mark.skipif(not wheel(), reason=NO_WHEEL)
JOINTS = len(ROBOT.joints)
ARMS = np.array(["shoulder" in n or "elbow" in n or "wrist" in n for n in ROBOT.joint_names])
WAIST = np.array(["waist" in n for n in ROBOT.joint_names])
LEGS = ~ARMS & ~WAIST
FORWARD = np.array([0.5, 0.0, 0.0])


@pytest.fixture(scope="module")
def one():
    return Troupe(ROBOT, 1)


@pytest.fixture(autouse=True)
def afresh(one):
    one.reset(0)


def senses(seed, count=1):
    rng = np.random.default_rng(seed)
    down = np.array([0.0, 0.0, -1.0]) + 0.05 * rng.normal(size=(count, 3))
    return {
        "joint_pos": ROBOT.default_pose + 0.1 * rng.normal(size=(count, JOINTS)),
        "joint_vel": rng.normal(size=(count, JOINTS)),
        "base_ang_vel": 0.3 * rng.normal(size=(count, 3)),
        "projected_gravity": down / np.linalg.norm(down, axis=1, keepdims=True),
    }


def play(troupe, motions, ticks=8, seed=0):
    """Actions (ticks, B, Da) when each is what was done last."""
    last, rows = np.zeros((len(motions), JOINTS)), []
    for tick in range(ticks):
        last = troupe.act(senses(100 * seed + tick, len(motions)), motions, 0.4 + tick / TICK_HZ, last)
        rows.append(last)
    return np.array(rows)


def test_names_are_none_then_gestures_then_dances(one):
    assert one.names == gestures_of(ROBOT) == ("none", *gestures.GESTURES["g1"], *dances.DANCES)
    assert gestures_of(robots.load("t1")) == ("none",)


@pytest.mark.parametrize("gait", teachers.NAMES)
def test_without_a_gesture_it_is_the_walker(one, gait):
    rng = np.random.default_rng(0)
    for seed in range(3):
        felt, last = senses(seed), rng.normal(size=(1, JOINTS))
        own = one.walkers[gait].walk(felt, FORWARD[None], 0.7, last)
        one.reset(0)
        action = one.act(felt, [Motion(gait, FORWARD)], 0.7, last)
        np.testing.assert_array_equal(action[:, ~ARMS], own[:, ~ARMS])
        most = gestures.SPEED / TICK_HZ / ACTION_SCALE
        held = last + np.clip(own - last, -most, most)  # an arm gets there no faster than it may
        joints = [n for gesture in one.gestures.values() for n in gesture.joints if ARMS[n]]
        np.testing.assert_allclose(action[:, joints], held[:, joints])


@pytest.mark.parametrize("gait", teachers.NAMES)
@pytest.mark.parametrize("name", [n for n in gestures.GESTURES["g1"] if n not in ("bow", "twist")])
def test_legs_are_the_walkers_own_whatever_the_arms_do(one, gait, name):
    """Its walker is shown the arms where it wanted them, and its own last action: it never notices."""
    walker, joints = one.walkers[gait], one.gestures[name].joints
    last = own = np.zeros((1, JOINTS))
    for tick in range(6):
        felt, time = senses(tick), 0.4 + tick / TICK_HZ
        believed = {key: value.copy() for key, value in felt.items()}
        if tick:
            believed["joint_pos"][:, joints] = (ROBOT.default_pose + ACTION_SCALE * own)[:, joints]
            believed["joint_vel"][:, joints] = 0.0
        shown = last.copy()
        shown[:, joints] = own[:, joints]
        own = walker.walk(believed, FORWARD[None], time, shown)
        last = one.act(felt, [Motion(gait, FORWARD, name)], time, last)
        np.testing.assert_array_equal(last[:, LEGS | WAIST], own[:, LEGS | WAIST])
        assert np.abs(last[:, joints] - own[:, joints]).max() > 0.1


@pytest.mark.parametrize("name", gestures.GESTURES["g1"])
def test_a_gesture_gets_where_it_is_wanted_no_faster_than_it_may(one, name):
    motion, gesture = Motion("fastsac", FORWARD, name), one.gestures[name]
    ticks = 60
    target = ROBOT.default_pose + ACTION_SCALE * play(one, [motion], ticks)[:, 0]
    step = np.diff(target[:, gesture.joints], axis=0)
    assert np.abs(step).max() <= gestures.SPEED / TICK_HZ + 1e-9
    wanted = gesture.at(0.4 + ticks / TICK_HZ)  # where it has to be when the next tick begins
    np.testing.assert_allclose(target[-1, gesture.joints], wanted, atol=1e-9)
    if name == "arms_up":
        assert np.abs(step).max() > 0.99 * gestures.SPEED / TICK_HZ  # it was held back


def test_from_one_gesture_to_another_arms_keep_their_speed(one):
    order = ["none", "arms_up", "clap", "none", "dance_one", "wave", "bow", "none"]
    joints = [n for gesture in one.gestures.values() for n in gesture.joints if ARMS[n]]
    last, track = np.zeros((1, JOINTS)), []
    for tick in range(20 * len(order)):
        name = order[tick // 20]
        last = one.act(senses(tick), [Motion("fastsac", FORWARD, name)], tick / TICK_HZ, last)
        track.append((name, last[0, joints]))
    for (_, before), (name, after) in zip(track, track[1:], strict=False):
        if name != "dance_one":
            assert np.abs(after - before).max() <= gestures.SPEED / TICK_HZ / ACTION_SCALE + 1e-9


@pytest.mark.parametrize("name", dances.DANCES)
def test_a_dance_loops_with_the_clock_and_knows_neither_gait_nor_command(one, name):
    dance, felt = one.dances[name], senses(0, 2)
    last = np.random.default_rng(0).normal(size=(2, JOINTS))
    said = dance.act(felt, 0.62, last)
    np.testing.assert_array_equal(dance.act(felt, 0.62 + 3 * teachers.CLOCK_S, last), said)
    assert np.abs(dance.act(felt, 1.62, last) - said).max() > 0.05
    pair = Troupe(ROBOT, 2)
    for gait in teachers.NAMES:
        motions = [Motion(gait, np.zeros(3), name), Motion(gait, FORWARD, name)]
        np.testing.assert_array_equal(pair.act(felt, motions, 0.62, last), said)


def test_a_dances_reference_is_smooth_where_its_end_meets_its_beginning(one):
    for dance in one.dances.values():
        pos, turn = dance._pos, dance._turn
        assert len(pos) == round(teachers.CLOCK_S * TICK_HZ)
        step = np.abs(np.diff(pos, axis=0, append=pos[:1])).max(1)
        assert step[-1] <= 1.5 * np.median(step) + 0.02
        eye = np.tile(np.eye(3), (len(turn), 1, 1))
        np.testing.assert_allclose(turn @ turn.transpose(0, 2, 1), eye, atol=1e-6)
        np.testing.assert_allclose(np.linalg.det(turn), 1.0)
        np.testing.assert_allclose(turn[:, 1, 0], 0.0, atol=0.02)  # it always heads along x


def test_a_new_start_forgets(one):
    motion = Motion("ppo", FORWARD, "wave")
    first = play(one, [motion])
    assert not np.array_equal(play(one, [motion])[0], first[0])  # it remembers its own last action
    one.reset(0)
    np.testing.assert_array_equal(play(one, [motion]), first)


def test_a_batch_is_each_alone_and_a_new_start_is_one_robots(one):
    motions = [
        Motion("fastsac", FORWARD), Motion("ppo", np.zeros(3), "clap"), Motion("ppo", FORWARD, "twist"),
        Motion("fastsac", np.zeros(3), "dance_two"), Motion("fastsac", -FORWARD, "arms_up"),
    ]  # fmt: skip
    many, last = Troupe(ROBOT, len(motions)), np.zeros((len(motions), JOINTS))
    alone = [Troupe(ROBOT, 1) for _ in motions]
    for tick in range(10):
        if tick == 6:
            many.reset(1)
            alone[1].reset(0)
        felt = senses(tick, len(motions))
        each = []
        for n, troupe in enumerate(alone):
            mine = {name: value[n : n + 1] for name, value in felt.items()}
            each.append(troupe.act(mine, [motions[n]], tick / TICK_HZ, last[n : n + 1]))
        last = many.act(felt, motions, tick / TICK_HZ, last)
        np.testing.assert_allclose(last, np.concatenate(each), atol=1e-9)


def test_it_leaves_what_it_is_given_as_it_was(one):
    felt, last = senses(0), np.ones((1, JOINTS))
    before = {key: value.copy() for key, value in felt.items()}
    for name in ("wave", "wave", "dance_one", "none"):
        one.act(felt, [Motion("ppo", FORWARD, name)], 0.1, last)
    for key, value in felt.items():
        np.testing.assert_array_equal(value, before[key])
    assert (last == 1.0).all()
