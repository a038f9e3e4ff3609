"""MuJoCo's model is the table, its readouts are its motion, and the pretrained teachers walk in it."""

from __future__ import annotations

import json
from pathlib import Path

import mujoco
import numpy as np
import pytest

from rmedge import robots
from rmedge.errors import InputError, UsageError
from rmedge.runtimes import physics

ROBOT = robots.load("g1")
TABLE = json.loads((Path(robots.__file__).parent / "g1.json").read_text(encoding="utf-8"))
MODEL = physics.build(ROBOT)


def poses(count, seed=0):
    return np.random.default_rng(seed).uniform(ROBOT.lower, ROBOT.upper, (count, len(ROBOT.joints)))


# an independent computation from the table: chains of quaternion products


def product(p, q):
    w, v, s, u = p[0], np.array(p[1:]), q[0], np.array(q[1:])
    return np.array([w * s - v @ u, *(w * u + s * v + np.cross(v, u))])


def turned(quat, vector):
    conjugate = np.array(quat) * (1, -1, -1, -1)
    return product(product(quat, [0.0, *vector]), conjugate)[1:]


def frames(pose):
    """name -> (position, quaternion) of every body in the root's frame."""
    angle = dict(zip((row["joint"]["name"] for row in TABLE["bodies"] if "joint" in row), pose))
    found = {}
    for row in TABLE["bodies"]:
        if row["parent"] not in found:
            found[row["name"]] = (np.zeros(3), np.array([1.0, 0, 0, 0]))
            continue
        position, quat = found[row["parent"]]
        here = position + turned(quat, row["pos"])
        quat = product(quat, np.array(row["quat_wxyz"]) / np.linalg.norm(row["quat_wxyz"]))
        if "joint" in row:
            half = angle[row["joint"]["name"]] / 2
            quat = product(quat, [np.cos(half), *(np.sin(half) * np.array(row["joint"]["axis"]))])
        found[row["name"]] = (here, quat)
    return found


def same_rotation(p, q):
    return abs(np.dot(p, q)) == pytest.approx(1.0, abs=1e-9)


def test_masses_and_inertias_are_the_tables():
    assert MODEL.body_mass.sum() == pytest.approx(33.343142, abs=1e-9)
    for row in TABLE["bodies"]:
        body = MODEL.body(row["name"])
        assert body.mass[0] == pytest.approx(row["mass"], abs=1e-12)
        np.testing.assert_allclose(body.ipos, row["com"], atol=1e-12)
        inertias = []
        for quat, diagonal in (
            (row["inertia_quat_wxyz"], row["inertia_diagonal"]),
            (body.iquat, body.inertia),
        ):
            rotation = robots.rotation_matrix(quat)  # principal axes may come in another order
            inertias.append(rotation @ np.diag(diagonal) @ rotation.T)
        np.testing.assert_allclose(inertias[1], inertias[0], atol=1e-9)


def test_bodies_hang_where_the_table_says():
    assert MODEL.nbody == 1 + len(TABLE["bodies"])
    for row in TABLE["bodies"][1:]:
        body = MODEL.body(row["name"])
        assert MODEL.body(body.parentid[0]).name == row["parent"]
        np.testing.assert_allclose(body.pos, row["pos"], atol=1e-12)
        assert same_rotation(body.quat, np.array(row["quat_wxyz"]) / np.linalg.norm(row["quat_wxyz"]))


