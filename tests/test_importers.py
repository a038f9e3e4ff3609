"""Foreign policies become bundles that do what their own frameworks would, or are refused by name."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from dataclasses import replace

import foreigners as made
import numpy as np
import onnx
import pytest
import yaml
from foreigners import JOINTS, KD, KP, NAMES, ORDER, POSE, SCALE, TOLD
from practice import NO_WHEEL, wheel

from rmedge import Bundle, robots
from rmedge.cli import main
from rmedge.errors import InputError, UsageError
from rmedge.export import importers
from rmedge.export.importers import adapter, calibration, tagged
from rmedge.export.importers.commands import CommandMap
from rmedge.export.motions import teachers
from rmedge.runtimes.policy import Policy

needs_wheel = pytest.mark.skipif(not wheel(), reason=NO_WHEEL)
COMMAND = np.array([0.6, -0.3, 0.4])
TINY = 2e-5  # [rad]; both sides compute in float32


def steered(foreign, tmp_path, name="obedient"):
    """The policy of a bundle whose intent is the velocity, and what says it."""
    bundle = calibration.obedient(foreign, tmp_path / name)
    z = np.zeros(bundle.intent.size, np.float32)
    z[:3] = COMMAND
    return bundle, Policy(bundle), z


def follow(foreign, tmp_path, isaac, ticks=12):
    """Every tick's joint targets must be those that the foreign framework would command."""
    _, policy, z = steered(foreign, tmp_path)
    action = np.zeros(JOINTS)
    for state in made.states(ticks):
        seen = isaac.observe(made.felt(state, action, COMMAND, state.stamp_ns / 1e9))
        (action,) = made.called(foreign.graph, obs=seen)[0]
        target = policy.act(state, z).joint_pos[0]
        np.testing.assert_allclose(target[ORDER], POSE + SCALE * action, atol=TINY)
    assert np.ptp(target) > 0.1


def refused(message, make):
    """The error's words are part of what is promised."""
    with pytest.raises((UsageError, InputError), match=message) as caught:
        make()
    assert caught.value.exit_code == 2
    return str(caught.value)


# mjlab


def test_an_mjlab_file_says_what_its_notes_say(tmp_path):
    foreign = importers.read(made.mjlab(tmp_path / "p.onnx"), told=TOLD)
    assert (foreign.format, foreign.robot.name, foreign.rate_hz) == ("mjlab", "g1", 50.0)
    assert list(foreign.joint_names) == NAMES
    for name, expected in (("kp", KP), ("kd", KD), ("default_pose", POSE), ("action_scale", SCALE)):
        np.testing.assert_allclose(getattr(foreign, name), expected, atol=5e-4)
    assert [(t.name, t.sense, len(t.scale), t.history, t.clip) for t in foreign.terms] == [
        ("base_ang_vel", "base_ang_vel", 3, 1, None),
        ("projected_gravity", "projected_gravity", 3, 1, None),
        ("joint_pos", "joint_pos", JOINTS, 1, None),
        ("joint_vel", "joint_vel", JOINTS, 1, None),
        ("actions", "actions", JOINTS, 1, None),
        ("command", "command", 3, 1, None),
    ]
    assert foreign.command_limits.tolist() == made.LIMITS
    assert foreign.gait_period_s is None and foreign.action_clip is None and foreign.carry is None
    assert foreign.sources["kp"] == "file" and foreign.sources["rate_hz"] == "told"
    assert foreign.told()["licence"] == "not said by its file"


@pytest.mark.parametrize("history", [1, 4])
def test_an_mjlab_policy_does_what_mjlab_would(tmp_path, history):
    settings = {"base_ang_vel": {"scale": 0.25}, "joint_vel": {"scale": 0.05, "clip": [-8, 8]}}
    told = {**TOLD, "terms": settings, **({"history": history} if history > 1 else {})}
    foreign = importers.read(made.mjlab(tmp_path / "p.onnx", history), told=told)
    terms = {
        name: (settings.get(name, {}).get("scale", 1.0), settings.get(name, {}).get("clip"), history)
        for name in made.VELOCITY
    }
    follow(foreign, tmp_path, made.Isaac(terms))


