"""Rollouts are seeded, their rows belong together, and a student in them sees what a robot would."""

from __future__ import annotations

import bundles
import numpy as np
import pytest
import stand_ins
from practice import NO_WHEEL, ROBOT, wheel

from rmedge.bundle import Bundle
from rmedge.export.motions import rollouts, teachers
from rmedge.export.motions.rollouts import FRAME_TICKS, MOST_LATE, TERMS, Glimpses, Plans, Segment, Ticks
from rmedge.export.motions.troupe import Motion, gestures_of
from rmedge.export.networks.denoiser import CHUNK
from rmedge.runtimes.perturbation import CALM, Perturbation
from rmedge.runtimes.policy import Policy
from rmedge.specs import RobotState

JOINTS = len(ROBOT.joints)


def test_commands_are_within_reach_and_of_every_kind():
    rng = np.random.default_rng(0)
    drawn = np.array([rollouts.sample_command(rng) for _ in range(500)])
    assert (np.abs(drawn) <= 1.0).all()
    kinds = {tuple(row) for row in np.sign(drawn).astype(int).tolist()}
    alone = {
        (0, 0, 0),
        (1, 0, 0),
        (-1, 0, 0),
        (0, 1, 0),
        (0, -1, 0),
        (0, 0, 1),
        (0, 0, -1),
        (1, 0, 1),
        (1, 0, -1),
    }
    assert alone <= kinds


def test_a_student_sees_what_the_deployed_policy_sees(monkeypatch, tmp_path):
    stand_ins.install(monkeypatch)
    says = bundles.manifest()
    observation = says["policy"]["observation"]
    declared = {term["name"]: term for term in observation["terms"]}
    observation["terms"] = [{**declared[name], "scale": scale} for name, scale in TERMS]
    observation["clock_s"] = teachers.CLOCK_S
    policy = Policy(Bundle.load(bundles.make(tmp_path / "tiny", says)))
    rng = np.random.default_rng(0)
    last, past = np.zeros(JOINTS), None
    for tick in range(6):
        senses = {
            "joint_pos": ROBOT.default_pose + 0.3 * rng.normal(size=JOINTS),
            "joint_vel": 3 * rng.normal(size=JOINTS),
            "base_ang_vel": rng.normal(size=3),
            "projected_gravity": rng.normal(size=3),
        }
        rows = {name: value[None] for name, value in senses.items()}
        seen = rollouts.proprio(rows, last[None], tick / teachers.TICK_HZ, ROBOT)[0]
        past = np.tile(seen, (observation["history"], 1)) if past is None else np.vstack([past[1:], seen])
        chunk = policy.act(RobotState(**senses, stamp_ns=7 + tick * 20_000_000), np.zeros(4))
        np.testing.assert_allclose(policy._history, past, atol=1e-5)
        last = (chunk.joint_pos[0] - ROBOT.default_pose) / teachers.ACTION_SCALE


# what a student knows of the intent


def told(seed, size=60, ticks=120):
    """What is asked of each robot says whose it is and when; and what it believes, by tick."""
    glimpses = Glimpses(np.random.default_rng(seed), size)
    asked = 1000.0 * np.arange(size)[:, None] + np.zeros((size, 4))
    believed = np.array([glimpses.see(asked + tick).copy() for tick in range(ticks)])
    return glimpses, believed - asked


def test_an_intent_is_late_by_at_most_so_much_and_never_ahead():
    for seed in range(5):
        glimpses, tick_of = told(seed)
        sharp = glimpses._blur == 0.0
        assert sharp.any() and not sharp.all()
        seen = tick_of[:, sharp, 0]  # (ticks, robots) the tick that was believed in
        now = np.arange(len(seen))[:, None]
        assert (seen <= now).all() and (np.diff(seen, axis=0) >= 0).all()
        whole = sharp & (glimpses._lost == 0.0)
        frame = now - now % FRAME_TICKS
        np.testing.assert_array_equal(tick_of[:, whole, 0], np.maximum(frame - glimpses._late[whole], 0))
    assert glimpses._late.max() <= MOST_LATE


def test_an_intent_changes_on_frames_alone_and_some_are_lost():
    changed, lost = [], []
    for seed in range(5):
        glimpses, tick_of = told(seed)
        steps = (np.diff(tick_of, axis=0) != 0).any(2)  # (ticks - 1, robots) to the tick after
        at = np.arange(1, len(tick_of))
        assert not steps[at % FRAME_TICKS != 0].any()
        late = at[:, None] > glimpses._late + FRAME_TICKS  # before, the same thing is seen twice
        frames = (at % FRAME_TICKS == 0)[:, None] & late
        changed += [steps[frames[:, n], n].mean() for n in range(steps.shape[1])]
        lost += glimpses._lost.tolist()
    changed, lost = np.array(changed), np.array(lost)
    assert (changed[lost == 0.0] == 1.0).all()
    for share in np.unique(lost):
        assert changed[lost == share].mean() == pytest.approx(1 - share, abs=0.05)


def test_an_intent_is_blurred_as_much_as_was_drawn():
    glimpses = Glimpses(np.random.default_rng(0), 60)
    asked = np.zeros((60, 200), np.float32)
    for _ in range(3 * FRAME_TICKS):
        seen = glimpses.see(asked)
    whole = glimpses._lost == 0.0
    np.testing.assert_allclose(seen[whole].std(1), glimpses._blur[whole], rtol=0.25)
    assert (asked == 0.0).all()


# and of its plans


def played(seed, size=64, ticks=48):
    """(plan, row) that each robot plays at each tick."""
    plans = Plans(np.random.default_rng(seed), size)
    done = []
    for tick in range(ticks):
        plan = np.stack([np.full((size, CHUNK), tick), np.tile(np.arange(CHUNK), (size, 1))], 2)
        done.append(plans.play(tick, plan))
    return plans._pattern, np.array(done)  # (ticks, robots, 2)


