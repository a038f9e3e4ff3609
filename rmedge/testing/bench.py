"""The bench: where one kind of actuator is opened, again and again, and driven for a while."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import Any, Callable, Iterator

import numpy as np

from rmedge.clock import Clock
from rmedge.protocols import Actuator
from rmedge.robots import Robot
from rmedge.specs import JointTarget, RobotState
from rmedge.testing.clocks import Paced, Watched
from rmedge.testing.verdict import Unchecked, require

__all__ = ["TICKS", "Bench", "Drive", "arrays", "check_state"]

TICKS = 100
STEP_NS = 2_000_000  # a write period at 500 Hz
REAL_STEP_NS = 10_000_000  # in real time every robot has a new state after that


class Bench:
    """Where one kind of actuator is tried: opens new ones, and always damps them in the end."""

    def __init__(self, make: Callable[[], Actuator], robot: Robot, real: bool) -> None:
        self.make, self.robot, self.real = make, robot, real
        self.joints = len(robot.joint_names)
        self.simulated = False  # it can be tried twice alike
        self._driven: Drive | None = None

    @contextmanager
    def open(self) -> Iterator[tuple[Any, Watched | Paced]]:
        """A new actuator, attached to a new clock."""
        clock = Paced() if self.real else Watched()
        with self.make() as actuator:
            require(
                isinstance(actuator, Actuator),
                "actuator",
                "attach, read, write and damp",
                type(actuator).__name__,
            )
            self.simulated = hasattr(actuator, "advance") and not self.real
            actuator.attach(clock)
            try:
                yield actuator, clock
            finally:
                with suppress(Exception):  # a rule of its own judges that
                    actuator.damp()

    def target(self, offset: float, clock: Clock) -> JointTarget:
        """The default pose and ``offset`` [rad], within limits, pulled at gently."""
        kp = self.robot.torque_limit / 2
        wanted = np.clip(self.robot.default_pose + offset, self.robot.lower, self.robot.upper)
        return JointTarget(wanted, kp, kp / 30, clock.now_ns())

    def turn(self, actuator: Any, clock: Watched | Paced) -> None:
        """One write period later."""
        clock.turn(REAL_STEP_NS if self.real else STEP_NS)
        if hasattr(actuator, "advance"):
            actuator.advance()

    def driven(self) -> Drive:
        """What a short drive showed; it is made once.

        Raises:
            Unchecked: it came to nothing, as another verdict says.
        """
        if self._driven is None:
            self._driven = Drive()
            self._driven.go(self)
            self._driven.whole = True
        if not self._driven.whole:
            raise Unchecked("the drive ended early")
        return self._driven


class Drive:
    """Two tenths of a second of small steps, and all that was said in them."""

    def __init__(self) -> None:
        self.whole = False
        self.states: list[tuple[RobotState, int]] = []  # each with the clock's now
        self.sent: list[tuple[Any, JointTarget, RobotState]] = []  # what was sent, asked, and the state then
        self.written: list[RobotState] = []  # states read after somebody wrote into one
        self.read_s: list[float] = []
        self.write_s: list[float] = []

    def go(self, bench: Bench) -> None:
        with bench.open() as (actuator, clock):
            self.start_ns = clock.now_ns()
            first = self._read(actuator, clock)
            self.kept = {name: value.copy() for name, value in arrays(first).items()}
            for value in arrays(actuator.read()).values():
                if value.flags.writeable:
                    value += 1.0
            self.written.append(actuator.read())
            for tick in range(1, TICKS + 1):
                asked = bench.target(min(0.01 * tick, 0.1), clock)
                start_s = time.perf_counter()
                sent = actuator.write(asked)
                self.write_s.append(time.perf_counter() - start_s)
                self.sent.append((sent, asked, actuator.read()))
                bench.turn(actuator, clock)
                self._read(actuator, clock)
            self.waits = clock.waits

    def _read(self, actuator: Any, clock: Clock) -> RobotState:
        start_s = time.perf_counter()
        state: RobotState = actuator.read()
        self.read_s.append(time.perf_counter() - start_s)
        self.states.append((state, clock.now_ns()))
        return state


def arrays(state: Any) -> dict[str, np.ndarray]:
    """What is an array in it."""
    return {name: value for name, value in vars(state).items() if isinstance(value, np.ndarray)}


def check_state(state: Any, joints: int) -> None:
    """All that must hold of a state's numbers."""
    require(isinstance(state, RobotState), "read", "a RobotState", type(state).__name__)
    for name, value in vars(state).items():
        if name == "stamp_ns" or (name == "motor_temp" and value is None):
            continue
        size = joints if name.startswith(("joint", "motor")) else 3
        found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        require(found in (f"float64 ({size},)", f"float32 ({size},)"), name, f"floats ({size},)", found)
        good = np.isfinite(value) if name != "motor_temp" else ~np.isinf(value)  # NaN: not known
        require(bool(good.all()), name, "finite numbers", value)
    length = float(np.linalg.norm(state.projected_gravity))
    require(abs(length - 1) < 1e-3, "projected_gravity", "a unit vector", f"one of length {length}")
