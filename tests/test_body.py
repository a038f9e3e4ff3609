"""The body climbs down its ladder rung by rung, stays stopped, and never raises."""

from __future__ import annotations

from dataclasses import replace

import bundles
import numpy as np
import pytest
import stand_ins

from rmedge.bundle import Bundle
from rmedge.clock import ManualClock
from rmedge.monitor import Monitor
from rmedge.runtimes.actuators.null import NullActuator
from rmedge.runtimes.body import Body
from rmedge.runtimes.pilot import Pilot
from rmedge.specs import Intent
from rmedge.states import Count, State

MS = 1_000_000
WRITE = 2 * MS


class Robot(NullActuator):
    """Takes every command, writes down what came, and does as the test says."""

    def __init__(self, robot):
        super().__init__(robot)
        self.log = []
        self.seen = lambda state: state  # what becomes of a state on its way
        self.takes = lambda target: target

    def read(self):
        return self.seen(super().read())

    def write(self, target):
        self.log.append(self.takes(target))
        return target

    def damp(self):
        self.log.append(None)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return Bundle.load(bundles.make(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture
def make(monkeypatch, bundle):
    stand_ins.install(monkeypatch)

    def make(state=State.RUN, intents=None, watched=False):
        pilot, clock, robot = Pilot(bundle), ManualClock(5 * MS), Robot(bundle.robot)
        robot.attach(clock)
        monitor = Monitor(bundle.budgets, bundle.joint_names) if watched else None
        return Body(pilot, robot, clock, intents, monitor, state)

    return make


def step(body, milliseconds):
    """So long, and what the robot was told meanwhile."""
    first = len(body.actuator.log)
    for _ in range(milliseconds // 2):
        body.step()
        body.clock.sleep_until_ns(body.clock.now_ns() + WRITE)
    return body.actuator.log[first:]


def test_a_passive_body_streams_damping(make):
    assert step(make(State.PASSIVE), 200) == [None] * 100


def test_it_rises_from_where_it_is_with_growing_gains_and_then_keeps_its_balance(make, bundle):
    body = make(State.PASSIVE)
    start = bundle.default_pose + np.where(np.arange(29) % 2, 0.1, -0.05)
    body.actuator.seen = lambda state: replace(state, joint_pos=start)
    assert body.stand()
    told = step(body, 2000)
    assert np.allclose(told[0].joint_pos, start)
    stiffness = np.array([target.kp[0] for target in told])
    assert 0 < stiffness[0] < 0.03 * bundle.kp[0] and (np.diff(stiffness) >= 0).all()
    np.testing.assert_allclose(told[500].joint_pos, (start + bundle.default_pose) / 2, atol=1e-3)
    assert body.state is State.STAND
    step(body, 20)
    assert body.state is State.READY
    assert body.actuator.log[-1].kp is bundle.kp


def test_ready_follows_nothing_and_run_does(make, bundle):
    z = bundle.intent.stand.astype(np.float32) + 1
    body = make(State.PASSIVE, lambda: Intent(z, 1.0, 1.0, 5 * MS))
    asked = []
    act = body.pilot.policy.act
    body.pilot.policy.act = lambda state, z, *rest: asked.append(z.copy()) or act(state, z, *rest)
    body.stand()
    step(body, 2100)
    assert all(np.array_equal(z, bundle.intent.stand) for z in asked) and asked
    body.pilot.intent = None
    body._intents = lambda: Intent(z, 1.0, 1.0, 2000 * MS)
    asked.clear()
    assert body.run()
    step(body, 20)
    assert np.array_equal(asked[-1], z)
    asked.clear()
    assert body.rest("asked to")
    step(body, 40)
    assert np.array_equal(asked[-1], bundle.intent.stand)


MAY = {
    "stand": {State.PASSIVE: State.STAND},
    "run": {State.READY: State.RUN},
    "rest": {State.RUN: State.READY, State.HOLD: State.READY},
    "stop": {state: State.DAMP for state in State if not state.stopped},
    "emergency": {state: State.ESTOP for state in State if state is not State.ESTOP},
    "reset": {State.DAMP: State.PASSIVE, State.ESTOP: State.PASSIVE},
}


@pytest.mark.parametrize("verb", MAY)
@pytest.mark.parametrize("state", list(State))
def test_only_what_the_table_says_leads_from_state_to_state(make, verb, state):
    body = make(state)
    ask = getattr(body, verb)
    done = ask("why") if verb in ("stop", "emergency") else ask()
    expected = MAY[verb].get(state)
    assert done == (expected is not None)
    assert body.state is (state if expected is None else expected)


@pytest.mark.parametrize("latched", [State.DAMP, State.ESTOP])
def test_a_stop_is_latched_and_streamed(make, latched):
    body = make(latched)
    assert step(body, 1000) == [None] * 500
    assert not body.run() and not body.stand() and not body.rest()
    assert body.state is latched
    assert body.reset() and body.state is State.PASSIVE


def damped_after(body, milliseconds=1000):
    """How long until damping is streamed [ms], and that it goes on from there."""
    log = step(body, milliseconds)
    assert None in log, body.state
    first = log.index(None)
    assert log[first:] == [None] * (len(log) - first)
    assert body.state is State.DAMP
    return first * 2


def test_a_robot_that_is_silent_is_acted_on_for_its_budget_and_then_damped(make, bundle):
    body = make()
    step(body, 100)
    last = body.actuator.read()
    body.actuator.seen = lambda state: last
    rows = bundle.policy.outputs["action_chunk"][
        1
    ]  # nothing new is asked of an old state: the chunk plays on
    assert damped_after(body) == pytest.approx(min(100, rows * 20 + 50), abs=4)
    assert body.counts[Count.OLD_STATES] >= 30
    body.reset(), body.stand()  # a robot that is still silent does not rise
    body.step()
    assert body.reason.startswith("state: expected one every 100 ms, got none")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: replace(state, joint_pos=state.joint_pos * np.nan),
        lambda state: replace(state, joint_vel=state.joint_vel + np.inf),
        lambda state: replace(state, base_ang_vel=np.full(3, np.nan)),
        lambda state: replace(state, projected_gravity=np.full(3, -np.inf)),
        lambda state: replace(state, joint_pos=state.joint_pos[:7]),
        lambda state: replace(state, stamp_ns=state.stamp_ns + 10_000 * MS),
    ],
)
def test_a_state_that_cannot_be_is_none(make, spoil):
    body = make(watched=True)
    step(body, 100)
    good = body.actuator.seen
    body.actuator.seen = spoil
    log = step(body, 60)
    assert None not in log and all(np.isfinite(target.joint_pos).all() for target in log)
    body.actuator.seen = good
    assert None not in step(body, 200)  # it was borne
    assert body.counts[Count.BAD_STATES] == 30
    body.actuator.seen = spoil
    assert damped_after(body) <= 104


def test_what_a_device_raises_does_not_leave_the_body(make):
    def broken(_):
        raise OSError("bus off")

    body = make()
    step(body, 100)
    body.actuator.seen = broken
    assert damped_after(body) <= 104
    assert body.counts[Count.READ_ERRORS] > 0

    body = make()
    step(body, 100)
    body.actuator.takes = broken
    step(body, 60)
    assert body.state is State.DAMP
    assert "bus off" in body.reason and body.counts[Count.WRITE_ERRORS] >= 25


def test_a_policy_without_an_answer_is_held_and_then_damped_within_100_ms(make, bundle):
    body = make()
    step(body, 100)
    rows = bundle.policy.outputs["action_chunk"][1]
    body.pilot.policy.act = lambda *_: None
    assert None not in step(body, rows * 20 - 22)
    assert body.state is State.RUN  # the chunk played on
    assert 20 <= damped_after(body) <= 100
    assert (body.counts[Count.HOLDS], body.counts[Count.HELD]) == (1, 26)


def test_a_policy_that_comes_back_is_followed_again(make, bundle):
    body = make()
    act = body.pilot.policy.act
    step(body, 100)
    body.pilot.policy.act = lambda *_: None
    step(body, bundle.policy.outputs["action_chunk"][1] * 20 + 10)
    assert body.state is State.HOLD
    body.pilot.policy.act = act
    assert None not in step(body, 400)
    assert body.state is State.RUN and body.pilot.idle_ns == 0


def test_a_fall_is_damped_and_says_so(make):
    body = make(watched=True)
    step(body, 100)
    body.actuator.seen = lambda state: replace(state, projected_gravity=np.array([0.9, 0.0, -np.sqrt(0.19)]))
    assert damped_after(body) <= 30
    assert body.reason.startswith("tilt: ")


def test_a_body_that_was_away_for_too_long_does_not_go_on_as_if_nothing_had_been(make):
    body = make()
    step(body, 100)
    body.clock.sleep_until_ns(body.clock.now_ns() + 70 * MS)
    assert None not in step(body, 100)  # it happens, and is skipped
    body.clock.sleep_until_ns(body.clock.now_ns() + 85 * MS)  # by now whoever owns the motors has damped them
    assert damped_after(body) == 0
    assert body.reason.startswith("pace: expected a step every 80 ms")


def test_an_operator_who_was_heard_must_go_on_being_heard(make):
    body = make()
    assert None not in step(body, 3000)  # there is none
    body.hear(body.clock.now_ns())
    step(body, 900)
    assert body.state is State.RUN
    step(body, 200)
    assert body.state is State.READY and body.reason.startswith("operator: ")
    assert body.counts[Count.OPERATOR_LOST] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda z, now: Intent(z[:-1], 1.0, 1.0, now),
        lambda z, now: Intent(z * np.nan, 1.0, 1.0, now),
        lambda z, now: Intent(z, 1.0, 1.0, now + 10**12),
        lambda z, now: Intent(z * 100, 1.0, 1.0, now),
    ],
)
def test_an_intent_that_cannot_be_is_not_followed(make, bundle, wrong):
    z = bundle.intent.stand.astype(np.float32) + 1
    now = [0]
    body = make(intents=lambda: wrong(z, now[0]))
    for _ in range(50):
        now[0] = body.clock.now_ns()
        body.step()
        body.clock.sleep_until_ns(now[0] + WRITE)
    assert body.pilot.intent is None
    assert body.counts[Count.BAD_INTENTS] == 50 and body.counts[Count.INTENTS] == 0


