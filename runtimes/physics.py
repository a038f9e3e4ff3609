"""A robot's table made into MuJoCo: one simulated body on a floor, driven by joint targets."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from rmedge.robots import Body, Robot
from rmedge.specs import RobotState

__all__ = ["World", "build"]

TIMESTEP_S = 0.002  # contracts, section 5: ten steps a policy tick, one write a step
FALL_TILT_RAD = 1.0  # contracts, section 2
FALL_HEIGHT = 0.5 / 0.757  # of the standing height: 0.5 m for a G1
_SHAPES = {
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
}


def build(robot: Robot, timestep_s: float = TIMESTEP_S) -> mujoco.MjModel:
    """The robot in primitive shapes on a flat floor, one position motor a joint.

    Every foot shape touches the floor in an explicit contact pair with the published friction 0.8
    and ``solref`` (0.01, 1); other shapes meet the floor but not each other.
    """
    spec = mujoco.MjSpec()
    spec.compiler.degree = False  # the table's ranges are radians; True is MuJoCo's default
    spec.option.timestep = timestep_s
    _light(spec)
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05], material="floor",
        contype=0, conaffinity=1,
    )  # fmt: skip
    bodies: list[mujoco.MjsBody] = []
    for body in robot.bodies:
        parent = spec.worldbody if body.parent < 0 else bodies[body.parent]
        bodies.append(_add_body(spec, parent, body, robot))
    for joint in robot.joints:
        motor = spec.add_actuator(
            name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT,
            gaintype=mujoco.mjtGain.mjGAIN_FIXED, biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        )  # fmt: skip
        motor.forcelimited = True
        motor.forcerange = [-joint.torque_limit, joint.torque_limit]
    return spec.compile()


def _light(spec: mujoco.MjSpec) -> None:
    """What only MuJoCo's renderer sees: a lamp, a sky, and squares on the floor to tell motion by."""
    spec.worldbody.add_light(pos=[0, 0, 4], dir=[0, 0, -1], type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
    spec.visual.headlight.ambient = [0.35, 0.35, 0.35]
    spec.visual.headlight.diffuse = [0.5, 0.5, 0.5]
    spec.add_texture(
        name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.69, 0.74, 0.8], rgb2=[0.2, 0.25, 0.34], width=256, height=256,
    )  # fmt: skip
    spec.add_texture(
        name="squares", type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.44, 0.46, 0.5], rgb2=[0.5, 0.52, 0.56], width=256, height=256,
    )  # fmt: skip
    squares = [""] * mujoco.mjtTextureRole.mjNTEXROLE
    squares[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "squares"
    spec.add_material(name="floor", textures=squares, texuniform=True, texrepeat=[1, 1])


def _add_body(spec: mujoco.MjSpec, parent: mujoco.MjsBody, body: Body, robot: Robot) -> mujoco.MjsBody:
    added = parent.add_body(
        name=body.name, pos=body.pos, quat=body.quat, mass=body.mass, ipos=body.com,
        iquat=body.inertia_quat, inertia=body.inertia, explicitinertial=True,
    )  # fmt: skip
    if body.parent < 0:
        added.add_freejoint(name="root")
    if body.joint >= 0:
        joint = robot.joints[body.joint]
        added.add_joint(
            name=joint.name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=joint.axis, range=joint.range,
            limited=True, armature=joint.armature, frictionloss=joint.frictionloss, damping=joint.damping,
        )  # fmt: skip
    if body.box:
        low, high = np.array(body.box)
        added.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, pos=(low + high) / 2, size=np.maximum((high - low) / 2, 1e-3),
            contype=0, conaffinity=0, group=2, rgba=[0.75, 0.77, 0.8, 1],
        )  # fmt: skip
    foot = body.name in robot.feet
    for shape in body.collision:
        added.add_geom(
            name=shape["name"], type=_SHAPES[shape["type"]], size=shape["size"], pos=shape["pos"],
            quat=shape["quat_wxyz"], contype=0 if foot else 1, conaffinity=0, group=3,
        )  # fmt: skip
        if foot:
            friction = shape.get("friction", (0.8, 0.005, 0.0001))
            spec.add_pair(
                geomname1=shape["name"], geomname2="floor", condim=3, solref=[0.01, 1],
                friction=[friction[0], friction[0], friction[1], friction[2], friction[2]],
            )  # fmt: skip
    return added


