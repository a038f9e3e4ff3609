"""The motion-text space: motions and captions side by side, trained for evaluation and for nothing else.

Two seconds of motion and the sentence that names it become points of one sphere, near each other where
they belong together. It never sees a picture, an intent or the policy: it judges what a robot did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.motions.motion import Library
from rmedge.export.motions.rollouts import Ticks
from rmedge.export.networks.training import train

__all__ = ["WINDOW", "MotionText", "Shown", "fit", "points", "shown"]

WINDOW = 100  # ticks: two seconds
WIDTH = 128
SETTLED = 10  # ticks of a segment until a motion is what it is called
BATCH = 256
BLUR = 0.15  # of normalised features: a student's motion is not quite a teacher's
HELD_OUT = 10  # of so many trials one is kept from training


class MotionText(nn.Module):
    """Windows (B, 100, F) and sentence embeddings (C, S) to unit rows (B, 128), (C, 128)."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, features: int, sentence: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.motion = nn.Sequential(
            nn.Conv1d(features, 96, 5, 2, 2), nn.SiLU(),
            nn.Conv1d(96, 128, 5, 2, 2), nn.SiLU(),
            nn.Conv1d(128, 128, 5, 2, 2), nn.SiLU(),
        )  # fmt: skip
        self.joined = nn.Linear(256, WIDTH)
        self.text = nn.Sequential(nn.Linear(sentence, 256), nn.SiLU(), nn.Linear(256, WIDTH))
        self.sharpness = nn.Parameter(torch.tensor(2.5))

    def motions(self, window: torch.Tensor) -> torch.Tensor:
        return self._motions((window - self.mean) / self.std)

    def captions(self, sentence: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.text(sentence), dim=1)

    def _motions(self, normal: torch.Tensor) -> torch.Tensor:
        hidden = self.motion(normal.transpose(1, 2))  # (B, 128, 13)
        return F.normalize(self.joined(torch.cat([hidden.mean(2), hidden.amax(2)], 1)), dim=1)

    def contrast(self, window: torch.Tensor, sentence: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """InfoNCE both ways over all captions (C, S); ``truth``: (B,) the caption of each window."""
        normal = (window - self.mean) / self.std
        normal = normal + BLUR * torch.randn_like(normal)
        likeness = self.sharpness.exp() * self._motions(normal) @ self.captions(sentence).T  # (B, C)
        mine = F.one_hot(truth, len(sentence)).to(likeness.dtype)
        # a caption's motions are many: each is as good an answer
        share = (likeness.log_softmax(0) * mine).sum(0) / mine.sum(0).clamp_min(1)
        return F.cross_entropy(likeness, truth) - share[mine.any(0)].mean()


class Shown:
    """What the teachers showed: windows of steady motion, each with its caption.

    Attributes:
        first: (N,) tick at which each window begins.
        caption: (N,) index into ``captions``.
        held_out: (N,) whether its trial is kept from training.
    """

    def __init__(self, ticks: Ticks, captions: Sequence[str], first: np.ndarray, caption: np.ndarray) -> None:
        self.captions = tuple(captions)
        self.first, self.caption = first, caption
        self.held_out = ticks.trial[first] % HELD_OUT == 0
        self._motion = torch.from_numpy(ticks.motion)

    def windows(self, rows: np.ndarray) -> torch.Tensor:
        """(len(rows), 100, F)."""
        return self._motion[torch.from_numpy(self.first[rows])[:, None] + torch.arange(WINDOW)]


def shown(ticks: Ticks, library: Library, caption: Callable[[np.ndarray, int, int], str]) -> Shown:
    """The library's segments that last two seconds; ``caption``: of a velocity (3,), label and gesture."""
    rows = zip(library.velocity, library.label.tolist(), library.gesture.tolist(), strict=True)
    called = [caption(*row) for row in rows]
    captions = sorted(set(called))
    firsts, names = [], []
    for segment, name in zip(library.segment.tolist(), called, strict=True):
        begin, end = np.searchsorted(ticks.segment, [segment, segment + 1])
        mine = np.arange(begin + SETTLED, end - WINDOW + 1)
        firsts.append(mine)
        names.append(np.full(len(mine), captions.index(name)))
    return Shown(ticks, captions, np.concatenate(firsts), np.concatenate(names))


def fit(
    seen: Shown, sentences: np.ndarray, steps: int, path: Path, seed: int = 0,
    progress: Callable[[float], None] = lambda done: None,
) -> MotionText:  # fmt: skip
    """Train both towers, balanced over captions; ``sentences``: (C, S) embeddings of ``seen.captions``."""
    torch.manual_seed(seed)
    known = torch.from_numpy(sentences.astype(np.float32))
    rows = np.flatnonzero(~seen.held_out)
    sample = seen.windows(np.random.default_rng(seed).choice(rows, min(len(rows), 2048))).flatten(0, 1)
    model = MotionText(sample.shape[1], known.shape[1])
    model.mean.copy_(sample.mean(0))
    model.std.copy_(sample.std(0).clamp_min(0.02))
    weight = 1.0 / np.sqrt(np.bincount(seen.caption[rows])[seen.caption[rows]])
    drawn = np.cumsum(weight) / weight.sum()

    def loss(network: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        assert isinstance(network, MotionText)
        where = network.mean.device
        chosen = rows[np.minimum(np.searchsorted(drawn, rng.random(BATCH)), len(rows) - 1)]
        truth = torch.from_numpy(seen.caption[chosen].astype(np.int64))
        return network.contrast(seen.windows(chosen).to(where), known.to(where), truth.to(where))

    return train(model, loss, steps, path, 1e-3, 0.99, seed, bfloat16=False, progress=progress)


def points(
    model: MotionText, windows: Sequence[np.ndarray | None], sentences: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Windows (N,) of (100, F) and sentences (C, S) as points (N, 128) and (C, 128); no window: NaN."""
    there = [n for n, window in enumerate(windows) if window is not None]
    found = np.full((len(windows), WIDTH), np.nan, np.float32)
    with torch.inference_mode():
        if there:
            given = np.stack([window for window in windows if window is not None])
            found[there] = model.motions(torch.from_numpy(given)).numpy()
        return found, model.captions(torch.from_numpy(sentences.astype(np.float32))).numpy()