@pytest.mark.parametrize("certainty", [np.nan, -1.0, 0.0])
def test_an_intent_that_is_not_sure_is_standing(make, bundle, certainty):
    body = make()
    body.pilot.intent = Intent(bundle.intent.stand.astype(np.float32) + 1, certainty, 1.0, 0)
    assert np.array_equal(body.pilot.wanted(0), bundle.intent.stand)


def test_magnitude_and_slowdown_hold_the_motion_back(make, bundle):
    def poses(magnitude, slowdown, milliseconds):
        body = make()
        body.pilot.magnitude, body.pilot.slowdown = magnitude, slowdown
        return np.array([target.joint_pos for target in step(body, milliseconds)]) - bundle.default_pose

    whole = poses(1.0, 1.0, 400)
    np.testing.assert_allclose(poses(0.25, 1.0, 100), whole[:50] * 0.25, atol=2e-2)
    assert np.abs(poses(0.0, 1.0, 100)).max() < 1e-12
    slow = poses(1.0, 4.0, 400)
    assert np.abs(np.diff(slow, axis=0)).max() < 0.5 * np.abs(np.diff(whole, axis=0)).max()


def test_a_policy_whose_every_answer_is_over_when_it_comes_is_followed_all_the_same(make, bundle):
    body = make()
    act, coming = body.pilot.policy.act, []
    late = bundle.policy.outputs["action_chunk"][1]  # as many ticks as a chunk has rows

    def answer(*asked):
        coming.append(act(*asked))
        return coming[-late - 1] if len(coming) > late else None

    body.pilot.policy.act = answer
    assert None not in step(body, 1000)
    assert body.counts[Count.HOLDS] <= 1  # while the first was under way