def test_joints_and_motors_are_the_tables_in_its_order():
    hinges = [row["joint"] for row in TABLE["bodies"] if "joint" in row]
    assert (MODEL.nq, MODEL.nv, MODEL.nu) == (36, 35, 29)
    for number, hinge in enumerate(hinges):
        joint, motor = MODEL.joint(hinge["name"]), MODEL.actuator(hinge["name"])
        assert (joint.qposadr[0], joint.dofadr[0], motor.id) == (7 + number, 6 + number, number)
        assert motor.trnid[0] == joint.id
        np.testing.assert_allclose(joint.axis, hinge["axis"], atol=1e-12)
        np.testing.assert_array_equal(joint.pos, 0.0)
        np.testing.assert_allclose(joint.range, hinge["range"], atol=1e-12)
        assert MODEL.jnt_limited[joint.id] == 1
        assert joint.armature[0] == pytest.approx(hinge["armature"], abs=1e-12)
        assert joint.damping[0] == pytest.approx(hinge["damping"], abs=1e-12)
        assert joint.frictionloss[0] == pytest.approx(hinge["frictionloss"], abs=1e-12)
        np.testing.assert_allclose(motor.forcerange, np.array([-1, 1]) * hinge["torque_limit"])
        assert motor.forcelimited[0] == 1


def test_kinematics_agree_with_the_table_three_ways():
    data = mujoco.MjData(MODEL)
    for pose in poses(20):
        data.qpos[:] = [0, 0, 0, 1, 0, 0, 0, *pose]
        mujoco.mj_kinematics(MODEL, data)
        position, rotation = ROBOT.forward_kinematics(pose)
        expected = frames(pose)
        for index, body in enumerate(ROBOT.bodies):
            where, quat = expected[body.name]
            np.testing.assert_allclose(position[index], where, atol=1e-9)
            np.testing.assert_allclose(data.body(body.name).xpos, where, atol=1e-9)
            np.testing.assert_allclose(rotation[index], robots.rotation_matrix(quat), atol=1e-9)
            assert same_rotation(data.body(body.name).xquat, quat)


def test_the_feet_touch_the_floor_in_pairs():
    feet = {MODEL.body(name).id for name in ROBOT.feet}
    paired = {MODEL.geom_bodyid[geom] for pair in (MODEL.pair_geom1, MODEL.pair_geom2) for geom in pair}
    assert paired == feet | {0}
    np.testing.assert_allclose(MODEL.pair_friction[:, :2], 0.8)
    np.testing.assert_allclose(MODEL.pair_solref, [[0.01, 1.0]] * MODEL.npair)
    assert pytest.approx(0.002) == MODEL.opt.timestep


def test_it_stands_on_its_soles():
    world = physics.World(ROBOT)
    assert world.data.qpos[2] == pytest.approx(0.757, abs=2e-3)
    assert world.data.ncon == 0 or world.data.contact.dist.min() > -1e-4
    world.data.qpos[2] -= 1e-3
    mujoco.mj_forward(world.model, world.data)
    assert world.foot_contacts.tolist() == [1.0, 1.0]
    world.data.qpos[2] += 0.1
    mujoco.mj_forward(world.model, world.data)
    assert world.foot_contacts.tolist() == [0.0, 0.0]


def test_each_foot_has_its_own_contact():
    world = physics.World(ROBOT)
    knee = ROBOT.joint_names.index("left_knee_joint")
    world.data.qpos[2] -= 1e-3
    world.data.qpos[7 + knee] += 0.5  # the left foot is drawn up
    mujoco.mj_forward(world.model, world.data)
    assert world.foot_contacts.tolist() == [0.0, 1.0]


def test_the_motor_is_a_spring_and_a_damper_within_its_limit():
    world = physics.World(ROBOT)
    kp, kd = np.full(29, 40.0), np.full(29, 2.0)
    world.set_gains(kp, kd)
    world.data.qvel[6:] = np.linspace(-1, 1, 29)
    offset = np.linspace(-0.3, 0.3, 29)
    world.data.ctrl[:] = world.joint_pos + offset
    mujoco.mj_forward(world.model, world.data)
    torque = np.clip(kp * offset - kd * world.joint_vel, -ROBOT.torque_limit, ROBOT.torque_limit)
    np.testing.assert_allclose(world.data.actuator_force, torque, atol=1e-9)
    assert (np.abs(torque) == ROBOT.torque_limit).any() and (np.abs(torque) < ROBOT.torque_limit).any()