@pytest.mark.parametrize("fact", ["rate_hz", "command_limits", "terms"])
def test_what_an_mjlab_file_does_not_say_is_demanded(tmp_path, fact):
    path = made.mjlab(tmp_path / "p.onnx")
    told = {name: value for name, value in TOLD.items() if name != fact}
    said = refused("expected it in the file or told, got neither", lambda: importers.read(path, told=told))
    assert said.startswith(f"p.onnx: {fact}: ")
    assert said.rpartition("--tell ")[2].lstrip("'").startswith(f"{fact}=")  # what to type


def test_a_history_that_the_width_shows_must_be_told(tmp_path):
    path = made.mjlab(tmp_path / "p.onnx", 4)
    refused("history: expected it in the file or told", lambda: importers.read(path, told=TOLD))
    refused("input obs of 480 .* got .1, 384.", lambda: importers.read(path, told={**TOLD, "history": 5}))


def test_rounded_numbers_may_be_told_exactly_and_not_otherwise(tmp_path):
    path = made.mjlab(tmp_path / "p.onnx")
    exact = (KP + 4e-4).tolist()
    foreign = importers.read(path, told={**TOLD, "kp": exact})
    assert foreign.kp.tolist() == exact and foreign.sources["kp"] == "told, finer than the file"
    other = (KP + 2e-3).tolist()
    refused("kp: expected what the file says", lambda: importers.read(path, told={**TOLD, "kp": other}))
    for wrong in ({"base_ang_vel": 3}, {"base_ang_vel": {"scale": "x"}}, {"base_lin_vel": {}}, 3):
        refused("base_ang_vel|terms", lambda wrong=wrong: importers.read(path, told={**TOLD, "terms": wrong}))
    refused("expected only facts that", lambda: importers.read(path, told={**TOLD, "gait_period_s": 1.0}))
    zero = ",".join(["0.000"] * JOINTS)  # a small scale, rounded away
    path = made.mjlab(tmp_path / "z.onnx", action_scale=zero)
    refused(r"action_scale\[0\]: expected a number above 0", lambda: importers.read(path, told=TOLD))


@pytest.mark.parametrize(
    ("term", "reason"),
    [
        ("base_lin_vel", "linear velocity, which no robot here measures; train without it"),
        ("height_scan", "the terrain's heights"),
        ("motion_anchor_ori_b", "a reference motion; a policy that tracks"),
        ("accelerometer", "acceleration"),
        ("mystery", "expected one of base_ang_vel, .* got a term of another kind"),
    ],
)
def test_a_term_that_no_robot_measures_is_refused_by_name(tmp_path, term, reason):
    path = made.mjlab(tmp_path / "p.onnx", observation_names=f"{term},base_ang_vel,command")
    assert f" {term}: " in refused(reason, lambda: importers.read(path, told=TOLD))


def test_a_command_that_is_no_velocity_is_refused(tmp_path):
    path = made.mjlab(tmp_path / "p.onnx", command_names="motion")
    refused("a reference motion", lambda: importers.read(path, told=TOLD))
    path = made.mjlab(tmp_path / "p.onnx", command_names="ball")
    refused(
        "command_names: expected twist or base_velocity, got ball", lambda: importers.read(path, told=TOLD)
    )


def test_joints_are_those_of_one_robot(tmp_path):
    for names, message in (
        (NAMES[:-1], "28 joints; g1 has"),
        ([*NAMES[:-1], "tail_joint"], "g1 has .* more and lacks tail_joint"),
        ([*NAMES[:-1], NAMES[0]], "expected something not listed before"),
    ):
        path = made.mjlab(tmp_path / "p.onnx", joint_names=",".join(names))
        assert "joint_names" in refused(message, lambda path=path: importers.read(path, told=TOLD))


# unitree_rl_lab


TERMS = made.deploy()["observations"]
SHORT = {"base_ang_vel": {**TERMS["base_ang_vel"], "history_length": 3}}
PART = {"base_ang_vel": {**TERMS["base_ang_vel"], "params": {"asset_cfg": {"joint_ids": [0]}}}}
NO_PERIOD = {**TERMS["gait_phase"], "params": {}}


def terms_of(says):
    return {
        name: (np.array(term["scale"]), term["clip"], term["history_length"])
        for name, term in says["observations"].items()
        if isinstance(term, dict)
    }


