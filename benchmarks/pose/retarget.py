"""A person's pose on a robot's body: limbs of the robot's own lengths in the person's directions, then IK."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rmedge.benchmarks.pose.landmarks import INDEX, Landmarks
from rmedge.benchmarks.pose.odometry import ground, heading, turned
from rmedge.errors import AbsentError, UsageError
from rmedge.robots import Robot

__all__ = ["BODIES", "Retargeter", "Skeleton"]

SOLVER = "daqp"
STEPS = 4  # of the inverse kinematics a frame, each begun where the last one ended
STEP_S = 0.05
UPRIGHT = 0.35  # share of the trunk's lean that is kept: the camera's own tilt is in it
# landmark -> the body whose origin goes there, by robot
BODIES = {
    "g1": {
        "shoulder": "{}_shoulder_roll_link",
        "elbow": "{}_elbow_link",
        "wrist": "{}_wrist_yaw_link",
        "hip": "{}_hip_roll_link",
        "knee": "{}_knee_link",
        "ankle": "{}_ankle_roll_link",
    }
}
# how much each matters against the others, and the trunk's uprightness
COSTS = {"shoulder": 0.5, "elbow": 1.0, "wrist": 1.0, "knee": 1.0, "ankle": 2.0}
LEVEL = 0.3  # soles
PELVIS = (1.0, 1.0)  # place and uprightness
REST = 0.02  # towards the default pose, where nothing else is asked


@dataclass(frozen=True)
class Skeleton:
    """The robot's limbs: where they begin in the pelvis, and how long they are."""

    robot: Robot
    names: dict[str, str]  # side_landmark -> body
    root: dict[str, np.ndarray]  # side_hip and side_shoulder -> place in the default pose (3,) [m]
    length: dict[str, float]  # side_knee, side_ankle, side_elbow, side_wrist -> from the joint before [m]

    CHAINS = (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))

    @classmethod
    def of(cls, robot: Robot) -> Skeleton:
        """Measured on the robot's table.

        Raises:
            UsageError: nobody has said which of its bodies are its limbs.
        """
        if robot.name not in BODIES:
            known = ", ".join(BODIES)
            raise UsageError(f"pose: expected one of {known}, got {robot.name!r}, which has no limbs named")
        names = {
            f"{side}_{part}": body.format(side)
            for side in ("left", "right")
            for part, body in BODIES[robot.name].items()
        }
        index = {body.name: n for n, body in enumerate(robot.bodies)}
        position, _ = robot.forward_kinematics(robot.default_pose)
        place = {name: position[index[body]] for name, body in names.items()}
        root, length = {}, {}
        for side in ("left", "right"):
            for chain in cls.CHAINS:
                root[f"{side}_{chain[0]}"] = place[f"{side}_{chain[0]}"]
                for before, part in zip(chain, chain[1:]):
                    reach = place[f"{side}_{part}"] - place[f"{side}_{before}"]
                    length[f"{side}_{part}"] = float(np.linalg.norm(reach))
        return cls(robot, names, root, length)

    def targets(self, seen: Landmarks) -> dict[str, np.ndarray]:
        """Where each part should be in the pelvis' upright frame (3,) [m], x ahead and z up."""
        points = ground(seen.world)
        points = turned(points, -heading(points))
        lean = _lean(points)
        found = {}
        for side in ("left", "right"):
            for chain in self.CHAINS:
                first = f"{side}_{chain[0]}"
                found[first] = self.root[first]
                if chain[0] == "shoulder":
                    found[first] = lean @ self.root[first]
                for before, part in zip(chain, chain[1:]):
                    a, b = f"{side}_{before}", f"{side}_{part}"
                    way = points[INDEX[b]] - points[INDEX[a]]
                    way = way / max(float(np.linalg.norm(way)), 1e-6)
                    found[b] = found[a] + self.length[b] * way
        return found


def _lean(points: np.ndarray) -> np.ndarray:
    """(3, 3) the rotation that a share of the trunk's lean makes."""
    hips = (points[INDEX["left_hip"]] + points[INDEX["right_hip"]]) / 2
    chest = (points[INDEX["left_shoulder"]] + points[INDEX["right_shoulder"]]) / 2
    up = chest - hips
    up = up / max(float(np.linalg.norm(up)), 1e-6)
    up = np.array([UPRIGHT * up[0], UPRIGHT * up[1], max(up[2], 0.2)])
    up = up / np.linalg.norm(up)
    ahead = np.array([1.0, 0.0, 0.0]) - up[0] * up
    ahead /= np.linalg.norm(ahead)
    return np.stack([ahead, np.cross(up, ahead), up], 1)


class Retargeter:
    """Streams landmarks into joint positions, each pose found from the one before."""

    def __init__(self, robot: Robot, steps: int = STEPS) -> None:
        try:
            import mink

            from rmedge.runtimes.physics import build
        except ImportError as error:
            raise AbsentError(
                "retargeting: expected mink and MuJoCo, got "
                f'no {error.name}; pip install "mink==1.3.0" daqp "rmedge[sim]"'
            ) from error
        self.skeleton = Skeleton.of(robot)
        self._robot, self._steps, self._mink = robot, steps, mink
        model = build(robot)
        self._configuration = mink.Configuration(model)
        self._tasks: dict[str, Any] = {
            part: mink.FrameTask(
                self.skeleton.names[part], "body", position_cost=COSTS[part.split("_")[1]],
                orientation_cost=LEVEL if part.endswith("ankle") else 0.0, lm_damping=0.1,
            )
            for part in self.skeleton.names
            if not part.endswith("hip")
        }  # fmt: skip
        pelvis = mink.FrameTask(robot.bodies[0].name, "body", *PELVIS)
        pelvis.set_target(mink.SE3.identity())
        self._rest = mink.PostureTask(model, cost=REST)
        self._all = [pelvis, self._rest, *self._tasks.values()]
        self._limits = [mink.ConfigurationLimit(model)]
        self.reset()

    def reset(self) -> None:
        """From the default pose again."""
        q = np.zeros(7 + len(self._robot.joints))
        q[3], q[7:] = 1.0, self._robot.default_pose
        self._configuration.update(q)
        self._rest.set_target(q)

    def solve(self, seen: Landmarks) -> np.ndarray:
        """(Da,) [rad] the robot's joints in the person's pose."""
        mink = self._mink
        for part, place in self.skeleton.targets(seen).items():
            if part in self._tasks:  # soles level, toes ahead
                self._tasks[part].set_target(mink.SE3.from_translation(place))
        for _ in range(self._steps):
            velocity = mink.solve_ik(
                self._configuration, self._all, STEP_S, SOLVER, damping=1e-3, limits=self._limits
            )
            self._configuration.integrate_inplace(velocity, STEP_S)
        return np.array(self._configuration.q[7:])
