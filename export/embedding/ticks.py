"""Ticks: states one after the other, and the joint targets of rmedge's own policy, for others to replay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime

from rmedge.bundle import Bundle
from rmedge.runtimes.policy import Policy
from rmedge.specs import RobotState

__all__ = ["STATE", "Ticks", "memory_size", "rehearse", "replay"]

STATE = ("joint_pos", "joint_vel", "base_ang_vel", "projected_gravity", "sent")  # as the graph's inputs
START_NS = 1_000_000_000  # any instant but zero, with which mistakes would not show
SEED = 0


@dataclass(frozen=True, eq=False)
class Ticks:
    """One episode of N calls of the policy, and what it planned."""

    stamp_ns: np.ndarray  # (N,) int64
    joint_pos: np.ndarray  # (N, Da) [rad]
    joint_vel: np.ndarray  # (N, Da) [rad/s]
    base_ang_vel: np.ndarray  # (N, 3) [rad/s]
    projected_gravity: np.ndarray  # (N, 3)
    sent: np.ndarray  # (N, Da) what was really commanded last [rad]
    intent: np.ndarray  # (N, Z) float32
    noise: np.ndarray  # (1, .., Da) float32, of the whole episode
    joint_target: np.ndarray  # (N, Ta, Da) [rad]

    def __len__(self) -> int:
        return len(self.stamp_ns)

    def state(self, tick: int) -> RobotState:
        """What the robot's sensors say at a tick."""
        return RobotState(
            self.joint_pos[tick],
            self.joint_vel[tick],
            self.base_ang_vel[tick],
            self.projected_gravity[tick],
            int(self.stamp_ns[tick]),
        )

    def text(self) -> str:
        """A line for each tick, every number in full: the columns are in the first, as a comment."""
        names = ("stamp_ns", *STATE, "intent", "joint_target")
        blocks = {name: getattr(self, name).reshape(len(self), -1) for name in names}
        lines = ["# " + " ".join(f"{name}[{block.shape[1]}]" for name, block in blocks.items())]
        for tick in range(len(self)):
            numbers = (value for block in blocks.values() for value in block[tick].tolist())
            lines.append(" ".join(map(repr, numbers)))
        return "\n".join(lines) + "\n"


def memory_size(bundle: Bundle) -> int:
    """Numbers in an embedded policy's memory: whether and when it began, and the history (To, Do)."""
    observation = bundle.policy.observation
    return 2 + observation.history * observation.size


def rehearse(bundle: Bundle) -> Ticks:
    """An episode of the states in a bundle's golden vectors, as `Policy.act` answers them.

    Every golden observation holds To ticks of a real motion; they are turned back into states. From one
    case to the next the motion jumps, which a policy does not mind.
    """
    observation, default = bundle.policy.observation, bundle.default_pose
    golden = bundle.golden()["policy"]
    rows = golden["proprio"].reshape(-1, observation.size).astype(float)
    count, still = len(rows), np.zeros((len(rows), len(default)))
    felt = {  # what a policy does not feel may be anything
        "joint_pos": still,
        "joint_vel": still,
        "actions": still,
        "base_ang_vel": np.zeros((count, 3)),
        "projected_gravity": np.tile([0.0, 0.0, -1.0], (count, 1)),
    }
    ends = np.cumsum([term.size for term in observation.terms])
    for term, columns in zip(observation.terms, np.split(rows, ends[:-1], axis=1), strict=True):
        felt[term.name] = columns / term.scale
    told = Ticks(
        stamp_ns=START_NS + bundle.policy.period_ns * np.arange(count),
        joint_pos=default + felt["joint_pos"],
        joint_vel=felt["joint_vel"],
        base_ang_vel=felt["base_ang_vel"],
        projected_gravity=felt["projected_gravity"],
        sent=default + bundle.action_scale * felt["actions"],
        intent=np.repeat(golden["intent"], observation.history, 0),
        noise=np.random.default_rng(SEED).standard_normal(bundle.policy.inputs["noise"], np.float32),
        joint_target=np.zeros((count, *bundle.policy.outputs["action_chunk"][1:])),
    )
    policy = Policy(bundle)
    policy.reset(SEED)
    for tick in range(count):
        chunk = policy.act(told.state(tick), told.intent[tick], sent=told.sent[tick])
        told.joint_target[tick] = chunk.joint_pos
    return told


def replay(graph: bytes, told: Ticks) -> np.ndarray:
    """(N, Ta, Da) [rad]: the targets of an embedded policy, driven as a program without rmedge drives it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (shape,) = (one.shape for one in session.get_inputs() if one.name == "memory")
    memory = np.zeros(shape)
    answers = np.zeros_like(told.joint_target)
    for tick in range(len(told)):
        feed = {name: getattr(told, name)[tick : tick + 1] for name in (*STATE, "intent")}
        feed.update(stamp_ns=told.stamp_ns[tick].reshape(1, 1), noise=told.noise, memory=memory)
        target, memory = session.run(["joint_target", "next_memory"], feed)
        answers[tick] = target[0]
    return answers