def test_a_deploy_yaml_says_what_its_fields_say(tmp_path):
    foreign = importers.read(made.unitree(tmp_path / "run"))
    assert (foreign.format, foreign.rate_hz, foreign.layout) == ("unitree_rl_lab", 50.0, "term_major")
    assert list(foreign.joint_names) == NAMES
    for name, expected in (
        ("kp", KP), ("kd", KD), ("default_pose", POSE), ("action_offset", POSE), ("action_scale", SCALE),
    ):  # fmt: skip
        assert getattr(foreign, name).tolist() == expected.tolist(), name
    assert [(t.name, t.sense, len(t.scale), t.clip, t.history) for t in foreign.terms] == [
        ("base_ang_vel", "base_ang_vel", 3, (-0.5, 0.7), 5),
        ("projected_gravity", "projected_gravity", 3, None, 5),
        ("velocity_commands", "command", 3, None, 5),
        ("joint_pos_rel", "joint_pos", JOINTS, None, 5),
        ("joint_vel_rel", "joint_vel", JOINTS, (-1.0, 1.0), 5),
        ("last_action", "actions", JOINTS, None, 5),
        ("gait_phase", "gait_phase", 2, None, 5),
    ]
    assert [t.scale[0] for t in foreign.terms] == [0.2, 1.0, 1.0, 1.0, 0.05, 1.0, 1.0]
    assert foreign.command_limits.tolist() == made.LIMITS
    assert (foreign.gait_period_s, foreign.target_clip, foreign.scale_first) == (0.8, None, False)
    assert {"kp", "command_limits", "terms", "gait_period_s"} <= set(foreign.sources)


@pytest.mark.parametrize("switches", [{}, {"use_gym_history": True}, {"scale_first": True}])
def test_a_unitree_policy_does_what_its_deployment_would(tmp_path, switches):
    says = made.deploy()
    says["observations"] = {**switches, **says["observations"]}
    foreign = importers.read(made.unitree(tmp_path / "run", says))
    isaac = made.Isaac(
        terms_of(says), switches.get("use_gym_history", False), switches.get("scale_first", False)
    )
    follow(foreign, tmp_path, isaac)


def test_a_history_may_differ_from_term_to_term(tmp_path):
    says = made.deploy()
    for length, term in enumerate(says["observations"].values(), 1):
        term["history_length"] = length
    foreign = importers.read(made.unitree(tmp_path / "run", says))
    follow(foreign, tmp_path, made.Isaac(terms_of(says)))


def test_a_pose_in_the_robots_order_is_told_by_the_offset(tmp_path):
    by_sdk = np.zeros(JOINTS)
    by_sdk[ORDER] = POSE  # as some forks write it
    foreign = importers.read(made.unitree(tmp_path / "run", made.deploy(default_joint_pos=by_sdk.tolist())))
    assert foreign.default_pose.tolist() == POSE.tolist()


def test_an_offset_that_is_not_the_pose_and_a_clip_of_targets_are_kept(tmp_path):
    says = made.deploy()
    action = says["actions"]["JointPositionAction"]
    offset = POSE + 0.05
    clip = np.stack([offset - 0.5 * SCALE, offset + 0.25 * SCALE], 1)
    action.update(offset=offset.tolist(), clip=clip.tolist())
    foreign = importers.read(made.unitree(tmp_path / "run", says))
    isaac, (_, policy, z) = made.Isaac(terms_of(says)), steered(foreign, tmp_path)
    action = np.zeros(JOINTS)
    for state in made.states(8):
        sent = in_robot_order(offset + SCALE * action)
        seen = isaac.observe(made.felt(state, action, COMMAND, state.stamp_ns / 1e9))
        (said,) = made.called(foreign.graph, obs=seen)[0]
        target = policy.act(state, z, sent=sent).joint_pos[0]
        wanted = np.clip(offset + SCALE * said, clip[:, 0], clip[:, 1])
        np.testing.assert_allclose(target[ORDER], wanted, atol=TINY)
        action = (wanted - offset) / SCALE  # what was really sent is what rmedge says of the last action


def in_robot_order(values):
    """Joint positions in the robot's order."""
    pose = np.zeros(JOINTS)
    pose[ORDER] = values
    return pose


