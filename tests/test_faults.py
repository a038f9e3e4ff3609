"""The fault campaign: what it plans, what its witness calls unsafe, and what a robot makes of some faults."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import bundles
import numpy as np
import pytest
import stand_ins

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")
pytest.importorskip("av")

from rmedge.benchmarks import cli
from rmedge.benchmarks.endurance.faults import ALL, BLIND, DEATHS, Blow, plan
from rmedge.benchmarks.endurance.ordeal import attempt
from rmedge.benchmarks.endurance.toll import summary
from rmedge.benchmarks.endurance.witness import Overheard, Witness
from rmedge.bundle import Bundle
from rmedge.clock import ManualClock
from rmedge.runtimes.actuators.null import NullActuator
from rmedge.runtimes.body import Body
from rmedge.runtimes.pilot import Pilot
from rmedge.specs import ActionChunk, JointTarget
from rmedge.states import Count, State

MS = 1_000_000


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load("g1-mirror")


def blow(kind: str, for_s: float = 0.3, **other: Any) -> Blow:
    given = {"at_s": 1.5, "amount": ALL[kind].amount, "share": 1.0, "joint": 3, "seed": 5, **other}
    return Blow(kind, for_s=for_s, **given)


def test_a_plan_is_seeded_and_no_kind_is_left_out() -> None:
    blows = plan(3, 1000, joints=29)
    assert blows == plan(3, 1000, joints=29) != plan(4, 1000, joints=29)
    kinds = {each.kind for each in blows}
    assert kinds == set(ALL) and len(kinds) > 20
    assert sum(each.kind in DEATHS for each in blows) >= 300
    assert all(2.0 <= each.for_s <= 5.0 for each in blows if each.kind in BLIND)


class Lax(NullActuator):
    """A robot that takes anything."""

    def write(self, target: JointTarget) -> JointTarget:
        return target


class TestWitness:
    """It is right about one joint at a time."""

    @pytest.fixture
    def witness(self, bundle: Bundle) -> Witness:
        clock = ManualClock(5 * MS)
        witness = Witness(Lax(bundle.robot), bundle, clock)
        witness.attach(clock)
        witness.read()
        return witness

    def write(self, witness: Witness, bundle: Bundle, joint: int = 0, by: float = 0.0, **other: Any) -> None:
        pose = bundle.default_pose.copy()
        pose[joint] += by
        target = JointTarget(pose, bundle.kp, bundle.kd, witness.clock.now_ns())
        witness.write(replace(target, **other))
        witness.clock.sleep_until_ns(witness.clock.now_ns() + 2 * MS)

    def test_what_is_allowed_is_allowed(self, witness: Witness, bundle: Bundle) -> None:
        for _ in range(3):
            self.write(witness, bundle)
        self.write(witness, bundle, 2, 0.99 * 0.002 * bundle.envelope.rate_limit[2])
        assert witness.commands == 4 and not witness.unsafe

    def test_nan_position_rate_and_torque_are_seen(self, witness: Witness, bundle: Bundle) -> None:
        self.write(witness, bundle)
        self.write(witness, bundle, 1, np.nan)
        self.write(witness, bundle, 1, 100.0)
        self.write(witness, bundle)
        assert witness.unsafe == {"not finite": 1, "position": 1, "rate, velocity or torque": 1}

    def test_the_first_command_has_no_rate_but_a_torque(self, witness: Witness, bundle: Bundle) -> None:
        reach = bundle.envelope.torque_limit / bundle.kp
        joint = int(reach.argmin())
        assert reach[joint] < bundle.envelope.upper[joint] - bundle.default_pose[joint]
        self.write(witness, bundle, joint, 1.01 * reach[joint])
        assert witness.unsafe == {"rate, velocity or torque": 1}

    def test_torque_outranks_rate(self, witness: Witness, bundle: Bundle) -> None:
        self.write(witness, bundle)
        knocked = NullActuator(bundle.robot).read()
        pose = knocked.joint_pos + 0.3 * (bundle.envelope.upper - knocked.joint_pos)
        witness._state = replace(knocked, joint_pos=pose)
        edge = np.maximum(bundle.default_pose, pose - bundle.envelope.torque_limit / bundle.kp)
        near = bundle.default_pose + 0.002 * bundle.envelope.rate_limit
        assert (edge > near).any()  # no command obeys both: the nearest that the motors bear
        self.write(witness, bundle, joint_pos=np.where(edge > near, edge, bundle.default_pose))
        assert not witness.unsafe
        self.write(witness, bundle)
        assert witness.unsafe

    def test_who_is_too_fast_may_only_be_braked(self, witness: Witness, bundle: Bundle) -> None:
        limit = np.full(len(bundle.kp), 0.5)
        witness.limits = replace(bundle.envelope, velocity_limit=limit)
        self.write(witness, bundle)
        state = NullActuator(bundle.robot).read()
        fast = np.zeros_like(limit)
        fast[4] = 0.8
        witness._state = replace(state, joint_vel=fast)
        coast = fast * bundle.kd / bundle.kp
        assert coast[4] < 0.002 * bundle.envelope.rate_limit[4]
        self.write(witness, bundle, 4, 0.99 * coast[4])
        self.write(witness, bundle)
        assert not witness.unsafe
        self.write(witness, bundle, 4, 1.01 * coast[4])
        assert witness.unsafe == {"rate, velocity or torque": 1}

    def test_a_refused_command_is_the_last_one_again(self, witness: Witness, bundle: Bundle) -> None:
        self.write(witness, bundle)
        state = NullActuator(bundle.robot).read()
        witness._state = replace(state, joint_vel=np.full(len(bundle.kp), 100.0))
        self.write(witness, bundle)
        assert witness.unsafe.pop("rate, velocity or torque") == 1
        witness.limits = replace(bundle.envelope, on_violation={"torque": "reject"})
        self.write(witness, bundle)
        assert not witness.unsafe

    def test_nothing_may_follow_a_stop(self, witness: Witness, bundle: Bundle) -> None:
        self.write(witness, bundle)
        witness.damp()
        self.write(witness, bundle)
        assert witness.unsafe == {"after a stop": 1} and witness.stopped_ns == 7 * MS


def test_what_is_overheard_ends_with_the_last_sound_chunk() -> None:
    class Policy:
        def act(self) -> ActionChunk | None:
            return self.answer

    policy = Policy()
    overheard = Overheard(policy, 2, 9)
    for rows, stamp_ns, until_ns in (
        (np.full((3, 2), np.nan), 100, 9),
        (np.zeros((3, 2)), 100, 160),
        (np.zeros((3, 1)), 200, 160),
        (np.zeros((3, 2)), 100, 160),
        (np.zeros((3, 2)), 200, 260),
    ):
        policy.answer = ActionChunk(rows, stamp_ns, 20)
        overheard.act()
        assert overheard.until_ns == until_ns
    policy.answer = None
    assert overheard.act() is None and overheard.until_ns == 260


def test_a_state_older_than_the_newest_is_refused_and_stops_nobody(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_ins.install(monkeypatch)
    tiny = Bundle.load(bundles.make(tmp_path / "tiny"))
    clock = ManualClock(9_000 * MS)
    robot = NullActuator(tiny.robot)
    robot.attach(clock)
    body = Body(Pilot(tiny), robot, clock, state=State.RUN)
    body.step()
    true = robot.read
    monkeypatch.setattr(robot, "read", lambda: replace(true(), stamp_ns=clock.now_ns() - 5_000 * MS))
    for _ in range(15):
        clock.sleep_until_ns(clock.now_ns() + 2 * MS)
        body.step()
        assert body.state is State.RUN
    assert body.counts[Count.BAD_STATES] == 15


def test_blind_it_stands_and_walks_on_afterwards(bundle: Bundle) -> None:
    outcome = attempt((bundle, None), blow("vision.killed", 3.0))
    assert outcome.hits == 1 and outcome.speed > 0.3
    assert outcome.fell_at_s is None and outcome.damped_at_s is None
    assert outcome.stood and outcome.resumed
    assert outcome.unsafe == {} and outcome.commands > 2500


@pytest.mark.parametrize(
    ("kind", "within_ms"),
    [("policy.silent", 60), ("actuator.tilt", 30), ("actuator.nan", 10), ("actuator.write_lost", 105)],
)
def test_it_is_damped_in_time(bundle: Bundle, kind: str, within_ms: float) -> None:
    outcome = attempt((bundle, None), blow(kind))
    assert outcome.damped_at_s is not None and outcome.fell_at_s is None
    assert outcome.damping_ms is not None and 0 <= outcome.damping_ms <= within_ms
    assert outcome.unbroken and not outcome.late and not outcome.unsafe


@pytest.mark.parametrize("kind", ["intent.torn", "intent.corrupt"])
def test_no_torn_record_is_believed(bundle: Bundle, kind: str) -> None:
    outcome = attempt((bundle, None), blow(kind, 1.0))
    assert outcome.hits and outcome.torn and not outcome.torn_accepted
    assert outcome.fell_at_s is None and outcome.resumed


def test_a_trial_is_the_same_every_time(bundle: Bundle) -> None:
    given = blow("policy.wild", amount=0.2)
    assert attempt((bundle, None), given) == attempt((bundle, None), given)


def test_what_is_broken_shows_in_the_claims(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that never damps, behind an envelope that lets everything through."""
    good = summary([attempt((bundle, None), blow("policy.silent"))])
    assert all(row["holds"] for row in good["claims"])
    monkeypatch.setattr(Body, "stop", lambda self, reason: False)
    monkeypatch.setattr(Body, "_damp", lambda self: None)
    monkeypatch.setattr("rmedge.envelope.Envelope.apply", lambda self, target, state: target)
    bad = [attempt((bundle, None), blow(kind)) for kind in ("policy.silent", "policy.wild", "actuator.tilt")]
    broken = " ".join(row["claim"] for row in summary(bad)["claims"] if not row["holds"])
    assert all(what in broken for what in ("outside the envelope", "within 100 ms", "when it tilts"))


def test_the_command_says_it_in_json(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    argv = ["eval", "faults", "--faults", "2", "--processes", "1", "--work", str(tmp_path), "--json"]
    code = cli.main(argv)
    told = json.loads(capsys.readouterr().out)
    assert code == (0 if all(row["holds"] for row in told["claims"]) else 1)
    assert told["all"]["injected"] + told["not_hit"] == 2 == len(told["outcomes_each"])
    assert not list(tmp_path.iterdir())
    assert told["bundle"]["name"] == "g1-mirror" and told["context"]["libraries"]["numpy"]
    assert cli.main([*argv[:-1], "--seed", "7"]) in (0, 1) and "falls" in capsys.readouterr().out