def tumbling(seed):
    """A robot in free fall, turning about all axes."""
    rng = np.random.default_rng(seed)
    world = physics.World(ROBOT)
    quat = rng.normal(size=4)
    world.data.qpos[2], world.data.qpos[3:7] = 50.0, quat / np.linalg.norm(quat)
    world.data.qvel[:6] = rng.normal(size=6)
    mujoco.mj_forward(world.model, world.data)
    return world


def root(world):
    return world.data.qpos[:3].copy(), robots.rotation_matrix(world.data.qpos[3:7])


@pytest.mark.parametrize("seed", range(5))
def test_readouts_are_the_motions_derivatives(seed):
    world = tumbling(seed)
    world.model.opt.timestep = 1e-6
    (x0, r0), state, velocity, yaw = root(world), world.state(0), world.velocity, world.pose[2]
    world.step(world.joint_pos)
    (x1, r1), after = root(world), world.state(1)
    spin = (r1 - r0) @ r0.T / 1e-6  # the skew matrix of the angular velocity, world frame
    omega = np.array([spin[2, 1] - spin[1, 2], spin[0, 2] - spin[2, 0], spin[1, 0] - spin[0, 1]]) / 2
    np.testing.assert_allclose(state.base_ang_vel, r0.T @ omega, atol=1e-3)
    np.testing.assert_allclose(state.joint_vel, (after.joint_pos - state.joint_pos) / 1e-6, atol=0.05)
    np.testing.assert_allclose(state.projected_gravity, r0.T @ (0, 0, -1), atol=1e-12)
    assert yaw == pytest.approx(np.arctan2(r0[1, 0], r0[0, 0]))
    forward, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    planar = (x1 - x0)[:2] / 1e-6
    np.testing.assert_allclose(velocity, [forward @ planar, left @ planar, omega[2]], atol=1e-3)


def test_a_new_start_stands_upright_at_the_origin_facing_where_it_is_told():
    world = tumbling(0)
    world.reset(yaw=2.0)
    assert world.pose == pytest.approx((0.0, 0.0, 2.0))
    np.testing.assert_allclose(world.projected_gravity, (0, 0, -1), atol=1e-12)
    np.testing.assert_array_equal(world.joint_pos, ROBOT.default_pose)
    np.testing.assert_array_equal(world.velocity, 0.0)
    assert world.time_ns == 0 and not world.fell


@pytest.mark.parametrize(
    ("height", "tilt", "fell"), [(0.51, 0, 0), (0.49, 0, 1), (0.7, 0.99, 0), (0.7, 1.01, 1)]
)
def test_a_fall_is_the_contracts(height, tilt, fell):
    world = physics.World(ROBOT)
    world.data.qpos[2:7] = height, np.cos(tilt / 2), 0.0, np.sin(tilt / 2), 0.0
    assert world.fell == bool(fell)


def test_steps_are_deterministic():
    ends = []
    for _ in range(2):
        world = physics.World(ROBOT)
        world.set_gains(np.full(29, 50.0), np.full(29, 2.0))
        for step in range(100):
            world.step(ROBOT.default_pose + 0.1 * np.sin(step / 5))
        ends.append(world.data.qpos.copy())
    np.testing.assert_array_equal(ends[0], ends[1])


COMMANDS = np.array(
    [
        (0, 0, 0), (0.5, 0, 0), (1, 0, 0), (-0.5, 0, 0), (0, 0.5, 0), (0, -0.5, 0), (0, 0, 0.8), (0, 0, -0.8),
        (0.5, 0, 0.5), (0.5, 0, -0.5), (1, 0, 0.3), (-0.3, 0.2, 0),
    ]
)  # fmt: skip


