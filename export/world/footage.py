"""Footage: what is kept of films to learn from, made on all cores and read again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from rmedge.export.networks.sight import FLOW, FLOW_STEP, Sight, eight_bits
from rmedge.export.world.acts import Repertoire
from rmedge.export.world.clips import VIEWS, Rehearsal, Take, features_of, film, rehearse, somewhere
from rmedge.export.world.sides import mirrored
from rmedge.runtimes.features import MIDDLE, SPREAD

__all__ = ["Clips", "Films", "Rehearsals", "Stills", "rehearsals", "render", "snap"]

SHARD, REHEARSED = 64, 1024  # clips a file, and clips that nobody paints
ROOMS, SHOTS = 64, 8  # a file of stills, and stills a room: a room costs as much to build as ten to paint
TAKES = 2  # clips a room
TWO_FRAMES_S = 0.2


@dataclass(frozen=True)
class Stills:
    """Single pictures, each with the flow from the one before it, and what is true of them."""

    rgb: np.ndarray  # (N, 3, h, w) uint8
    flow: np.ndarray  # (N, 2, FLOW, FLOW) int8, steps of 1/32
    asked: np.ndarray  # (N, 3) what the robot should do [m/s, m/s, rad/s]
    label: np.ndarray  # (N,) index into LABELS
    gesture: np.ndarray  # (N,)
    facing: np.ndarray  # (N, 2) cosine and sine of the heading seen from the camera, 0 0 if unseen
    body: np.ndarray  # (N, LANDMARKS, 2) [share of the picture], nan where the actor is not in it
    squeeze: np.ndarray  # (N,) see `Take`
    view: np.ndarray  # (N,) index into VIEWS

    def tensors(self) -> dict[str, torch.Tensor]:
        """Its columns, not copied."""
        return {name: torch.from_numpy(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Clips:
    """What a trained `Sight` tells of every frame of clips, and what is true of it."""

    seen: np.ndarray  # (N, T, TOLD) float16
    asked: np.ndarray  # (N, T, 3)
    label: np.ndarray  # (N, T)
    gesture: np.ndarray  # (N, T)
    facing: np.ndarray  # (N, T, 2)
    view: np.ndarray  # (N,)

    def part(self, first: int, last: int | None) -> Clips:
        """Some of them."""
        return Clips(**{name: value[first:last] for name, value in vars(self).items()})


@dataclass(frozen=True)
class Rehearsals:
    """Where the limbs of actors would be in clips that are seen from outside, and what they do."""

    body: np.ndarray  # (N, T, LANDMARKS, 2) [share of the picture], nan where the actor is not in it
    squeeze: np.ndarray  # (N,) see `Take`
    facing: np.ndarray  # (N, T, 2)
    asked: np.ndarray  # (N, T, 3)
    label: np.ndarray  # (N, T)
    gesture: np.ndarray  # (N, T)


class Films:
    """Clips by their seeds, as they are learnt from; `TAKES` in a row are filmed in one room."""

    def __init__(self, repertoire: Repertoire, held_out: bool = False) -> None:
        self._repertoire, self._held_out = repertoire, held_out
        self._first = -1

    def __call__(self, seed: int) -> Take:
        first = seed - seed % TAKES
        if first != self._first:
            self._first = first
            self._place = somewhere(np.random.default_rng((first, 1)), self._repertoire, self._held_out)
        return film(seed, self._repertoire, held_out=self._held_out, place=self._place)


Job = tuple[Callable[..., dict[str, np.ndarray]], Path, tuple[Any, ...]]


def snap(
    repertoire: Repertoire,
    count: int,
    folder: Path,
    seed: int,
    held_out: bool = False,
    progress: Callable[[float], None] = lambda done: None,
) -> Stills:
    """``count`` stills, in shards that are kept in ``folder`` and read again."""
    each = ROOMS * SHOTS
    jobs: list[Job] = [
        (_stills, folder / f"stills-{seed + first:07d}.npz",
         (repertoire, range(seed + first, seed + min(first + each, count)), held_out))
        for first in range(0, count, each)
    ]  # fmt: skip
    return Stills(**_made(jobs, progress))


def render(
    repertoire: Repertoire,
    sight: Sight,
    count: int,
    folder: Path,
    seed: int,
    held_out: bool = False,
    progress: Callable[[float], None] = lambda done: None,
) -> Clips:
    """``count`` clips, likewise; those to learn from come in pairs, one of which is seen in a mirror."""
    films = count if held_out else (count + 1) // 2
    jobs: list[Job] = [
        (_clips, folder / f"clips-{seed + first:07d}.npz",
         (repertoire, sight, range(seed + first, seed + min(first + SHARD, films)), held_out))
        for first in range(0, films, SHARD)
    ]  # fmt: skip
    return Clips(**_made(jobs, progress)).part(0, count)


def rehearsals(
    repertoire: Repertoire,
    count: int,
    folder: Path,
    seed: int,
    progress: Callable[[float], None] = lambda done: None,
) -> Rehearsals:
    """``count`` rehearsals, likewise, in such pairs."""
    once = (count + 1) // 2
    jobs: list[Job] = [
        (_rehearsed, folder / f"rehearsals-{seed + first:07d}.npz",
         (repertoire, range(seed + first, seed + min(first + REHEARSED, once))))
        for first in range(0, once, REHEARSED)
    ]  # fmt: skip
    return Rehearsals(**{name: value[:count] for name, value in _made(jobs, progress).items()})


def _made(jobs: Sequence[Job], progress: Callable[[float], None]) -> dict[str, np.ndarray]:
    """What all jobs made, as one; on all cores where it is not there yet."""
    missing = [job for job in jobs if not job[1].exists()]
    if missing:
        missing[0][1].parent.mkdir(parents=True, exist_ok=True)
        workers = min(len(missing), os.cpu_count() or 1)
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for done, _ in enumerate(pool.map(_make, missing), 1):
                progress(done / len(missing))
    whole: dict[str, np.ndarray] = {}
    lengths = [_length(path) for _, path, _ in jobs]
    first = 0
    for (_, path, _), length in zip(jobs, lengths, strict=True):
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:  # they are too large to be held twice
                part = arrays[name]
                if name not in whole:
                    whole[name] = np.empty((sum(lengths), *part.shape[1:]), part.dtype)
                whole[name][first : first + length] = part
        first += length
    return whole


def _length(path: Path) -> int:
    with np.load(path, allow_pickle=False) as arrays:
        return len(arrays["label"])


def _make(job: Job) -> None:
    make, path, given = job
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **make(*given))  # type: ignore[arg-type]
    partial.replace(path)


def _stills(repertoire: Repertoire, seeds: range, held_out: bool) -> dict[str, np.ndarray]:
    rows = []
    for number, seed in enumerate(seeds):
        if number % SHOTS == 0:
            place = somewhere(np.random.default_rng((seed, 1)), repertoire, held_out)
        take = film(seed, repertoire, seconds=TWO_FRAMES_S, held_out=held_out, place=place)
        shown = _shown(features_of(take)[1:])
        rows.append({
            **{name: value[0] for name, value in shown.items()},
            **{name: value[1] for name, value in _true(take).items()},
            "body": take.body[1], "squeeze": np.float32(take.squeeze),
            "view": np.int8(VIEWS.index(take.view)),
        })  # fmt: skip
    return _stacked(rows)


def _clips(repertoire: Repertoire, sight: Sight, seeds: range, held_out: bool) -> dict[str, np.ndarray]:
    rows, films = [], Films(repertoire, held_out)
    for seed in seeds:
        take = films(seed)
        once = {**_shown(features_of(take)), **_true(take)}
        given = {name: torch.from_numpy(value) for name, value in once.items()}
        for seen in (given,) if held_out else (given, mirrored(given)):
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):  # 3 % of a number's spread
                shown = sight.follow(*eight_bits(seen["rgb"], seen["flow"])).float().numpy()
            kept = {name: value.numpy() for name, value in seen.items() if name not in ("rgb", "flow")}
            rows.append({"seen": shown.astype(np.float16), **kept, "view": np.int8(VIEWS.index(take.view))})
    return _stacked(rows)


def _rehearsed(repertoire: Repertoire, seeds: range) -> dict[str, np.ndarray]:
    rows = []
    for seed in seeds:
        one = rehearse(seed, repertoire)
        true = {"body": torch.from_numpy(one.body), **{n: torch.from_numpy(v) for n, v in _true(one).items()}}
        for seen in (true, mirrored(true)):
            kept = {name: value.numpy() for name, value in seen.items()}
            rows.append({**kept, "label": kept["label"].astype(np.int8), "squeeze": np.float32(one.squeeze)})
    return _stacked(rows)


def _true(take: Take | Rehearsal) -> dict[str, np.ndarray]:
    """Frame by frame."""
    act = take.act
    return {
        "asked": act.asked.astype(np.float32), "label": act.label.astype(np.int8),
        "gesture": act.gesture.astype(np.int8), "facing": take.facing,
    }  # fmt: skip


def _shown(features: np.ndarray) -> dict[str, np.ndarray]:
    """Features (T, 5, h, w) as they are kept."""
    flow = F.avg_pool2d(torch.from_numpy(features[:, 3:]), features.shape[-1] // FLOW).numpy()
    return {
        "rgb": np.rint(features[:, :3] * SPREAD + MIDDLE).astype(np.uint8),
        "flow": np.clip(np.rint(flow * FLOW_STEP), -127, 127).astype(np.int8),
    }


def _stacked(rows: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
