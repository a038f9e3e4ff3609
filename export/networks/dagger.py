"""DAgger rounds: the student walks, the teachers label, the student learns (Ross et al. 2011)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from rmedge import robots
from rmedge.export.motions import teachers
from rmedge.export.motions.dances import DANCES
from rmedge.export.motions.motion import Library
from rmedge.export.motions.rollouts import Segment, Student, Ticks, roll, sample_command
from rmedge.export.motions.troupe import Motion, gestures_of
from rmedge.export.networks.denoiser import CHUNK, HISTORY, Denoiser, Sampler
from rmedge.labels import LABELS
from rmedge.runtimes.perturbation import CALM, Perturbation

__all__ = ["Anything", "Repertoire", "collect", "teacher_motion"]

PLAIN = 0.5  # share of motions that are without a gesture for certain
STILL = 0.1  # commands below this norm between two motions mean standing

TRIALS_A_SHARD = 32
MIXED, OPEN = 0.2, 0.1  # shares of intents between two motions, and of those that leave the gait open


class Repertoire:
    """Motions that may be asked for, each with its intent.

    Some intents lie between two motions that differ in velocity alone, as an intent does that decays to
    standing; some lie between the two gaits of one motion, and either gait is right.
    """

    def __init__(self, library: Library):
        self.library = library
        self._of_kind: dict[tuple[int, int], np.ndarray] = {}
        for kind in zip(library.gesture.tolist(), library.label.tolist(), strict=True):
            rows = (library.gesture == kind[0]) & (library.label == kind[1])
            if len(np.unique(library.walker[rows])) == len(teachers.NAMES):  # both gaits can do it
                self._of_kind[kind] = np.flatnonzero(rows)
        self._gestures = sorted({gesture for gesture, _ in self._of_kind})

    def ask(self, rng: np.random.Generator) -> Segment:
        """A segment: more than half without a gesture, and balanced over words."""
        gesture = 0 if rng.random() < PLAIN else int(rng.choice(self._gestures))
        row = int(rng.choice(self._of_kind[gesture, rng.choice(self._labels(gesture))]))
        kind = rng.random()
        if kind < MIXED:
            return self._mixed(row, rng)
        if kind < MIXED + OPEN:
            return self._open(row, rng)
        return Segment(self._motion(row, self.library.command[row]), self.library.z[row])

    def _labels(self, gesture: int) -> list[int]:
        return [label for other, label in self._of_kind if other == gesture]

    def _motion(self, row: int, command: np.ndarray) -> Motion:
        library = self.library
        return Motion(teachers.NAMES[library.walker[row]], command, library.gestures[library.gesture[row]])

    def _mixed(self, row: int, rng: np.random.Generator) -> Segment:
        """Between a motion and another path of it, or between it and plain standing, to which it decays."""
        library = self.library
        gesture, label = int(library.gesture[row]), int(rng.choice(self._labels(int(library.gesture[row]))))
        if rng.random() < 0.5:
            gesture, label = 0, LABELS.index("stand")
        rows = self._of_kind[gesture, label]
        other = int(rng.choice(rows[library.walker[rows] == library.walker[row]]))
        share = rng.uniform()
        command = library.command[row] + share * (library.command[other] - library.command[row])
        if np.linalg.norm(command) < STILL:
            command = np.zeros(3)  # the teachers tread on the spot for the least of commands
        z = library.z[row] + share * (library.z[other] - library.z[row])
        return Segment(self._motion(row if share < 0.5 else other, command), z)

    def _open(self, row: int, rng: np.random.Generator) -> Segment:
        library = self.library
        same = (library.gesture == library.gesture[row]) & (library.walker != library.walker[row])
        rows = np.flatnonzero(same & ((library.gait == 0) == (library.gait[row] == 0)))
        if not len(rows):
            return Segment(self._motion(row, library.command[row]), library.z[row])
        distance = np.abs((library.velocity[rows] - library.velocity[row]) / (0.2, 0.1, 0.3)).sum(1)
        other = int(rows[distance.argmin()])
        chosen = row if rng.random() < 0.5 else other
        return Segment(self._motion(chosen, library.command[chosen]), (library.z[row] + library.z[other]) / 2)


class Anything:
    """Any gait, command and gesture: what the intent space is learnt from."""

    def __init__(self, gestures: tuple[str, ...]):
        self.gestures = gestures

    def ask(self, rng: np.random.Generator) -> Segment:
        gesture = self.gestures[0] if rng.random() < PLAIN else str(rng.choice(self.gestures))
        command = np.zeros(3) if gesture in DANCES else sample_command(rng)
        return Segment(Motion(str(rng.choice(teachers.NAMES)), command, gesture))


def teacher_motion(
    robot: str, shards: int, folder: Path, seed: int, progress: Callable[[float], None]
) -> Ticks:
    """The teachers' own closed-loop motion under random commands."""
    everything = Anything(gestures_of(robots.load(robot)))
    jobs = [(robot, seed + n, None, "", everything, folder / f"teachers-{n:03d}.npz") for n in range(shards)]
    return _gather(jobs, progress)


