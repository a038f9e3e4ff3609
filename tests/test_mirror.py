"""The mirror walks along its chunks, follows what is fresh and sure, and stands when it does not know."""

from __future__ import annotations

import bundles
import numpy as np
import pytest
import stand_ins

from rmedge.bundle import Bundle
from rmedge.errors import UsageError
from rmedge.runtimes.mirror import Mirror
from rmedge.runtimes.pilot import SURE, UNSURE
from rmedge.specs import ActionChunk, Intent, RobotState

MS = 1_000_000
FRESH_NS, STALE_NS = 200 * MS, 300 * MS  # the budgets of a bundle that states none
WRITE, PERIOD = 2 * MS, 20 * MS
UPRIGHT = np.array([0.0, 0.0, -1.0])


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    pytest.importorskip("cv2")
    stand_ins.install(monkeypatch)
    return Mirror(Bundle.load(bundles.make(tmp_path / "tiny")))


class Script:
    """A policy that plays chunks written beforehand, and remembers what it was asked.

    ``given`` says the chunk of which call each call gets, or None; a chunk is ``lag`` older than its call.
    """

    period_ns = PERIOD

    def __init__(self, chunks, given=lambda call: call, lag=0):
        self.chunks, self.given, self.lag = list(chunks), given, lag
        self.calls, self.asked, self.made, self.sent = [], [], [], []

    def act(self, state, z, trace=None, sent=None):
        self.sent.append(sent)
        call = len(self.calls)
        self.calls.append(state.stamp_ns)
        self.asked.append(z)
        rows = self.chunks[min(call, len(self.chunks) - 1)]
        self.made.append(ActionChunk(rows, state.stamp_ns - self.lag, PERIOD))
        given = self.given(call)
        return None if given is None else self.made[given]

    def reset(self, seed=0):
        pass


def state(stamp, pose):
    return RobotState(pose, np.zeros_like(pose), np.zeros(3), UPRIGHT, stamp)


def chunks(mirror, count, rows=4, spread=0.02, seed=0):
    """Small random waypoints about the default pose, which the envelope lets pass."""
    rng = np.random.default_rng(seed)
    pose = mirror.bundle.default_pose
    inside = np.minimum(pose - mirror.bundle.robot.lower, mirror.bundle.robot.upper - pose).min()
    spread = min(spread, inside)
    return [pose + rng.uniform(-spread, spread, (rows, len(pose))) for _ in range(count)]


def sent(mirror, stamp):
    return mirror.act(state(stamp, mirror.bundle.default_pose)).joint_pos


def test_the_targets_are_linear_between_waypoints(mirror):
    plans = chunks(mirror, 3)
    mirror.pilot.policy = Script(plans)
    start = 5 * MS
    before = mirror.bundle.default_pose
    for plan in plans:
        for step in range(1, 11):
            found = sent(mirror, start)
            np.testing.assert_allclose(found, before + (plan[0] - before) * step / 10, atol=1e-12)
            start += WRITE
        before = plan[0]
    assert mirror.pilot.policy.calls == [5 * MS, 25 * MS, 45 * MS]
    assert all(count.sum() == 0 for count in mirror.pilot.envelope.clamped.values())


def test_after_a_late_policy_the_next_chunk_is_joined_where_the_last_was_left(mirror):
    first, second = chunks(mirror, 2)
    mirror.pilot.policy = Script([first, second])
    for stamp in range(0, PERIOD, WRITE):
        last = sent(mirror, stamp)
    np.testing.assert_allclose(last, first[0], atol=1e-12)
    late = 3 * PERIOD  # two policy ticks were lost, the chunk's third row is where the robot is by now
    found = sent(mirror, late)
    before = first[2]
    np.testing.assert_allclose(found, before + (second[0] - before) / 10, atol=1e-12)


def newest(given, call):
    """Which chunk the mirror has after that many calls and one."""
    return max((given(n) for n in range(call + 1) if given(n) is not None), default=None)


def withheld(each):
    """After one result, that many are withheld, again and again; the robot has the last one."""
    return lambda call: call - call % (each + 1)


def late(by):
    return lambda call: call - by if call >= by else None


def some(seed):
    """Any chunk that there is, in any order, or none."""
    picks = np.random.default_rng(seed).integers(-2, np.arange(1, 31)).tolist()
    return lambda call: None if picks[call] < 0 else picks[call]


