"""The recipe: from PyPI packages to the sealed bundle ``g1-mirror``, seeded and resumable."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import rmedge
from rmedge import bundle as bundles
from rmedge import robots
from rmedge.errors import UsageError
from rmedge.export import clips as clip_maker
from rmedge.export import consistency, dagger, graphs, motion, teachers, understanding
from rmedge.export.denoiser import CHUNK, HISTORY, Chunks, Denoiser, OneStep, flow_loss
from rmedge.export.phrases import PHRASES
from rmedge.export.rollouts import TERMS, Ticks
from rmedge.export.teachers import ACTION_SCALE
from rmedge.export.training import train
from rmedge.labels import LABELS, label_of

__all__ = ["FULL", "QUICK", "Effort", "make"]

NAME = "g1-mirror"
SEED = 20_000


@dataclass(frozen=True)
class Effort:
    """How much of everything: shards of 32 trials, training steps, clips."""

    teacher_shards: int
    autoencoder_steps: int
    readout_steps: int
    first_shards: int
    round_shards: int
    rounds: int
    round_steps: int
    final_steps: int
    consistency_steps: int
    clips: int
    held_out_clips: int
    encoder_steps: int


FULL = Effort(
    teacher_shards=16, autoencoder_steps=5000, readout_steps=1500, first_shards=8, round_shards=6, rounds=4,
    round_steps=1800, final_steps=4000, consistency_steps=3000, clips=4800, held_out_clips=480,
    encoder_steps=5500,
)  # fmt: skip
QUICK = Effort(
    teacher_shards=2, autoencoder_steps=150, readout_steps=200, first_shards=2, round_shards=1, rounds=1,
    round_steps=100, final_steps=100, consistency_steps=50, clips=64, held_out_clips=32, encoder_steps=40,
)  # fmt: skip

# what suffers most from eight bits: the raw flow, the close look, the joined view, the memory and the verdict
KEEP_FLOAT = (
    "see.convolve.0.weight",
    "see.where.weight",
    "see.coarse.0.weight",
    "see.outlet.0.weight",
    "remember.weight_hh_l0",
    "judge.weight",
)

Advance = Callable[[float], None]


class Bench:
    """Where the recipe works: a folder of checkpoints, a progress bar a stage, and how long each took."""

    def __init__(self, out: Path, progress: Progress):
        self.folder = out / "work"
        self.progress = progress
        self._ledger = self.folder / "spent.json"  # an interrupted run's hours count too
        self.spent_s: dict[str, float] = json.loads(self._ledger.read_text()) if self._ledger.exists() else {}

    @contextmanager
    def stage(self, name: str) -> Iterator[Advance]:
        task = self.progress.add_task(name, total=1.0)
        start = time.monotonic()
        yield lambda done: self.progress.update(task, completed=done)
        self.progress.update(task, completed=1.0)
        self.spent_s[name] = round(self.spent_s.get(name, 0.0) + time.monotonic() - start, 1)
        self._ledger.write_text(json.dumps(self.spent_s))


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


def make(out: Path, effort: Effort = FULL, seed: int = SEED) -> Path:
    """Train, export, quantise, prove and seal; returns the bundle's folder.

    What is already in ``out/work`` is not made again, so an interrupted run goes on.
    """
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    out.mkdir(parents=True, exist_ok=True)
    note = out / "work" / "effort.json"
    wanted = json.dumps({"seed": seed, **asdict(effort)})
    if note.exists() and note.read_text() != wanted:
        raise UsageError(
            f"export: expected an empty folder or one of the same effort, got {out}; name another"
        )
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(wanted)
    with Progress(*columns) as progress:
        bench = Bench(out, progress)
        return pack(train_parts(bench, effort, seed), bench, out, effort, seed)


def train_parts(bench: Bench, effort: Effort, seed: int) -> Parts:
    """All the learning, from the teachers' motion to the encoder."""
    work = bench.folder
    with bench.stage("fetch the teachers"):
        teachers.fetch()
    with bench.stage("teachers walk") as advance:
        ticks = dagger.teacher_motion("g1", effort.teacher_shards, work / "rollouts", seed, advance)
    with bench.stage("motion autoencoder") as advance:
        autoencoder = motion.fit(ticks, effort.autoencoder_steps, work / "autoencoder.pt", seed, advance)
        library = motion.Library(ticks, autoencoder)
    with bench.stage("readout of the intent") as advance:
        readout = motion.fit_readout(library, effort.readout_steps, work / "readout.pt", seed, advance)
    policy, practice = train_policy(bench, effort, seed, library)
    encoder, held_out, clips = train_encoder(bench, effort, seed, ticks, autoencoder, library)
    z, _, _ = understanding.intents(encoder, held_out)
    with torch.inference_mode():
        velocity, logits, _, _ = readout(torch.from_numpy(z))
    scores = {
        "encoder": understanding.score(velocity.numpy(), logits.argmax(-1).numpy(), held_out),
        "constant": understanding.constant(clips, held_out),
    }
    return Parts(library, readout, policy, encoder, practice, held_out, scores)


