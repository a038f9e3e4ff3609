"""The troupe: all teachers behind one interface, by gait, path and gesture, on one clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmedge.export.motions import dances, gestures
from rmedge.export.motions.teachers import ACTION_SCALE, NAMES, TICK_HZ, Teacher
from rmedge.robots import Robot

__all__ = ["Motion", "Senses", "Troupe", "gestures_of"]

Senses = dict[str, np.ndarray]  # joint_pos, joint_vel (B, Da); base_ang_vel, projected_gravity (B, 3)


@dataclass(frozen=True, eq=False)
class Motion:
    """What is asked: a gait, a velocity command (3,) in [-1, 1], and what the upper body does.

    A dance is a gesture of the whole body: its gait and command mean nothing.
    """

    gait: str
    command: np.ndarray
    gesture: str = gestures.NONE


def gestures_of(robot: Robot) -> tuple[str, ...]:
    """Every gesture and dance of a robot by name; the first is none."""
    return (gestures.NONE, *gestures.GESTURES.get(robot.name, {}), *dances.names(robot))


class Troupe:
    """Says what the teachers would do: the legs of one, the gesture of another, or a dance.

    A walker is shown its own last action wherever a gesture took its place, and its arms where it wanted
    them: it never notices. (Shown the real arms, it drifts; with both arms up it falls at every command.)
    """

    def __init__(self, robot: Robot, size: int):
        self.robot = robot
        self.walkers = {name: Teacher(robot, name) for name in NAMES}
        self.gestures = gestures.of(robot)
        self.dances = {name: dances.Dance(robot, name) for name in dances.names(robot)}
        self.names = gestures_of(robot)
        first = next(iter(self.walkers.values()))
        self.kp, self.kd = first.kp, first.kd
        laid = {joint for gesture in self.gestures.values() for joint in gesture.joints}
        # the waist keeps the balance: it is not held back, nor hidden from who walks
        self._arm = np.array(
            [n in laid and "waist" not in name for n, name in enumerate(robot.joint_names)], dtype=bool
        )
        self._own = np.zeros((size, len(robot.joints)))  # the walkers' last actions, before any gesture
        self._laid = np.zeros((size, len(robot.joints)), dtype=bool)  # where a gesture took their place

    def reset(self, index: int) -> None:
        """Robot ``index`` begins again."""
        self._laid[index] = False

    def act(
        self, senses: Senses, motions: Sequence[Motion], clock_s: float, last_action: np.ndarray
    ) -> np.ndarray:
        """What each robot's teacher would do now: actions (B, Da), in units of `ACTION_SCALE`.

        Args:
            senses: what the robots feel; the truth where a student is taught, noisy where a teacher is tried.
            motions: (B,) what is asked of each.
            clock_s: time since the episode began [s]; it alone says where in a gait, a gesture or a dance.
            last_action: (B, Da) what each robot really did last.
        """
        action = np.array(last_action)
        shown = np.where(self._laid, self._own, last_action)
        for name, dance in self.dances.items():
            rows = np.array([n for n, motion in enumerate(motions) if motion.gesture == name], dtype=int)
            if len(rows):
                action[rows] = dance.act(_of(senses, rows), clock_s, last_action[rows])
                self._own[rows], self._laid[rows] = action[rows], False
        for name, walker in self.walkers.items():
            rows = np.array(
                [n for n, m in enumerate(motions) if m.gait == name and m.gesture not in self.dances],
                dtype=int,
            )
            if len(rows):
                command = np.array([motions[n].command for n in rows])
                felt = _of(senses, rows)
                laid = self._laid[rows] & self._arm  # its arms are where it wants them, as far as it knows
                own_pose = self.robot.default_pose + ACTION_SCALE * self._own[rows]
                felt["joint_pos"] = np.where(laid, own_pose, felt["joint_pos"])
                felt["joint_vel"] = np.where(laid, 0.0, felt["joint_vel"])
                own = walker.walk(felt, command, clock_s, shown[rows])
                self._own[rows] = own
                action[rows] = own
                for n in rows:
                    self._lay(n, self.gestures[motions[n].gesture], clock_s, action, last_action)
        return action

    def _lay(
        self, n: int, gesture: gestures.Gesture, clock_s: float, action: np.ndarray, last: np.ndarray
    ) -> None:
        """Lay a gesture over the walker's action; arms go where they are wanted no faster than they may."""
        joints = gesture.joints
        action[n, joints] = (
            gesture.at(clock_s + 1 / TICK_HZ) - self.robot.default_pose[joints]
        ) / ACTION_SCALE
        self._laid[n] = False
        self._laid[n, joints] = True
        held = np.union1d(np.flatnonzero(self._arm), joints)
        most = gestures.SPEED / TICK_HZ / ACTION_SCALE
        action[n, held] = last[n, held] + np.clip(action[n, held] - last[n, held], -most, most)


def _of(senses: Senses, rows: np.ndarray) -> Senses:
    return {name: value[rows] for name, value in senses.items()}
