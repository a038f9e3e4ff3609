"""Makes tiny foreign policies, in the formats that others write, and says what they ought to do."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections import deque

import numpy as np
import onnx
import onnxruntime
import yaml
from onnx import helper, numpy_helper

from rmedge import robots
from rmedge.specs import RobotState

G1 = robots.load("g1")
JOINTS = 29
# a joint order that is nobody's, as Isaac's is not the robot's
ORDER = np.random.default_rng(7).permutation(JOINTS)
NAMES = [G1.joint_names[index] for index in ORDER]
POSE = np.round(G1.default_pose[ORDER] + 0.01 * np.arange(JOINTS) / JOINTS, 3)
KP, KD = np.linspace(20, 99, JOINTS).round(3), np.linspace(1, 6, JOINTS).round(3)
SCALE = np.linspace(0.1, 0.5, JOINTS).round(3)
LIMITS = [[-0.8, 1.0], [-0.5, 0.5], [-1.0, 1.0]]
FLOAT = onnx.TensorProto.FLOAT


def network(width, notes=None, outputs=JOINTS, opset=13, weights=None, name="obs"):
    """An ONNX file: action = tanh(obs W), of random weights; ``notes`` are its metadata."""
    if weights is None:
        weights = np.random.default_rng(width).normal(0, 0.3, (width, outputs)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", [name, "W"], ["mixed"]),
            helper.make_node("Tanh", ["mixed"], ["actions"]),
        ],
        "net",
        [helper.make_tensor_value_info(name, FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("actions", FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(weights, "W")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    for key, value in (notes or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return model.SerializeToString()


# mjlab

VELOCITY = ("base_ang_vel", "projected_gravity", "joint_pos", "joint_vel", "actions", "command")


def mjlab_notes(**other):
    """Metadata as mjlab's exporter attaches it: lists with commas, three decimals."""

    def csv(values):
        return ",".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in values)

    notes = {
        "run_path": "team/project/run",
        "joint_names": csv(NAMES),
        "joint_stiffness": csv(KP.tolist()),
        "joint_damping": csv(KD.tolist()),
        "default_joint_pos": csv(POSE.tolist()),
        "command_names": "twist",
        "observation_names": csv(VELOCITY),
        "action_scale": csv(SCALE.tolist()),
        **other,
    }
    return {key: value for key, value in notes.items() if value is not None}


def mjlab(path, history=1, **other):
    notes = mjlab_notes(**other)
    sizes = {"joint_pos": JOINTS, "joint_vel": JOINTS, "actions": JOINTS}
    width = sum(sizes.get(name, 3) for name in notes["observation_names"].split(","))
    path.write_bytes(network(width * history, notes))
    return path


TOLD = {"rate_hz": 50.0, "command_limits": LIMITS, "terms": {}}

# holosoma


def holosoma(path, width=100, **other):
    """An ONNX file as holosoma's exporter writes it: notes in JSON."""
    notes = {
        "dof_names": NAMES,
        "kp": KP.tolist(),
        "kd": KD.tolist(),
        "command_ranges": dict(zip(("lin_vel_x", "lin_vel_y", "ang_vel_yaw"), LIMITS)),
        **other,
    }
    written = {key: json.dumps(value) for key, value in notes.items()}
    path.write_bytes(network(width, written, name="actor_obs"))
    return path


# unitree_rl_lab


def deploy(**other):
    """``deploy.yaml`` as unitree_rl_lab's exporter writes it: gains in SDK order, the rest in Isaac's."""
    by_sdk = {"stiffness": np.zeros(JOINTS), "damping": np.zeros(JOINTS)}
    by_sdk["stiffness"][ORDER], by_sdk["damping"][ORDER] = KP, KD

    def term(size, scale=1.0, clip=None, history=5, **params):
        return {"params": params, "clip": clip, "scale": [scale] * size, "history_length": history}

    return {
        "joint_ids_map": ORDER.tolist(),
        "step_dt": 0.02,
        **{key: values.tolist() for key, values in by_sdk.items()},
        "default_joint_pos": POSE.tolist(),
        "commands": {
            "base_velocity": {
                "ranges": {**dict(zip(("lin_vel_x", "lin_vel_y", "ang_vel_z"), LIMITS)), "heading": None}
            }
        },
        "actions": {
            "JointPositionAction": {
                "clip": None, "joint_names": [".*"], "scale": SCALE.tolist(), "offset": POSE.tolist(),
                "joint_ids": None,
            }
        },
        "observations": {
            "base_ang_vel": term(3, 0.2, [-0.5, 0.7]),
            "projected_gravity": term(3),
            "velocity_commands": term(3, command_name="base_velocity"),
            "joint_pos_rel": term(JOINTS),
            "joint_vel_rel": term(JOINTS, 0.05, [-1.0, 1.0]),
            "last_action": term(JOINTS),
            "gait_phase": term(2, period=0.8),
        },
        **other,
    }  # fmt: skip