@pytest.mark.parametrize(
    "given",
    [
        *(pytest.param(withheld(each), id=f"{each} withheld") for each in (0, 1, 3, 6)),
        *(pytest.param(late(by), id=f"late by {by}") for by in (1, 2, 3, 4, 9)),
        *(pytest.param(some(seed), id=f"some {seed}") for seed in range(5)),
        pytest.param(lambda call: 0, id="one"),
        pytest.param(lambda call: None, id="none"),
    ],
)
def test_whatever_arrives_when_each_tick_goes_straight_to_the_row_that_is_due(mirror, given):
    plans, before = chunks(mirror, 30), mirror.bundle.default_pose
    mirror.pilot.policy = Script(plans, given)
    for call in range(30):
        chunk = newest(given, call)
        due = before if chunk is None else plans[chunk][min(call - chunk, 3)]
        for step in range(1, 11):
            found = sent(mirror, 5 * MS + (10 * call + step - 1) * WRITE)
            np.testing.assert_allclose(found, before + (due - before) * step / 10, atol=1e-12)
        before = due
    assert mirror.pilot.policy.calls == [
        5 * MS + call * PERIOD for call in range(30)
    ]  # it is asked all the same


@pytest.mark.parametrize("given", [withheld(0), withheld(3), late(2)], ids=["prompt", "withheld", "late"])
def test_the_policy_is_told_what_the_motors_were_really_told_last(mirror, given):
    plans, commanded = chunks(mirror, 12), [None]
    mirror.pilot.policy = Script(plans, given)
    for write in range(120):
        last = sent(mirror, write * WRITE)
        if write % 10 == 9:
            commanded.append(last)
    assert mirror.pilot.policy.sent[0] is None
    for told, last in zip(mirror.pilot.policy.sent[1:], commanded[1:]):
        np.testing.assert_array_equal(told, last)
    if given(3) != 3:  # and that is not what it has decided itself
        assert np.abs(mirror.pilot.policy.sent[3] - plans[2][0]).max() > 1e-3


def test_what_was_really_sent_is_what_the_policy_feels_as_its_last_action(mirror):
    policy, pose = mirror.pilot.policy, mirror.bundle.default_pose
    policy.act(state(0, pose), mirror.pilot._stand)
    policy.act(state(PERIOD, pose), mirror.pilot._stand, None, pose + 0.2)
    declared, start = mirror.bundle.policy.observation.terms, 0
    for term in declared:
        if term.name == "actions":
            break
        start += term.size
    row = policy._history[-1][start : start + term.size]
    np.testing.assert_allclose(row, term.scale * 0.2 / mirror.bundle.action_scale, rtol=1e-5)