def test_who_is_punctual_plays_the_newest_plans_first_row():
    patterns, done = played(0)
    punctual = [n for n, pattern in enumerate(patterns) if pattern == (1,)]
    assert len(punctual) > len(patterns) / 3
    for n in punctual:
        assert done[:, n].tolist() == [[tick, 0] for tick in range(len(done))]


@pytest.mark.parametrize(
    ("pattern", "rows"),
    [((1, 0), [0, 1]), ((1, 0, 0, 0), [0, 1, 2, 3]), ((1, 1, 0), [0, 0, 1])],
)
def test_a_withheld_plan_lets_the_last_one_play_on(pattern, rows):
    patterns, done = played(1)
    mine = [n for n, found in enumerate(patterns) if found == pattern]
    assert mine
    for n in mine:
        assert done[:, n, 1].tolist() == rows * (len(done) // len(rows))
        np.testing.assert_array_equal(done[:, n, 0] + done[:, n, 1], np.arange(len(done)))


def test_a_plan_at_its_end_holds_its_last_row(monkeypatch):
    monkeypatch.setattr(rollouts, "WITHHELD", ((1, *[0] * (CHUNK + 2)),))
    _, done = played(0, size=1, ticks=2 * (CHUNK + 3))
    assert done[:, 0, 1].tolist() == [*range(CHUNK), *[CHUNK - 1] * 3] * 2


# whole rollouts


@pytest.fixture
def short(monkeypatch):
    if not wheel():
        pytest.skip(NO_WHEEL)
    monkeypatch.setattr(rollouts, "TRIAL_TICKS", 60)
    monkeypatch.setattr(rollouts, "SEGMENT_TICKS", (15, 30))


def anything(rng):
    motion = Motion(
        teachers.NAMES[rng.integers(2)], rollouts.sample_command(rng), gestures_of(ROBOT)[rng.integers(5)]
    )
    return Segment(motion, np.full(2, rng.random()))


def test_a_roll_is_seeded_and_its_rows_belong_together(short):
    one, same, other = (rollouts.roll(ROBOT, seed, 3, anything) for seed in (1, 1, 2))
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(same, name))
    assert not np.array_equal(one.label, other.label)
    count = len(one.trial)
    assert count <= 180 and one.proprio.shape == (count, 97) and one.motion.shape == (count, 37)
    for number in np.unique(one.segment):
        rows = one.segment == number
        for value in (one.trial, one.gait, one.gesture, one.command, one.intent):
            assert len(np.unique(value[rows], axis=0)) == 1
    joined = Ticks.join([one, other])
    assert len(np.unique(joined.segment)) == len(np.unique(one.segment)) + len(np.unique(other.segment))
    assert np.unique(joined.trial).tolist() == list(range(6))
    assert len(joined.fell) == 6
    # its terms stand where they are declared to: the clock is last, and goes on by a tick a row
    steady = np.diff(one.trial) == 0
    angle = np.unwrap(np.arctan2(one.proprio[:, -3], one.proprio[:, -4]))
    step = (np.diff(angle)[steady] + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_allclose(step, 2 * np.pi / teachers.CLOCK_S / teachers.TICK_HZ, atol=1e-4)


def disturbed(rng):
    return Perturbation(
        push_m_s=0.3, push_every_s=0.5, sensor_noise=1.0, action_delay_s=0.01, seed=int(rng.integers(9))
    )


@pytest.mark.parametrize("pattern", [(1,), (1, 0)], ids=["prompt", "every second is lost"])
def test_a_student_walks_seeded_too_and_what_it_did_is_what_it_sees_next(short, monkeypatch, pattern):
    monkeypatch.setattr(rollouts, "WITHHELD", (pattern,))
    said = []

    def student(history, intent):
        assert history.shape == (4, 5, 97) and intent.shape == (4, 2)
        # standing still with a little of what it feels: no two ticks are alike
        plan = np.tile(0.02 * history[:, -1, None, :JOINTS], (1, CHUNK, 1))
        plan[:, 1] += 0.01
        said.append(plan[:, 0] if len(said) % len(pattern) == 0 else last[:, 1].copy())
        last[:] = plan[:, :2]
        return plan

    runs, last = [], np.zeros((4, 2, JOINTS))
    for _ in range(2):
        said.clear()
        runs.append(rollouts.roll(ROBOT, 5, 4, anything, student, disturbed))
    for name, value in vars(runs[0]).items():
        np.testing.assert_array_equal(value, getattr(runs[1], name))
    seen, told = runs[0], np.array(said)  # (ticks, trials, Da)
    actions = slice(6 + 2 * JOINTS, 6 + 3 * JOINTS)
    took_over = 0
    for trial in range(4):
        rows = np.flatnonzero(seen.trial == trial)
        believed, own = seen.proprio[rows, actions], told[: len(rows), trial]
        agree = np.isclose(believed[1:], own[:-1], atol=1e-6).all(1)
        assert (np.diff(agree.astype(int)) >= 0).all()  # once it acts, it acts to the end
        took_over += agree[-1]
    assert took_over


def test_rows_end_where_the_robot_falls(short):
    def fling(history, intent):
        return np.full((2, CHUNK, JOINTS), 8.0)

    ticks = rollouts.roll(ROBOT, 0, 2, anything, fling, lambda rng: CALM)
    fallen = np.bincount(ticks.trial, minlength=2) < 60
    np.testing.assert_array_equal(fallen, ticks.fell)
    assert np.isfinite(ticks.proprio).all() and (ticks.motion[:, 5] < 0).all()  # nobody lies on its back