def unitree(folder, says=None, text=None):
    """A run's folder: ``params/deploy.yaml`` and ``exported/policy.onnx``."""
    says = deploy() if says is None else says
    for name in ("params", "exported"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    width = sum(
        len(term["scale"]) * term["history_length"]
        for term in says["observations"].values()
        if isinstance(term, dict)
    )
    (folder / "exported" / "policy.onnx").write_bytes(network(width))
    written = yaml.dump(says, default_flow_style=None, sort_keys=False) if text is None else text
    (folder / "params" / "deploy.yaml").write_text(written)
    return folder


# kinfer

KINFER_TOLD = {
    "rate_hz": 50.0, "command_limits": LIMITS, "gravity": 9.81, "command_names": ["vx", "vy", "yaw_rate"],
    "default_pose": POSE.tolist(), "kp": KP.tolist(), "kd": KD.tolist(),
}  # fmt: skip


def step(carry="history"):
    """``step_fn``: from what is felt (and a carry) to joint positions [rad] and the next carry.

    ``history``: the carry is the last two gyroscope readings; ``recurrent``: what it was, and a little more.
    """
    rng = np.random.default_rng(3)
    shapes = {
        "joint_angles": JOINTS, "joint_angular_velocities": JOINTS, "projected_gravity": 3, "gyroscope": 3,
        "command": 3, "carry": 6,
    }  # fmt: skip
    weights = rng.normal(0, 0.1, (sum(shapes.values()), JOINTS)).astype(np.float32)
    constants = {"W": weights, "old": np.array([3, 4, 5]), "half": np.float32(0.5)}
    nodes = [
        helper.make_node("Concat", list(shapes), ["all"], axis=0),
        helper.make_node("MatMul", ["all", "W"], ["mixed"]),
        helper.make_node("Tanh", ["mixed"], ["action"]),
        helper.make_node("Gather", ["carry", "old"], ["last"], axis=0),
    ]
    if carry == "recurrent":
        nodes.append(helper.make_node("Mul", ["last", "half"], ["kept"]))
        nodes.append(helper.make_node("Add", ["kept", "gyroscope"], ["now"]))
    else:
        nodes.append(helper.make_node("Identity", ["gyroscope"], ["now"]))
    nodes.append(helper.make_node("Concat", ["last", "now"], ["next_carry"], axis=0))
    graph = helper.make_graph(
        nodes,
        "step",
        [helper.make_tensor_value_info(name, FLOAT, [size]) for name, size in shapes.items()],
        [
            helper.make_tensor_value_info("action", FLOAT, [JOINTS]),
            helper.make_tensor_value_info("next_carry", FLOAT, [6]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()


def init():
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["carry"], value=numpy_helper.from_array(np.zeros(6, np.float32)))],
        "init",
        [],
        [helper.make_tensor_value_info("carry", FLOAT, [6])],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()


def members(**other):
    metadata = {"joint_names": NAMES, "num_commands": 3, "carry_size": [6]}
    return {
        "init_fn.onnx": init(),
        "step_fn.onnx": step(),
        "metadata.json": json.dumps(metadata).encode(),
        **other,
    }


def kinfer(path, files=None, extra=()):
    """An archive of files, and of ``extra`` `tarfile.TarInfo` without bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in (members() if files is None else files).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for entry in extra:
            archive.addfile(entry)
    path.write_bytes(gzip.compress(buffer.getvalue(), 1))
    return path


# What they ought to do


def states(count, seed=0, period_ns=20_000_000):
    """Made-up states, one a policy tick."""
    rng = np.random.default_rng(seed)
    for tick in range(count):
        yield RobotState(
            joint_pos=G1.default_pose + 0.2 * rng.standard_normal(JOINTS),
            joint_vel=10.0 * rng.standard_normal(JOINTS),
            base_ang_vel=2.0 * rng.standard_normal(3),
            projected_gravity=rng.standard_normal(3),
            stamp_ns=tick * period_ns,
        )


def felt(state, action, command, time_s, period_s=0.8):
    """Isaac's terms of one tick, in the policy's own order; written out, not taken from the importer."""
    turn = 2 * np.pi * time_s / period_s
    position = (state.joint_pos[ORDER] - POSE, state.joint_vel[ORDER])
    return {
        "base_ang_vel": state.base_ang_vel,
        "projected_gravity": state.projected_gravity,
        "joint_pos": position[0],
        "joint_pos_rel": position[0],
        "joint_vel": position[1],
        "joint_vel_rel": position[1],
        "actions": action,
        "last_action": action,
        "command": command,
        "velocity_commands": command,
        "gait_phase": np.array([np.sin(turn), np.cos(turn)]),
    }


class Isaac:
    """Isaac Lab's observation manager: clip, scale, append; a history begins full of the first."""

    def __init__(self, terms, time_major=False, scale_first=False):
        self.terms, self.time_major, self.scale_first = terms, time_major, scale_first
        self.past = {}

    def observe(self, now):
        for name, (scale, clip, length) in self.terms.items():
            low, high = clip or (-np.inf, np.inf)
            value = now[name]
            value = (
                np.clip(value * scale, low, high) if self.scale_first else np.clip(value, low, high) * scale
            )
            past = self.past.setdefault(name, deque([value] * length, length))
            past.append(value)
        if self.time_major:
            rows = [past[tick] for tick in range(length) for past in self.past.values()]
        else:
            rows = [row for past in self.past.values() for row in past]
        return np.concatenate(rows).astype(np.float32)[None]


def called(data, **feed):
    """What a network says."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, {name: np.asarray(value, np.float32) for name, value in feed.items()})