@pytest.mark.parametrize("name", ["fastsac", "ppo"])
def test_the_pretrained_teachers_walk_in_it(name):
    pytest.importorskip("onnxruntime")
    from rmedge.export.motions import rollouts, teachers

    assert teachers.WHEEL.path.exists(), "run: python -m rmedge.export teachers"
    teacher = teachers.Teacher(ROBOT, name)
    count = len(COMMANDS)
    fleet = rollouts.Fleet(ROBOT, [physics.CALM] * count, teacher.kp, teacher.kd)
    action, went = np.zeros((count, 29)), []
    fell = np.zeros(count, bool)
    for tick in range(10 * teachers.TICK_HZ):
        action = teacher.walk(fleet.truth(), COMMANDS, tick / teachers.TICK_HZ, action)
        fleet.drive(action)
        fell |= [world.fell for world in fleet.worlds]
        went.append([world.velocity for world in fleet.worlds])
    assert not fell.any(), COMMANDS[fell]
    achieved = np.mean(went[teachers.TICK_HZ :], axis=0)  # (commands, 3) after the first second
    asked = np.abs(COMMANDS) >= 0.2
    ratio = achieved[asked] / COMMANDS[asked]
    assert (ratio > 0.2).all(), ratio
    assert (ratio < 1.5).all(), ratio
    assert (np.abs(achieved[~asked]) < 0.15).all(), achieved


@pytest.mark.parametrize(("name", "forward"), [("fastsac", 0.0), ("ppo", 0.0), ("fastsac", 0.5)])
def test_a_second_robot_stands_and_walks_in_it(name, forward):
    pytest.importorskip("onnxruntime")
    from rmedge.export.motions import teachers

    if not teachers.WHEEL.path.exists():
        pytest.skip("no teachers in the cache: python -m rmedge.export teachers")
    robot = robots.load("t1")
    teacher, world = teachers.Teacher(robot, name), physics.World(robot)
    world.set_gains(teacher.kp, teacher.kd)
    action, sent = np.zeros((1, len(robot.joints))), robot.default_pose
    for tick in range(2 * teachers.TICK_HZ):
        senses = {key: value[None] for key, value in world.senses().items()}
        action = teacher.walk(senses, np.array([[forward, 0.0, 0.0]]), tick / teachers.TICK_HZ, action)
        target = robot.default_pose + teachers.ACTION_SCALE * action[0]
        for share in np.arange(1, 11) / 10:
            world.step(sent + (target - sent) * share)
        sent = target
    assert world.pose[:2] == pytest.approx((1.6 * forward, 0.0), abs=0.15)
    assert world.data.qpos[2] > 0.9 * robot.standing_height
    assert world.projected_gravity[2] < -0.95


@pytest.mark.parametrize("name", physics.PHYSICS)
@pytest.mark.parametrize("robot", robots.names())
def test_every_physics_has_the_same_robot_and_as_long_a_write(robot, name):
    robot, chosen = robots.load(robot), physics.PHYSICS[name]
    assert chosen.name == name
    model, plain = physics.build(robot, chosen), physics.build(robot)
    for kept in (
        "body_mass", "body_inertia", "body_ipos", "jnt_range", "actuator_forcerange", "pair_friction",
        "dof_armature", "dof_damping", "dof_frictionloss", "qpos0",
    ):  # fmt: skip
        np.testing.assert_array_equal(getattr(model, kept), getattr(plain, kept), kept)
    assert model.opt.timestep == chosen.timestep_s
    np.testing.assert_allclose(model.pair_solref, [chosen.contact] * model.npair)
    world = physics.World(robot, chosen)
    for step in range(1, 6):
        world.step(robot.default_pose)
        assert world.time_ns == step * 2_000_000


def test_no_two_physics_are_alike_and_the_reference_is_the_contracts():
    kinds = [(p.timestep_s, p.integrator, p.cone, p.contact) for p in physics.PHYSICS.values()]
    assert len(set(kinds)) == len(kinds) >= 2
    models = [physics.build(ROBOT, chosen) for chosen in physics.PHYSICS.values()]
    built = {(m.opt.timestep, m.opt.integrator, m.opt.cone, m.pair_solref[0, 0]) for m in models}
    assert len(built) == len(models)
    assert physics.choose("reference") is physics.REFERENCE
    assert MODEL.opt.integrator == mujoco.mjtIntegrator.mjINT_EULER
    ends = []
    for chosen in physics.PHYSICS.values():
        world = physics.World(ROBOT, chosen)
        world.set_gains(np.full(29, 50.0), np.full(29, 2.0))
        for _ in range(100):
            world.step(ROBOT.default_pose)
        ends.append(world.data.qpos.copy())
    assert all(np.abs(ends[0] - other).max() > 1e-4 for other in ends[1:])
    assert all(np.abs(ends[0] - other).max() < 0.05 for other in ends[1:])  # but much the same