@pytest.mark.parametrize("lag", [MS // 2, 9 * MS, 10 * MS, 11 * MS, 27 * MS, 39 * MS, 400 * MS, -7 * MS])
def test_a_chunk_from_between_two_ticks_makes_no_jump(mirror, lag):
    mirror.pilot.policy = Script(chunks(mirror, 30), lag=lag)
    track = np.array([sent(mirror, 400 * MS + write * WRITE) for write in range(300)])
    whole = 0.04  # from one end of their spread to the other
    assert np.abs(np.diff(track, axis=0)).max() <= 2 * whole / 10 + 1e-12
    assert np.abs(track - mirror.bundle.default_pose).max() <= 0.02 + 1e-12


@pytest.mark.parametrize("by", [0, 1, 2])
def test_a_jittering_clock_makes_no_jump_and_costs_no_row(mirror, by):
    mirror.pilot.policy = Script(chunks(mirror, 30), late(by))
    jitter = np.random.default_rng(by).integers(0, WRITE // 3, 300).tolist()
    track = np.array([sent(mirror, 1000 + write * WRITE + jitter[write]) for write in range(300)])
    for call in range(by, 30):
        row = mirror.pilot.policy.chunks[call - by][by]
        assert np.abs(track[10 * call + 9] - row).max() <= 1.5 * 0.04 / 10
    assert np.abs(np.diff(track, axis=0)).max() <= 1.5 * 0.04 / 10


@pytest.mark.parametrize("seed", range(5))
def test_a_jittering_clock_costs_no_policy_tick(mirror, seed):
    mirror.pilot.policy = Script(chunks(mirror, 1))
    jitter = np.random.default_rng(seed).integers(0, WRITE // 3, 1000).tolist()
    for step in range(1000):
        sent(mirror, 1000 + step * WRITE + jitter[step])
    assert [round((call - 1000) / WRITE - 0.17) for call in mirror.pilot.policy.calls] == list(
        range(0, 1000, 10)
    )


@pytest.mark.parametrize("write_hz", [50, 100, 250, 300, 500, 1000])
def test_any_write_rate_reaches_every_waypoint(monkeypatch, tmp_path, write_hz):
    pytest.importorskip("cv2")
    stand_ins.install(monkeypatch)
    mirror = Mirror(Bundle.load(bundles.make(tmp_path / "tiny")), write_hz=write_hz)
    plans = chunks(mirror, 3)
    mirror.pilot.policy = Script(plans)
    writes = write_hz // 50
    for number, plan in enumerate(plans):
        for write in range(writes):
            found = sent(mirror, round((number + write / writes) * PERIOD))
        np.testing.assert_allclose(found, plan[0], atol=1e-9)
    assert len(mirror.pilot.policy.calls) == 3


@pytest.mark.parametrize("write_hz", [0.0, -500.0, 30.0, 49.0, 120.0, float("nan")])
def test_a_write_rate_that_the_policys_does_not_divide_is_refused(monkeypatch, tmp_path, write_hz):
    pytest.importorskip("cv2")
    stand_ins.install(monkeypatch)
    with pytest.raises(UsageError, match="write_hz: expected a multiple of the policy's 50 Hz, got"):
        Mirror(Bundle.load(bundles.make(tmp_path / "tiny")), write_hz=write_hz)


def followed(mirror, age, certainty=1.0):
    """How far the mirror follows an intent that old, 0 to 1."""
    z = mirror.pilot._stand + np.float32(2.0)
    mirror.pilot.intent = Intent(z, certainty, 1.0, 1000)
    shares = (mirror.pilot.wanted(1000 + age) - mirror.pilot._stand) / 2.0
    assert np.ptp(shares) < 1e-6
    return float(shares[0])


def test_an_old_intent_decays_to_standing(mirror):
    assert followed(mirror, 0) == followed(mirror, FRESH_NS) == pytest.approx(1.0)
    assert followed(mirror, STALE_NS) == followed(mirror, 100 * STALE_NS) == 0.0
    assert followed(mirror, (FRESH_NS + STALE_NS) // 2) == pytest.approx(0.5, abs=1e-6)
    ages = np.linspace(0, 1.2 * STALE_NS, 60).astype(int).tolist()
    shares = [followed(mirror, age) for age in ages]
    assert shares == sorted(shares, reverse=True)


def test_an_unsure_intent_decays_to_standing(mirror):
    assert followed(mirror, 0, SURE) == pytest.approx(1.0)
    assert followed(mirror, 0, UNSURE) == followed(mirror, 0, 0.0) == 0.0
    assert followed(mirror, 0, (SURE + UNSURE) / 2) == pytest.approx(0.5, abs=1e-6)
    assert followed(mirror, (FRESH_NS + STALE_NS) // 2, (SURE + UNSURE) / 2) == pytest.approx(0.5, abs=1e-6)


def test_without_an_intent_it_stands(mirror):
    np.testing.assert_array_equal(mirror.pilot.wanted(0), mirror.bundle.intent.stand)
    mirror.pilot.policy = Script(chunks(mirror, 1))
    sent(mirror, 0)
    np.testing.assert_array_equal(mirror.pilot.policy.asked[0], mirror.bundle.intent.stand)


def test_a_new_episode_forgets_the_last(mirror):
    mirror.pilot.policy = Script(chunks(mirror, 2))
    fresh = sent(mirror, 0)
    sent(mirror, PERIOD)
    mirror.pilot.intent = Intent(mirror.pilot._stand + 1, 1.0, 1.0, 0)
    mirror.reset()
    mirror.pilot.policy = Script(chunks(mirror, 2))
    assert mirror.pilot.intent is None
    np.testing.assert_array_equal(sent(mirror, 7 * MS), fresh)


def clock(seconds):
    """What the term says after so long: once and twice round in two seconds."""
    angles = np.pi * seconds * np.array([1, 2])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).ravel()


def test_the_clock_goes_by_time_and_not_by_calls(mirror):
    policy, pose = mirror.pilot.policy, mirror.bundle.default_pose
    for start in (0, 123_456 * MS):
        policy.reset()
        for after in (0, 20, 40, 140, 147, 2000, 3_600_000):  # [ms] calls that are late, dropped, hours apart
            policy.act(state(start + after * MS, pose), mirror.pilot._stand)
            expected = 0.05 * clock(after / 1e3)  # the bundle's scale
            np.testing.assert_allclose(policy._proprio[0, -4:], expected, atol=1e-6)


def test_the_policy_sees_its_history_oldest_first_scaled_and_clipped(mirror):
    policy, bundle = mirror.pilot.policy, mirror.bundle
    fed = []
    real = policy._infer
    policy._infer = lambda: fed.append(policy._proprio.copy()) or real()
    rng = np.random.default_rng(3)
    joints = len(bundle.default_pose)
    rows, action = [], np.zeros(joints)
    for tick in range(4):
        pose, velocity, spin = (rng.normal(0, size, n) for size, n in ((1, joints), (5000, joints), (1, 3)))
        seen = RobotState(pose, velocity, spin, UPRIGHT, tick * PERIOD)
        terms = {
            "base_ang_vel": spin, "projected_gravity": UPRIGHT, "joint_pos": pose - bundle.default_pose,
            "joint_vel": velocity, "actions": action, "clock": clock(tick * 0.02),
        }  # fmt: skip
        declared = bundle.policy.observation.terms
        rows.append(
            np.concatenate(
                [np.clip(term.scale * terms[term.name], -term.clip, term.clip) for term in declared]
            )
        )
        chunk = policy.act(seen, mirror.pilot._stand)
        assert chunk.stamp_ns == tick * PERIOD and chunk.period_ns == PERIOD
        action = (chunk.joint_pos[0] - bundle.default_pose) / bundle.action_scale
    assert np.abs(rows).max() == 100.0  # some velocity was clipped
    track = [rows[0], rows[0], rows[1], rows[2], rows[3]]  # before its first tick it had stood like that
    for tick, proprio in enumerate(fed):
        np.testing.assert_allclose(proprio[0], np.concatenate(track[tick : tick + 2]), rtol=1e-5, atol=1e-5)


def test_each_term_is_clipped_at_its_own_limit(monkeypatch, tmp_path):
    pytest.importorskip("cv2")
    stand_ins.install(monkeypatch)
    says = bundles.manifest()
    for term, clip in zip(says["policy"]["observation"]["terms"], (1.0, 2.0, 3.0, 4.0, 5.0)):
        term["clip"], term["scale"] = clip, 1.0
    policy = Mirror(Bundle.load(bundles.make(tmp_path / "tiny", says))).pilot.policy
    joints = len(policy._default)
    high = RobotState(np.full(joints, 90.0), np.full(joints, 90.0), np.full(3, 90.0), np.full(3, 90.0), 0)
    fed = []
    real = policy._infer
    policy._infer = lambda: fed.append(policy._proprio.copy()) or real()
    policy.act(high, np.zeros(4))
    sizes = (3, 3, joints, joints, joints)
    assert fed[0][0, : sum(sizes[:4])].tolist() == np.repeat([1.0, 2.0, 3.0, 4.0], sizes[:4]).tolist()


def test_the_noise_is_of_the_seed_and_held_for_the_episode(mirror):
    policy, pose = mirror.pilot.policy, mirror.bundle.default_pose
    fed = []
    real = policy._infer
    policy._infer = lambda: fed.append(policy._noise.copy()) or real()
    for seed in (3, 4, 3):
        policy.reset(seed)
        for tick in range(3):
            policy.act(state(tick * PERIOD, pose), mirror.pilot._stand)
    for first in (0, 3, 6):
        assert (fed[first] == fed[first + 1]).all() and (fed[first] == fed[first + 2]).all()
    assert (fed[0] == fed[6]).all() and (fed[0] != fed[3]).any()
    assert abs(float(np.mean(fed[0]))) < 0.5 and 0.5 < float(np.std(fed[0])) < 1.5
