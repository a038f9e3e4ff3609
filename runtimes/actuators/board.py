"""A robot on the other side of shared memory: firmware or `rmedge guard` owns it, we read and ask."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from rmedge.clock import Clock
from rmedge.errors import AbsentError, UsageError
from rmedge.robots import Robot
from rmedge.runtimes.boards import MAX_JOINTS, SKEW_NS, Board, Mode
from rmedge.specs import JointTarget, RobotState

__all__ = ["BoardActuator"]

DAMPING = 5.0  # [N m s/rad] asked for while damping; firmware may know better
RETRY_NS = 10_000_000


class BoardActuator:
    """Reads the ``state`` board and writes the ``target`` board of a directory.

    Every write and every damp is a heartbeat; when they stop, who owns the robot damps it. A state that
    cannot be meant - of another size, of the future, older than the last - is left out and counted: the
    last one grows old, which is what a stale robot looks like.

    Attributes:
        exclusive: a second writer is refused.
        state: of the body's state machine, told with every target.
        rejected: states that were left out.

    Args:
        wait_s: how long to wait for the robot's first state [s].
        silent: never write; another controller drives the robot, and `live` gives its commands.

    Raises:
        AbsentError: no state was published in that time.
        WriterError: somebody else writes targets there.
        LayoutError: the other side lays the boards out otherwise.
        UsageError: that robot has another number of joints.
    """

    exclusive = True

    def __init__(
        self, path: str | os.PathLike[str], robot: Robot, wait_s: float = 2.0, silent: bool = False
    ) -> None:
        self._joints = len(robot.joint_names)
        if self._joints > MAX_JOINTS:
            raise UsageError(f"boards: expected at most {MAX_JOINTS} joints, got {self._joints}")
        self._clock = Clock()
        self.state = 0
        self.rejected = 0
        self._path = path
        self._theirs: Board | None = None
        self._target = None if silent else Board.create(path, "target")
        try:
            self._states, record = _first(path, wait_s)
        except BaseException:
            if self._target is not None:
                self._target.close()
            raise
        if record["joints"] != self._joints:
            self.__exit__()
            raise UsageError(
                f"boards: expected {robot.name}'s {self._joints} joints, got {record['joints']} "
                f"in {str(path)!r}; name the robot that is there"
            )
        self._last = self._state_of(record)
        if self._target is not None:
            out = self._target.record
            self._rows = tuple(out[name][: self._joints] for name in ("joint_pos", "kp", "kd"))
            out["joints"] = self._joints

    @property
    def torn(self) -> int:
        """States that were not whole."""
        return self._states.torn

    def attach(self, clock: Clock) -> None:
        self._clock = clock

    def read(self) -> RobotState:
        sequence = self._states.sequence
        record = self._states.read()
        if record is None or self._states.sequence == sequence:
            return self._last
        stamp_ns, latest_ns = int(record["stamp_ns"]), self._clock.now_ns() + SKEW_NS
        back = stamp_ns < self._last.stamp_ns <= latest_ns  # what a dead writer left may be of another boot
        if stamp_ns <= latest_ns and not back and record["joints"] == self._joints:
            self._last = self._state_of(record)
        else:
            self.rejected += 1
        return self._last

    def write(self, target: JointTarget) -> JointTarget:
        target.check(self._joints)
        self._publish(Mode.POSITION, target.joint_pos, target.kp, target.kd)
        return target

    def damp(self) -> None:
        self._publish(Mode.DAMP, self._last.joint_pos, 0.0, DAMPING)

    def live(self) -> JointTarget | None:
        """The newest command of whoever drives the robot, where we are silent; None: there is none."""
        if self._theirs is None:
            try:
                self._theirs = Board.open(self._path, "target")
            except AbsentError:
                return None
        record = self._theirs.read()
        if record is None or record["mode"] != Mode.POSITION or record["joints"] != self._joints:
            return None
        joint_pos, kp, kd = (record[name][: self._joints] for name in ("joint_pos", "kp", "kd"))
        return JointTarget(joint_pos, kp, kd, int(record["stamp_ns"]))

    def _publish(self, mode: int, joint_pos: Any, kp: Any, kd: Any) -> None:
        if self._target is None:
            return
        record, rows = self._target.record, self._rows
        record["mode"], record["state"] = mode, self.state
        rows[0][:], rows[1][:], rows[2][:] = joint_pos, kp, kd
        record["stamp_ns"] = self._clock.now_ns()
        self._target.publish()

    def _state_of(self, record: Any) -> RobotState:
        joints = self._joints
        temp = record["motor_temp"][:joints]
        return RobotState(
            joint_pos=record["joint_pos"][:joints],
            joint_vel=record["joint_vel"][:joints],
            base_ang_vel=record["base_ang_vel"],
            projected_gravity=record["projected_gravity"],
            stamp_ns=int(record["stamp_ns"]),
            motor_temp=None if np.isnan(temp).all() else temp,
        )

    def __enter__(self) -> BoardActuator:
        return self

    def __exit__(self, *exc: Any) -> None:
        for board in (self._states, self._target, self._theirs):
            if board is not None:
                board.close()


def _first(path: str | os.PathLike[str], wait_s: float) -> tuple[Board, Any]:
    """The state board and its first record, waited for on the real clock."""
    clock = Clock()
    until_ns = clock.now_ns() + round(wait_s * 1e9)
    while True:
        late = clock.now_ns() >= until_ns
        try:
            board = Board.open(path, "state")
        except AbsentError:
            if late:
                raise
        else:
            record = board.read()
            if record is not None:
                return board, record
            board.close()
            if late:
                raise AbsentError(
                    f"state: expected a robot's state in {str(path)!r}, got none in {wait_s:g} s; "
                    "start the firmware, or: rmedge guard --actuator sim"
                )
        clock.sleep_until_ns(clock.now_ns() + RETRY_NS)
