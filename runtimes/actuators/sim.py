"""The simulated robot: MuJoCo physics behind the actuator's seam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rmedge.clock import Clock
from rmedge.errors import AbsentError
from rmedge.robots import Robot
from rmedge.runtimes.perturbation import CALM, Perturbation
from rmedge.specs import JointTarget, RobotState

if TYPE_CHECKING:
    from rmedge.runtimes.physics import Physics

__all__ = ["SimActuator"]

TIMEOUT_NS = 80_000_000  # commanded once and then silent for so long: its motors damp themselves
SETTLED_NS = 500_000_000  # held by the same gains for so long, a hanging robot is let down
DAMPING = 5.0  # [N m s/rad]


class SimActuator:
    """A robot on a floor; its physics follow the loop's clock.

    Like a real one it has a command time-out of its own: when nobody writes or damps any more, it damps.

    ``physics`` (the reference where None) and ``perturbation`` are how the world is computed and how it
    differs from the model; ``model`` spares building it, as `physics.World` has it.

    Attributes:
        world: the simulation, for those who want to look at it or push the robot.
        fell_at_s: when the robot fell [s], or None.
        timeouts: how often it damped itself because its commands stopped.
    """

    timeout_ns = TIMEOUT_NS

    def __init__(
        self,
        robot: Robot,
        physics: Physics | None = None,
        perturbation: Perturbation = CALM,
        model: Any = None,
    ) -> None:
        try:
            from rmedge.runtimes.physics import REFERENCE, World
        except ImportError as error:
            raise AbsentError(
                'simulator: expected MuJoCo (Python 3.11 or newer), got none; pip install "rmedge[sim]"'
            ) from error
        except Exception as error:  # MUJOCO_GL names an OpenGL that is not there: whatever its loader raises
            raise AbsentError(
                f"simulator: expected MuJoCo to load, got {type(error).__name__}: {error}; "
                "set MUJOCO_GL=disable"
            ) from error
        self.robot = robot
        self.world = World(robot, physics or REFERENCE, perturbation, model)
        self.fell_at_s: float | None = None
        self.distance = 0.0  # [m] walked over the floor
        self._yaw = self._heading = self.world.pose[2]
        self._home = self._last = np.array(self.world.pose[:2])
        self._gains: tuple[Any, Any] = (None, None)
        self._target = robot.default_pose.copy()
        self.timeouts = 0
        self._commanded_ns: int | None = None  # instant of the last command; None: damped, or none yet
        self._hook: Any = None  # where the pelvis hangs
        self._settled_ns = 0  # since when the gains have been what they are
        self._clock = Clock()
        self._start_ns = 0

    def attach(self, clock: Clock) -> None:
        self._clock = clock
        self._start_ns = clock.now_ns() - self.world.time_ns

    def hang(self) -> None:
        """Hang the robot up where it is, until its joints have been held by the same gains for half a second.

        So it is there to stand up when it is damped for a while first, as a real one on its gantry.
        """
        self._hook = self.world.data.qpos[:7].copy()

    def read(self) -> RobotState:
        return self.world.state(self._clock.now_ns())

    def write(self, target: JointTarget) -> JointTarget:
        target.check(len(self._target))
        if target.kp is not self._gains[0] or target.kd is not self._gains[1]:
            self.world.set_gains(target.kp, target.kd)
            if self._hook is not None and not np.array_equal(target.kp, self._gains[0]):
                self._settled_ns = self.world.time_ns
            self._gains = (target.kp, target.kd)
        self._target = target.joint_pos
        self._commanded_ns = self.world.time_ns
        return target

    def damp(self) -> None:
        self.world.set_gains(np.zeros(len(self._target)), np.full(len(self._target), DAMPING))
        self._gains, self._commanded_ns = (None, None), None

    def advance(self) -> None:
        world, until_ns = self.world, self._clock.now_ns() - self._start_ns
        while world.time_ns < until_ns:
            if self._commanded_ns is not None and world.time_ns - self._commanded_ns >= self.timeout_ns:
                self.timeouts += 1
                self.damp()
            world.step(self._target)
            if self._hook is not None:
                self._hold()
        if self.fell_at_s is None and world.fell:
            self.fell_at_s = world.time_ns / 1e9
        x, y, yaw = world.pose
        here = np.array((x, y))
        if np.linalg.norm(here - self._last) > 0.05:  # [m] a stride, not the sway of standing
            self.distance += float(np.linalg.norm(here - self._last))
            self._last = here
        self._heading += (yaw - self._yaw + np.pi) % (2 * np.pi) - np.pi  # unwrapped
        self._yaw = yaw

    def _hold(self) -> None:
        """The gantry's part of a step: the pelvis stays where it is, or is let go."""
        data = self.world.data
        data.qpos[:7], data.qvel[:6] = self._hook, 0.0
        if self._commanded_ns is not None and self.world.time_ns - self._settled_ns >= SETTLED_NS:
            self._hook = None

    @property
    def displacement(self) -> tuple[float, float]:
        """Forward and left [m] from where the robot began, in its first heading."""
        forward, left = np.array(self.world.pose[:2]) - self._home
        return float(forward), float(left)

    @property
    def heading_change(self) -> float:
        """[rad] turned since the beginning, to the left positive; full turns count."""
        return float(self._heading)

    def told(self) -> dict[str, Any]:
        """How it went, as plain values: for the report of a body in a process of its own."""
        names = ("fell_at_s", "distance", "displacement", "heading_change", "timeouts")
        return {name: getattr(self, name) for name in names}

    def __enter__(self) -> SimActuator:
        return self

    def __exit__(self, *exc: Any) -> None:
        pass
