"""From tokens to intents and words: the part of a watcher that is trained, by either of two objectives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.errors import UsageError
from rmedge.export.motions.sentences import WIDTH as SENTENCE
from rmedge.export.networks.training import train
from rmedge.export.watchers import Watched, held, moments
from rmedge.export.watchers.matching import FlowHead
from rmedge.export.watchers.temporal import WIDTH, Temporal

__all__ = ["BOTH", "Eye", "Objectives", "Reader", "TrainedWatcher", "fit"]

BLIND = 1  # the first token has seen no motion
SHARPEST = 4.6  # logarithm of the largest factor on a cosine, as in CLIP
FEATURES_OF = 4096  # tokens that their mean and deviation are taken from


@dataclass(frozen=True)
class Objectives:
    """What a reader learns by; at least one."""

    align: bool = True  # with the sentence embeddings of captions
    reconstruct: bool = True  # the motion latent

    def __post_init__(self) -> None:
        if not (self.align or self.reconstruct):
            raise UsageError("reader: expected an objective, got neither align nor reconstruct; leave one on")


BOTH = Objectives()


class Eye(Protocol):
    """Frozen: pictures to tokens."""

    features: int
    rate_hz: float  # of its tokens

    def look(self, pictures: np.ndarray, rate_hz: float) -> np.ndarray:
        """Tokens (n, F) of the pictures that ``moments`` picks."""
        ...


class Reader(nn.Module):
    """Tokens (B, n, F) to intents (B, n, Z) and to how well each caption fits (B, n, C).

    Captions are compared with what is *special* in their sentences: the mean of all captions is taken off,
    or a hundred sentences about walking would all lie in one corner.
    """

    sentence: torch.Tensor
    prototype: torch.Tensor

    def __init__(
        self,
        features: int,
        captions: Sequence[str],
        sentence: np.ndarray,
        prototype: np.ndarray,
        objectives: Objectives = BOTH,
    ):
        super().__init__()
        self.captions, self.objectives = tuple(captions), objectives
        special = torch.from_numpy(sentence.astype(np.float32))
        self.register_buffer("sentence", F.normalize(special - special.mean(0), dim=-1))
        self.register_buffer("prototype", torch.from_numpy(prototype.astype(np.float32)))
        self.trunk = Temporal(features)
        if objectives.align:
            self.speak = nn.Linear(WIDTH, SENTENCE)
            self.sharpness = nn.Parameter(torch.tensor(2.3))
        if objectives.reconstruct:
            self.generate = FlowHead(WIDTH, prototype.shape[1])

    def fits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (..., C) of captions, by cosine to their sentences; only where ``align`` is on."""
        factor = self.sharpness.clamp(max=SHARPEST).exp()
        return factor * (F.normalize(self.speak(hidden).float(), dim=-1) @ self.sentence.T)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Intents and logits of captions.

        Alignment alone knows no latents but those of its captions: their mean, weighted by how well each
        fits. Reconstruction alone knows no words but those whose latent is near.
        """
        hidden = self.trunk(tokens)
        if not self.objectives.reconstruct:
            logits = self.fits(hidden)
            return logits.softmax(-1) @ self.prototype, logits
        z = self.generate.sample(hidden)
        return z, self.fits(hidden) if self.objectives.align else self.near(z)

    def near(self, z: torch.Tensor) -> torch.Tensor:
        """Logits (..., C) of captions, by distance of intents (..., Z) to their prototypes."""
        return -(z[..., None, :] - self.prototype).square().sum(-1)

    def save(self, path: Path) -> None:
        """Write everything that ``load`` needs, and nothing that could run."""
        partial = path.with_suffix(".partial")
        kept = {
            "captions": list(self.captions),
            "features": len(self.trunk.mean),
            "objectives": asdict(self.objectives),
            "state": self.state_dict(),
        }
        torch.save(kept, partial)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Reader:
        """A saved reader, in evaluation mode."""
        kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        state, captions = kept["state"], kept["captions"]
        model = cls(
            kept["features"], captions, np.zeros((len(captions), SENTENCE)), state["prototype"].numpy(),
            Objectives(**kept["objectives"]),
        )  # fmt: skip
        model.load_state_dict(state)
        return model.eval().requires_grad_(False)


def prototypes(z: np.ndarray, said: np.ndarray, count: int) -> np.ndarray:
    """(C, Z) the mean intent of every caption, of intents (N, n, Z) and captions' indices (N, n)."""
    total = np.zeros((count, z.shape[-1]))
    np.add.at(total, said.ravel(), z.reshape(-1, z.shape[-1]))
    often = np.bincount(said.ravel(), minlength=count)
    if not often.all():
        raise UsageError(
            f"reader: expected every caption at least once, got none of number {int(often.argmin())}; "
            "leave out captions that no clip shows"
        )
    return total / often[:, None]