def train_encoder(
    bench: Bench,
    effort: Effort,
    seed: int,
    ticks: Ticks,
    autoencoder: motion.MotionAutoencoder,
    library: motion.Library,
) -> tuple[understanding.StreamingEncoder, clip_maker.Clips, clip_maker.Clips]:
    """The encoder, the clips held out (motions, actors, rooms and cameras), and those it was trained on."""
    robot = robots.load("g1")
    work = bench.folder
    tracks = clip_maker.tracks_of(ticks, library, robot.joint_names, robot.default_pose)
    with bench.stage("render clips") as advance:
        clips = clip_maker.render(tracks, effort.clips, work / "clips", seed * 1000, advance)
    with bench.stage("render held-out clips") as advance:
        other = dagger.teacher_motion(
            "g1", max(1, effort.teacher_shards // 8), work / "held-out", seed + 900, advance
        )
        others = clip_maker.tracks_of(
            other, motion.Library(other, autoencoder), robot.joint_names, robot.default_pose
        )
        held_out = clip_maker.render(
            others, effort.held_out_clips, work / "held-out", seed * 1000 + 900_000, advance
        )
    with bench.stage("streaming encoder") as advance:
        prototype, word = understanding.prototypes(tracks, seed)
        encoder = understanding.fit(
            clips, prototype, word, effort.encoder_steps, work / "encoder.pt", seed=seed, progress=advance
        )
    encoder.settle(library.stand)
    return encoder, held_out, clips


def train_policy(bench: Bench, effort: Effort, seed: int, library: motion.Library) -> tuple[OneStep, Chunks]:
    """Flow matching with DAgger rounds, then consistency distillation to one step."""
    work = bench.folder
    repertoire = dagger.Repertoire(
        library.teacher, library.command, library.z.astype(np.float32), library.label
    )
    with bench.stage("teachers show the repertoire") as advance:
        seen = [
            dagger.collect(
                "g1", None, repertoire, effort.first_shards, work / "rollouts", "first", seed + 100, advance
            )
        ]
    chunks = Chunks(seen[0])
    torch.manual_seed(seed)
    model = Denoiser(chunks.proprio.shape[1], chunks.label.shape[1])
    chunks.normalise(model)
    for turn in range(effort.rounds):
        with bench.stage(f"policy, round {turn + 1}") as advance:
            model = fit_flow(
                model, chunks, effort.round_steps, work / f"flow-{turn}.pt", seed + turn, advance
            )
        with bench.stage(f"the student walks, round {turn + 1}") as advance:
            seen.append(
                dagger.collect(
                    "g1",
                    model,
                    repertoire,
                    effort.round_shards,
                    work / "rollouts",
                    f"round{turn}",
                    seed + 200 + 50 * turn,
                    advance,
                )
            )
        chunks = Chunks(Ticks.join(seen))
    with bench.stage("policy, many steps") as advance:
        model = fit_flow(model, chunks, effort.final_steps, work / "flow.pt", seed + 40, advance)
    with bench.stage("consistency distillation") as advance:
        student = consistency.distil(
            model, chunks, effort.consistency_steps, work / "consistency.pt", seed=seed, progress=advance
        )
    return OneStep(student).eval(), chunks


def fit_flow(
    model: Denoiser, chunks: Chunks, steps: int, path: Path, seed: int, advance: Advance
) -> Denoiser:
    """Go on training the flow on all the ticks there are."""
    return train(
        model.requires_grad_(True), flow_loss(chunks), steps, path, 1e-3, 0.995, seed, progress=advance
    )


def pack(parts: Parts, bench: Bench, out: Path, effort: Effort, seed: int) -> Path:
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
    with bench.stage("export, quantise, prove"):
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
    folder = out / NAME
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
            "name": NAME,
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
                "rate_hz": 50.0,
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
            "provenance": provenance(bench, effort, seed),
        },
    )
    return folder


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


def provenance(bench: Bench, effort: Effort, seed: int) -> dict[str, Any]:
    """Where the weights come from."""
    robot = robots.load("g1")
    versions = {
        name: importlib.metadata.version(name) for name in ("torch", "onnx", "onnxruntime", "mujoco", "numpy")
    }
    return {
        "recipe": f"python -m rmedge.export {NAME}",
        "rmedge": rmedge.__version__,
        "seed": seed,
        "effort": asdict(effort),
        "date": datetime.date.today().isoformat(),
        "versions": versions,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "spent_s": bench.spent_s,
        "teachers": {
            "package": teachers.PACKAGE,
            "licence": "Apache-2.0",
            **{name: teachers.Teacher(robot, name).sha256 for name in teachers.NAMES},
        },
        "training_data": "synthetic: the teachers' rollouts and clips that rmedge painted; no recorded video",
    }


def _shapes(shapes: graphs.Shapes) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in shapes.items()}


def _floats(array: np.ndarray) -> list[float]:
    return [float(np.float32(value)) for value in array]
