"""The guard: a tiny process that owns the motors, does as a body says, and damps when it falls silent."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from rmedge.clock import Clock
from rmedge.errors import RmedgeError, UsageError
from rmedge.protocols import Actuator
from rmedge.rate import Rate
from rmedge.robots import Robot
from rmedge.runtimes.boards import MAX_JOINTS, Board, Mode, fresh
from rmedge.specs import JointTarget, RobotState

__all__ = ["Guard"]

PERIOD_NS = 2_000_000
LOOK_STEPS = 50  # between two looks for a body
LAST_STEPS = 100  # of damping before it leaves: one command at the end might get lost


class Guard:
    """Publishes the robot's ``state`` and writes the ``target`` that it finds, at every step.

    Where there is no target, its heartbeat is older than ``heartbeat_ns``, or it makes no sense, the
    robot is damped at every step until there is one again. Whether a body may go on after that is the
    body's to know: the guard has no memory that could be wrong.

    Attributes:
        counts: steps, commands, damped (steps), silences (times that a heartbeat stopped), refused
            (targets that made no sense), clamped (joints), failures (of the actuator), torn.
        latest_ns: how old a heartbeat was at the most when damping began [ns].
        trouble: why there are no targets, or empty.

    Raises:
        WriterError: another process publishes states there.
    """

    def __init__(
        self,
        actuator: Actuator,
        robot: Robot,
        boards: str | os.PathLike[str],
        clock: Clock | None = None,
        heartbeat_ns: int = 80_000_000,
    ) -> None:
        self.actuator, self.clock, self.heartbeat_ns = actuator, clock or Clock(), heartbeat_ns
        names = ("steps", "commands", "damped", "silences", "refused", "clamped", "failures", "torn")
        self.counts = dict.fromkeys(names, 0)
        self.latest_ns = 0
        self.trouble = ""
        self._boards, self._lower, self._upper = boards, robot.lower, robot.upper
        self._joints = len(robot.joint_names)
        if self._joints > MAX_JOINTS:
            raise UsageError(f"guard: expected at most {MAX_JOINTS} joints, got {self._joints}")
        self._targets: Board | None = None
        self._last: Any = None  # the newest target
        self._obeying = False
        self._states = Board.create(boards, "state")
        self._states.record["joints"] = self._joints
        self._states.record["motor_temp"] = np.nan
        actuator.attach(self.clock)

    def step(self) -> None:
        """One write period: the state out, a target or damping in."""
        counts = self.counts
        counts["steps"] += 1
        try:
            self._publish(self.actuator.read())
        except Exception:  # a device may raise anything; its motors are the more in need of damping
            counts["failures"] += 1
        target = self._asked()
        if target is None:
            self._damp()
            return
        counts["commands"] += 1
        try:
            self.actuator.write(target)
        except Exception:  # the heartbeat of what drives it stops with it
            counts["failures"] += 1

    def run(self, seconds: float | None = None) -> None:
        """Step at 500 Hz for so long, or until interrupted; leaves the robot damped."""
        rate = Rate(self.clock, PERIOD_NS)
        advance = getattr(self.actuator, "advance", lambda: None)
        begin_ns = self.clock.now_ns()
        try:
            while seconds is None or self.clock.now_ns() - begin_ns < seconds * 1e9:
                self.step()
                rate.wait()
                advance()
        except KeyboardInterrupt:
            pass
        finally:
            self.counts["missed"] = rate.missed
            for _ in range(LAST_STEPS):
                self._damp()
                rate.wait()
                advance()

    def close(self) -> None:
        """Leave; the actuator is its owner's to close."""
        self._states.close()
        if self._targets is not None:
            self._targets.close()

    def _publish(self, state: RobotState) -> None:
        record, joints = self._states.record, self._joints
        record["joint_pos"][:joints], record["joint_vel"][:joints] = state.joint_pos, state.joint_vel
        record["base_ang_vel"], record["projected_gravity"] = state.base_ang_vel, state.projected_gravity
        if state.motor_temp is not None:
            record["motor_temp"][:joints] = state.motor_temp
        record["stamp_ns"] = state.stamp_ns
        self._states.publish()

    def _asked(self) -> JointTarget | None:
        """The target to write now; None: damp."""
        record = self._read()
        now_ns = self.clock.now_ns()
        if record is None:
            return None
        if not fresh(int(record["stamp_ns"]), now_ns, self.heartbeat_ns):
            if self._obeying:
                self.counts["silences"] += 1
                self.latest_ns = max(self.latest_ns, now_ns - int(record["stamp_ns"]))
            self._obeying = False
            return None
        self._obeying = True
        if record["mode"] == Mode.DAMP:
            return None
        joint_pos, kp, kd = (record[name][: self._joints] for name in ("joint_pos", "kp", "kd"))
        sound = np.isfinite(joint_pos).all() and ((kp >= 0) & (kp < np.inf) & (kd >= 0) & (kd < np.inf)).all()
        if record["mode"] != Mode.POSITION or record["joints"] != self._joints or not sound:
            self.counts["refused"] += 1
            return None
        inside = np.minimum(np.maximum(joint_pos, self._lower), self._upper)
        self.counts["clamped"] += int((inside != joint_pos).sum())
        return JointTarget(inside, kp, kd, int(record["stamp_ns"]))

    def _read(self) -> Any:
        """The newest target, of a body that may not be there yet, or not any more."""
        if not self._obeying and self.counts["steps"] % LOOK_STEPS == 1:
            self._look()
        if self._targets is None:
            return None
        record = self._targets.read()
        self.counts["torn"] = self._targets.torn
        self._last = self._last if record is None else record
        return self._last

    def _look(self) -> None:
        """For the board that targets come by."""
        if self._targets is not None and not self._targets.replaced:
            return
        try:
            found = Board.open(self._boards, "target")
        except RmedgeError as error:  # not there yet, or not to be obeyed
            self.trouble = str(error)
            return
        if self._targets is not None:
            self._targets.close()
        self._targets, self._last, self.trouble = found, None, ""

    def _damp(self) -> None:
        self.counts["damped"] += 1
        try:
            self.actuator.damp()
        except Exception:  # the next step tries again
            self.counts["failures"] += 1
