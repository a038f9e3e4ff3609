"""Films clips from seeds and keeps what an eye saw of them: streamed, in shards, never twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np

from rmedge.errors import UsageError
from rmedge.export.watchers import Watcher, held, moments
from rmedge.export.watchers.reader import Eye, TrainedWatcher

__all__ = ["NOBODY", "Act", "Film", "Harvest", "Meanings", "Take", "distil_targets", "gather"]

SHARD = 32  # clips a file
NOBODY = "nobody is there"
NONE = "nobody"  # the view of a clip without an actor


class Act(Protocol):
    """What an actor does: see ``rmedge.export.world.acts``; arrays over the pictures of a clip."""

    @property
    def asked(self) -> np.ndarray: ...  # (T, 3)
    @property
    def label(self) -> np.ndarray: ...  # (T,)
    @property
    def gesture(self) -> np.ndarray: ...  # (T,)
    @property
    def z(self) -> np.ndarray: ...  # (T, Z)


class Take(Protocol):
    """A filmed clip: see ``rmedge.export.world.clips``."""

    @property
    def pictures(self) -> Sequence[np.ndarray]: ...
    @property
    def rate_hz(self) -> float: ...
    @property
    def view(self) -> str: ...
    @property
    def act(self) -> Act: ...


Film = Callable[[int], Take]  # by seed


class Meanings(Protocol):
    """What acts mean: see ``rmedge.export.world.acts.Repertoire``."""

    def caption(self, velocity: np.ndarray, label: int, gesture: int) -> str:
        """The words for a velocity (3,), a label and a gesture."""
        ...

    def act(self, velocity: np.ndarray, gesture: np.ndarray) -> Act:
        """What it means to move at velocities (T, 3), with gestures (T,)."""
        ...


@dataclass(frozen=True)
class Harvest:
    """Clips as an eye saw them, all of one length."""

    tokens: np.ndarray  # (N, n, F) float16
    z: np.ndarray  # (N, T, Z) float32, at every picture
    asked: np.ndarray  # (N, T, 3)
    label: np.ndarray  # (N, T)
    caption: np.ndarray  # (N, T) text
    view: np.ndarray  # (N,) text
    at: np.ndarray  # (N, n) the picture that a token was seen at

    def seen(self, name: str) -> np.ndarray:
        """One of the values by picture, at the tokens (N, n, ...)."""
        values = getattr(self, name)
        return values[np.arange(len(values))[:, None], self.at]

    def spoken(self, captions: Sequence[str]) -> np.ndarray:
        """(N, n) what happened at the tokens, as an index into captions; -1 where they do not have it."""
        number = {caption: n for n, caption in enumerate(captions)}
        return np.vectorize(lambda caption: number.get(str(caption), -1), otypes=[int])(self.seen("caption"))


def gather(
    seeds: Sequence[int], film: Film, meanings: Meanings, eye: Eye, folder: Path,
    progress: Callable[[float], None] = lambda done: None,
) -> Harvest:  # fmt: skip
    """What ``eye`` sees of the clips of ``seeds``; shards that ``folder`` holds already are read."""
    parts: dict[str, list[np.ndarray]] = {field.name: [] for field in fields(Harvest)}
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(seeds), SHARD):
        mine = list(seeds[first : first + SHARD])
        path = folder / f"tokens-{mine[0]:07d}-{mine[-1]:07d}.npz"
        if not path.exists():
            _write(path, [_row(film(seed), meanings, eye) for seed in mine])
        with np.load(path, allow_pickle=False) as arrays:
            width = arrays["tokens"].shape[-1]
            if width != eye.features:
                raise UsageError(
                    f"harvest: expected tokens of {eye.features} features, got {width}; "
                    f"another eye filled {folder}, name another folder"
                )
            for name in parts:
                parts[name].append(arrays[name])
        progress(min(first + SHARD, len(seeds)) / len(seeds))
    return Harvest(**{name: np.concatenate(part) for name, part in parts.items()})


def _row(take: Take, meanings: Meanings, eye: Eye) -> dict[str, np.ndarray]:
    pictures, act = np.asarray(take.pictures), take.act
    alone = take.view == NONE
    if alone:  # where nobody is, standing is meant
        act = meanings.act(np.zeros_like(act.asked, dtype=float), np.zeros_like(act.gesture))
    done = zip(act.asked, act.label, act.gesture, strict=True)
    said = [NOBODY if alone else meanings.caption(v, int(label), int(g)) for v, label, g in done]
    return {
        "tokens": eye.look(pictures, take.rate_hz).astype(np.float16),
        "z": act.z.astype(np.float32),
        "asked": act.asked.astype(np.float32),
        "label": act.label.astype(np.int16),
        "caption": np.array(said),
        "view": np.array(take.view),
        "at": moments(len(pictures), take.rate_hz, eye.rate_hz).astype(np.int16),
    }


def _write(path: Path, rows: Sequence[dict[str, np.ndarray]]) -> None:
    partial = path.with_suffix(".partial.npz")
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    np.savez(partial, **columns)  # type: ignore[arg-type]
    partial.replace(path)


def distil_targets(
    watcher: Watcher, seeds: Sequence[int], film: Film, harvest: Harvest | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> np.ndarray:  # fmt: skip
    """Intents (N, T, Z) for a student to learn: what a watcher makes of the clips of ``seeds``.

    A trained watcher reads what was gathered of the same seeds instead of filming them again. Between its
    tokens the intent goes over in a straight line: a student that is taught afterwards may look ahead.
    """
    if harvest is None or not isinstance(watcher, TrainedWatcher):
        rows = []
        for number, seed in enumerate(seeds, 1):
            take = film(seed)
            rows.append(watcher.watch(np.asarray(take.pictures), take.rate_hz).latents)
            progress(number / len(seeds))
        return np.array(rows)
    if len(harvest.tokens) != len(seeds):
        raise UsageError(
            f"distil: expected what was gathered of {len(seeds)} seeds, got {len(harvest.tokens)} clips; "
            "gather the same seeds"
        )
    z, _ = watcher.read(harvest.tokens)
    count = harvest.z.shape[1]
    return np.array([_between(row, at, count) for row, at in zip(z, harvest.at, strict=True)])


def _between(values: np.ndarray, at: np.ndarray, count: int) -> np.ndarray:
    """Values (n, Z) at pictures ``at``, for all ``count`` pictures, linear between and the last one held."""
    below = held(np.arange(len(at)), at, count)
    above = np.minimum(below + 1, len(at) - 1)
    gap = np.maximum(at[above] - at[below], 1)
    share = ((np.arange(count) - at[below]) / gap)[:, None] * (above > below)[:, None]
    return ((1 - share) * values[below] + share * values[above]).astype(np.float32)
