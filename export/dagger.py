"""DAgger rounds: the student walks, the teachers label, the student learns (Ross et al. 2011)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from rmedge import robots
from rmedge.export.denoiser import CHUNK, HISTORY, Denoiser, sample
from rmedge.export.rollouts import Segment, Student, Ticks, roll, sample_command

__all__ = ["Repertoire", "collect", "teacher_motion"]

TRIALS_A_SHARD = 32
STUDENT_STEPS = 2  # Euler steps while collecting: enough to walk, and half the price


@dataclass(frozen=True)
class Repertoire:
    """Segments that may be asked for, each with its intent."""

    teacher: np.ndarray  # (N,)
    command: np.ndarray  # (N, 3)
    z: np.ndarray  # (N, Z)
    label: np.ndarray  # (N,)

    def ask(self, rng: np.random.Generator) -> Segment:
        """A segment, balanced over labels."""
        row = rng.choice(np.flatnonzero(self.label == rng.choice(np.unique(self.label))))
        return Segment(int(self.teacher[row]), self.command[row], self.z[row])


def ask_velocity(rng: np.random.Generator) -> Segment:
    """Any teacher, any command: what the intent space is learnt from."""
    return Segment(int(rng.integers(2)), sample_command(rng))


def teacher_motion(
    robot: str, shards: int, folder: Path, seed: int, progress: Callable[[float], None]
) -> Ticks:
    """The teachers' own closed-loop motion under random commands."""
    jobs = [(robot, seed + n, None, None, folder / f"teachers-{n:03d}.npz") for n in range(shards)]
    return _gather(jobs, progress)


def collect(
    robot: str, student: Denoiser | None, repertoire: Repertoire, shards: int, folder: Path, tag: str,
    seed: int, progress: Callable[[float], None],
) -> Ticks:  # fmt: skip
    """One round: with a student it acts; without one the teachers do, so that there is a first student."""
    weights = None if student is None else _weights(student)
    jobs = [(robot, seed + n, weights, repertoire, folder / f"{tag}-{n:03d}.npz") for n in range(shards)]
    return _gather(jobs, progress)


def _weights(student: Denoiser) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in student.state_dict().items()}


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
    robot_name, seed, weights, repertoire, path = job
    robot = robots.load(robot_name)
    ticks = roll(
        robot, seed, TRIALS_A_SHARD, ask_velocity if repertoire is None else repertoire.ask,
        None if weights is None else student_from(weights, seed), HISTORY,
    )  # fmt: skip
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **vars(ticks))
    partial.replace(path)


def _read(path: Path) -> Ticks:
    with np.load(path, allow_pickle=False) as arrays:
        return Ticks(**{name: arrays[name] for name in arrays.files})


def student_from(weights: dict[str, np.ndarray], seed: int, steps: int = STUDENT_STEPS) -> Student:
    """A student that acts on the first action of its chunk, for `rollouts.roll`."""
    joints = len(weights["action_mean"])
    model = Denoiser(
        len(weights["proprio_mean"]) // HISTORY, joints, len(weights["inlet.bias"]), _depth(weights)
    )
    model.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in weights.items()})
    model.eval()
    generator = torch.Generator().manual_seed(seed)

    @torch.inference_mode()
    def act(history: np.ndarray, intent: np.ndarray) -> np.ndarray:
        noise = torch.randn(len(history), CHUNK, joints, generator=generator)
        proprio = torch.from_numpy(history.reshape(len(history), -1))
        return sample(model, proprio, torch.from_numpy(intent), noise, steps)[:, 0].numpy()

    return act


def _depth(weights: Iterable[str]) -> int:
    return len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