class World:
    """One robot and the floor under it, advanced one physics step at a time."""

    def __init__(self, robot: Robot, timestep_s: float = TIMESTEP_S, model: mujoco.MjModel | None = None):
        self.robot = robot
        self.model = build(robot, timestep_s) if model is None else model
        self.data = mujoco.MjData(self.model)
        self._q = self.data.qpos[7:]
        self._dq = self.data.qvel[6:]
        self._height = robot.standing_height
        feet = [self.model.body(name).id for name in robot.feet]
        self._foot_of_geom = np.array(
            [feet.index(body) if body in feet else -1 for body in self.model.geom_bodyid]
        )
        self.reset()

    def reset(self, yaw: float = 0.0) -> None:
        """Stand in the default pose at the origin, heading ``yaw`` [rad]."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:3] = 0.0, 0.0, self._height
        self.data.qpos[3:7] = math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)
        self._q[:] = self.robot.default_pose
        self.data.ctrl[:] = self.robot.default_pose
        mujoco.mj_forward(self.model, self.data)

    def set_gains(self, kp: np.ndarray, kd: np.ndarray) -> None:
        """Motor torque becomes kp (target - q) - kd dq; kp, kd: (Da,) [N m/rad], [N m s/rad]."""
        self.model.actuator_gainprm[:, 0] = kp
        self.model.actuator_biasprm[:, 1] = -kp
        self.model.actuator_biasprm[:, 2] = -kd

    def step(self, joint_pos: np.ndarray) -> None:
        """One physics step towards the targets (Da,) [rad]."""
        self.data.ctrl[:] = joint_pos
        mujoco.mj_step(self.model, self.data)

    @property
    def time_ns(self) -> int:
        return round(self.data.time * 1e9)

    @property
    def joint_pos(self) -> np.ndarray:
        """(Da,) [rad], a live view."""
        return self._q

    @property
    def joint_vel(self) -> np.ndarray:
        """(Da,) [rad/s], a live view."""
        return self._dq

    @property
    def projected_gravity(self) -> np.ndarray:
        """(3,) unit vector in the body frame: minus the third row of the body's rotation."""
        w, x, y, z = self.data.qpos[3:7]
        return np.array([2 * (w * y - x * z), -2 * (y * z + w * x), 2 * (x * x + y * y) - 1])

    def state(self, stamp_ns: int) -> RobotState:
        """What the robot's sensors would say now."""
        return RobotState(
            joint_pos=self._q.copy(),
            joint_vel=self._dq.copy(),
            base_ang_vel=self.data.qvel[3:6].copy(),  # MuJoCo keeps it in the body frame
            projected_gravity=self.projected_gravity,
            stamp_ns=stamp_ns,
        )

    @property
    def pose(self) -> tuple[float, float, float]:
        """Position x, y [m] and heading [rad] over the floor."""
        w, x, y, z = self.data.qpos[3:7]
        heading = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        return float(self.data.qpos[0]), float(self.data.qpos[1]), heading

    @property
    def velocity(self) -> np.ndarray:
        """(3,) vx, vy [m/s] in the yaw frame, yaw rate [rad/s]."""
        heading = self.pose[2]
        vx, vy = self.data.qvel[:2]
        cos, sin = math.cos(heading), math.sin(heading)
        up = -self.projected_gravity  # world's z axis in the body frame
        return np.array([cos * vx + sin * vy, cos * vy - sin * vx, up @ self.data.qvel[3:6]])

    @property
    def fell(self) -> bool:
        """Pelvis below 0.5 m (scaled by the robot's height) or tilt above 1 rad."""
        low = self.data.qpos[2] < FALL_HEIGHT * self._height
        return bool(low or -self.projected_gravity[2] < math.cos(FALL_TILT_RAD))

    @property
    def foot_contacts(self) -> np.ndarray:
        """(feet,) 1.0 where the foot touches the floor."""
        touched = self._foot_of_geom[self.data.contact.geom.ravel()]
        return np.array([float((touched == foot).any()) for foot in range(len(self.robot.feet))])
