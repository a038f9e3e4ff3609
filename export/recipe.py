"""The recipe: from PyPI packages to a robot's sealed bundle, seeded and resumable."""

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
from rmedge.bundle import Bundle
from rmedge.errors import UsageError
from rmedge.export import graphs, packing, weighing
from rmedge.export.graphs.trials import Trial
from rmedge.export.motions import motion, teachers
from rmedge.export.motions.rollouts import Ticks
from rmedge.export.motions.troupe import Troupe, gestures_of
from rmedge.export.networks import consistency, dagger, gait, hearsay, sight, understanding
from rmedge.export.networks.composer import fit_composer
from rmedge.export.networks.denoiser import Chunks, Denoiser, Sampler, flow_loss, regression_loss
from rmedge.export.networks.training import train
from rmedge.export.packing import Eyes, Parts
from rmedge.export.sealing import refuse_other
from rmedge.export.watchers import imagenet
from rmedge.export.world import acts, footage, photographs
from rmedge.export.world import clips as clip_maker
from rmedge.robots import Robot

__all__ = ["FULL", "QUICK", "Effort", "make", "refit", "weigh"]

SEED = 20_000
MANY = 10  # Euler steps of the many-step policy
STILLS = 100_000  # the first seed of stills, after those of clips
WALKS = 400_000  # and of walks that nobody paints, after those of stills
PROVING, FEWEST = 12, 32  # as many times fewer stills say how well limbs are told
SAME = 0.01  # by which a number of an intent may differ between machines that trained alike
SHIPS = "naive-one-step"  # the variant that walks best, by `rmedge-bench eval policy --perturbed`


@dataclass(frozen=True)
class Effort:
    """How much of everything: shards of 32 trials, training steps, clips, and walks that nobody paints."""

    teacher_shards: int
    autoencoder_steps: int
    readout_steps: int
    composer_steps: int
    first_shards: int
    round_shards: int
    rounds: int
    round_steps: int
    final_steps: int
    consistency_steps: int
    stills: int
    sight_steps: int
    walks: int
    gait_steps: int
    clips: int
    held_out_clips: int
    encoder_steps: int
    world: bool  # photographs for the walls, and people's motion, from published packages
    compare: bool  # train a regression beside the policy, to see what diffusion is worth


FULL = {
    "g1": Effort(
        teacher_shards=40, autoencoder_steps=6000, readout_steps=2500, composer_steps=2000, first_shards=16,
        round_shards=12, rounds=4, round_steps=2000, final_steps=9000, consistency_steps=3000, stills=49_152,
        sight_steps=8000, walks=81_920, gait_steps=24_000, clips=75_776, held_out_clips=640,
        encoder_steps=4000, world=True, compare=True,
    ),
    # no gestures, so fewer motions
    "t1": Effort(
        teacher_shards=10, autoencoder_steps=3000, readout_steps=1500, composer_steps=1500, first_shards=8,
        round_shards=6, rounds=2, round_steps=1500, final_steps=4000, consistency_steps=1500, stills=12_288,
        sight_steps=800, walks=8192, gait_steps=800, clips=2048, held_out_clips=256,
        encoder_steps=1000, world=True, compare=False,
    ),
}  # fmt: skip
QUICK = Effort(
    teacher_shards=2, autoencoder_steps=150, readout_steps=200, composer_steps=100, first_shards=2,
    round_shards=1, rounds=1, round_steps=100, final_steps=100, consistency_steps=50, stills=64,
    sight_steps=4, walks=64, gait_steps=10, clips=32, held_out_clips=20, encoder_steps=10,
    world=False, compare=True,
)  # fmt: skip

Advance = Callable[[float], None]
Reading = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # intents to velocities and labels


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


def make(robot: str, out: Path, effort: Effort | None = None, seed: int = SEED) -> Path:
    """Train, export, quantise, prove and seal; returns the bundle's folder, ``out/ROBOT-mirror``.

    What is already in ``out/work`` is not made again, so an interrupted run goes on.
    """
    effort = effort or FULL[robot]
    with _at_work(robot, out, effort, seed) as bench:
        parts = train_parts(bench, robots.load(robot), effort, seed)
        with bench.stage("export, quantise, prove, pack"):
            origin = provenance(bench, parts.robot, effort, seed)
            return packing.pack(parts, out, f"{robot}-mirror", seed, origin)


