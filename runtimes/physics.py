"""A robot's table made into MuJoCo: one simulated body on a floor, driven by joint targets."""

from __future__ import annotations

import copy
import math
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import mujoco
import numpy as np

from rmedge.errors import InputError, UsageError
from rmedge.robots import Body, Robot
from rmedge.runtimes.perturbation import CALM, SENSOR_NOISE, Perturbation
from rmedge.specs import RobotState

__all__ = ["PHYSICS", "REFERENCE", "Physics", "World", "build", "choose"]

WRITE_S = 0.002  # contracts, section 5: one write, ten to a policy tick
FALL_TILT_RAD = 1.0  # contracts, section 2
FALL_HEIGHT = 0.5 / 0.757  # of the standing height: 0.5 m for a G1
FLOOR_M = (24.0, 0.15)  # an uneven floor's side, and the distance between its bumps
_SHAPES = {
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
}


@dataclass(frozen=True)
class Physics:
    """One way of computing the same world: a policy that knows only one has learned its errors too."""

    name: str
    timestep_s: float = WRITE_S
    integrator: str = "euler"
    cone: str = "pyramidal"
    contact: tuple[float, float] = (0.01, 1.0)  # time constant [s] and damping ratio of a foot's contact
    file: str = ""  # a published model of the robot instead of our own, with its own solver and contacts


REFERENCE = Physics("reference")
PHYSICS = MappingProxyType(
    {
        physics.name: physics
        for physics in (
            REFERENCE,
            Physics("second", 0.001, "implicitfast", "elliptic", (0.004, 1.0)),
            Physics("soft", 0.001, "rk4", "elliptic", (0.025, 1.0)),
        )
    }
)


def choose(text: str) -> Physics:
    """The physics of that name, or a published model (MJCF) of the robot by its path.

    Raises:
        UsageError: it is neither.
    """
    if text in PHYSICS:
        return PHYSICS[text]
    path = Path(text)
    if path.suffix != ".xml" or not path.is_file():
        known = ", ".join(PHYSICS)
        raise UsageError(f"physics: expected one of {known} or the path of an MJCF .xml file, got {text!r}")
    return Physics(path.stem, timestep_s=0.001, file=str(path))


def build(
    robot: Robot, physics: Physics = REFERENCE, roughness_m: float = 0.0, seed: int = 0
) -> mujoco.MjModel:
    """The robot in primitive shapes on a floor, one position motor a joint.

    Every foot shape touches the floor in an explicit contact pair with its published friction; other
    shapes meet the floor but not each other.

    Raises:
        InputError: a published model could not be read, or is not this robot's.
    """
    spec = _read(physics.file, robot) if physics.file else _compose(robot, physics)
    spec.option.timestep = physics.timestep_s
    _add_floor(spec, roughness_m, seed)
    for joint in robot.joints:
        motor = spec.add_actuator(
            name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT,
            gaintype=mujoco.mjtGain.mjGAIN_FIXED, biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        )  # fmt: skip
        motor.forcelimited = True
        motor.forcerange = [-joint.torque_limit, joint.torque_limit]
    return spec.compile()


def _read(file: str, robot: Robot) -> mujoco.MjSpec:
    """A published model without what it is driven, sensed and seen by."""
    try:
        spec = mujoco.MjSpec.from_file(file)
        for element in (*spec.actuators, *spec.keys, *spec.sensors):
            spec.delete(element)
        for geom in list(spec.geoms):
            if not (geom.contype or geom.conaffinity) and geom.type == mujoco.mjtGeom.mjGEOM_MESH:
                spec.delete(geom)
        for geom in list(spec.worldbody.geoms):
            if geom.type in (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD):
                spec.delete(geom)  # the floor is ours
        for mesh in list(spec.meshes):
            if not any(geom.meshname == mesh.name for geom in spec.geoms):
                spec.delete(mesh)
        joints = [j.name for j in spec.joints if j.type != mujoco.mjtJoint.mjJNT_FREE]
        feet = [name for name in robot.feet if spec.body(name) is None]
    except (ValueError, OSError) as error:
        raise InputError(f"physics: expected an MJCF model, got {file!r}: {error}; name another") from error
    if tuple(joints) != robot.joint_names or feet:
        raise InputError(
            f"physics: expected the joints and feet of {robot.name} in their order in {file!r}, "
            f"got {len(joints)} joints, {len(feet)} feet missing; name a model of that robot"
        )
    return spec