def test_what_the_motors_were_told_is_no_part_of_the_plan(make):
    body = make()
    act, plans = body.pilot.policy.act, []

    def answer(*asked):
        plans.append(act(*asked) if len(plans) < 3 else None)
        return plans[-1]

    body.pilot.policy.act = answer
    told = [target.joint_pos for target in step(body, 300) if target is not None]  # to the plan's end, and on
    assert len(told) > 60
    for plan in plans:
        assert plan is None or not any(np.shares_memory(plan.joint_pos, each) for each in told)


def test_what_decays_and_what_is_held_back_is_counted(make, bundle):
    body = make()
    step(body, 100)
    assert body.tally()[Count.STANDING] == 50  # nobody has shown it anything
    body.pilot.intent = Intent(bundle.intent.stand.astype(np.float32) + 1, 1.0, 1.0, body.clock.now_ns())
    step(body, 200)
    assert body.tally()[Count.STANDING] == 50  # followed, whole
    step(body, 1000)
    assert body.tally()[Count.STANDING] == pytest.approx(50 + 450, abs=2)  # from 300 ms of age on
    tight = np.full(29, 1e-6)
    body.pilot.envelope = type(body.pilot.envelope)(**{**vars(bundle.envelope), "rate_limit": tight})
    step(body, 40)
    clamped = sum(int(joints.sum()) for joints in body.pilot.envelope.clamped.values())
    assert body.tally()[Count.CLAMPED] == clamped > 0
