"""Conformance checks for clocks, cameras and actuators, ours or yours: each takes what makes a new one.

::

    def test_my_camera():
        check_camera(lambda: MyCamera("/dev/video2"))
"""

from __future__ import annotations

import time
from typing import Any, Callable

import numpy as np

from rmedge.clock import Clock, ManualClock
from rmedge.protocols import Actuator, Camera, Simulated
from rmedge.robots import Robot
from rmedge.specs import Frame, JointTarget, RobotState

__all__ = ["check_actuator", "check_camera", "check_clock"]

START_NS = 7_000_000_000  # not zero: nobody may take a clock to start there
MAX_AGE_NS = 500_000_000
TICK_NS = 20_000_000
WRITE_NS = 2_000_000
QUICK_S = 0.01  # a camera that waits for its next frame takes longer, at up to 60 frames a second


class _Watched(ManualClock):
    """A clock that tells on those who wait for it."""

    waits = 0

    def sleep_until_ns(self, deadline_ns: int) -> None:
        self.waits += 1

    def turn(self, step_ns: int) -> None:
        super().sleep_until_ns(self.now_ns() + step_ns)


def check_clock(make: Callable[[], Clock]) -> None:
    """A clock counts whole nanoseconds, never goes back, and wakes nobody early.

    Raises:
        AssertionError: it does not; the message says what must hold and what was found.
    """
    clock = make()
    instants = [clock.now_ns() for _ in range(100)]
    _require(all(type(t) is int for t in instants), "now_ns", "an int", type(instants[0]).__name__)
    _require(instants == sorted(instants), "now_ns", "instants that never go back", instants)
    deadline_ns = clock.now_ns() + 2_000_000
    clock.sleep_until_ns(deadline_ns)
    woke_ns = clock.now_ns()
    _require(woke_ns >= deadline_ns, "sleep_until_ns", f"no return before {deadline_ns}", woke_ns)
    clock.sleep_until_ns(woke_ns - 1_000_000_000)
    took_ns = clock.now_ns() - woke_ns
    _require(0 <= took_ns < 500_000_000, "sleep_until_ns", "a return at once from the past", f"{took_ns} ns")


def check_camera(make: Callable[[], Camera], seconds: float = 2.0) -> None:
    """A camera counts on the clock that it is given, never waits, and shows nothing older than asked.

    Raises:
        AssertionError: it does not; the message says what must hold and what was found.
    """
    clock = _Watched(START_NS)
    with make() as camera:
        _require(isinstance(camera, Camera), "camera", "attach, read, __enter__ and __exit__", camera)
        camera.attach(clock)
        first = before = None
        for _ in range(int(seconds * 1e9 / TICK_NS)):
            frame = _read(camera, clock)
            if frame is not None and before is not None:
                _check_order(before, frame)
            if frame is not None and first is None:
                first, kept = frame, frame.pixels.copy()
            before = frame or before
            clock.turn(TICK_NS)
        if first is not None:
            _require(np.array_equal(first.pixels, kept), "frame", "a kept one that stays", "other pixels")
        _check_no_wait(camera, clock)


def _read(camera: Camera, clock: Clock) -> Frame | None:
    """One read, with all that must hold of its answer at this instant."""
    now_ns = clock.now_ns()
    frame = camera.read(MAX_AGE_NS)
    if frame is None:
        return None
    _check_frame(frame, now_ns, MAX_AGE_NS)
    age_ns = now_ns - frame.captured_ns
    again = camera.read(age_ns)
    _require(again is not None, "read", f"the frame that is {age_ns} ns old, asked for that age", again)
    if age_ns:
        younger = camera.read(age_ns - 1)
        if younger is not None:
            _check_frame(younger, now_ns, age_ns - 1)
    return frame


def _check_frame(frame: Any, now_ns: int, max_age_ns: int) -> None:
    _require(isinstance(frame, Frame), "read", "a Frame or None", type(frame).__name__)
    pixels = frame.pixels
    found = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
    fits = found.startswith("uint8 ") and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size > 0
    _require(fits, "pixels", "uint8 (H, W, 3)", found)
    stamps = (frame.captured_ns, frame.received_ns, now_ns)
    _require(all(isinstance(t, int) for t in stamps), "stamps", "whole nanoseconds (int)", stamps)
    _require(
        list(stamps) == sorted(stamps), "stamps", "captured_ns <= received_ns <= the clock's now", stamps
    )
    age_ns = now_ns - frame.captured_ns
    _require(age_ns <= max_age_ns, "read", f"no frame older than {max_age_ns} ns", f"{age_ns} ns")


def _check_order(before: Frame, after: Frame) -> None:
    captured = (before.captured_ns, after.captured_ns)
    _require(captured[0] <= captured[1], "captured_ns", "instants that never go back", captured)
    numbers = (before.sequence, after.sequence)
    rises = numbers[0] < numbers[1] or (captured[0] == captured[1] and numbers[0] == numbers[1])
    _require(rises, "sequence", "a greater number for a newer frame", numbers)


def _check_no_wait(camera: Camera, clock: _Watched) -> None:
    took_s = []
    for _ in range(10):
        start_s = time.perf_counter()
        camera.read(MAX_AGE_NS)
        took_s.append(time.perf_counter() - start_s)
    # the quickest: a busy machine delays some reads, a camera that waits delays all
    _require(min(took_s) < QUICK_S, "read", "an answer at once", f"{min(took_s) * 1e3:.0f} ms at best")
    _require(clock.waits == 0, "read", "no waiting on the clock", f"{clock.waits} waits")


