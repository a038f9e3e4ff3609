"""Each of the gate's checks passes what is sound, stops what is not, and says what to do about it."""

from __future__ import annotations

from dataclasses import replace

import bundles
import numpy as np
import pytest
import stand_ins

from rmedge.bundle import Bundle
from rmedge.clock import ManualClock
from rmedge.errors import AbsentError, ArmingError
from rmedge.runtimes import gate
from rmedge.runtimes.actuators.null import NullActuator
from rmedge.runtimes.encoder import Encoder
from rmedge.runtimes.pilot import Pilot
from rmedge.runtimes.verify import Row

MS = 1_000_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    made = Bundle.load(bundles.make(tmp_path_factory.mktemp("bundles") / "tiny"))
    patient = {"encode": 1e4, "policy": 1e4}  # a machine that is busy with other tests is no failure
    return replace(made, latency_budget_ms={"cpu-x86": patient, "cpu-arm64": patient})


class Robot(NullActuator):
    def __init__(self, robot):
        super().__init__(robot)
        self.seen = lambda state: state

    def read(self):
        return self.seen(super().read())


@pytest.fixture
def body(monkeypatch, bundle):
    """The body's checks of a robot, by name; what verification finds may be chosen."""
    stand_ins.install(monkeypatch)
    monkeypatch.setattr(gate, "TIMED", 5)
    monkeypatch.setattr(gate, "verify", lambda *_: [Row("policy", "action_chunk", 3, 0.01, 0.05, True)])

    def checks(seen=lambda state: state, of=bundle, pilot=None):
        clock, robot = ManualClock(5_000 * MS), Robot(bundle.robot)
        robot.attach(clock)
        robot.seen = seen
        found = gate.body_checks(of, pilot or Pilot(bundle), robot, clock.now_ns, "cpu", 1)
        return {check.name: check for check in found}

    return checks


def refused(checks, name, *words):
    """Exactly this one failed, and its message has these words and a remedy."""
    assert [check.name for check in checks.values() if not check.passed] == [name]
    with pytest.raises(ArmingError) as refusal:
        gate.demand(checks.values())
    message = str(refusal.value)
    assert message.startswith(f"arming refused by 1 of its checks: {name}: expected ")
    assert all(word in message for word in words)
    assert len(checks[name].remedy) > 10 and message.endswith(checks[name].remedy)


def test_a_sound_robot_passes(body):
    checks = body()
    assert all(check.passed for check in checks.values())
    assert set(checks) == {"golden policy", "policy time", "state", "joints", "posture"}
    gate.demand(checks.values())


@pytest.mark.parametrize("error", [0.06, np.nan, np.inf])
def test_an_engine_that_computes_something_else_is_refused(body, monkeypatch, error):
    row = Row("policy", "action_chunk", 3, error, 0.05, error <= 0.05)
    monkeypatch.setattr(gate, "verify", lambda *_: [row])
    refused(body(), "golden policy", "action_chunk", "rmedge verify")


def test_an_engine_that_is_not_here_is_refused(body, monkeypatch):
    def absent(*_):
        raise AbsentError("provider: expected CUDAExecutionProvider, got a build with CPUExecutionProvider")

    monkeypatch.setattr(gate, "verify", absent)
    refused(body(), "golden policy", "CUDAExecutionProvider")


def slowed(bundle, **target):
    return replace(bundle, latency_budget_ms=target)


def test_an_engine_that_is_too_slow_is_refused(body, bundle, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    of = slowed(bundle, **{"cpu-arm64": {"policy": 1e-6, "encode": 1e-6}})
    refused(body(of=of), "policy time", "at most 1e-06 ms (declared for cpu-arm64)", "rmedge-bench run")


def test_without_a_declared_budget_half_the_period_is_one(body, bundle, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    checks = body(of=slowed(bundle))
    assert (
        "at most 10 ms (half its period; the bundle declares none for riscv64)"
        in checks["policy time"].expected
    )


def test_a_robot_that_does_not_answer_is_refused(body):
    def silent(_):
        raise TimeoutError("no LowState")

    refused(body(silent), "state", "TimeoutError: no LowState", "link")


@pytest.mark.parametrize("age", [21 * MS, -1 * MS])
def test_an_old_state_and_one_from_the_future_are_refused(body, age):
    refused(body(lambda state: replace(state, stamp_ns=state.stamp_ns - age)), "state", "20 ms", "link")


def test_another_robot_is_refused(body):
    fewer = lambda state: replace(state, joint_pos=state.joint_pos[:23], joint_vel=state.joint_vel[:23])  # noqa: E731
    refused(body(fewer), "joints", "29 joints of g1", "got 23")


@pytest.mark.parametrize("gravity", [(0.9, 0.0, -0.436), (0.0, 0.0, 1.0), (np.nan,) * 3])
def test_a_robot_that_lies_or_does_not_know_is_refused(body, gravity):
    refused(body(lambda state: replace(state, projected_gravity=np.array(gravity))), "posture", "feet")


def test_several_failures_are_all_told(body, bundle):
    checks = body(lambda state: replace(state, stamp_ns=0, projected_gravity=np.array([0.0, 0.0, 1.0])))
    with pytest.raises(ArmingError, match=r"refused by 2 of its checks: state: .*; posture: "):
        gate.demand(checks.values())


def test_vision_answers_for_its_engine(monkeypatch, bundle):
    pytest.importorskip("cv2")
    stand_ins.install(monkeypatch)
    monkeypatch.setattr(gate, "TIMED", 5)
    monkeypatch.setattr(gate, "verify", lambda *_: [Row("encoder", "intent", 3, 0.0, 0.05, True)])
    encoder = Encoder(bundle)
    checks = gate.vision_checks(bundle, encoder, "cpu", 1)
    assert [check.name for check in checks] == ["golden encoder", "encode time"]
    assert all(check.passed for check in checks)
    assert not encoder.memory.any()  # it has forgotten what it was tried with


def test_a_camera_without_pictures_is_refused():
    assert gate.camera_check(True, 5.0).passed
    check = gate.camera_check(False, 5.0, "OSError: unplugged")
    assert not check.passed and check.got == "none in 5 s (OSError: unplugged)" and "cable" in check.remedy