def collect(
    robot: str, student: Denoiser | None, sampler: str, repertoire: Repertoire, shards: int, folder: Path,
    tag: str, seed: int, progress: Callable[[float], None],
) -> Ticks:  # fmt: skip
    """One round: with a student it acts; without one the teachers do, so that there is a first student."""
    weights = None if student is None else {k: value.numpy() for k, value in student.state_dict().items()}
    jobs = [
        (robot, seed + n, weights, sampler, repertoire, folder / f"{tag}-{n:03d}.npz") for n in range(shards)
    ]
    return _gather(jobs, progress)


def _gather(jobs: list[tuple], progress: Callable[[float], None]) -> Ticks:
    """Shards that are already on disk are read, the rest is rolled on all cores."""
    missing = [job for job in jobs if not job[-1].exists()]
    if missing:
        missing[0][-1].parent.mkdir(parents=True, exist_ok=True)
        workers = min(len(missing), os.cpu_count() or 1)
        # spawn: a fork of a process that holds torch's threads can hang
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
            for done, _ in enumerate(pool.map(_shard, missing), 1):
                progress(done / len(missing))
    return Ticks.join([_read(job[-1]) for job in jobs])


def _one_thread() -> None:
    torch.set_num_threads(1)


def _shard(job: tuple) -> None:
    robot_name, seed, weights, sampler, asked, path = job
    ticks = roll(
        robots.load(robot_name), seed, TRIALS_A_SHARD, asked.ask,
        None if weights is None else student_from(weights, sampler, seed),
        Perturbation.wild if isinstance(asked, Repertoire) else lambda rng: CALM,
        isinstance(asked, Repertoire), HISTORY,
    )  # fmt: skip
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **vars(ticks))
    partial.replace(path)


def _read(path: Path) -> Ticks:
    with np.load(path, allow_pickle=False) as arrays:
        return Ticks(**{name: arrays[name] for name in arrays.files})


def student_from(weights: dict[str, np.ndarray], sampler: str, seed: int) -> Student:
    """A student that plans chunks in one evaluation, as deployed, for `rollouts.roll`."""
    joints = len(weights["action_mean"])
    model = Denoiser(
        len(weights["proprio_mean"]) // HISTORY, joints, len(weights["inlet.bias"]), _depth(weights)
    )
    model.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in weights.items()})
    plan = Sampler(model, sampler).eval()
    generator = torch.Generator().manual_seed(seed)

    @torch.inference_mode()
    def act(history: np.ndarray, intent: np.ndarray) -> np.ndarray:
        noise = torch.randn(len(history), CHUNK, joints, generator=generator)
        proprio = torch.from_numpy(history.reshape(len(history), -1))
        return plan(proprio, torch.from_numpy(intent), noise).numpy()

    return act


def _depth(weights: Iterable[str]) -> int:
    return len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