def test_python_tags_are_data_and_never_run(tmp_path):
    says, marker = made.deploy(), tmp_path / "ran"
    text = yaml.dump(says, default_flow_style=None, sort_keys=False)
    everything = "!!python/object/apply:builtins.slice [null, null, null]"
    folder = made.unitree(tmp_path / "run", says, text.replace("joint_ids: null", f"joint_ids: {everything}"))
    assert importers.read(folder).joint_names[0] == NAMES[0]
    text = text.replace("step_dt: 0.02", f"step_dt: !!python/object/apply:os.system ['touch {marker}']")
    message = "step_dt: expected a number above 0, got Tagged"
    refused(message, lambda: importers.read(made.unitree(tmp_path / "bad", says, text)))
    assert not marker.exists()
    assert tagged.load(b"a: !!python/tuple [1, 2]", "x") == {"a": [1, 2]}
    assert tagged.load(b"!!python/name:os.system", "x").tag == "name:os.system"


@pytest.mark.parametrize(
    "text",
    [
        b"a: 1\na: 2",
        b"a: &x {b: 1}\nc: {<<: *x}",
        b"[" * 2000,
        b"a: !custom 1",
        b"? [1]\n: 2\n? {a: 1}\n: 3",
        b"- 1" * (1 << 19),
        b"a: 2001-99-99",
        b"\xff\xfe\x00",
    ],
)
def test_a_hostile_description_is_refused(text):
    with pytest.raises(InputError, match=r"^f: expected"):
        tagged.load(text, "f")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stiffness": [1.0] * 28}, "kp: expected a list of 29 numbers, got 28"),
        ({"stiffness": [float("nan")] * 29}, "kp.*expected a number above 0, got nan"),
        ({"joint_ids_map": [0] * 29}, "joint_ids_map.*not listed before"),
        ({"joint_ids_map": list(range(23))}, "joint_ids_map: expected each of the 29 joints"),
        ({"commands": {}}, "commands.base_velocity: expected it there, got nothing"),
        ({"actions": {"JointVelocityAction": {}}}, "actions: expected JointPositionAction alone"),
        ({"observations": {"obs": {}, "depth": {}}}, "observations: expected one group of terms"),
        ({"step_dt": None}, "step_dt: expected a number above 0, got None"),
        ({"observations": [1]}, r"observations: expected a mapping, got \[1\]"),
        (
            {"observations": {**TERMS, "use_gym_history": "yes"}},
            "use_gym_history: expected one of True, False",
        ),
        ({"observations": {**TERMS, "use_gym_history": True, **SHORT}}, "history: expected as many ticks of"),
        (
            {"observations": {**TERMS, **PART}},
            r"base_ang_vel\S*joint_ids: expected all 29 joints, got \[0\]; correct",
        ),
        (
            {"observations": {**TERMS, "gait_phase": NO_PERIOD}},
            "gait_period_s: expected it in the file or told",
        ),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(tmp_path, change, message):
    folder = made.unitree(tmp_path / "run")
    (folder / "params" / "deploy.yaml").write_text(yaml.dump({**made.deploy(), **change}, sort_keys=False))
    refused(message, lambda: importers.read(folder))


def test_terms_that_a_unitree_robot_does_not_measure_are_refused(tmp_path):
    says = made.deploy()
    says["observations"]["height_scan"] = says["observations"].pop("projected_gravity")
    folder = made.unitree(tmp_path / "run", says)
    refused("height_scan: expected what the robot measures", lambda: importers.read(folder))
    assert (
        importers.read(made.unitree(tmp_path / "run") / "params" / "deploy.yaml").format == "unitree_rl_lab"
    )


# kinfer


def test_a_kinfer_history_is_unrolled_and_exact(tmp_path):
    foreign = importers.read(made.kinfer(tmp_path / "p.kinfer"), told=made.KINFER_TOLD)
    assert foreign.format == "kinfer" and foreign.carry.ticks == 3  # the newest and two in the carry
    bundle, policy, z = steered(foreign, tmp_path)
    assert bundle.policy.observation.history == 3
    carry = np.zeros(6)
    for tick, state in enumerate(made.states(8)):
        action, carry = made.called(
            foreign.graph, joint_angles=state.joint_pos[ORDER],
            joint_angular_velocities=state.joint_vel[ORDER],
            projected_gravity=9.81 * state.projected_gravity, gyroscope=state.base_ang_vel,
            command=COMMAND, carry=carry,
        )  # fmt: skip
        target = policy.act(state, z).joint_pos[0]
        if tick >= 2:  # before that, the runtime takes the robot to have stood, and kinfer knows nothing
            np.testing.assert_allclose(target[ORDER], action, atol=TINY)


