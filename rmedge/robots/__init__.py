"""Robots as data: bodies, joints, limits and default pose, with their forward kinematics."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rmedge.errors import UsageError

__all__ = ["LIMBS", "TRUNK", "Body", "Joint", "Robot", "Role", "load", "names"]

_TABLES = Path(__file__).parent
# what a joint can be to a body like a person's: of its trunk, or of either side
TRUNK = ("lean", "twist")
LIMBS = ("hip", "abduction", "knee", "shoulder", "spread", "elbow")


@dataclass(frozen=True)
class Role:
    """What a joint is to a body like a person's: there its angle is ``sign * q + offset``.

    Upright with hanging limbs all are zero; flexion, outward, backward (lean) and left (twist) are positive.
    """

    name: str  # one of ``TRUNK`` or ``LIMBS``
    sign: float
    offset: float  # [rad]


@dataclass(frozen=True)
class Joint:
    """One driven hinge."""

    name: str
    axis: tuple[float, ...]  # (3,) unit vector in its body's frame
    range: tuple[float, ...]  # (2,) [rad]
    torque_limit: float  # [N m]
    velocity_limit: float  # [rad/s]
    armature: float  # [kg m^2]
    frictionloss: float  # [N m]
    damping: float  # [N m s/rad]
    default: float  # [rad] the pose that actions are relative to
    role: Role | None  # None where a person has no such joint


@dataclass(frozen=True)
class Body:
    """One link; its frame is given in its parent's."""

    name: str
    parent: int  # index of the parent body, -1 for the root
    joint: int  # index of the hinge that moves it, -1 when fixed
    pos: tuple[float, ...]  # (3,) [m]
    quat: tuple[float, ...]  # (4,) w x y z
    mass: float  # [kg]
    com: tuple[float, ...]  # (3,) [m]
    inertia_quat: tuple[float, ...]  # (4,)
    inertia: tuple[float, ...]  # (3,) [kg m^2]
    box: tuple[tuple[float, ...], ...]  # (2, 3) extents of the published mesh [m], or ()
    collision: tuple[dict[str, Any], ...]  # name, type, size, pos, quat_wxyz[, friction]


