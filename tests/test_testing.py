"""The conformance kit: good devices pass every rule, and every rule finds out the device that breaks it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rmedge import robots
from rmedge.clock import Clock, ManualClock
from rmedge.errors import AbsentError, UsageError, WriterError
from rmedge.runtimes import open_actuator, open_camera
from rmedge.specs import Frame, JointTarget
from rmedge.testing import (
    FakeCamera,
    FakeRobot,
    camera_conformance,
    check_actuator,
    check_camera,
    conformance,
)

ROBOT = robots.load("g1")
JOINTS = len(ROBOT.joint_names)
MS = 1_000_000
GAINS = np.full(JOINTS, 30.0), np.ones(JOINTS)


def failed(verdicts):
    return [verdict.name for verdict in verdicts if verdict.passed is False]


@pytest.mark.parametrize("name", ["null", "sim"])
def test_our_actuators_pass(name):
    if name == "sim":
        pytest.importorskip("mujoco")
    verdicts = conformance(lambda: open_actuator(name, ROBOT), ROBOT)
    assert failed(verdicts) == []
    passed = {verdict.name: verdict.passed for verdict in verdicts}
    assert passed["time-out"] is (True if name == "sim" else None)  # the null robot declares none


def test_the_fake_robot_passes_every_rule_that_applies():
    verdicts = conformance(lambda: FakeRobot(ROBOT), ROBOT)
    assert {verdict.name for verdict in verdicts if verdict.passed is not True} == {"one writer"}
    check_actuator(lambda: FakeRobot(ROBOT), ROBOT)


def test_in_real_time_what_needs_a_simulated_robot_is_left_unchecked():
    verdicts = conformance(lambda: FakeRobot(ROBOT), ROBOT, real=True)
    assert failed(verdicts) == []
    unchecked = {verdict.name for verdict in verdicts if verdict.passed is None}
    assert unchecked == {"damp", "damp streamed", "time-out", "one writer"}


@pytest.mark.parametrize("make", [FakeCamera, lambda: open_camera("synthetic")], ids=["fake", "synthetic"])
def test_cameras_pass_every_rule(make):
    assert {verdict.passed for verdict in camera_conformance(make)} == {True}


def test_a_camera_passes_in_real_time():
    assert failed(camera_conformance(FakeCamera, seconds=0.3, real=True)) == []


def test_a_camera_without_pictures_fails_unless_none_were_asked_for():
    assert failed(camera_conformance(lambda: open_camera("null"))) == ["alive"]
    verdicts = camera_conformance(lambda: open_camera("null"), pictures=False)
    assert failed(verdicts) == []
    assert sum(verdict.passed is None for verdict in verdicts) == 6  # nothing that was not seen is passed


# One actuator for every rule, good but for that


class Robot(FakeRobot):
    def __init__(self):
        super().__init__(ROBOT)


class Seamless:
    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


class Numbed(Robot):
    """Gravity in metres per second squared."""

    def read(self):
        return replace(super().read(), projected_gravity=np.array([0.0, 0.0, -9.81]))


class Feverish(Robot):
    """Temperatures that are infinite; unknown ones, as NaN, are allowed."""

    def read(self):
        return replace(super().read(), motor_temp=np.full(JOINTS, np.inf))


class Wallclock(Robot):
    def read(self):
        return replace(super().read(), stamp_ns=time.time_ns())


class Repeating(Robot):
    """Stamps what it had before."""

    def __init__(self):
        super().__init__()
        self.born = None

    def read(self):
        state = super().read()
        self.born = self.born or state.stamp_ns
        return replace(state, stamp_ns=self.born)


class Queueing(Robot):
    """Hands out states in order, and slower than they come."""

    def attach(self, clock):
        super().attach(clock)
        self.start_ns = clock.now_ns()

    def read(self):
        state = super().read()
        return replace(state, stamp_ns=self.start_ns + (state.stamp_ns - self.start_ns) * 4 // 10)


class Sharing(Robot):
    def read(self):
        return replace(super().read(), joint_pos=self._pos)


class Moving(Robot):
    """Hands out an array that nobody can write to, but it."""

    def __init__(self):
        super().__init__()
        self.shown = np.zeros(JOINTS)

    def read(self):
        state = super().read()
        self.shown.setflags(write=True)
        self.shown[:] = state.joint_pos
        self.shown.setflags(write=False)
        return replace(state, joint_pos=self.shown)


class Stiffer(Robot):
    def write(self, target):
        return replace(super().write(target), kp=1.1 * target.kp)


class Restamping(Robot):
    def write(self, target):
        return replace(super().write(target), stamp_ns=0)


class Sleepy(Robot):
    def write(self, target):
        time.sleep(0.003)
        return super().write(target)


class Waiting(Robot):
    def read(self):
        self._clock.sleep_until_ns(self._clock.now_ns() + 1)
        return super().read()


class Trusting(Robot):
    """Sends whatever it gets."""

    def write(self, target):
        try:
            return super().write(target)
        except UsageError:
            if len(target.joint_pos) == len(target.kp) == len(target.kd) == JOINTS:
                return target
            raise


class Stretching(Robot):
    """Makes one number do for all joints, as numpy does."""

    def write(self, target):
        rows = [getattr(target, name) for name in ("joint_pos", "kp", "kd")]
        if not all(np.isfinite(row).all() for row in rows):
            raise ValueError("not finite")
        try:
            rows = [np.broadcast_to(row, (JOINTS,)) for row in rows]
        except ValueError as error:
            raise UsageError("size") from error
        super().write(JointTarget(*rows, target.stamp_ns))
        return target


class Crashing(Robot):
    """Gives its driver's error for what it should refuse."""

    def write(self, target):
        try:
            return super().write(target)
        except UsageError as error:
            raise KeyError("driver") from error