def test_a_memory_that_never_forgets_is_refused(tmp_path):
    path = made.kinfer(tmp_path / "p.kinfer", made.members(**{"step_fn.onnx": made.step("recurrent")}))
    refused(
        "carry: expected a memory of at most 16 ticks", lambda: importers.read(path, told=made.KINFER_TOLD)
    )


@pytest.mark.parametrize("fact", sorted(made.KINFER_TOLD))
def test_what_a_kinfer_archive_does_not_say_is_demanded(tmp_path, fact):
    path = made.kinfer(tmp_path / "p.kinfer")
    told = {name: value for name, value in made.KINFER_TOLD.items() if name != fact}
    refused(f"{fact}: expected it in the file or told", lambda: importers.read(path, told=told))


def entry(name, kind=tarfile.REGTYPE, link=""):
    made_up = tarfile.TarInfo(name)
    made_up.type, made_up.linkname = kind, link
    return made_up


@pytest.mark.parametrize(
    "extra",
    [
        entry("../escape"),
        entry("notes.txt"),
        entry("metadata.json"),
        entry("init_fn.onnx", tarfile.SYMTYPE, "/etc/passwd"),
        entry("dir", tarfile.DIRTYPE),
    ],
)
def test_an_archive_holds_its_three_files_and_no_others(tmp_path, extra):
    path = made.kinfer(tmp_path / "p.kinfer", extra=[extra])
    refused("once each as plain files", lambda: importers.read(path, told=made.KINFER_TOLD))


def test_a_link_in_a_files_place_is_refused(tmp_path):
    files = made.members()
    del files["metadata.json"]
    path = made.kinfer(
        tmp_path / "p.kinfer", files, [entry("metadata.json", tarfile.LNKTYPE, "init_fn.onnx")]
    )
    refused("once each as plain files", lambda: importers.read(path))
    refused("got none of metadata.json", lambda: importers.read(made.kinfer(tmp_path / "q.kinfer", files)))


def test_a_damaged_or_swollen_archive_is_refused(tmp_path):
    whole = made.kinfer(tmp_path / "p.kinfer").read_bytes()
    for number, data in enumerate(
        (whole[:200], whole[:2] + bytes(400), whole[:-9], gzip.compress(b"no tar"))
    ):
        path = tmp_path / f"{number}.kinfer"
        path.write_bytes(data)
        refused("expected", lambda path=path: importers.read(path))
    bomb = tmp_path / "bomb.kinfer"
    bomb.write_bytes(gzip.compress(bytes(65 << 20), 1))
    refused("at most 64 MiB unpacked", lambda: importers.read(bomb))


# What every ONNX file is asked


def test_a_file_must_be_whole_finite_and_of_floats(tmp_path):
    path = tmp_path / "p.onnx"
    notes, width = made.mjlab_notes(), 3 * JOINTS + 9
    weights = np.full((width, JOINTS), np.nan, np.float32)
    path.write_bytes(made.network(width, notes, weights=weights))
    refused("finite weights, got NaN or infinity in W", lambda: importers.read(path, told=TOLD))
    path.write_bytes(b"not onnx at all")
    refused("expected an ONNX file", lambda: importers.read(path))
    model = onnx.load_from_string(made.network(width, notes))
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    location = tensor.external_data.add()
    location.key, location.value = "location", "/etc/passwd"
    path.write_bytes(model.SerializeToString())
    refused("p.onnx: expected", lambda: importers.read(path, told=TOLD))
    path.write_bytes(made.network(width, notes, outputs=12))
    refused("29 actions in its first output, got actions .1, 12.", lambda: importers.read(path, told=TOLD))
    path.write_bytes(made.network(width + 1, notes))
    refused("history: expected it in the file or told", lambda: importers.read(path, told=TOLD))
    path.write_bytes(made.network(5, {}))
    refused("expected the notes of holosoma, mjlab", lambda: importers.read(path))
    refused("format: expected auto or one of", lambda: importers.read(path, "pickle"))
    refused("which is not there", lambda: importers.read(tmp_path / "absent.onnx"))