def refit(walker: Bundle, out: Path, effort: Effort | None = None, seed: int = SEED) -> Path:
    """Train other eyes for a mirror whose policy is proved already; returns the folder, ``out/NAME``.

    The policy, the readout and the words stay to the byte. ``out/work`` is as `make` has it.

    Raises:
        UsageError: ``out`` holds something else, or the recipe's intents are not the walker's.
    """
    robot = walker.robot
    effort = effort or FULL[robot.name]
    refuse_other(out / walker.name)
    with _at_work(robot.name, out, effort, seed) as bench:
        ticks, library = train_motion(bench, robot, effort, seed)
        _demand_same_intents(walker, library)
        eyes = train_eyes(bench, robot, effort, seed, ticks, library, _reading(walker))
        with bench.stage("export, quantise, prove, pack"):
            origin = provenance(bench, robot, effort, seed)
            proved = walker.provenance.get("walker", {"sha256": walker.sha256, **walker.provenance})
            origin = {**origin, "recipe": f"python -m rmedge.export refit {walker.name}", "walker": proved}
            return packing.refit(walker, eyes, out / walker.name, origin)


def _demand_same_intents(walker: Bundle, library: motion.Library) -> None:
    ours = {row["caption"]: row["z"] for row in packing.vocabulary(library)}
    apart = [
        float(np.abs(phrase.z - ours[phrase.caption]).max()) if phrase.caption in ours else np.inf
        for phrase in walker.intent.vocabulary
    ]
    off = max(apart, default=np.inf)
    if off > SAME:
        raise UsageError(
            f"refit: expected a walker whose intents the recipe finds again to {SAME}, got {walker.name}, "
            f"off by {off:.3g}; make the whole bundle"
        )