class Ordered(Robot):
    """Wants a command before it damps."""

    def damp(self):
        if not self.sent:
            raise RuntimeError("nothing was sent yet")
        super().damp()

    def __exit__(self, *exc):
        pass


class Holding(Robot):
    """Takes damping for keeping the last position."""

    def damp(self):
        self.sent.append((0, None))


class Toggling(Robot):
    """Every second damping undoes the one before."""

    def damp(self):
        before, self._toggled = self._target, getattr(self, "_toggled", None)
        super().damp()
        self._target, self._toggled = self._toggled, before


class Patient(Robot):
    """Declares a time-out and has none."""

    def advance(self):
        declared, self.timeout_ns = self.timeout_ns, None
        super().advance()
        self.timeout_ns = declared


class Late(Robot):
    """Its time-out is three times what it declares."""

    def __init__(self):
        super().__init__()
        self.slow_ns = 3 * self.timeout_ns

    def advance(self):
        declared, self.timeout_ns = self.timeout_ns, self.slow_ns
        super().advance()
        self.timeout_ns = declared


class Promiscuous(Robot):
    exclusive = True


ACTUATORS = {
    Seamless: "seam",
    Numbed: "state",
    Feverish: "state",
    Wallclock: "stamps",
    Repeating: "stamps",
    Queueing: "fresh",
    Sharing: "own arrays",
    Moving: "own arrays",
    Stiffer: "sent",
    Restamping: "sent",
    Sleepy: "prompt",
    Waiting: "prompt",
    Trusting: "finite",
    Crashing: "finite",
    Stretching: "sizes",
    Ordered: "damp any time",
    Holding: "damp",
    Toggling: "damp streamed",
    Patient: "time-out",
    Late: "time-out",
    Promiscuous: "one writer",
}