def test_notes_of_the_exporting_machine_do_not_travel(tmp_path):
    model = onnx.load_from_string(made.network(3 * JOINTS + 9, made.mjlab_notes(run_path="/home/somebody")))
    model.graph.node[0].doc_string = "/home/somebody/net.py"
    (tmp_path / "p.onnx").write_bytes(model.SerializeToString())
    bundle = importers.whole(importers.read(tmp_path / "p.onnx", told=TOLD), tmp_path / "out")
    assert not any(b"somebody" in data for data in bundle.files.values())


# Commands


def test_a_range_has_standing_within_and_may_be_of_no_width(tmp_path):
    path = made.mjlab(tmp_path / "p.onnx")
    limits = [[-0.5, 1.0], [0, 0], [-1, 1]]  # it cannot side-step
    foreign = importers.read(path, told={**TOLD, "command_limits": limits})
    line = CommandMap.clipped(foreign.command_limits)
    assert line(np.array([2.0, 2.0, 2.0])).tolist() == [1.0, 0.0, 1.0]
    for wrong in ([[0.1, 1], [0, 0], [-1, 1]], [[-1, 1]], [[-1, 1], [0], [0, 0]], "all"):
        refused(
            "command_limits", lambda wrong=wrong: importers.read(path, told={**TOLD, "command_limits": wrong})
        )


def test_an_inverse_of_what_was_measured_gives_back_what_was_asked():
    got, asked = np.array([-0.3, -0.25, 0.0, 0.4, 0.6]), np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    line = CommandMap.of([got] * 3, [asked] * 3)
    for velocity, command in zip(got, asked):
        np.testing.assert_allclose(line(np.full(3, velocity)), np.full(3, command), atol=1e-12)
    assert line(np.full(3, 9.0)).tolist() == [1.0] * 3 and line(np.full(3, -9.0)).tolist() == [-1.0] * 3
    speeds = np.array([line(np.array([v, 0, 0.2]))[0] for v in np.linspace(-1, 1, 201)])
    assert (np.diff(speeds) >= 0).all()


def test_more_command_that_gives_no_more_speed_is_not_asked():
    got, asked = np.array([0.3, 0.0, 0.5, 0.5, 0.45]), np.array([0.25, 0.0, 0.5, 0.75, 1.0])
    line = CommandMap.of([got] * 3, [asked] * 3)
    assert line.command[0] == (0.0, 0.25, 0.5) and line.achieved[0] == (0.0, 0.3, 0.5)


@pytest.mark.parametrize(
    "line",
    [
        CommandMap.clipped(np.array(made.LIMITS)),
        CommandMap.clipped(np.array([[-0.5, 1.0], [0.0, 0.0], [-1.0, 1.0]])),
        CommandMap(
            ((-0.4, -0.2, 0.0, 0.5), (-0.2, 0.3), (-0.9, 0.0, 0.8)),
            ((-0.8, -0.3, 0.0, 1.0), (-0.5, 0.5), (-1.0, 0.0, 1.0)),
        ),
    ],
)
def test_the_graph_commands_what_the_map_says(tmp_path, line):
    width = 3 * JOINTS + 9
    weights = np.zeros((width, JOINTS), np.float32)
    weights[-3:, :3] = 1e-2 * np.eye(3)  # the first three actions are the command, where tanh is a line
    (tmp_path / "p.onnx").write_bytes(made.network(width, made.mjlab_notes(), weights=weights))
    foreign = importers.read(tmp_path / "p.onnx", told=TOLD)
    z = np.zeros(32, np.float32)
    bundle = importers.whole(foreign, tmp_path / "out", commands=line, velocity=calibration.steering(32))
    policy, rng = Policy(bundle), np.random.default_rng(0)
    (state,) = made.states(1)
    still = 0
    for _ in range(60):
        z[:3] = rng.uniform(-1, 1, 3) * rng.choice([0.1, 1.0])
        action = (policy.act(state, z).joint_pos[0][ORDER] - POSE) / SCALE
        wanted = line(z[:3])
        still += not wanted.any()
        np.testing.assert_allclose(100 * np.arctanh(action[:3]), wanted, atol=1e-3)
    assert 5 < still < 40


# holosoma