def _compose(robot: Robot, physics: Physics) -> mujoco.MjSpec:
    """Our own model, from the robot's table."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False  # the table's ranges are radians; True is MuJoCo's default
    spec.option.integrator = getattr(mujoco.mjtIntegrator, f"mjINT_{physics.integrator.upper()}")
    spec.option.cone = getattr(mujoco.mjtCone, f"mjCONE_{physics.cone.upper()}")
    _light(spec)
    bodies: list[mujoco.MjsBody] = []
    for body in robot.bodies:
        parent = spec.worldbody if body.parent < 0 else bodies[body.parent]
        bodies.append(_add_body(spec, parent, body, robot, physics))
    return spec


def _add_floor(spec: mujoco.MjSpec, roughness_m: float, seed: int) -> None:
    """A plane, or a field of random bumps."""
    looks = {"name": "floor", "contype": 0, "conaffinity": 1}
    if spec.material("floor") is not None:
        looks["material"] = "floor"
    if not roughness_m:
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05], **looks)
        return
    side_m, spacing_m = FLOOR_M
    cells = round(side_m / spacing_m)
    bumps = np.random.default_rng(seed).random(cells * cells)
    spec.add_hfield(
        name="bumps", size=[side_m / 2, side_m / 2, roughness_m, 0.1], nrow=cells, ncol=cells, userdata=bumps
    )
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_HFIELD, hfieldname="bumps", **looks)


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


def _add_body(
    spec: mujoco.MjSpec, parent: mujoco.MjsBody, body: Body, robot: Robot, physics: Physics
) -> mujoco.MjsBody:
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
                geomname1=shape["name"], geomname2="floor", condim=3, solref=physics.contact,
                friction=[friction[0], friction[0], friction[1], friction[2], friction[2]],
            )  # fmt: skip
    return added


class World:
    """One robot and the floor under it, advanced one write period (2 ms) at a time."""

    def __init__(
        self,
        robot: Robot,
        physics: Physics = REFERENCE,
        perturbation: Perturbation = CALM,
        model: mujoco.MjModel | None = None,
    ):
        """``model``: what `build` made of this robot, physics and roughness, to spare the time.

        Calm worlds share the model they are given, its gains too; a perturbed one makes a copy.
        """
        self.robot = robot
        self.perturbation = perturbation
        if model is None:
            model = build(robot, physics, perturbation.roughness_m, perturbation.seed)
        self.model = model if perturbation == CALM else _perturbed(model, perturbation)
        self.data = mujoco.MjData(self.model)
        self._substeps = round(WRITE_S / physics.timestep_s)
        self._q = self.data.qpos[7:]
        self._dq = self.data.qvel[6:]
        self._height = robot.standing_height
        feet = [self.model.body(name).id for name in robot.feet]
        self._foot_of_geom = np.array(
            [feet.index(body) if body in feet else -1 for body in self.model.geom_bodyid]
        )
        self.reset()

    def reset(self, yaw: float = 0.0) -> None:
        """Stand in the default pose at the origin, heading ``yaw`` [rad]; pushes and noise start anew."""
        perturbation = self.perturbation
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:3] = 0.0, 0.0, self._height + perturbation.roughness_m
        self.data.qpos[3:7] = math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)
        self._q[:] = self.robot.default_pose
        self.data.ctrl[:] = self.robot.default_pose
        mujoco.mj_forward(self.model, self.data)
        # two generators: where pushes go does not hang on how often the sensors are read
        self._pushes = np.random.default_rng((perturbation.seed, 1))
        self._noise = np.random.default_rng((perturbation.seed, 2))
        self._steps = 0
        # commands on their way to the motors, and states on their way to the reader; the oldest is first
        self._commands = deque([self.robot.default_pose], 1 + round(perturbation.action_delay_s / WRITE_S))
        self._states = deque([self.truth()], 1 + round(perturbation.sensor_delay_s / WRITE_S))

    def set_gains(self, kp: np.ndarray, kd: np.ndarray) -> None:
        """Motor torque becomes kp (target - q) - kd dq; kp, kd: (Da,) [N m/rad], [N m s/rad]."""
        kp, kd = kp * self.perturbation.stiffness, kd * self.perturbation.damping
        self.model.actuator_gainprm[:, 0] = kp
        self.model.actuator_biasprm[:, 1] = -kp
        self.model.actuator_biasprm[:, 2] = -kd

    def step(self, joint_pos: np.ndarray) -> None:
        """One write period towards the targets (Da,) [rad]."""
        self._commands.append(joint_pos)
        self.data.ctrl[:] = self._commands[0]
        for _ in range(self._substeps):
            mujoco.mj_step(self.model, self.data)
        self._steps += 1
        perturbation = self.perturbation
        if perturbation.sensor_delay_s:
            self._states.append(self.truth())
        if perturbation.push_m_s and self._steps % round(perturbation.push_every_s / WRITE_S) == 0:
            self.push(perturbation.push_m_s, self._pushes.uniform(0, 2 * math.pi))

    def push(self, speed: float, direction: float) -> None:
        """Change the pelvis' planar velocity by ``speed`` [m/s] towards ``direction`` [rad] of the floor."""
        self.data.qvel[:2] += speed * np.array([math.cos(direction), math.sin(direction)])

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

    def senses(self) -> dict[str, np.ndarray]:
        """What the robot's sensors say now, late and noisy as they are: a `RobotState` without its stamp."""
        told = self._states[0] if self.perturbation.sensor_delay_s else self.truth()
        noise = self.perturbation.sensor_noise
        if noise:
            draw = self._noise.standard_normal
            told = {k: value + noise * SENSOR_NOISE[k] * draw(len(value)) for k, value in told.items()}
            told["projected_gravity"] /= np.linalg.norm(told["projected_gravity"])
        return told

    def state(self, stamp_ns: int) -> RobotState:
        """The same as a record."""
        return RobotState(**self.senses(), stamp_ns=stamp_ns)

    def truth(self) -> dict[str, np.ndarray]:
        return {
            "joint_pos": self._q.copy(),
            "joint_vel": self._dq.copy(),
            "base_ang_vel": self.data.qvel[3:6].copy(),  # MuJoCo keeps it in the body frame
            "projected_gravity": self.projected_gravity,
        }

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

    @property
    def foot_slip(self) -> np.ndarray:
        """(feet,) planar speed of a foot where it touches the floor [m/s], NaN where it does not."""
        contact = self.data.contact
        touched = self._foot_of_geom[contact.geom].max(1)  # (contacts,) the foot, or -1
        slip, twist = np.full(len(self.robot.feet), np.nan), np.zeros(6)
        for foot in np.unique(touched[touched >= 0]):
            body = self.model.body(self.robot.feet[foot]).id
            mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_XBODY, body, twist, 0)
            arm = contact.pos[touched == foot] - self.data.xpos[body]  # (points, 3)
            slip[foot] = np.linalg.norm((twist[3:] + np.cross(twist[:3], arm))[:, :2], axis=1).mean()
        return slip

    @property
    def torque(self) -> np.ndarray:
        """(Da,) of the motors, after their limits [N m]."""
        return self.data.actuator_force.copy()


def _perturbed(model: mujoco.MjModel, perturbation: Perturbation) -> mujoco.MjModel:
    """A model of one's own with another robot in it."""
    model = copy.copy(model)
    model.body_mass[:] *= perturbation.mass
    model.body_inertia[:] *= perturbation.mass
    model.body_ipos[int(model.body_mass.argmax())] += perturbation.com  # the trunk is the heaviest
    model.actuator_forcerange[:] *= perturbation.strength
    if perturbation.friction is not None:
        model.pair_friction[:, :2] = model.geom_friction[:, 0] = perturbation.friction
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model