def _reading(walker: Bundle) -> Reading:
    """The walker's own readout."""

    def read(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        feeds = ({"intent": row[None]} for row in z.reshape(-1, z.shape[-1]).astype(np.float32))
        said = graphs.infer(walker.graph("readout"), feeds, ("velocity", "label_logits"))
        velocity, logits = (np.concatenate(column) for column in zip(*said))
        return velocity.reshape(*z.shape[:-1], 3), logits.argmax(-1).reshape(z.shape[:-1])

    return read


def weigh(
    robot: str, out: Path, target: str, effort: Effort | None = None, seed: int = SEED
) -> dict[str, list[Trial]]:
    """What `make` has trained in ``out/work``, in every format of a target; no bundle is written."""
    effort = effort or FULL[robot]
    with _at_work(robot, out, effort, seed) as bench:
        parts = train_parts(bench, robots.load(robot), effort, seed)
        with bench.stage(f"weigh formats for {target}") as advance:
            return weighing.weigh(parts, target, seed, advance)


@contextmanager
def _at_work(robot: str, out: Path, effort: Effort, seed: int) -> Iterator[Bench]:
    """The folder of this robot and effort, and nobody else's."""
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    out.mkdir(parents=True, exist_ok=True)
    note = out / "work" / "effort.json"
    wanted = json.dumps({"robot": robot, "seed": seed, **asdict(effort)})
    if note.exists() and note.read_text() != wanted:
        raise UsageError(
            f"export: expected an empty folder or one of the same robot and effort, got {out}; name another"
        )
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(wanted)
    with Progress(*columns) as progress:
        yield Bench(out, progress)


def train_parts(bench: Bench, robot: Robot, effort: Effort, seed: int) -> Parts:
    """All the learning, from the teachers' motion to the encoder."""
    work = bench.folder
    ticks, library = train_motion(bench, robot, effort, seed)
    with bench.stage("readout of the intent") as advance:
        readout = motion.fit_readout(library, effort.readout_steps, work / "readout.pt", seed, advance)
    flow, practice = train_policy(bench, robot, effort, seed, library, "flow")
    with bench.stage("consistency distillation") as advance:
        student = consistency.distil(
            flow, practice, effort.consistency_steps, work / "consistency.pt", seed=seed, progress=advance
        )
    policies = {
        SHIPS: Sampler(flow, "flow", 1),
        "naive-two-step": Sampler(flow, "flow", 2),
        "many-step": Sampler(flow, "flow", MANY),
        "distilled-one-step": Sampler(student, "consistency", 1),
        "distilled-two-step": Sampler(student, "consistency", 2),
    }
    if effort.compare:
        regression, _ = train_policy(bench, robot, effort, seed, library, "regression")
        policies["regression"] = Sampler(regression, "regression", 1)

    def read(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            velocity, logits, _, _ = readout(torch.from_numpy(z))
        return velocity.numpy(), logits.argmax(-1).numpy()

    eyes = train_eyes(bench, robot, effort, seed, ticks, library, read)
    policies = {name: sampler.eval() for name, sampler in policies.items()}
    return Parts(robot, library, readout, policies, practice, eyes)


def train_motion(bench: Bench, robot: Robot, effort: Effort, seed: int) -> tuple[Ticks, motion.Library]:
    """The teachers' motion, and what it means: the space of intents."""
    work = bench.folder
    with bench.stage("fetch the teachers"):
        teachers.fetch()
    with bench.stage("teachers move") as advance:
        ticks = dagger.teacher_motion(robot.name, effort.teacher_shards, work / "rollouts", seed, advance)
    with bench.stage("motion autoencoder") as advance:
        autoencoder = motion.fit(ticks, effort.autoencoder_steps, work / "autoencoder.pt", seed, advance)
        return ticks, motion.Library(ticks, autoencoder, gestures_of(robot))


def train_eyes(
    bench: Bench,
    robot: Robot,
    effort: Effort,
    seed: int,
    ticks: Ticks,
    library: motion.Library,
    read: Reading,
) -> Eyes:
    """An encoder that speaks the library's intents, and its score where ``read`` says what it said."""
    repertoire = make_repertoire(bench, robot, effort, seed, ticks, library)
    encoder, held_out, clips, certainty = train_encoder(bench, effort, seed, repertoire)
    z, _, _, gesture = understanding.intents(encoder, held_out)
    scores = {
        "encoder": understanding.score(*read(z), held_out, gesture),
        "constant": understanding.constant(clips, held_out),
        "certainty": certainty,
    }
    with bench.stage("held-out clips for the whole encoder"):
        streams = clip_maker.streams(repertoire, min(50, effort.held_out_clips), _held_out(seed))
    return Eyes(encoder, streams, scores)


def _held_out(seed: int) -> int:
    """The first seed of the clips that nothing is trained on."""
    return seed * 1000 + 900_000


def make_repertoire(
    bench: Bench, robot: Robot, effort: Effort, seed: int, ticks: Ticks, library: motion.Library
) -> acts.Repertoire:
    """What actors can do, with what it means to the robot; kept in ``work/repertoire.npz``."""
    work = bench.folder
    with bench.stage("composer of intents") as advance:
        composer = fit_composer(library, effort.composer_steps, work / "composer.pt", seed, advance)
    with bench.stage("fetch photographs and people's motion"):
        people = acts.mocap(robot) if effort.world else None
        shown = [acts.performances(ticks, robot), *([people] if people else [])]
        repertoire = acts.Repertoire(
            robot, library.gestures, acts.Repertoire.reach_of(library), composer, shown,
            photographs.fetch() if effort.world else None,
        )  # fmt: skip
        repertoire.save(work / "repertoire.npz")
    return repertoire


def train_encoder(
    bench: Bench, effort: Effort, seed: int, repertoire: acts.Repertoire
) -> tuple[understanding.StreamingEncoder, footage.Clips, footage.Clips, dict[str, float]]:
    """The encoder, clips of actors, rooms and cameras held out, those it learnt from, and how sure it is.

    It learns to see from stills, to read limbs from walks that nobody paints, and to remember from clips that
    it has not seen before; its certainty is calibrated on clips of the other kind.
    """
    work = bench.folder
    with bench.stage("take stills") as advance:
        stills = footage.snap(
            repertoire, effort.stills, work / "stills", seed * 1000 + STILLS, progress=advance
        )
    with bench.stage("sight") as advance:
        seeing = sight.fit_sight(
            stills.tensors(), repertoire.composer.gestures, effort.sight_steps, work / "sight.pt", seed=seed,
            progress=advance,
        )  # fmt: skip
    striding = train_gait(bench, effort, seed, repertoire, seeing)
    with bench.stage("render clips") as advance:
        clips = footage.render(repertoire, seeing, effort.clips, work / "clips", seed * 1000, False, advance)
    with bench.stage("render held-out clips") as advance:
        other = footage.render(
            repertoire, seeing, effort.held_out_clips, work / "held-out", _held_out(seed), True, advance
        )
    half = effort.held_out_clips // 2
    proving, held_out = other.part(0, half), other.part(half, None)
    with bench.stage("streaming encoder") as advance:
        encoder = understanding.fit(
            clips, repertoire.composer, seeing, striding, effort.encoder_steps, work / "encoder.pt",
            seed=seed, progress=advance,
        )  # fmt: skip
    return encoder, held_out, clips, understanding.calibrate(encoder, proving)


def train_gait(
    bench: Bench, effort: Effort, seed: int, repertoire: acts.Repertoire, seeing: sight.Sight
) -> gait.Gait:
    """The memory of limbs, from walks told as they are of stills that nobody learnt from."""
    work = bench.folder
    first = seed * 1000 + STILLS + effort.stills
    with bench.stage("rehearse walks") as advance:
        walks = footage.rehearsals(repertoire, effort.walks, work / "walks", seed * 1000 + WALKS, advance)
    with bench.stage("how limbs are told") as advance:
        proving = footage.snap(
            repertoire, max(effort.stills // PROVING, FEWEST), work / "proving", first,
            progress=lambda done: advance(0.5 * done),
        )  # fmt: skip
        told = hearsay.measure(
            proving.tensors(), seeing, work / "hearsay.npz",
            progress=lambda done: advance(0.5 + 0.5 * done),
        )  # fmt: skip
    with bench.stage("gait") as advance:
        return gait.fit_gait(
            walks, told, repertoire.composer.gestures, effort.gait_steps, work / "gait.pt", seed=seed,
            progress=advance,
        )  # fmt: skip


def train_policy(
    bench: Bench, robot: Robot, effort: Effort, seed: int, library: motion.Library, kind: str
) -> tuple[Denoiser, Chunks]:
    """A ``flow`` or, beside it, a ``regression`` of the same size, each with DAgger rounds of its own."""
    work = bench.folder
    repertoire = dagger.Repertoire(library)
    objective = {"flow": flow_loss, "regression": regression_loss}[kind]

    def walk(model: Denoiser | None, shards: int, tag: str, number: int, advance: Advance) -> Ticks:
        return dagger.collect(
            robot.name, model, kind, repertoire, shards, work / "rollouts", tag, seed + number, advance
        )

    def learn(model: Denoiser, steps: int, name: str, number: int, advance: Advance) -> Denoiser:
        return train(
            model.requires_grad_(True), objective(chunks), steps, work / f"{kind}-{name}.pt", 1e-3, 0.995,
            seed + number, progress=advance,
        )  # fmt: skip

    with bench.stage("teachers show the repertoire") as advance:
        seen = [walk(None, effort.first_shards, "first", 100, advance)]
    chunks = Chunks(seen[0])
    torch.manual_seed(seed)
    model = Denoiser(chunks.proprio.shape[1], chunks.label.shape[1])
    chunks.normalise(model)
    for turn in range(effort.rounds):
        with bench.stage(f"{kind}, round {turn + 1}") as advance:
            model = learn(model, effort.round_steps, str(turn), turn, advance)
        with bench.stage(f"{kind}: the student walks, round {turn + 1}") as advance:
            seen.append(walk(model, effort.round_shards, f"{kind}{turn}", 200 + 50 * turn, advance))
        chunks = Chunks(Ticks.join(seen))
    with bench.stage(f"{kind}, to the end") as advance:
        return learn(model, effort.final_steps, "final", 40, advance), chunks


def provenance(bench: Bench, robot: Robot, effort: Effort, seed: int) -> dict[str, Any]:
    """Where the weights come from."""
    troupe = Troupe(robot, 1)
    versions = {
        name: importlib.metadata.version(name) for name in ("torch", "onnx", "onnxruntime", "mujoco", "numpy")
    }
    return {
        "recipe": f"python -m rmedge.export {robot.name}-mirror",
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
            **{name: one.sha256 for name, one in (troupe.walkers | troupe.dances).items()},
        },
        "eye": {
            "network": "EfficientNet-Lite0, pretrained on ImageNet",
            "package": imagenet.WHEEL.package,
            "licence": "Apache-2.0",
            "sha256": imagenet.WHEEL.sha256,
        },
        "world": _world(robot) if effort.world else [],
        "training_data": "synthetic: the teachers' rollouts and clips that rmedge painted, with photographs "
        "and people's motion from the packages under `world`; no recorded video",
    }


def _world(robot: Robot) -> list[str]:
    """The packages whose photographs hang on walls, and whose recorded people actors copy."""
    used = [wheel.package for wheel in photographs.PHOTOGRAPHS]
    return [*used, acts.MOCAP.package] if robot.name == "g1" else used