def test_a_holosoma_file_says_what_its_notes_say_and_its_package_the_rest(tmp_path):
    foreign = importers.read(made.holosoma(tmp_path / "p.onnx"))
    assert (foreign.format, foreign.robot.name, foreign.rate_hz) == ("holosoma", "g1", 50.0)
    assert list(foreign.joint_names) == NAMES
    assert (foreign.kp.tolist(), foreign.kd.tolist()) == (KP.tolist(), KD.tolist())
    assert foreign.default_pose.tolist() == made.G1.default_pose[ORDER].tolist()
    assert set(foreign.action_scale) == {teachers.ACTION_SCALE}
    assert (foreign.gait_period_s, foreign.action_clip) == (teachers.GAIT_S, teachers.ACTION_CLIP)
    assert foreign.command_limits.tolist() == made.LIMITS
    names = [term.name for term in foreign.terms]
    assert names == sorted(names) and len(names) == 9
    scaled = {term.name: term.scale[0] for term in foreign.terms if term.scale[0] != 1.0}
    assert scaled == {"base_ang_vel": 0.25, "dof_vel": 0.05}
    told = {name for name, who in foreign.sources.items() if who == teachers.PACKAGE}
    assert told == {"default_pose", "action_scale", "rate_hz", "gait_period_s", "terms"}


def test_holosomas_terms_come_in_the_alphabets_order_whoever_tells_them(tmp_path):
    terms = {"projected_gravity": {}, "base_ang_vel": {"scale": 0.5}, "command_lin_vel": {}}
    path = made.holosoma(tmp_path / "p.onnx", width=8)
    foreign = importers.read(path, told={"terms": terms, "action_scale": 0.1})
    assert [term.name for term in foreign.terms] == ["base_ang_vel", "command_lin_vel", "projected_gravity"]
    assert foreign.sources["terms"] == foreign.sources["action_scale"] == "told"
    path = made.holosoma(tmp_path / "q.onnx", action_scale=[0.3])
    assert set(importers.read(path).action_scale) == {0.3}
    refused("kp: expected JSON", lambda: importers.read(broken(path, "kp")))
    refused("command_limits: expected it in the file or told", lambda: importers.read(
        made.holosoma(tmp_path / "r.onnx", command_ranges=None)))  # fmt: skip


def broken(path, key):
    """The same file with a note that is no JSON."""
    model = onnx.load_from_string(path.read_bytes())
    for note in model.metadata_props:
        if note.key == key:
            note.value = "[1, 2"
    path.write_bytes(model.SerializeToString())
    return path


# The policies that holosoma ships


def shipped(robot, name, path):
    member = f"holosoma_inference/models/loco/{robot}_29dof/{name}_{robot}_29dof.onnx"
    path.write_bytes(teachers.WHEEL.read(member))
    return importers.read(path)


@needs_wheel
@pytest.mark.parametrize("robot", ["g1", "t1"])
@pytest.mark.parametrize("name", teachers.NAMES)
def test_a_holosoma_policy_does_tick_by_tick_what_its_teacher_does(tmp_path, robot, name):
    foreign = shipped(robot, name, tmp_path / "p.onnx")
    assert foreign.robot.name == robot and foreign.sources["kp"] == "file"
    assert foreign.sources["terms"] == teachers.PACKAGE
    _, policy, z = steered(foreign, tmp_path)
    body, teacher = robots.load(robot), teachers.Teacher(robots.load(robot), name)
    last, worst = np.zeros((1, JOINTS)), 0.0
    for tick, state in enumerate(made.states(60)):
        command = np.zeros(3) if tick // 10 % 2 else COMMAND  # it walks, and stands
        z[:3] = command
        senses = ("joint_pos", "joint_vel", "base_ang_vel", "projected_gravity")
        felt = {sense: getattr(state, sense)[None] for sense in senses}
        last = teacher.walk(felt, command[None], tick / teachers.TICK_HZ, last)
        wanted = body.default_pose + teachers.ACTION_SCALE * last[0]
        worst = max(worst, float(np.abs(policy.act(state, z).joint_pos[0] - wanted).max()))
    assert worst < TINY