@dataclass(frozen=True)
class Robot:
    """A robot's published figures; ``Da`` joints in SDK order."""

    name: str
    bodies: tuple[Body, ...]
    joints: tuple[Joint, ...]
    feet: tuple[str, ...]  # names of the bodies that touch the ground, left then right
    licence: str
    joint_names: tuple[str, ...] = field(init=False)
    default_pose: np.ndarray = field(init=False)  # (Da,) [rad]
    lower: np.ndarray = field(init=False)  # (Da,) [rad]
    upper: np.ndarray = field(init=False)  # (Da,) [rad]
    torque_limit: np.ndarray = field(init=False)  # (Da,) [N m]
    velocity_limit: np.ndarray = field(init=False)  # (Da,) [rad/s]

    def __post_init__(self) -> None:
        joints = self.joints
        derived = {
            "joint_names": tuple(j.name for j in joints),
            "default_pose": np.array([j.default for j in joints]),
            "lower": np.array([j.range[0] for j in joints]),
            "upper": np.array([j.range[1] for j in joints]),
            "torque_limit": np.array([j.torque_limit for j in joints]),
            "velocity_limit": np.array([j.velocity_limit for j in joints]),
        }
        for name, value in derived.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def mass(self) -> float:
        """Total mass [kg]."""
        return sum(body.mass for body in self.bodies)

    @property
    def standing_height(self) -> float:
        """Height of the root above the lowest foot point in the default pose [m]."""
        position, rotation = self.forward_kinematics(self.default_pose)
        lowest = np.inf
        for index, body in enumerate(self.bodies):
            for shape in body.collision if body.name in self.feet else ():
                centre = position[index] + rotation[index] @ np.asarray(shape["pos"])
                axis = rotation[index] @ rotation_matrix(shape["quat_wxyz"])
                lowest = min(lowest, float(centre[2] - _half_height(shape, axis)))
        return -lowest

    def angles(self, role: str, joint_pos: np.ndarray) -> np.ndarray:
        """A person's angles in that role [rad], left before right; none where the robot has no such joint.

        Args:
            joint_pos: (..., Da) [rad].

        Returns:
            (..., 0), (..., 1) for the trunk, or (..., 2).
        """
        played = {n: j.role for n, j in enumerate(self.joints) if j.role and j.role.name == role}
        sign = np.array([part.sign for part in played.values()])
        offset = np.array([part.offset for part in played.values()])
        return sign * np.asarray(joint_pos)[..., list(played)] + offset

    def forward_kinematics(self, joint_pos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every body's frame in the root's frame, for any batch of poses.

        Args:
            joint_pos: (..., Da) [rad].

        Returns:
            positions (..., bodies, 3) [m] and rotation matrices (..., bodies, 3, 3).
        """
        joint_pos = np.asarray(joint_pos)
        batch = joint_pos.shape[:-1]
        position = np.zeros((*batch, len(self.bodies), 3))
        rotation = np.zeros((*batch, len(self.bodies), 3, 3))
        for index, body in enumerate(self.bodies):
            if body.parent < 0:
                rotation[..., index, :, :] = np.eye(3)
                continue
            parent = rotation[..., body.parent, :, :]
            position[..., index, :] = position[..., body.parent, :] + parent @ np.asarray(body.pos)
            fixed = parent @ rotation_matrix(body.quat)  # (..., 3, 3)
            if body.joint >= 0:
                axis = self.joints[body.joint].axis
                fixed = fixed @ _axis_rotation(axis, joint_pos[..., body.joint])
            rotation[..., index, :, :] = fixed
        return position, rotation


def names() -> tuple[str, ...]:
    """The robots whose tables ship with rmedge."""
    return tuple(sorted(path.stem for path in _TABLES.glob("*.json")))


def load(name: str) -> Robot:
    """The robot of that name.

    Raises:
        UsageError: there is no such table.
    """
    path = _TABLES / f"{name}.json"
    if name not in names():
        raise UsageError(f"robot: expected one of {', '.join(names())}, got {name!r}")
    return from_table(json.loads(path.read_text(encoding="utf-8")))


def from_table(table: dict[str, Any]) -> Robot:
    """A robot from its table: ``robot``, ``bodies``, ``feet``, ``licence``; by joint ``default_pose``,
    ``velocity_limit`` and ``roles``.
    """
    bodies: list[Body] = []
    joints: list[Joint] = []
    index: dict[str, int] = {}
    for row in table["bodies"]:
        joint = -1
        if "joint" in row:
            joint = len(joints)
            hinge = row["joint"]
            role = table["roles"].get(hinge["name"])
            joints.append(
                Joint(
                    name=hinge["name"],
                    axis=tuple(hinge["axis"]),
                    range=tuple(hinge["range"]),
                    torque_limit=hinge["torque_limit"],
                    velocity_limit=table["velocity_limit"][hinge["name"]],
                    armature=hinge["armature"],
                    frictionloss=hinge["frictionloss"],
                    damping=hinge["damping"],
                    default=table["default_pose"][hinge["name"]],
                    role=Role(*role) if role else None,
                )
            )
        box = row.get("visual_box")
        index[row["name"]] = len(bodies)
        bodies.append(
            Body(
                name=row["name"],
                parent=index.get(row["parent"], -1),
                joint=joint,
                pos=tuple(row["pos"]),
                quat=tuple(row["quat_wxyz"]),
                mass=row["mass"],
                com=tuple(row["com"]),
                inertia_quat=tuple(row["inertia_quat_wxyz"]),
                inertia=tuple(row["inertia_diagonal"]),
                box=(tuple(box["min"]), tuple(box["max"])) if box else (),
                collision=tuple(row.get("collision", ())),
            )
        )
    return Robot(
        name=table["robot"],
        bodies=tuple(bodies),
        joints=tuple(joints),
        feet=tuple(table["feet"]),
        licence=table["licence"],
    )


def rotation_matrix(quat: Any) -> np.ndarray:
    """(3, 3) rotation of a quaternion w x y z."""
    w, x, y, z = np.asarray(quat, dtype=float) / np.linalg.norm(quat)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _axis_rotation(axis: Any, angle: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotations by ``angle`` [rad] about a unit axis (Rodrigues' formula)."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = np.asarray(angle)[..., None, None]
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def _half_height(shape: dict[str, Any], rotation: np.ndarray) -> float:
    """How far a shape reaches below its centre [m]."""
    size = shape["size"]
    if shape["type"] == "sphere":
        return float(size[0])
    if shape["type"] == "capsule":
        return float(size[0] + size[1] * abs(rotation[2, 2]))
    if shape["type"] == "cylinder":
        return float(size[0] * np.hypot(rotation[2, 0], rotation[2, 1]) + size[1] * abs(rotation[2, 2]))
    return float(np.abs(rotation[2]) @ np.asarray(size))  # box: half extents
