"""How a wish becomes joint positions: the pose itself, or the pretrained velocity policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rmedge.benchmarks.pose.wish import Wish
from rmedge.robots import Robot
from rmedge.specs import RobotState

if TYPE_CHECKING:
    from rmedge.export.motions.gestures import Gesture

__all__ = ["Glide", "Live", "Tracker", "Walker", "command"]

TICK_S = 0.02
SMOOTH_S = 0.1  # a frame's period: targets come in steps that the joints should not
TRACKER = "dance_one"  # of two: in four trials each fell once, this one later
LIVE = "live"  # the gesture that is the pose's own arms
ARMS = ("shoulder", "elbow", "wrist")
# less than this is standing: a third of what counts as the same velocity (contracts, section 2)
STILL = np.array([0.07, 0.05, 0.1])  # [m/s, m/s, rad/s]
FAST_FROM, FAST_BACK = 0.5, -0.3  # [m/s] what the steadier gait hardly reaches
# what the gaits do at these commands, by component: means of their own rollouts on a G1, drawn on to 1;
# odd but for backward
COMMANDS = {
    "forward": (-1.0, -0.62, -0.37, 0.0, 0.38, 0.62, 1.0),
    "side": (0.0, 0.37, 0.62, 1.0),
    "turn": (0.0, 1.0),
}
DOES = {
    "fastsac": {
        "forward": (-0.58, -0.45, -0.27, 0.0, 0.29, 0.48, 0.70),
        "side": (0.0, 0.18, 0.27, 0.29), "turn": (0.0, 0.88),
    },
    "ppo": {
        "forward": (-0.35, -0.30, -0.23, 0.0, 0.29, 0.39, 0.53),
        "side": (0.0, 0.14, 0.20, 0.24), "turn": (0.0, 0.91),
    },
}  # fmt: skip


class Glide:
    """Poses that come ten times a second, as a motion that joints can follow."""

    def __init__(self, rest: np.ndarray) -> None:
        self._rest = rest
        self.reset()

    def reset(self) -> None:
        """At rest."""
        self.pose = self._rest.copy()

    def step(self, wanted: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Positions (Da,) [rad] and velocities (Da,) [rad/s] a tick later; None: back to rest."""
        step = (TICK_S / (SMOOTH_S + TICK_S)) * ((self._rest if wanted is None else wanted) - self.pose)
        self.pose = self.pose + step
        return self.pose, step / TICK_S


class Tracker:
    """Joint tracking: a pretrained whole-body tracker is shown the pose as its reference.

    It keeps its balance while it follows. (Without it, joints told to hold the pose by their gains alone
    fall within 1.3 s, even in the robot's own default pose.) It has learnt on a dance and heads nowhere:
    where to is what the legs of the pose make of it.
    """

    walks = False

    def __init__(self, robot: Robot) -> None:
        from rmedge.export.motions.dances import Dance

        self._robot = robot
        self._dance = Dance(robot, TRACKER)
        self._glide = Glide(robot.default_pose)
        self.reset()

    def reset(self) -> None:
        """Stand."""
        self._glide.reset()
        self._action = np.zeros((1, len(self._robot.joints)))

    def act(self, state: RobotState, wish: Wish) -> np.ndarray:
        """(Da,) [rad] where the joints should be one tick from now."""
        from rmedge.export.motions.teachers import ACTION_SCALE

        dance = self._dance
        # a loop that is the same at every time of the clock: this pose, and an upright trunk
        dance._pos[:], dance._vel[:] = self._glide.step(wish.joints)
        dance._turn[:] = np.eye(3)
        self._action = dance.act(_senses(state), 0.0, self._action)
        return self._robot.default_pose + ACTION_SCALE * self._action[0]


class Live:
    """A gesture that nobody rehearsed: the arms as the pose has them, at any time of the clock."""

    def __init__(self, robot: Robot) -> None:
        arms = [n for n, name in enumerate(robot.joint_names) if any(part in name for part in ARMS)]
        self.joints = np.array(arms, dtype=int)
        self.positions = robot.default_pose[self.joints]

    def at(self, clock_s: float) -> np.ndarray:
        """(joints,) [rad]"""
        return self.positions


class Walker:
    """Velocity tracking: the pretrained policies walk as fast as they are told, arms do something else."""

    walks = True

    def __init__(self, robot: Robot) -> None:
        from rmedge.export.motions.troupe import Troupe

        self._robot = robot
        self._troupe = Troupe(robot, 1)
        self._live = Live(robot)
        live: Gesture | Any = self._live
        self._troupe.gestures = {**self._troupe.gestures, LIVE: live}
        self.reset()

    def reset(self) -> None:
        """A new episode, at the start of the clock."""
        self._troupe.reset(0)
        self._action = np.zeros((1, len(self._robot.joints)))
        self._start_ns: int | None = None

    def act(self, state: RobotState, wish: Wish) -> np.ndarray:
        """(Da,) [rad] where the joints should be one tick from now."""
        from rmedge.export.motions.teachers import ACTION_SCALE, FAST, STEADY
        from rmedge.export.motions.troupe import Motion

        if self._start_ns is None:
            self._start_ns = state.stamp_ns
        gait = FAST if not FAST_BACK <= wish.velocity[0] <= FAST_FROM else STEADY
        gesture = wish.gesture
        if wish.joints is not None:
            gesture, self._live.positions = LIVE, wish.joints[self._live.joints]
        motion = Motion(gait, command(wish.velocity, gait), gesture)
        clock_s = (state.stamp_ns - self._start_ns) * 1e-9
        self._action = self._troupe.act(_senses(state), [motion], clock_s, self._action)
        return self._robot.default_pose + ACTION_SCALE * self._action[0]


def command(velocity: np.ndarray, gait: str) -> np.ndarray:
    """(3,) in [-1, 1] what a gait must be told to go at a velocity (3,) [m/s, m/s, rad/s]."""
    if (np.abs(velocity) < STILL).all():
        return np.zeros(3)
    does = DOES[gait]
    ahead = np.interp(velocity[0], does["forward"], COMMANDS["forward"])
    aside, turn = (
        np.sign(speed) * np.interp(abs(speed), does[kind], COMMANDS[kind])
        for kind, speed in (("side", velocity[1]), ("turn", velocity[2]))
    )
    return np.array([ahead, aside, turn])


def _senses(state: RobotState) -> dict[str, np.ndarray]:
    """What one robot feels, as a batch."""
    names = ("joint_pos", "joint_vel", "base_ang_vel", "projected_gravity")
    return {name: getattr(state, name)[None] for name in names}
