"""The loop is deterministic, never lets a broken policy through, and leaves the robot damped."""

from __future__ import annotations

from dataclasses import replace

import bundles
import numpy as np
import pytest
import stand_ins

from rmedge.bundle import Bundle
from rmedge.clock import ManualClock
from rmedge.envelope import Envelope
from rmedge.runtimes import Loop, load, open_actuator, open_camera
from rmedge.specs import Frame, Intent
from rmedge.trace import STAGES

cv2 = pytest.importorskip("cv2")
SHIPPED = "g1-mirror"
MS = 1_000_000


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return Bundle.load(bundles.make(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture
def mirror(monkeypatch, tiny):
    """A mirror whose graphs are a line of numpy."""
    stand_ins.install(monkeypatch)
    return load(tiny)


@pytest.fixture(scope="module")
def shipped():
    """The mirror of the bundle that ships, on the engine of this machine."""
    pytest.importorskip("onnxruntime")
    if SHIPPED not in Bundle.names():
        pytest.skip(f"{SHIPPED} is not in this checkout")
    return load(Bundle.load(SHIPPED))


class Recorder:
    """An actuator that writes down what passes through another."""

    def __init__(self, actuator):
        self.actuator = actuator
        self.states, self.targets, self.log = [], [], []

    def attach(self, clock):
        self.clock = clock
        self.actuator.attach(clock)

    def read(self):
        self.states.append(self.actuator.read())
        return self.states[-1]

    def write(self, target):
        self.log.append("write")
        self.targets.append(target)
        return self.actuator.write(target)

    def damp(self):
        self.log.append("damp")
        self.actuator.damp()

    def advance(self):
        self.actuator.advance()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


class Ending:
    """The synthetic camera, for a while."""

    ended = False

    def __init__(self, seconds):
        self.camera, self.seconds = open_camera("synthetic"), seconds

    def attach(self, clock):
        self.clock, self.start_ns = clock, clock.now_ns()
        self.camera.attach(clock)

    def read(self, max_age_ns):
        self.ended = self.clock.now_ns() - self.start_ns >= self.seconds * 1e9
        return None if self.ended else self.camera.read(max_age_ns)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


def run(mirror, actuator="null", camera=None, **how):
    robot = Recorder(open_actuator(actuator, mirror.bundle.robot))
    trace = Loop(open_camera("synthetic") if camera is None else camera, mirror, robot).run(**how)
    return robot, trace


def same(one, other):
    """To the bit: states, commands and intents of two runs."""
    (robot, trace), (robot_2, trace_2) = one, other
    for left, right in ((robot.states, robot_2.states), (robot.targets, robot_2.targets)):
        assert len(left) == len(right) > 0
        for a, b in zip(left, right):
            if not all(np.array_equal(value, getattr(b, name)) for name, value in vars(a).items()):
                return False
    intents = ([(i.z.tobytes(), i.certainty, i.captured_ns) for i in t.intents] for t in (trace, trace_2))
    return next(intents) == next(intents)


def test_two_runs_are_the_same_to_the_bit(mirror):
    assert same(run(mirror, seconds=1.0), run(mirror, seconds=1.0))


def test_a_seed_changes_the_noise_and_comes_back(mirror):
    first = run(mirror, seconds=0.2, seed=1)
    assert same(first, run(mirror, seconds=0.2, seed=1))
    assert not same(first, run(mirror, seconds=0.2, seed=2))


def test_ticks_writes_and_intents_are_as_many_as_the_rates_say(mirror):
    robot, trace = run(mirror, seconds=2.0)
    assert trace.ticks == 2 * 50
    assert len(robot.targets) == 2 * 500
    assert len(trace.intents) == 2 * 10
    assert [s.stamp_ns for s in robot.states] == [2 * MS * n for n in range(1000)]
    assert robot.clock.now_ns() == 2_000 * MS
    # the first of a tick's ten writes answers its frame; what the encoder took comes before it
    seen = trace.spent_ns[::5, : STAGES.index("read")].sum(1)
    assert (seen < trace.answered_ns[::5]).all() and (trace.answered_ns < trace.compute_ns).all()
    stages = trace.report().stages
    assert stages["encode"]["count"] == stages["preprocess"]["count"] == 20
    assert stages["policy"]["count"] == stages["write"]["count"] == 100
    assert (trace.stop_reason, trace.refused, trace.missed_deadlines) == ("", 0, 0)


def test_the_report_knows_how_old_the_pictures_were(mirror):
    class Late(Ending):
        def read(self, max_age_ns):
            now_ns = self.clock.now_ns()
            number = now_ns // (10 * MS)
            pixels = self.camera.read(10_000 * MS).pixels
            return Frame(pixels, now_ns - 70 * MS, now_ns, number)

    _, trace = run(mirror, camera=Late(9), seconds=1.0)
    ages = trace.report().frame_age_ms  # seen every 100 ms, 70 ms late: used at 70, 90, ... 150 ms
    assert ages["max"] == pytest.approx(150.0)
    assert ages["p50"] == pytest.approx(110.0)
    assert trace.report().capture_to_actuator_ms["p50"] > 110.0


def followed(mirror, camera, seconds, on_tick=None):
    """The intents that the policy was asked for, one a tick."""
    asked = []
    real = mirror.pilot.policy.act
    mirror.pilot.policy.act = lambda state, z, *rest: asked.append(z.copy()) or real(state, z, *rest)
    run(mirror, camera=camera, seconds=seconds, on_tick=on_tick)
    mirror.pilot.policy.act = real
    return np.array(asked)


def test_when_the_pictures_end_the_intent_decays_to_standing(mirror, monkeypatch):
    walk = next(phrase.z for phrase in mirror.bundle.intent.vocabulary if phrase.caption == "walk forward")
    monkeypatch.setattr(
        mirror.encoder, "watch", lambda frame, trace=None: Intent(walk, 1.0, 1.0, frame.captured_ns)
    )
    asked = followed(mirror, Ending(1.0), 3.0)
    away = np.abs(asked - mirror.bundle.intent.stand).max(1)
    assert away[:50].min() > 0.1  # followed while there were pictures
    assert (away[100:] == 0.0).all()  # a second after the last: it stands
    assert (np.diff(away[50:100]) <= 1e-6).all()


def test_who_sees_nothing_stands(mirror):
    asked = followed(mirror, open_camera("null"), 0.5)
    assert len(asked) == 25
    np.testing.assert_array_equal(asked, np.tile(mirror.bundle.intent.stand, (25, 1)))


def test_without_a_time_it_ends_with_the_pictures(mirror):
    _, trace = run(mirror, camera=Ending(0.55))
    assert 0.55 <= trace.ticks * 0.02 <= 0.55 + 0.1 + 0.02
    assert len(trace.intents) == 6


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_policy_that_breaks_plays_on_then_holds_then_is_damped(mirror, broken):
    real = mirror.pilot.policy._infer

    def breaks():
        chunk = real()[0]
        if len(robot.targets) >= 300:
            chunk[..., 4] = broken
        return [chunk]

    robot = Recorder(open_actuator("null", mirror.bundle.robot))
    mirror.pilot.policy._infer = breaks
    trace = Loop(open_camera("synthetic"), mirror, robot).run(seconds=5.0)
    rows = mirror.bundle.policy.outputs["action_chunk"][1]
    assert trace.stopped
    assert trace.stop_reason.startswith("no valid command for 50 ms: the motors were damped; expected finite")
    assert robot.log[-1] == "damp" and "write" not in robot.log[robot.log.index("damp") :]
    # the last chunk was taken up ten writes before; then held for 50 ms
    held = 25
    assert len(robot.targets) == 290 + rows * 10 + held
    poses = [target.joint_pos for target in robot.targets]
    assert np.isfinite(poses).all()
    assert all(np.array_equal(pose, poses[-1]) for pose in poses[-held:])
    assert trace.refused == 0  # nothing broken came as far as the envelope
    assert mirror.pilot.failures == pytest.approx((len(robot.targets) - 300) / 10, abs=1)


def test_a_short_fault_is_played_over_and_the_run_goes_on(mirror):
    robot = Recorder(open_actuator("null", mirror.bundle.robot))
    policy = mirror.pilot.policy._infer
    mirror.pilot.policy._infer = lambda: [
        np.full_like(policy()[0], np.nan if 100 <= len(robot.targets) < 109 else 0.01)
    ]
    trace = Loop(open_camera("synthetic"), mirror, robot).run(seconds=1.0)
    assert (trace.stop_reason, trace.ticks, trace.refused) == ("", 50, 0)
    assert mirror.pilot.failures == 1


def test_a_policy_that_raises_plays_on(mirror):
    real, calls = mirror.pilot.policy.act, []

    def raises(*args):
        calls.append(args)
        if len(calls) % 3 == 0:
            raise RuntimeError("the engine is gone")
        return real(*args)

    mirror.pilot.policy.act = raises
    _, trace = run(mirror, seconds=1.0)
    assert (trace.stop_reason, trace.ticks) == ("", 50)
    assert mirror.pilot.failures == 16
    assert mirror.pilot.fault == "RuntimeError: the engine is gone"


def test_a_policy_that_never_answers_is_damped_after_as_long_as_a_chunk(mirror, monkeypatch):
    monkeypatch.setattr(mirror.pilot.policy, "act", lambda state, z, *rest: None)
    robot, trace = run(mirror, seconds=1.0)
    assert (trace.refused, trace.stopped) == (0, True)
    assert len(robot.targets) == mirror.bundle.policy.outputs["action_chunk"][1] * 10 + 25
    assert all(np.array_equal(target.joint_pos, mirror.bundle.default_pose) for target in robot.targets)


def test_each_run_counts_its_own(mirror):
    limits = replace(mirror.bundle.envelope, rate_limit=np.full(29, 1e-6))
    mirror.pilot.envelope = Envelope(**vars(limits))
    _, first = run(mirror, seconds=0.2)
    counted = {name: count.copy() for name, count in first.clamped.items()}
    assert counted["rate"].sum() > 0
    _, second = run(mirror, seconds=0.2)
    for name, count in counted.items():
        np.testing.assert_array_equal(first.clamped[name], count)
        np.testing.assert_array_equal(second.clamped[name], count)


def test_ctrl_c_damps_and_still_gives_the_trace(mirror):
    def interrupt(trace):
        if trace.ticks == 7:
            raise KeyboardInterrupt

    robot, trace = run(mirror, seconds=5.0, on_tick=interrupt)
    assert (trace.stop_reason, trace.ticks) == ("interrupted", 7)
    assert robot.log == ["write"] * 70 + ["damp"]
    assert "stopped: interrupted" in str(trace.report())


def test_a_true_answer_ends_the_run(mirror):
    robot, trace = run(mirror, seconds=5.0, on_tick=lambda trace: trace.ticks == 3)
    assert (trace.ticks, trace.stop_reason, robot.log[-1]) == (3, "", "damp")


def test_a_camera_that_fails_leaves_the_robot_damped(mirror):
    class Failing(Ending):
        def read(self, max_age_ns):
            if self.clock.now_ns() > 300 * MS:
                raise OSError("unplugged")
            return self.camera.read(max_age_ns)

    robot = Recorder(open_actuator("null", mirror.bundle.robot))
    with pytest.raises(OSError, match="unplugged"):
        Loop(Failing(9), mirror, robot).run(seconds=5.0)
    assert robot.log[-1] == "damp"


def test_on_a_clock_that_stalls_deadlines_are_skipped_and_counted(mirror):
    class Stalling(ManualClock):
        """Real time in miniature: 50 ms are lost once, while somebody waits."""

        waits = 0

        def sleep_until_ns(self, deadline_ns):
            self.waits += 1
            super().sleep_until_ns(deadline_ns + (50 * MS if self.waits == 100 else 0))

    robot = Recorder(open_actuator("null", mirror.bundle.robot))
    clock = Stalling()
    trace = Loop(open_camera("synthetic"), mirror, robot, clock).run(seconds=1.0)
    assert trace.missed_deadlines == 24
    assert len(robot.targets) == pytest.approx(500 - 24, abs=10)
    stamps = np.array([target.stamp_ns for target in robot.targets])
    assert (np.sort(np.diff(stamps))[::-1][:2] == (52 * MS, 2 * MS)).all()  # one gap, and no drift after it


def test_a_mirror_may_be_commanded_instead_of_shown(mirror):
    z = np.arange(4, dtype=np.float32)

    def command(trace):
        if trace.ticks == 20:
            mirror.follow(None)

    mirror.follow(z)  # before the run, which resets the mirror
    asked = followed(mirror, open_camera("synthetic"), 0.6, on_tick=command)
    assert [np.array_equal(given, z) for given in asked] == [True] * 20 + [False] * 10


# the bundle that ships, in the simulator


def test_the_shipped_bundle_walks_the_same_way_twice(shipped):
    pytest.importorskip("mujoco")
    one, other = (run(shipped, "sim", seconds=2.0) for _ in range(2))
    assert same(one, other)
    assert len(one[1].intents) == 20
    assert not same(one, run(shipped, "sim", seconds=2.0, seed=1))


def test_the_shipped_bundle_stands_when_it_sees_nothing(shipped):
    pytest.importorskip("mujoco")
    robot, trace = run(shipped, "sim", open_camera("null"), seconds=5.0)
    assert robot.actuator.fell_at_s is None
    assert trace.stop_reason == "" and trace.refused == 0
    assert robot.actuator.distance < 0.3


def test_the_shipped_bundles_own_cost_is_a_small_part_of_its_tick(shipped):
    _, trace = run(shipped, seconds=2.0)
    report = trace.report()
    assert report.own["p50_us"] < 0.5 * report.period_ms * 1e3
    assert report.tick["count"] == 100
    assert set(report.stages) == {
        "capture", "preprocess", "encode", "read", "observe", "policy", "plan", "envelope", "write",
        "physics",
    }  # fmt: skip