@pytest.mark.parametrize("robot", robots.names())
@pytest.mark.parametrize("name", physics.PHYSICS)
def test_a_robot_stands_in_every_physics(robot, name):
    pytest.importorskip("onnxruntime")
    from rmedge.export.motions import teachers

    if not teachers.WHEEL.path.exists():
        pytest.skip("no teachers in the cache: python -m rmedge.export teachers")
    robot = robots.load(robot)
    teacher, world = teachers.Teacher(robot, "fastsac"), physics.World(robot, physics.PHYSICS[name])
    world.set_gains(teacher.kp, teacher.kd)
    action = np.zeros((1, len(robot.joints)))
    for tick in range(2 * teachers.TICK_HZ):
        senses = {key: value[None] for key, value in world.truth().items()}
        action = teacher.walk(senses, np.zeros((1, 3)), tick / teachers.TICK_HZ, action)
        for _ in range(10):
            world.step(robot.default_pose + teachers.ACTION_SCALE * action[0])
    assert world.time_ns == 2_000_000_000 and not world.fell
    assert world.data.qpos[2] == pytest.approx(robot.standing_height, abs=0.03)
    assert np.abs(world.pose).max() < 0.1


@pytest.fixture
def published(tmp_path):
    """A G1 as somebody else may have published it: with motors, a keyframe, and a floor of another name."""
    spec = physics._compose(ROBOT, physics.REFERENCE)
    for pair in list(spec.pairs):
        spec.delete(pair)
    for geom in spec.geoms:
        if geom.group == 3:
            geom.contype = 1
    spec.add_actuator(name="old", target=ROBOT.joint_names[0], trntype=mujoco.mjtTrn.mjTRN_JOINT)
    spec.compile()
    path = tmp_path / "other.xml"
    path.write_text(spec.to_xml(), encoding="utf-8")
    return path


def test_a_published_model_is_driven_by_our_motors(published):
    chosen = physics.choose(str(published))
    assert (chosen.name, chosen.file) == ("other", str(published))
    world = physics.World(ROBOT, chosen)
    assert world.model.nu == len(ROBOT.joints) and world.model.npair == 0
    np.testing.assert_allclose(world.model.actuator_forcerange[:, 1], ROBOT.torque_limit)
    np.testing.assert_allclose(world.model.body_mass.sum(), MODEL.body_mass.sum(), rtol=1e-4)
    for _ in range(30):
        world.step(ROBOT.default_pose)
    assert world.time_ns == 60_000_000 and world.foot_contacts.tolist() == [1.0, 1.0]


def test_a_published_models_own_floor_becomes_rough_too(published):
    spec = mujoco.MjSpec.from_file(str(published))
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05])
    published.write_text(spec.to_xml(), encoding="utf-8")
    model = physics.build(ROBOT, physics.choose(str(published)), roughness_m=0.02)
    assert model.nhfield == 1


def test_what_is_no_physics_is_refused(published, tmp_path):
    known = "reference, second, soft"
    for text in ("third", str(tmp_path / "nowhere.xml"), str(tmp_path)):
        with pytest.raises(UsageError, match=f"physics: expected one of {known} or the path of an MJCF"):
            physics.choose(text)
    with pytest.raises(InputError, match="expected the joints and feet of t1 in their order"):
        physics.build(robots.load("t1"), physics.choose(str(published)))
    broken = tmp_path / "broken.xml"
    broken.write_text("<mujoco", encoding="utf-8")
    with pytest.raises(InputError, match="physics: expected an MJCF model, got"):
        physics.build(ROBOT, physics.choose(str(broken)))