def check_actuator(make: Callable[[], Actuator], robot: Robot) -> None:
    """An actuator says what its sensors say, sends no more than it is asked, and damps when told to.

    The robot stands in its default pose and is asked for small steps; hang a real one up.

    Raises:
        AssertionError: it does not; the message says what must hold and what was found.
    """
    clock = _Watched(START_NS)
    with make() as actuator:
        _require(isinstance(actuator, Actuator), "actuator", "attach, read, write and damp", actuator)
        actuator.attach(clock)
        first = state = actuator.read()
        _check_state(state, robot, clock)
        kept = {name: value.copy() for name, value in _numbers(first).items()}
        _check_detached(actuator, kept)
        for step in range(1, 11):
            target = _target(robot, 0.01 * step, clock)
            _check_sent(actuator.write(target), target, actuator.read())
            _turn(actuator, clock)
            before_ns, state = state.stamp_ns, actuator.read()
            _check_state(state, robot, clock)
            _require(state.stamp_ns > before_ns, "stamp_ns", f"later than {before_ns}", state.stamp_ns)
        for name, value in _numbers(first).items():
            _require(
                np.array_equal(value, kept[name]), name, "a kept one that stays", f"{value}, was {kept[name]}"
            )
        actuator.damp()
    if isinstance(actuator, Simulated):
        left, right = _damped(make, robot, -0.3), _damped(make, robot, 0.3)
        difference = float(np.abs(left - right).max())
        _require(difference == 0.0, "damp", "no stiffness towards the last target", f"{difference} rad of it")


def _target(robot: Robot, offset: float, clock: Clock) -> JointTarget:
    """The default pose and ``offset`` [rad], within limits, pulled at gently."""
    kp = robot.torque_limit / 2
    wanted = np.clip(robot.default_pose + offset, robot.lower, robot.upper)
    return JointTarget(wanted, kp, kp / 30, clock.now_ns())


def _turn(actuator: Actuator, clock: _Watched) -> None:
    clock.turn(WRITE_NS)
    if isinstance(actuator, Simulated):
        actuator.advance()


def _numbers(state: RobotState) -> dict[str, np.ndarray]:
    return {name: value for name, value in vars(state).items() if name != "stamp_ns"}


def _check_state(state: Any, robot: Robot, clock: Clock) -> None:
    _require(isinstance(state, RobotState), "read", "a RobotState", type(state).__name__)
    joints = len(robot.joint_names)
    for name, value in _numbers(state).items():
        size = joints if name.startswith("joint") else 3
        found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        _require(found in (f"float64 ({size},)", f"float32 ({size},)"), name, f"floats ({size},)", found)
        _require(bool(np.isfinite(value).all()), name, "finite numbers", value)
    length = float(np.linalg.norm(state.projected_gravity))
    _require(abs(length - 1) < 1e-3, "projected_gravity", "a unit vector", f"one of length {length}")
    now_ns, stamp_ns = clock.now_ns(), state.stamp_ns
    _require(isinstance(stamp_ns, int), "stamp_ns", "whole nanoseconds (int)", type(stamp_ns).__name__)
    _require(START_NS <= stamp_ns <= now_ns, "stamp_ns", f"an instant of the clock, {now_ns} now", stamp_ns)


def _check_detached(actuator: Actuator, kept: dict[str, np.ndarray]) -> None:
    """Who writes into a state that was read writes into a copy."""
    for value in _numbers(actuator.read()).values():
        if value.flags.writeable:
            value += 1.0
    for name, value in _numbers(actuator.read()).items():
        moved = float(np.abs(value - kept[name]).max())
        _require(moved < 0.5, name, "an array of the reader's own", f"a shared one, written to by {moved}")


def _check_sent(sent: Any, asked: JointTarget, state: RobotState) -> None:
    """What was sent lies between where the joints are and what was asked, no stiffer."""
    _require(isinstance(sent, JointTarget), "write", "the JointTarget that was sent", type(sent).__name__)
    low = np.minimum(asked.joint_pos, state.joint_pos) - 1e-9
    high = np.maximum(asked.joint_pos, state.joint_pos) + 1e-9
    between = bool(((sent.joint_pos >= low) & (sent.joint_pos <= high)).all())
    _require(between, "write", "a target between the pose and what was asked", sent.joint_pos)
    gentle = bool(((sent.kp >= 0) & (sent.kp <= asked.kp)).all())
    _require(gentle, "write", "no more stiffness than was asked", sent.kp)
    _require(sent.stamp_ns == asked.stamp_ns, "write", f"the stamp {asked.stamp_ns}", sent.stamp_ns)


def _damped(make: Callable[[], Actuator], robot: Robot, offset: float) -> np.ndarray:
    """(Da,) where the joints are, a while after a target was written and the robot was damped."""
    clock = _Watched(START_NS)
    with make() as actuator:
        actuator.attach(clock)
        actuator.write(_target(robot, offset, clock))
        actuator.damp()
        for _ in range(20):
            _turn(actuator, clock)
        return actuator.read().joint_pos


def _require(holds: bool, what: str, expected: Any, got: Any) -> None:
    if not holds:  # not a bare assert: `python -O` strips those
        raise AssertionError(f"{what}: expected {expected}, got {got}")
