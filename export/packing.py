"""Packing: trained parts become graphs, proved and quantised, and a sealed bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rmedge import bundle as bundles
from rmedge import robots
from rmedge.export import clips as clip_maker
from rmedge.export import graphs, motion, teachers, understanding
from rmedge.export.denoiser import CHUNK, HISTORY, Chunks, OneStep
from rmedge.export.phrases import PHRASES
from rmedge.export.rollouts import TERMS, TICK_HZ
from rmedge.export.teachers import ACTION_SCALE
from rmedge.labels import LABELS, label_of

__all__ = ["Parts", "pack"]

# what suffers most from eight bits: the raw flow, the close look, the joined view, the memory and the verdict
KEEP_FLOAT = (
    "see.convolve.0.weight",
    "see.where.weight",
    "see.coarse.0.weight",
    "see.outlet.0.weight",
    "remember.weight_hh_l0",
    "judge.weight",
)


@dataclass(frozen=True)
class Parts:
    """Everything that was trained, before it is exported."""

    library: motion.Library
    readout: motion.Readout
    policy: OneStep
    encoder: understanding.StreamingEncoder
    practice: Chunks  # control ticks to calibrate and to prove on
    held_out: clip_maker.Clips
    encoder_score: dict[str, Any]


def pack(parts: Parts, folder: Path, seed: int, provenance: dict[str, Any]) -> None:
    """Export the graphs, quantise the encoder, prove both, and seal the bundle."""
    robot = robots.load("g1")
    teacher = teachers.Teacher(robot, "fastsac")
    tick = parts.practice.proprio.shape[1]
    joints = len(robot.joints)
    sizes = {"base_ang_vel": 3, "projected_gravity": 3}  # the other terms are one number a joint
    side = clip_maker.IMAGE.feature_height
    encoder_in = {"features": (1, 3, side, side), "state": (1, understanding.STATE)}
    encoder_out = {
        "intent": (1, motion.Z), "certainty": (1, 1), "presence": (1, 1),
        "next_state": (1, understanding.STATE),
    }  # fmt: skip
    policy_in = {"proprio": (1, HISTORY * tick), "intent": (1, motion.Z), "noise": (1, CHUNK, joints)}
    policy_out = {"action_chunk": (1, CHUNK, joints)}
    readout_in = {"intent": (1, motion.Z)}
    readout_out = {
        "velocity": (1, 3), "label_logits": (1, len(LABELS)),
        "gait_logits": (1, len(motion.GAITS)), "gesture_logits": (1, 1),
    }  # fmt: skip
    encoder = graphs.export(parts.encoder, encoder_in, encoder_out)
    policy = graphs.export(parts.policy, policy_in, policy_out)
    readout = graphs.export(parts.readout, readout_in, readout_out)
    stream = encoder_feeds(encoder, parts.held_out, 40)
    practice = policy_feeds(parts.practice, 64, seed)
    intents = [{"intent": row[None].astype(np.float32)} for row in parts.library.z[:64]]
    parity = {
        "encoder": graphs.parity(parts.encoder, encoder, stream[:200], encoder_out),
        "policy": graphs.parity(parts.policy, policy, practice, policy_out),
        "readout": graphs.parity(parts.readout, readout, intents, readout_out),
    }
    calibration, proof = stream[: len(stream) // 2], stream[len(stream) // 2 :]
    int8 = graphs.quantise(encoder, calibration, keep_float=KEEP_FLOAT)
    cosine = intent_cosine(encoder, int8, parts.held_out)
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    files = {"encoder.onnx": int8, "policy.onnx": policy, "readout.onnx": readout}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    golden = {}
    for graph, shapes_in, shapes_out, feeds in (
        ("encoder", encoder_in, encoder_out, proof[5::40][:8]),
        ("policy", policy_in, policy_out, practice[:8]),
        ("readout", readout_in, readout_out, intents[:8]),
    ):
        for name, array in graphs.golden(files[f"{graph}.onnx"], shapes_in, shapes_out, feeds).items():
            golden[f"{graph}.{name}"] = array
    np.savez_compressed(folder / "golden.npz", **golden)  # type: ignore[arg-type]
    bundles.seal(
        folder,
        {
            "schema": 1,
            "name": folder.name,
            "robot": {
                "name": robot.name,
                "joint_names": list(robot.joint_names),
                "default_pose": robot.default_pose.tolist(),
                "kp": teacher.kp.tolist(),
                "kd": teacher.kd.tolist(),
                "action_scale": ACTION_SCALE,
            },
            "encoder": {
                "file": "encoder.onnx",
                "rate_hz": clip_maker.RATE_HZ,
                "image": asdict(clip_maker.IMAGE),
                "inputs": _shapes(encoder_in),
                "outputs": _shapes(encoder_out),
            },
            "policy": {
                "file": "policy.onnx",
                "rate_hz": float(TICK_HZ),
                "inputs": _shapes(policy_in),
                "outputs": _shapes(policy_out),
                "observation": {
                    "layout": "time_major",
                    "order": "oldest_first",
                    "history": HISTORY,
                    "terms": [
                        {"name": name, "size": sizes.get(name, joints), "scale": scale, "clip": 100.0}
                        for name, scale in TERMS
                    ],
                },
                "sampler": {"name": "consistency", "steps": 1, "seed": "per_episode"},
            },
            "readout": {
                "file": "readout.onnx",
                "inputs": _shapes(readout_in),
                "outputs": _shapes(readout_out),
                "labels": list(LABELS),
                "gaits": list(motion.GAITS),
                "gestures": ["none"],
            },
            "intent": {
                "size": motion.Z,
                "stand": _floats(parts.library.stand),
                "vocabulary": vocabulary(parts.library),
            },
            "envelope": {
                "rate_limit": robot.velocity_limit.tolist(),
                "torque_limit": robot.torque_limit.tolist(),
                "lower": robot.lower.tolist(),
                "upper": robot.upper.tolist(),
            },
            # declared, and measured on x86 alone; other targets come when somebody has run there
            "latency_budget_ms": {"cpu-x86": {"encode": 5.0, "policy": 2.0}},
            "golden": "golden.npz",
            # another engine or processor may round INT8 differently; float32 graphs must agree closely
            "tolerance": {"encoder": 0.05, "policy": 1e-3, "readout": 1e-4},
            "quality": {
                "parity_max_abs_error": parity,
                "int8_intent_cosine": cosine,
                "held_out_clips": parts.encoder_score,
            },
            "licence": "Apache-2.0",
            "provenance": provenance,
        },
    )


def vocabulary(library: motion.Library) -> list[dict[str, Any]]:
    """Captions with their intents; each says the velocity that its segments really had."""
    rows = []
    for caption, asked in PHRASES.items():
        # a command is meant more exactly than a video is seen
        nearest = library.nearest(np.array(asked), count=3, scale=(0.15, 0.1, 0.1))
        velocity = np.zeros(3) if caption == "stand" else library.velocity[nearest].mean(0)
        rows.append(
            {
                "caption": caption,
                "label": label_of(velocity, motion.RUN_FROM),
                "gait": motion.GAITS[int(library.gait[nearest[0]])],
                "velocity": _floats(velocity),
                "z": _floats(library.z[nearest].mean(0)),
            }
        )
    return rows


def encoder_feeds(graph: bytes, clips: clip_maker.Clips, count: int) -> list[graphs.Feed]:
    """Inputs of the streaming encoder over whole clips, its own memory fed back."""
    feeds, step = [], graphs.stream(graph)
    for clip in clips.features[:count]:
        state = np.zeros((1, understanding.STATE), np.float32)
        for frame in clip:
            feeds.append({"features": frame[None].astype(np.float32) / clip_maker.STORE, "state": state})
            _, state = step(*feeds[-1].values())
    return feeds


def policy_feeds(chunks: Chunks, count: int, seed: int) -> list[graphs.Feed]:
    """Inputs of the policy, one a call."""
    torch.manual_seed(seed)
    proprio, intent, _ = chunks.batch(np.random.default_rng(seed), count, torch.device("cpu"))
    noise = torch.randn(count, CHUNK, chunks.label.shape[1])
    return [
        {
            "proprio": proprio[n : n + 1].numpy(),
            "intent": intent[n : n + 1].numpy(),
            "noise": noise[n : n + 1].numpy(),
        }
        for n in range(count)
    ]


def intent_cosine(
    reference: bytes, quantised: bytes, clips: clip_maker.Clips, count: int = 120
) -> dict[str, float]:
    """Cosine of the INT8 encoder's intent with the float32 one's, each streaming with its own memory.

    On clips that calibration did not see; the first second is left out, as both still know little.
    """
    chosen, both = clips.features[-count:], []
    for graph in (reference, quantised):
        rows = []
        session = graphs.stream(graph)
        for clip in chosen:
            state = np.zeros((1, understanding.STATE), np.float32)
            for frame in clip:
                intent, state = session(frame[None].astype(np.float32) / clip_maker.STORE, state)
                rows.append(intent[0])
        both.append(np.array(rows).reshape(len(chosen), -1, motion.Z)[:, 10:].reshape(-1, motion.Z))
    a, b = both
    cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return {"mean": float(cosine.mean()), "p05": float(np.percentile(cosine, 5)), "clips": len(chosen)}


def _shapes(shapes: graphs.Shapes) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in shapes.items()}


def _floats(array: np.ndarray) -> list[float]:
    return [float(np.float32(value)) for value in array]
