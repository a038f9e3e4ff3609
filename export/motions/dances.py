"""Dances: whole-body motions, from two pretrained trackers of one long dance.

A tracker follows whatever reference it is shown. It is shown a loop of two seconds, cut out of its own
dance where the end comes nearest to the beginning, so that the clock alone says what comes next. The
reference always faces as the robot does: nothing that a policy can feel says where north is.
"""

from __future__ import annotations

import numpy as np

from rmedge.export.motions.teachers import ACTION_CLIP, ACTION_SCALE, CLOCK_S, TICK_HZ, session
from rmedge.robots import Robot, rotation_matrix

__all__ = ["DANCES", "Dance", "names"]

# name -> tracker, the tick of its dance at which the loop begins, and its action scale (None: the
# torque limit's quarter over the gain, as the package runs it; the other was found by trying: at 1.0
# the robot follows the dance to 0.05 to 0.08 rad a joint, at the package's own scale it falls)
DANCES = {"dance_one": ("fastsac", 571, 1.0), "dance_two": ("ppo", 555, None)}
LOOP = round(CLOCK_S * TICK_HZ)  # ticks
BLEND = 25  # last ticks of a loop, drawn towards its beginning
NEAR = 0.5  # [rad] a reference further from a joint than this is approached
TORSO = "torso_link"


class Dance:
    """One tracker in its loop, for a batch of robots at 50 Hz."""

    def __init__(self, robot: Robot, name: str):
        tracker, first, scale = DANCES[name]
        self.robot = robot
        self._session, meta = session(f"wbt/{tracker}_{robot.name}_29dof_dancing.onnx")
        if tuple(meta["dof_names"]) != robot.joint_names:
            raise ValueError(f"dance {name}: its joints are not the robot's, in the robot's order")
        self.sha256 = meta["sha256"]
        self._scale = 0.25 * robot.torque_limit / np.array(meta["kp"]) if scale is None else scale
        self._torso = [body.name for body in robot.bodies].index(TORSO)
        self._pos, self._vel, self._turn = self._loop(first)

    def _loop(self, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Joint positions and velocities (LOOP, Da) and the torso's rotation (LOOP, 3, 3), ahead."""
        shown = [self._reference(tick) for tick in range(first - BLEND, first + LOOP)]
        before, loop = shown[:BLEND], shown[BLEND:]
        for tick in range(BLEND):
            share = (tick + 1) / BLEND
            late = loop[LOOP - BLEND + tick]
            loop[LOOP - BLEND + tick] = [a + share * (b - a) for a, b in zip(late, before[tick], strict=True)]
        pos, vel, turn = (np.array(column) for column in zip(*loop, strict=True))
        u, _, v = np.linalg.svd(turn)  # the mean of two rotations, made a rotation again
        return pos, vel, u @ v

    def _reference(self, tick: int) -> list[np.ndarray]:
        feed = {"obs": np.zeros((1, 154), np.float32), "time_step": np.array([[tick]], np.float32)}
        pos, vel, quat = self._session.run(["joint_pos", "joint_vel", "ref_quat_xyzw"], feed)
        x, y, z, w = quat[0]
        return [pos[0], vel[0], _ahead(rotation_matrix([w, x, y, z]))]

    def act(self, senses: dict[str, np.ndarray], clock_s: float, last_action: np.ndarray) -> np.ndarray:
        """Actions (B, Da), in units of the velocity teachers' scale."""
        tick = round(clock_s * TICK_HZ) % LOOP
        joint_pos = senses["joint_pos"]
        wanted = joint_pos + np.clip(self._pos[tick] - joint_pos, -NEAR, NEAR)
        _, rotation = self.robot.forward_kinematics(joint_pos)
        rows = []
        for n in range(len(joint_pos)):
            torso = _ahead(_upright(senses["projected_gravity"][n]) @ rotation[n, self._torso])
            observed = np.concatenate(
                [
                    last_action[n] * ACTION_SCALE / self._scale, senses["base_ang_vel"][n],
                    joint_pos[n] - self.robot.default_pose, senses["joint_vel"][n], wanted[n],
                    self._vel[tick], (torso.T @ self._turn[tick])[:, :2].ravel(),
                ]
            )  # fmt: skip
            feed = {"obs": observed[None].astype(np.float32), "time_step": np.zeros((1, 1), np.float32)}
            rows.append(self._session.run(["actions"], feed)[0][0])
        return np.clip(rows, -ACTION_CLIP, ACTION_CLIP) * self._scale / ACTION_SCALE


def names(robot: Robot) -> tuple[str, ...]:
    """A robot's dances; the package has them for the G1 alone."""
    return tuple(DANCES) if robot.name == "g1" else ()


def _upright(gravity: np.ndarray) -> np.ndarray:
    """(3, 3) a body's rotation that has this gravity (3,) in it and heads along x."""
    up = -gravity / np.linalg.norm(gravity)
    ahead = np.array([1.0, 0.0, 0.0]) - up * up[0]
    ahead /= np.linalg.norm(ahead)
    return np.stack([ahead, np.cross(up, ahead), up])


def _ahead(rotation: np.ndarray) -> np.ndarray:
    """The same rotation (3, 3), turned about the vertical until it heads along x."""
    cos, sin = rotation[:2, 0] / np.linalg.norm(rotation[:2, 0])
    return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ rotation
