"""The recording: one row a policy tick of what the simulated robot truly did."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")

from rmedge import robots
from rmedge.benchmarks.policies.recording import Recorder
from rmedge.clock import ManualClock
from rmedge.runtimes.actuators.sim import SimActuator
from rmedge.specs import JointTarget
from rmedge.trace import Trace


@pytest.fixture
def robot() -> SimActuator:
    """On its feet, with stiff motors, 0.2 s after it was set down."""
    body = robots.load("g1")
    robot, clock = SimActuator(body), ManualClock()
    robot.attach(clock)
    kp, kd = np.full(29, 200.0), np.full(29, 5.0)
    for until_ns in range(50_000_000, 250_000_000, 50_000_000):  # within the robot's command time-out
        robot.write(JointTarget(body.default_pose, kp, kd, clock.now_ns()))
        clock.sleep_until_ns(until_ns)
        robot.advance()
    return robot


def test_a_foot_slips_where_it_touches_as_fast_as_it_moves(robot: SimActuator) -> None:
    world = robot.world
    assert (world.foot_contacts == 1.0).all() and (world.foot_slip < 0.1).all()
    world.data.qvel[:2] += 3.0, 4.0  # all of it slides
    world.step(robot.robot.default_pose)
    assert world.foot_slip == pytest.approx([5.0, 5.0], rel=0.2)
    world.data.qpos[2] += 1.0
    world.step(robot.robot.default_pose)
    assert np.isnan(world.foot_slip).all()


def test_torque_is_what_the_motors_give(robot: SimActuator) -> None:
    world, body = robot.world, robot.robot
    before = world.joint_pos.copy(), world.joint_vel.copy()
    world.step(body.default_pose + 0.01)
    wanted = 200.0 * (body.default_pose + 0.01 - before[0]) - 5.0 * before[1]
    assert world.torque == pytest.approx(np.clip(wanted, -body.torque_limit, body.torque_limit))


def test_a_tick_is_a_row_and_a_fall_the_end(robot: SimActuator) -> None:
    recorder, trace = Recorder(robot), Trace(20_000_000)
    assert not recorder(trace)
    robot.world.joint_pos[:] += 0.1
    robot.fell_at_s = 0.2
    assert recorder(trace)
    told = recorder.of(trace)
    assert told.period_s == 0.02 and told.fell_at_s == 0.2
    assert told.joint_pos[1] - told.joint_pos[0] == pytest.approx(np.full(29, 0.1))  # copies, not views
    assert told.velocity.shape == (2, 3) and told.heading.shape == (2,) and told.slip.shape == (2, 2)


def test_who_was_damped_for_want_of_commands_fell(robot: SimActuator) -> None:
    recorder, trace = Recorder(robot), Trace(20_000_000)
    recorder(trace)
    assert recorder.of(trace).fell_at_s is None
    trace.stop_reason = "no valid command"
    assert recorder.of(trace).fell_at_s == pytest.approx(0.2)