@pytest.mark.parametrize(
    ("actuator", "name"), ACTUATORS.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_every_rule_finds_out_the_actuator_that_breaks_it(actuator, name):
    verdicts = conformance(actuator, ROBOT)
    assert failed(verdicts)[0] == name
    worst = next(verdict for verdict in verdicts if verdict.name == name)
    assert ": expected " in worst.got and ", got " in worst.got
    assert worst.remedy and worst.expected
    with pytest.raises(AssertionError) as caught:
        check_actuator(actuator, ROBOT)
    assert str(caught.value).partition(",")[0] == worst.got.partition(",")[0]


def test_every_rule_of_actuators_is_broken_by_one():
    names = {verdict.name for verdict in conformance(Robot, ROBOT)}
    assert names == set(ACTUATORS.values())


def test_an_actuator_that_is_exclusive_refuses_the_second():
    class Exclusive(Robot):
        exclusive, open = True, 0

        def __enter__(self):
            if Exclusive.open:
                raise WriterError("target: expected no other writer, got one")
            Exclusive.open += 1
            return self

        def __exit__(self, *exc):
            Exclusive.open -= 1

    verdicts = conformance(Exclusive, ROBOT)
    assert {verdict.passed for verdict in verdicts} == {True}


def test_what_an_actuator_raises_by_itself_is_its_failure_and_the_list_goes_on():
    class Dead(Robot):
        def read(self):
            raise TimeoutError("no answer")

    verdicts = conformance(Dead, ROBOT)
    by_name = {verdict.name: verdict for verdict in verdicts}
    assert by_name["state"].got == "TimeoutError: no answer"
    assert by_name["damp any time"].passed is True
    assert by_name["sent"].passed is not True  # what was not seen is not passed
    with pytest.raises(TimeoutError):
        check_actuator(Dead, ROBOT)


def test_a_robot_that_is_absent_is_not_judged():
    def make():
        raise AbsentError("robot: expected one, got none")

    with pytest.raises(AbsentError):
        conformance(make, ROBOT)
    with pytest.raises(AbsentError):
        camera_conformance(make)


# One camera for every rule


class Raising(FakeCamera):
    def read(self, max_age_ns):
        if self._clock.now_ns() > 7_100_000_000:
            raise OSError("unplugged")
        return super().read(max_age_ns)


class Blind(FakeCamera):
    def read(self, max_age_ns):
        return None


class Retouched(FakeCamera):
    """Changes one field of what it shows."""

    def change(self, frame):
        raise NotImplementedError

    def read(self, max_age_ns):
        frame = super().read(max_age_ns)
        return frame and self.change(frame)


class Gray(Retouched):
    def change(self, frame):
        return replace(frame, pixels=frame.pixels[..., 0])


class Bare(Retouched):
    def change(self, frame):
        return frame.pixels


class Ahead(Retouched):
    def change(self, frame):
        return replace(frame, captured_ns=frame.received_ns + 1)


class Rounded(Retouched):
    def change(self, frame):
        return replace(frame, captured_ns=float(frame.captured_ns))


class Unnumbered(Retouched):
    def change(self, frame):
        return replace(frame, sequence=0)


class Shuffled(FakeCamera):
    """Shows an older picture again, under its own stamp."""

    def read(self, max_age_ns):
        frame = super().read(max_age_ns)
        if frame is None or frame.sequence % 5 != 4 or max_age_ns < 200 * MS:
            return frame
        return Frame(frame.pixels, frame.captured_ns - 50 * MS, frame.received_ns, frame.sequence)


class Stale(FakeCamera):
    def read(self, max_age_ns):
        return super().read(10_000 * MS)


class Withholding(FakeCamera):
    def read(self, max_age_ns):
        return super().read(max_age_ns - 1)


class Reusing(FakeCamera):
    def __init__(self):
        super().__init__()
        self.buffer = np.zeros((96, 128, 3), np.uint8)

    def read(self, max_age_ns):
        frame = super().read(max_age_ns)
        if frame is None:
            return None
        self.buffer[:] = frame.pixels
        return replace(frame, pixels=self.buffer)


class Blocking(FakeCamera):
    def read(self, max_age_ns):
        time.sleep(0.011)
        return super().read(max_age_ns)


CAMERAS = {
    Seamless: "seam",
    Raising: "answers",
    Blind: "alive",
    Gray: "picture",
    Bare: "picture",
    Ahead: "stamps",
    Rounded: "stamps",
    Stale: "fresh",
    Withholding: "fresh",
    Unnumbered: "order",
    Shuffled: "order",
    Reusing: "kept",
    Blocking: "prompt",
}


@pytest.mark.parametrize(
    ("camera", "name"), CAMERAS.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_every_rule_finds_out_the_camera_that_breaks_it(camera, name):
    verdicts = camera_conformance(camera, seconds=0.5)
    assert failed(verdicts)[0] == name
    worst = next(verdict for verdict in verdicts if verdict.name == name)
    assert ": expected " in worst.got and ", got " in worst.got
    if camera is not Blind:  # nobody asked for pictures
        with pytest.raises(AssertionError) as caught:
            check_camera(camera, seconds=0.5)
        assert str(caught.value).partition(",")[0] == worst.got.partition(",")[0]


def test_every_rule_of_cameras_is_broken_by_one():
    assert {verdict.name for verdict in camera_conformance(FakeCamera)} == set(CAMERAS.values())


# The fakes


def target(clock, offset=0.2):
    return JointTarget(ROBOT.default_pose + offset, *GAINS, clock.now_ns())


def test_the_fake_robot_follows_like_a_joint_without_mass():
    robot, clock = FakeRobot(ROBOT, timeout_ns=None), ManualClock(5)
    robot.attach(clock)
    asked = robot.write(target(clock, 0.01))
    clock.sleep_until_ns(5 + 50 * MS)
    state = robot.read()
    share = 1 - np.exp(-30 * 0.05)
    free = (asked.joint_pos <= ROBOT.upper) & (asked.joint_pos >= ROBOT.lower)
    np.testing.assert_allclose((state.joint_pos - ROBOT.default_pose)[free], 0.01 * share, rtol=1e-6)
    np.testing.assert_allclose(state.joint_vel[free], 0.01 * share / 0.05, rtol=1e-6)
    assert state.stamp_ns == 5 + 50 * MS


def test_the_fake_robot_stays_within_its_limits():
    robot, clock = FakeRobot(ROBOT, timeout_ns=None), ManualClock()
    robot.attach(clock)
    before = robot.read().joint_pos
    robot.write(target(clock, 100.0))
    for step in range(1, 500):
        clock.sleep_until_ns(step * 2 * MS)
        state = robot.read()
        assert (np.abs(state.joint_pos - before) <= ROBOT.velocity_limit * 0.002 + 1e-12).all()
        before = state.joint_pos
    np.testing.assert_allclose(before, ROBOT.upper)


def test_the_fake_robot_says_what_it_is_set_to_and_keeps_what_it_was_sent():
    robot, clock = FakeRobot(ROBOT, keep=3), ManualClock()
    robot.attach(clock)
    robot.gravity, robot.gyro, robot.motor_temp[3] = np.array([1.0, 0, 0]), np.ones(3), 95.0
    state = robot.read()
    assert (state.projected_gravity.tolist(), state.base_ang_vel.tolist()) == ([1, 0, 0], [1, 1, 1])
    assert state.motor_temp[3] == 95.0
    asked = target(clock)
    robot.write(asked)
    asked.joint_pos[:] = 7.0  # a caller may use its array again
    clock.sleep_until_ns(MS)
    robot.damp()
    (first_ns, first), (second_ns, second) = robot.sent
    assert (first_ns, second_ns, second) == (0, MS, None)
    np.testing.assert_array_equal(first.joint_pos, ROBOT.default_pose + 0.2)
    for _ in range(10):
        robot.damp()
    assert len(robot.sent) == 3


def test_the_fake_robot_damps_itself_when_nobody_writes():
    robot, clock = FakeRobot(ROBOT, timeout_ns=100 * MS), ManualClock()
    robot.attach(clock)
    assert robot.damped
    robot.write(target(clock))
    clock.sleep_until_ns(100 * MS - 1)
    assert not robot.damped and robot.timed_out == 0
    clock.sleep_until_ns(300 * MS)
    assert robot.damped and robot.timed_out == 1
    stopped = robot.read()
    clock.sleep_until_ns(900 * MS)
    np.testing.assert_array_equal(robot.read().joint_pos, stopped.joint_pos)
    assert not robot.read().joint_vel.any()
    share = 1 - np.exp(-30 * 0.1)  # it moved until then, and no further, however late anybody looked
    assert np.abs(stopped.joint_pos - ROBOT.default_pose).max() == pytest.approx(0.2 * share, rel=1e-6)
    robot.write(target(clock))
    assert not robot.damped and robot.timed_out == 1


def test_the_fake_robot_runs_in_real_time():
    with FakeRobot(ROBOT) as robot:
        clock = Clock()
        robot.attach(clock)
        robot.write(target(clock))
        before = robot.read()
        clock.sleep_until_ns(clock.now_ns() + 2 * MS)
        assert np.abs(robot.read().joint_pos - before.joint_pos).max() > 0


def test_the_fake_cameras_pictures_are_the_seeds_and_move():
    one, same, other = FakeCamera(3), FakeCamera(3), FakeCamera(4, rate_hz=10.0)
    clock = ManualClock(77)
    for camera in (one, same, other):
        camera.attach(clock)
    pictures = []
    for step in range(10):
        clock.sleep_until_ns(77 + step * 100 * MS)
        frame = one.read(100 * MS)
        np.testing.assert_array_equal(frame.pixels, same.read(100 * MS).pixels)
        assert not np.array_equal(frame.pixels, other.read(100 * MS).pixels)
        assert other.read(100 * MS).sequence == step
        pictures.append(frame.pixels)
    assert all((before != after).any() for before, after in zip(pictures, pictures[1:]))


def test_every_rule_stands_in_the_vendors_page():
    page = (Path(__file__).resolve().parents[1] / "docs" / "conformance.md").read_text(encoding="utf-8")
    for verdict in conformance(Robot, ROBOT) + camera_conformance(FakeCamera):
        assert f"| `{verdict.name}` | {verdict.expected} | {verdict.remedy} |" in page