@needs_wheel
@pytest.mark.parametrize(("robot", "name"), [("g1", "fastsac"), ("t1", "ppo")])
def test_a_holosoma_policy_walks(tmp_path, robot, name):
    pytest.importorskip("mujoco")
    bundle = calibration.obedient(shipped(robot, name, tmp_path / "p.onnx"), tmp_path / "out")
    for command, axis in (((1, 0, 0), 0), ((-1, 0, 0), 0), ((0, 1, 0), 1), ((0, 0, 1), 2)):
        velocity = calibration.achieved(bundle, np.array(command, float), 4.0)
        assert velocity is not None  # it did not fall
        assert velocity[axis] * command[axis] > {0: 0.3, 1: 0.15, 2: 0.6}[axis], command
    still = calibration.achieved(bundle, np.zeros(3), 4.0)
    assert still is not None and np.abs(still).max() < 0.05


@needs_wheel
def test_a_calibrated_policy_goes_as_fast_as_it_is_meant_to(tmp_path):
    pytest.importorskip("mujoco")
    foreign = shipped("g1", "ppo", tmp_path / "p.onnx")
    forward = np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    foreign = replace(foreign, command_limits=forward)
    line = calibration.calibrate(foreign, levels=(0.5, 1.0), seconds=4.0)
    assert line.measured and line.achieved[0][-1] < 0.75 < line.command[0][-1]  # it lags behind its command
    bundle = importers.whole(foreign, tmp_path / "out", commands=line, velocity=calibration.steering(32))
    velocity = calibration.achieved(bundle, np.array([0.45, 0, 0]), 5.0)
    assert velocity is not None and abs(velocity[0] - 0.45) < 0.06
    assert bundle.provenance["commands"]["how"].startswith("inverse")


@needs_wheel
def test_a_motion_tracker_is_refused(tmp_path):
    path = tmp_path / "p.onnx"
    path.write_bytes(teachers.WHEEL.read("holosoma_inference/models/wbt/ppo_g1_29dof_dancing.onnx"))
    refused("time_step: .* a step of a reference motion", lambda: importers.read(path))


# The bundle, and the command


def test_an_imported_bundle_is_whole_and_says_where_it_comes_from(tmp_path, capsys):
    path = made.mjlab(tmp_path / "p.onnx")
    told = [f"--tell={name}={json.dumps(value)}" for name, value in TOLD.items()]
    out = str(tmp_path / "walker")
    assert main(["import", str(path), "--out", out, *told, "--json", "--tell", "licence=MIT"]) == 0
    account = json.loads(capsys.readouterr().out)
    bundle = Bundle.load(out)
    assert account["bundle"]["sha256"] == bundle.sha256
    assert account["imported"]["sources"]["rate_hz"] == "told"
    assert account["imported"]["sha256"] == importers.read(path, told=TOLD).sha256
    assert account["commands"]["how"] == "clipped to the range"
    assert bundle.licence.startswith("policy: MIT; ") and bundle.name == "walker"
    assert bundle.joint_names == robots.load("g1").joint_names
    assert bundle.kp[ORDER].tolist() == KP.tolist()  # gains follow their joints
    assert bundle.provenance["base"]["name"] == "g1-mirror"
    assert bundle.policy.sampler.name == "regression" and bundle.robustness == {}
    assert {phrase.gesture for phrase in bundle.intent.vocabulary} == {"none"}  # it cannot wave
    assert bundle.golden()["policy"]["action_chunk"].shape[1:] == (1, JOINTS)
    assert adapter.OPSET in {e.version for e in onnx.load_from_string(bundle.graph("policy")).opset_import}
    assert main(["verify", out]) == 0
    capsys.readouterr()
    assert main(["import", str(path), "--out", out, *told]) == 2  # it is there
    assert "expected a new directory" in capsys.readouterr().err
    other = str(tmp_path / "other")
    assert main(["import", str(path), "--out", other, *told, "--base", "t1-mirror"]) == 2
    assert "expected one for robot g1, got t1" in capsys.readouterr().err
    assert main(["import", str(path), "--out", other, "--tell", "rate_hz"]) == 2
    assert "--tell: expected each FACT=VALUE once, got 'rate_hz'" in capsys.readouterr().err
    assert not os.path.exists(other)


def test_what_was_understood_is_told_to_people(tmp_path, capsys):
    assert main(["import", str(made.unitree(tmp_path / "run")), "--out", str(tmp_path / "walker")]) == 0
    said = capsys.readouterr().out
    assert "unitree_rl_lab" in said and "gait_phase 2 x 5" in said and "clipped to the range" in said
    assert "not said by its file" in said
