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
from rmedge import robots
from rmedge.errors import UsageError
from rmedge.export import clips as clip_maker
from rmedge.export import consistency, dagger, motion, teachers, understanding
from rmedge.export.denoiser import Chunks, Denoiser, OneStep, flow_loss
from rmedge.export.packing import Parts, pack
from rmedge.export.rollouts import Ticks
from rmedge.export.training import train

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
        parts = train_parts(bench, effort, seed)
        folder = out / NAME
        with bench.stage("export, quantise, prove, pack"):
            pack(parts, folder, seed, provenance(bench, effort, seed))
        return folder


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
