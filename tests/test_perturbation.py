"""Each perturbation does to the simulated robot what it says, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import mujoco
import numpy as np
import pytest

from rmedge import robots
from rmedge.runtimes import physics
from rmedge.runtimes.actuators.sim import SimActuator
from rmedge.runtimes.perturbation import CALM, SENSOR_NOISE, Perturbation
from rmedge.runtimes.physics import WRITE_S, World

ROBOT = robots.load("g1")
MODEL = physics.build(ROBOT)
JOINTS = len(ROBOT.joints)
KP, KD = np.linspace(30.0, 90.0, JOINTS), np.linspace(1.0, 4.0, JOINTS)


def world(perturbation=CALM, robot=ROBOT):
    made = World(robot, perturbation=perturbation)
    made.set_gains(KP, KD)
    return made


def moved(made, steps=300):
    """Where it gets under the same commands (steps, nq)."""
    track = []
    for step in range(steps):
        made.step(made.robot.default_pose + 0.1 * np.sin(step / 20))
        track.append(made.data.qpos.copy())
    return np.array(track)


def changed(one, other):
    """The names of a model's numbers that differ from another's."""
    names = [name for name in dir(one) if isinstance(getattr(one, name), np.ndarray)]
    return {name for name in names if not np.array_equal(getattr(one, name), getattr(other, name))}


# what comes of the body's masses when MuJoCo works it out
MASSES = {
    "body_mass", "body_subtreemass", "body_inertia", "body_invweight0", "dof_invweight0", "dof_M0",
    "body_ipos", "actuator_acc0", "dof_length", "bvh_aabb", "light_poscom0",
}  # fmt: skip


def test_calm_is_the_default_and_changes_nothing_to_the_bit():
    assert Perturbation() == CALM
    calm = world()
    assert not changed(calm.model, world(Perturbation(seed=7)).model)  # through the same door as all others
    track = moved(calm)
    for same in (Perturbation(), Perturbation(seed=7), replace(CALM, push_every_s=0.1)):
        np.testing.assert_array_equal(moved(world(same)), track)
    calm.reset()
    np.testing.assert_array_equal(moved(calm), track)


def test_a_shared_model_is_left_as_it_was():
    before = physics.build(ROBOT)
    World(ROBOT, perturbation=Perturbation(0.5, 1.1, (0.01, 0.0, 0.0), strength=0.9), model=before)
    assert not changed(before, MODEL)


def test_friction_is_the_feets_in_both_directions():
    made = world(Perturbation(friction=0.4)).model
    assert changed(made, world().model) == {"pair_friction", "geom_friction"}
    assert (made.pair_friction[:, :2] == 0.4).all() and (made.geom_friction[:, 0] == 0.4).all()
    np.testing.assert_array_equal(made.pair_friction[:, 2:], MODEL.pair_friction[:, 2:])
    np.testing.assert_array_equal(made.geom_friction[:, 1:], MODEL.geom_friction[:, 1:])


def test_a_robot_on_ice_slides_further():
    slid = []
    for friction in (0.05, 1.2):
        made = world(Perturbation(friction=friction))
        for _ in range(50):
            made.step(ROBOT.default_pose)
        made.push(1.0, 0.0)
        speeds = []
        for _ in range(40):
            made.step(ROBOT.default_pose)
            speeds.append(np.nanmean(made.foot_slip) if made.foot_contacts.any() else 0.0)
        slid.append(np.mean(speeds))
    assert slid[0] > 2 * slid[1]


@pytest.mark.parametrize("robot", robots.names())
@pytest.mark.parametrize("scale", [0.85, 1.15])
def test_mass_scales_every_body_and_its_inertia(robot, scale):
    robot = robots.load(robot)
    plain = physics.build(robot)
    made = World(robot, perturbation=Perturbation(mass=scale)).model
    np.testing.assert_allclose(made.body_mass, scale * plain.body_mass)
    np.testing.assert_allclose(made.body_inertia, scale * plain.body_inertia)
    np.testing.assert_allclose(made.body_subtreemass, scale * plain.body_subtreemass)  # MuJoCo was told
    assert changed(made, plain) <= MASSES


@pytest.mark.parametrize(("robot", "trunk"), [("g1", "torso_link"), ("t1", "Trunk")])
def test_the_trunks_centre_of_mass_is_moved(robot, trunk):
    robot, com = robots.load(robot), (0.03, -0.02, 0.01)
    plain = physics.build(robot)
    made = World(robot, perturbation=Perturbation(com=com)).model
    moves = made.body_ipos - plain.body_ipos
    np.testing.assert_allclose(moves[plain.body(trunk).id], com)
    assert np.count_nonzero(np.abs(moves).max(1)) == 1
    assert changed(made, plain) <= MASSES
    sums = []
    for model in (plain, made):
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        sums.append(data.subtree_com[1])
    share = plain.body(trunk).mass[0] / plain.body_mass.sum()
    np.testing.assert_allclose(sums[1] - sums[0], share * np.array(com), atol=1e-9)


def test_motors_are_stiffer_softer_and_weaker_as_told():
    made = world(Perturbation(stiffness=0.8, damping=1.2, strength=0.5)).model
    plain = world().model
    np.testing.assert_allclose(made.actuator_gainprm[:, 0], 0.8 * KP)
    np.testing.assert_allclose(made.actuator_biasprm[:, 1:3], -np.stack([0.8 * KP, 1.2 * KD], 1))
    np.testing.assert_allclose(made.actuator_forcerange, 0.5 * plain.actuator_forcerange)
    assert changed(made, plain) == {"actuator_gainprm", "actuator_biasprm", "actuator_forcerange"}
    weak = world(Perturbation(strength=0.5))
    weak.step(ROBOT.default_pose + 10.0)
    np.testing.assert_allclose(weak.torque, 0.5 * ROBOT.torque_limit)


def test_gains_are_scaled_however_often_they_are_set():
    made = world(Perturbation(stiffness=0.8))
    made.reset()
    made.set_gains(KP, KD)
    np.testing.assert_allclose(made.model.actuator_gainprm[:, 0], 0.8 * KP)


@pytest.mark.parametrize("late", [0, 1, 5, 10])
def test_a_command_reaches_its_motor_so_many_writes_later(late):
    made = world(Perturbation(action_delay_s=late * WRITE_S))
    for _ in range(2):  # a new start forgets what was on its way
        made.reset()
        targets = ROBOT.default_pose + np.random.default_rng(0).normal(0, 0.01, (30, JOINTS))
        for step, target in enumerate(targets):
            made.step(target)
            expected = targets[step - late] if step >= late else ROBOT.default_pose
            np.testing.assert_array_equal(made.data.ctrl, expected)


@pytest.mark.parametrize("late", [0, 1, 5])
def test_a_reading_is_so_many_writes_old(late):
    made = world(Perturbation(sensor_delay_s=late * WRITE_S))
    for _ in range(2):
        made.reset()
        history = [made.truth()]
        for step in range(20):
            made.step(ROBOT.default_pose + 0.1 * np.sin(step))
            history.append(made.truth())
            for name, value in made.senses().items():
                np.testing.assert_array_equal(value, history[max(0, step + 1 - late)][name])
    assert made.state(123).stamp_ns == 123  # the record says when it was asked for


@pytest.mark.parametrize("scale", [0.5, 1.0])
@pytest.mark.parametrize("late_s", [0.0, 0.004])
def test_readings_scatter_about_the_truth_as_much_as_is_said(scale, late_s):
    made = world(Perturbation(sensor_noise=scale, sensor_delay_s=late_s, seed=1))
    truth = made.truth()
    count = 4000
    reads = [made.senses() for _ in range(count)]
    for name, sigma in SENSOR_NOISE.items():
        error = np.array([read[name] for read in reads]) - truth[name]
        if name == "projected_gravity":
            np.testing.assert_allclose(np.linalg.norm(error + truth[name], axis=1), 1.0)
            error = error[:, :2]  # upright: what is left after the length is made one again
        # five standard errors of a mean and of a standard deviation
        assert np.abs(error.mean(0)).max() < 5 * scale * sigma / np.sqrt(count) + 1e-4
        np.testing.assert_allclose(error.std(0), scale * sigma, rtol=5 / np.sqrt(2 * count))
    for name, value in made.truth().items():
        np.testing.assert_array_equal(value, truth[name])
    if late_s:  # what is on its way is not made worse by being looked at
        np.testing.assert_array_equal(made._states[0]["joint_pos"], truth["joint_pos"])


def pushes(perturbation, seconds=1.0):
    """The planar velocity that a falling robot is given at each write (writes, 2)."""
    made = world(perturbation)
    made.data.qpos[2] += 50.0  # nothing else touches it
    made.model.opt.gravity[:] = 0.0
    speed, gained = made.data.qvel[:2].copy(), []
    for _ in range(round(seconds / WRITE_S)):
        made.step(ROBOT.default_pose)
        gained.append(made.data.qvel[:2] - speed)
        speed = made.data.qvel[:2].copy()
    return np.array(gained)


def test_pushes_come_at_their_times_as_strong_as_told_and_by_their_seed():
    shoved = Perturbation(push_m_s=0.5, push_every_s=0.25, seed=3)
    gained = pushes(shoved)
    times = np.flatnonzero(np.linalg.norm(gained, axis=1) > 0.1)
    assert times.tolist() == [124, 249, 374, 499]  # the writes that end a quarter of a second
    # the rest of the robot takes its share of each push within a write, so it is not quite as told
    np.testing.assert_allclose(np.linalg.norm(gained[times], axis=1), 0.5, rtol=0.05)
    np.testing.assert_array_equal(gained, pushes(shoved))
    other = pushes(replace(shoved, seed=4))
    assert not np.allclose(gained[times], other[times])
    heading = np.arctan2(*gained[times].T)
    assert np.ptp(heading) > 0.3  # each in a direction of its own
    assert not (np.abs(pushes(CALM)) > 0.1).any()


def test_pushes_do_not_hang_on_how_often_the_sensors_are_read():
    shoved = Perturbation(push_m_s=0.5, push_every_s=0.02, sensor_noise=1.0, seed=3)
    quiet, watched = world(shoved), world(shoved)
    for _ in range(11):
        watched.senses()
        for made in (quiet, watched):
            made.step(ROBOT.default_pose)
    np.testing.assert_array_equal(watched.data.qvel, quiet.data.qvel)


def test_a_new_start_is_pushed_alike():
    made = world(Perturbation(push_m_s=0.5, push_every_s=0.1, sensor_noise=1.0, seed=5))
    first, read = moved(made, 150), made.senses()
    made.reset()
    np.testing.assert_array_equal(moved(made, 150), first)
    np.testing.assert_array_equal(made.senses()["joint_pos"], read["joint_pos"])


@pytest.mark.parametrize("robot", robots.names())
@pytest.mark.parametrize("roughness", [0.01, 0.05])
def test_a_rough_floor_has_bumps_that_high_and_one_starts_above_them(robot, roughness):
    robot = robots.load(robot)
    made = World(robot, perturbation=Perturbation(roughness_m=roughness, seed=2))
    model, data = made.model, made.data
    assert model.hfield_size[0, 2] == roughness
    assert (model.hfield_data.min(), model.hfield_data.max()) == (0.0, 1.0)
    assert not (data.contact.dist < -1e-4).any() and not made.fell
    assert data.qpos[2] == pytest.approx(robot.standing_height + roughness)
    made.set_gains(np.full(JOINTS, 300.0), np.full(JOINTS, 10.0))
    for _ in range(150):
        made.step(robot.default_pose)
    assert made.foot_contacts.any()
    assert data.qpos[2] == pytest.approx(robot.standing_height + roughness / 2, abs=roughness / 2 + 0.02)
    other = World(robot, perturbation=Perturbation(roughness_m=roughness, seed=3)).model
    assert not np.array_equal(model.hfield_data, other.hfield_data)
    again = World(robot, perturbation=Perturbation(roughness_m=roughness, seed=2)).model
    np.testing.assert_array_equal(model.hfield_data, again.hfield_data)


ROUGH = Perturbation(
    friction=0.6, mass=1.1, com=(0.01, 0.0, 0.0), stiffness=0.9, damping=1.1, strength=0.9, push_m_s=0.3,
    push_every_s=0.2, action_delay_s=0.01, sensor_delay_s=0.004, sensor_noise=1.0, roughness_m=0.01, seed=11,
)  # fmt: skip


def test_the_same_seed_is_the_same_trajectory():
    tracks = []
    for _ in range(2):
        made = world(ROUGH)
        track = []
        for _ in range(200):
            made.step(ROBOT.default_pose + 0.5 * (made.senses()["joint_pos"] - ROBOT.default_pose))
            track.append(made.data.qpos.copy())
        tracks.append(track)
    np.testing.assert_array_equal(*tracks)
    assert not np.array_equal(moved(world(ROUGH), 200), moved(world(replace(ROUGH, seed=12)), 200))


def test_an_actuator_simulates_it():
    with SimActuator(ROBOT, perturbation=ROUGH) as actuator:
        assert actuator.world.perturbation == ROUGH
        np.testing.assert_array_equal(
            actuator.read().joint_pos, World(ROBOT, perturbation=ROUGH).state(0).joint_pos
        )


def drawn(draw, count=400):
    rng = np.random.default_rng(0)
    return [draw(rng) for _ in range(count)]


def values(draws, name):
    return np.array([getattr(one, name) for one in draws])


def test_what_a_policy_is_judged_under_is_the_issues_grid():
    draws = drawn(Perturbation.drawn)
    for name, low, high in (
        ("friction", 0.4, 1.2), ("mass", 0.85, 1.15), ("stiffness", 0.85, 1.15), ("damping", 0.85, 1.15),
        ("action_delay_s", 0.0, 0.02),
    ):  # fmt: skip
        found = values(draws, name)
        assert low <= found.min() < low + 0.02 * (high - low), name
        assert high - 0.02 * (high - low) < found.max() <= high, name
    assert {(one.push_m_s, one.push_every_s, one.sensor_noise) for one in draws} == {(0.5, 3.0, 1.0)}
    for name in ("com", "strength", "sensor_delay_s", "roughness_m"):
        assert {getattr(one, name) for one in draws} == {getattr(CALM, name)}
    assert len({one.seed for one in draws}) == len(draws)
    assert draws == drawn(Perturbation.drawn)


def test_training_is_wider_than_the_judgement_and_sometimes_calm():
    draws, judged = drawn(Perturbation.wild, 1000), drawn(Perturbation.drawn)
    calm = [one for one in draws if one == CALM]
    assert len(calm) / len(draws) == pytest.approx(0.3, abs=0.05)
    harsh = [one for one in draws if one != CALM]
    for field in fields(Perturbation):
        if field.name in ("com", "seed", "push_every_s"):
            continue
        found, asked = values(harsh, field.name), values(judged, field.name)
        slack = 0.01 * np.ptp(asked)
        assert found.min() <= asked.min() + slack and found.max() >= asked.max() - slack, field.name
        assert np.ptp(found) > 0, field.name
    com = values(harsh, "com")
    assert com.shape[1] == 3 and np.abs(com).max() <= 0.03
    assert (values(harsh, "push_m_s") <= 0.7).all() and 0.3 < (values(harsh, "push_m_s") == 0).mean() < 0.7
    assert (values(harsh, "roughness_m") <= 0.02).all() and (values(harsh, "push_every_s") >= 1.5).all()
    assert asdict(harsh[0]) == asdict(drawn(Perturbation.wild, 1000)[draws.index(harsh[0])])
