"""Every actuator conforms; the simulated robot keeps the loop's time, takes its gains and reports its way."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge import robots
from rmedge.clock import Clock, ManualClock
from rmedge.errors import UsageError
from rmedge.runtimes import open_actuator
from rmedge.specs import JointTarget, RobotState
from rmedge.testing import check_actuator

ROBOT = robots.load("g1")
JOINTS = len(ROBOT.joint_names)
KP, KD = np.full(JOINTS, 60.0), np.full(JOINTS, 2.0)
STEP = 2_000_000


def opened(name, start_ns=0):
    if name == "sim":
        pytest.importorskip("mujoco")
    actuator = open_actuator(name, ROBOT)
    clock = ManualClock(start_ns)
    actuator.attach(clock)
    return actuator, clock


def play(actuator, clock, steps, wanted, kp=KP):
    for _ in range(steps):
        actuator.write(JointTarget(wanted, kp, KD, clock.now_ns()))
        clock.sleep_until_ns(clock.now_ns() + STEP)
        actuator.advance()


@pytest.mark.parametrize("name", ["null", "sim"])
def test_actuators_conform(name):
    opened(name)
    check_actuator(lambda: open_actuator(name, ROBOT), ROBOT)


def test_an_unknown_actuator_names_the_known():
    with pytest.raises(UsageError) as caught:
        open_actuator("hydraulic", ROBOT)
    assert str(caught.value) == (
        "actuator: expected one of sim, null, boards:DIR, module:factory, got 'hydraulic'"
    )


def test_the_null_robot_stands_whatever_it_is_told():
    actuator, clock = opened("null")
    play(actuator, clock, 5, ROBOT.upper)
    state = actuator.read()
    np.testing.assert_array_equal(state.joint_pos, ROBOT.default_pose)
    assert state.stamp_ns == 5 * STEP


def test_the_simulated_robot_goes_where_it_is_told():
    actuator, clock = opened("sim")
    wanted = ROBOT.default_pose.copy()
    elbow = ROBOT.joint_names.index("left_elbow_joint")
    wanted[elbow] += 0.4
    play(actuator, clock, 200, wanted)
    assert actuator.read().joint_pos[elbow] == pytest.approx(wanted[elbow], abs=0.1)


def test_gains_matter_until_the_robot_is_damped_and_again_after():
    actuator, clock = opened("sim")
    elbow = ROBOT.joint_names.index("left_elbow_joint")
    wanted = ROBOT.default_pose.copy()
    wanted[elbow] += 0.4
    actuator.world.model.opt.gravity[:] = 0
    play(actuator, clock, 10, wanted)
    actuator.damp()
    for _ in range(200):
        clock.sleep_until_ns(clock.now_ns() + STEP)
        actuator.advance()
    assert np.abs(actuator.read().joint_vel).max() < 0.05  # damping took the speed out
    assert wanted[elbow] - actuator.read().joint_pos[elbow] > 0.1  # and no stiffness brought it there
    play(actuator, clock, 200, wanted)
    assert actuator.read().joint_pos[elbow] == pytest.approx(wanted[elbow], abs=0.05)


@pytest.mark.parametrize("start_ns", [0, 123_456_789])
def test_physics_keep_the_clocks_time(start_ns):
    actuator, clock = opened("sim", start_ns)
    for until in (1, STEP, 7 * STEP + 1, 20 * STEP):
        clock.sleep_until_ns(start_ns + until)
        actuator.advance()
        assert 0 <= actuator.world.time_ns - until < STEP
        assert actuator.read().stamp_ns == start_ns + until
    other = ManualClock(5)
    actuator.attach(other)  # another run goes on where this one was
    actuator.advance()
    assert actuator.world.time_ns == 20 * STEP
    other.sleep_until_ns(5 + STEP)
    actuator.advance()
    assert actuator.world.time_ns == 21 * STEP


def test_a_fall_is_noticed_when_it_happens():
    actuator, clock = opened("sim")
    play(actuator, clock, 1, ROBOT.default_pose)
    assert actuator.fell_at_s is None
    actuator.damp()
    while actuator.fell_at_s is None and clock.now_ns() < 3_000_000_000:
        clock.sleep_until_ns(clock.now_ns() + STEP)
        actuator.advance()
    assert 0.2 < actuator.fell_at_s < 2.0
    assert actuator.fell_at_s == pytest.approx(clock.now_ns() / 1e9, abs=0.003)


def carried(path):
    """Where an actuator says that it went when it is carried along x, y, yaw."""
    actuator, _ = opened("sim")
    for x, y, yaw in path:
        qpos = actuator.world.data.qpos
        qpos[:2] = x, y
        qpos[3:7] = np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)
        actuator.advance()  # the clock stands: nothing but the bookkeeping
    return actuator


def test_the_way_is_measured_over_the_floor():
    steps = np.linspace(0, 1, 200)
    actuator = carried([(2 * s, 0.0, 0.0) for s in steps] + [(2.0, -1.5 * s, 0.0) for s in steps])
    assert actuator.displacement == pytest.approx((2.0, -1.5))
    assert actuator.distance == pytest.approx(3.5, abs=0.1)
    assert actuator.heading_change == pytest.approx(0.0)


@pytest.mark.parametrize("turn", [-9.0, -1.0, 2.5, 14.0])
def test_full_turns_count(turn):
    assert carried([(0, 0, s) for s in np.linspace(0, turn, 300)]).heading_change == pytest.approx(turn)


def test_swaying_is_no_way():
    actuator = carried([(0.02 * np.sin(s), 0.02 * np.cos(s), 0.0) for s in np.arange(0, 60, 0.1)])
    assert actuator.distance < 0.06


class Broken:
    """An actuator to be found out: the null robot but for one fault."""

    def __init__(self):
        self.robot = open_actuator("null", ROBOT)

    def __getattr__(self, name):
        return getattr(self.robot, name)

    def attach(self, clock):
        self.clock = clock
        self.robot.attach(clock)

    def read(self):
        return self.robot.read()

    def write(self, target):
        return self.robot.write(target)

    def damp(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


class Mute(Broken):
    def write(self, target):
        return None


class Eager(Broken):
    def write(self, target):
        return JointTarget(2 * target.joint_pos, target.kp, target.kd, target.stamp_ns)


class Stiff(Broken):
    def write(self, target):
        return JointTarget(target.joint_pos, 2 * target.kp, target.kd, target.stamp_ns)


class OwnClock(Broken):
    def attach(self, clock):
        self.robot.attach(Clock())


class Frozen(Broken):
    def read(self):
        return RobotState(**{**vars(self.robot.read()), "stamp_ns": 7_000_000_000})


class Lists(Broken):
    def read(self):
        state = self.robot.read()
        return RobotState(**{**vars(state), "joint_vel": state.joint_vel.tolist()})


class Short(Broken):
    def read(self):
        state = self.robot.read()
        return RobotState(**{**vars(state), "joint_pos": state.joint_pos[:12]})


class Blind(Broken):
    def read(self):
        return RobotState(**{**vars(self.robot.read()), "base_ang_vel": np.full(3, np.nan)})


class Newtons(Broken):
    def read(self):
        return RobotState(**{**vars(self.robot.read()), "projected_gravity": np.array([0, 0, -9.81])})


class Shared(Broken):
    """Hands out its own array, and moves in it."""

    def __init__(self):
        super().__init__()
        self.pose = np.zeros(JOINTS)
        self.pose.setflags(write=False)
        self.ticks = 0

    def read(self):
        self.pose.setflags(write=True)
        self.pose[:] = ROBOT.default_pose + 1e-3 * self.ticks
        self.pose.setflags(write=False)
        return RobotState(**{**vars(self.robot.read()), "joint_pos": self.pose})

    def advance(self):
        self.ticks += 1


class Exposed(Broken):
    def __init__(self):
        super().__init__()
        self.pose = ROBOT.default_pose.copy()

    def read(self):
        return RobotState(**{**vars(self.robot.read()), "joint_pos": self.pose})


class Undamped(Broken):
    """Follows its last target after `damp` too."""

    def __init__(self):
        super().__init__()
        self.pose = ROBOT.default_pose.copy()
        self.wanted = self.pose

    def read(self):
        return RobotState(**{**vars(self.robot.read()), "joint_pos": self.pose.copy()})

    def write(self, target):
        sent = super().write(target)
        self.wanted = target.joint_pos
        return sent

    def advance(self):
        self.pose = self.pose + 0.1 * (self.wanted - self.pose)


@pytest.mark.parametrize(
    ("actuator", "message"),
    [
        (Mute, "write: expected the JointTarget that was sent, got NoneType"),
        (Eager, "write: expected a target between the pose and what was asked"),
        (Stiff, "write: expected no more stiffness than was asked"),
        (OwnClock, "stamp_ns: expected an instant of the clock"),
        (Frozen, "stamp_ns: expected later than"),
        (Lists, r"joint_vel: expected floats \(29,\), got list"),
        (Short, r"joint_pos: expected floats \(29,\), got float64 \(12,\)"),
        (Blind, "base_ang_vel: expected finite numbers"),
        (Newtons, "projected_gravity: expected a unit vector, got one of length 9.81"),
        (Shared, "joint_pos: expected a kept one that stays"),
        (Exposed, "joint_pos: expected an array of the reader's own"),
        (Undamped, "damp: expected no stiffness towards the last target"),
    ],
)
def test_bad_actuators_are_found_out(actuator, message):
    with pytest.raises(AssertionError, match=message):
        check_actuator(actuator, ROBOT)


def test_the_broken_ones_are_broken_by_their_fault_alone():
    check_actuator(Broken, ROBOT)


def test_the_simulated_robot_damps_itself_when_its_commands_stop():
    actuator, clock = opened("sim")
    wanted = ROBOT.default_pose.copy()
    elbow = ROBOT.joint_names.index("left_elbow_joint")
    actuator.world.model.opt.gravity[:] = 0
    play(actuator, clock, 200, wanted)
    wanted = wanted.copy()
    wanted[elbow] += 0.4
    play(actuator, clock, 1, wanted)
    begin = actuator.read().joint_pos[elbow]
    kp = actuator.world.model.actuator_gainprm[:, 0]
    for step in range(1, 150):
        clock.sleep_until_ns(clock.now_ns() + STEP)
        actuator.advance()
        silent_ns = (step + 1) * STEP
        assert kp.any() == (silent_ns <= actuator.timeout_ns)
    assert actuator.timeouts == 1
    assert actuator.read().joint_pos[elbow] != begin
    play(actuator, clock, 1, wanted)
    assert kp.any()


def test_a_robot_that_hangs_is_let_down_when_its_gains_have_settled():
    actuator, clock = opened("sim")
    actuator.hang()
    for _ in range(500):  # damped for a second, which no standing robot survives
        actuator.damp()
        clock.sleep_until_ns(clock.now_ns() + STEP)
        actuator.advance()
    for step in range(1000):  # a ramp of two seconds
        play(actuator, clock, 1, ROBOT.default_pose, KP * step / 1000)
    height = actuator.world.data.qpos[2]
    assert actuator.fell_at_s is None
    play(actuator, clock, 240, ROBOT.default_pose)
    assert actuator.world.data.qpos[2] == height
    play(actuator, clock, 20, ROBOT.default_pose)
    assert actuator.world.data.qpos[2] != height  # on its own feet
    assert actuator.fell_at_s is None
