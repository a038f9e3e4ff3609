"""The shadow: a robot that is read and never written to; what it would have been told is compared."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from rmedge.clock import Clock
from rmedge.protocols import Actuator
from rmedge.robots import Robot
from rmedge.runtimes.actuators import open_actuator
from rmedge.specs import JointTarget, RobotState

__all__ = ["Shadow", "open_shadow"]

NEXT_NS = 20_000_000  # one policy tick: so long after a command a followed joint is about where it points


def open_shadow(name: str, robot: Robot) -> Shadow:
    """The shadow of the actuator of that name; on boards it claims nothing, and hears the live controller."""
    kind, _, folder = name.partition(":")
    if kind == "boards":
        from rmedge.runtimes.actuators.board import BoardActuator

        board = BoardActuator(folder, robot, silent=True)
        return Shadow(board, board.live)
    return Shadow(open_actuator(name, robot))


class Shadow:
    """Stands between a body and a robot that another controller drives; nothing passes through to it.

    With ``live``, which gives that controller's newest command, the two commands are compared joint by
    joint; without it, a command is compared with where the joint is a policy tick later.
    """

    def __init__(self, robot: Actuator, live: Callable[[], JointTarget | None] | None = None) -> None:
        self._robot, self._live = robot, live
        self._sum: Any = 0.0
        self._most: Any = 0.0
        self._count = 0
        self._asked: list[tuple[int, np.ndarray]] = []  # commands that are not due yet

    def attach(self, clock: Clock) -> None:
        self._robot.attach(clock)

    def read(self) -> RobotState:
        state = self._robot.read()
        while self._asked and self._asked[0][0] <= state.stamp_ns:
            self._compare(self._asked.pop(0)[1], state.joint_pos)
        return state

    def write(self, target: JointTarget) -> JointTarget:
        if self._live is None:
            self._asked.append((target.stamp_ns + NEXT_NS, target.joint_pos))
        else:
            theirs = self._live()
            if theirs is not None:
                self._compare(target.joint_pos, theirs.joint_pos)
        return target

    def damp(self) -> None:
        self._asked.clear()

    def advance(self) -> None:
        """A simulated robot's time goes on all the same."""
        advance = getattr(self._robot, "advance", None)
        if advance is not None:
            advance()

    def told(self) -> dict[str, Any]:
        """How far apart the two were: by joint, the mean and the greatest difference [rad]."""
        if not self._count:
            return {"compared": 0}
        mean = np.broadcast_to(self._sum / self._count, np.shape(self._sum))
        return {
            "compared": self._count,
            "mean_rad": mean.tolist(),
            "most_rad": np.asarray(self._most).tolist(),
        }

    def _compare(self, ours: np.ndarray, theirs: np.ndarray) -> None:
        difference = np.abs(ours - theirs)
        self._sum = self._sum + difference
        self._most = np.maximum(self._most, difference)
        self._count += 1

    def __enter__(self) -> Shadow:
        self._robot.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._robot.__exit__(*exc)