def fit(
    tokens: np.ndarray, z: np.ndarray, said: np.ndarray, captions: Sequence[str], sentence: np.ndarray,
    steps: int, path: Path, objectives: Objectives = BOTH, batch: int = 32, seed: int = 0,
    progress: Callable[[float], None] = lambda done: None,
) -> Reader:  # fmt: skip
    """Train a reader; a run that was interrupted goes on from ``path``.

    Args:
        tokens: (N, n, F), of any float type.
        z: (N, n, Z) the true intents when the tokens were seen.
        said: (N, n) what happened then, as an index into ``captions``.
        captions: C of them, every one shown by a clip.
        sentence: (C, 384) their frozen embeddings.
    """
    torch.manual_seed(seed)
    table = prototypes(z, said, len(captions))
    model = Reader(tokens.shape[-1], captions, sentence, table, objectives)
    rng = np.random.default_rng(seed)
    some = rng.choice(len(tokens), size=min(len(tokens), FEATURES_OF // tokens.shape[1] + 1), replace=False)
    model.trunk.standardise(torch.from_numpy(tokens[some]).float().flatten(0, 1))
    if objectives.reconstruct:
        model.generate.standardise(torch.from_numpy(z).float().flatten(0, 1))

    def loss(network: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        assert isinstance(network, Reader)
        where = network.prototype.device
        rows = rng.choice(len(tokens), size=min(batch, len(tokens)), replace=False)
        first = int(rng.integers(max(1, tokens.shape[1] // 2)))  # memories of every length
        seen = torch.from_numpy(tokens[rows, first:]).to(where).float()
        hidden = network.trunk(seen)[:, BLIND:].flatten(0, 1)
        after = slice(first + BLIND, None)
        total = torch.zeros((), device=where)
        if objectives.align:
            right = torch.from_numpy(said[rows, after].ravel()).to(where)
            total = total + F.cross_entropy(network.fits(hidden), right)
        if objectives.reconstruct:
            total = total + network.generate.loss(
                torch.from_numpy(z[rows, after]).to(where).float().flatten(0, 1), hidden
            )
        return total

    return train(model, loss, steps, path, 1e-3, seed=seed, progress=progress)


class TrainedWatcher:
    """A frozen eye and a trained reader: a ``Watcher``."""

    def __init__(self, eye: Eye, reader: Reader):
        if eye.features != len(reader.trunk.mean):
            raise UsageError(
                f"watcher: expected an eye of {len(reader.trunk.mean)} features, got {eye.features}; "
                "use the eye that the reader was trained with"
            )
        self.eye, self.reader = eye, reader

    @torch.inference_mode()
    def read(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Intents (B, n, Z) and captions' logits (B, n, C) of tokens (B, n, F)."""
        parts = [self.reader(torch.from_numpy(part).float()) for part in np.array_split(tokens, len(tokens))]
        z, logits = (torch.cat(column).numpy() for column in zip(*parts, strict=True))
        return z, logits

    def watch(self, pictures: np.ndarray, rate_hz: float) -> Watched:
        """Intents at every picture, and the caption that fits the clip best."""
        z, logits = self.read(self.eye.look(pictures, rate_hz)[None])
        at = moments(len(pictures), rate_hz, self.eye.rate_hz)
        likely = torch.from_numpy(logits[0]).softmax(-1).mean(0)
        return Watched(held(z[0], at, len(pictures)), self.reader.captions[int(likely.argmax())])
