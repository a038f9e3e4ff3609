"""The streaming encoder: a frame's features and a memory to a motion intent, and how sure it is.

The network does not regress the intent: it says how probable each of a hundred *prototypes* of the
latent space is. The intent is their mean, weighted towards the likeliest word: the mean of walking
forward and walking backward would be neither, and no motion that the policy knows. The certainty is the
probability of the words that were followed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.clips import STORE, VIEWS, Clips, Tracks
from rmedge.export.training import train
from rmedge.labels import LABELS

__all__ = ["STATE", "StreamingEncoder", "constant", "fit", "intents", "prototypes", "score"]

STATE = 128  # size of the encoder's memory
A_LABEL = 10  # prototypes for each word
SHARPNESS = 1.0  # of the soft assignment of an intent to its prototypes
CHANNELS = ((24, 2), (32, 2), (48, 1), (64, 2), (96, 1))  # and strides
HEADS = 4  # places in the picture that are looked at
DECISION = 2.0  # how much the likeliest word draws the intent: 0 is the plain mean, large is the word alone
STRETCH = 20  # frames of a clip that one training step sees
BLIND = 4  # the first frames have seen too little to be asked


class Eye(nn.Module):
    """Features (B, 3, h, w) to (B, S): convolutions, then a coarse view and a close look at a few places."""

    def __init__(self, side: int):
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after, stride in CHANNELS:
            layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1), nn.ReLU()]
            before = after
        self.convolve = nn.Sequential(*layers)
        self.where = nn.Conv2d(before, HEADS, 1)
        self.coarse = nn.Sequential(nn.Conv2d(before, 12, 1), nn.ReLU(), nn.Flatten())
        cells = (side // 8) ** 2
        self.outlet = nn.Sequential(nn.Linear(HEADS * (before + cells) + 12 * cells, STATE), nn.ReLU())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        seen = self.convolve(features)
        attention = (
            self.where(seen).flatten(2).softmax(-1)
        )  # (B, heads, cells): a person is small and anywhere
        close = attention @ seen.flatten(2).transpose(1, 2)  # (B, heads, channels)
        return self.outlet(torch.cat([close.flatten(1), attention.flatten(1), self.coarse(seen)], 1))


class StreamingEncoder(nn.Module):
    """Features (B, 3, h, w) and state (B, S) to intent (B, Z), certainty, presence (B, 1), next state."""

    prototype: torch.Tensor
    word: torch.Tensor

    def __init__(self, prototype: np.ndarray, word: np.ndarray, side: int = 48):
        super().__init__()
        self.register_buffer("prototype", torch.from_numpy(prototype.astype(np.float32)))
        self.register_buffer("word", F.one_hot(torch.from_numpy(word.astype(np.int64)), len(LABELS)).float())
        self.see = Eye(side)
        self.remember = nn.GRU(STATE, STATE, batch_first=True)
        self.judge = nn.Linear(STATE, len(prototype) + 1)
        # seen from behind or from the front is what third-person motion hangs on: asked for in training only
        self.face = nn.Linear(STATE, 2)

    def settle(self, stand: np.ndarray) -> None:
        """Let every prototype of standing be the one stand (Z,): who hardly moves is told to stand still."""
        self.prototype[self.word[:, LABELS.index("stand")] > 0] = torch.from_numpy(stand.astype(np.float32))

    def memories(self, features: torch.Tensor) -> torch.Tensor:
        """Whole clips (B, T, 3, h, w) to the state after every frame (B, T, S), for training."""
        seen = self.see(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        return self.remember(seen)[0]

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Whole clips (B, T, 3, h, w) to logits (B, T, prototypes + nobody)."""
        return self.judge(self.memories(features))

    def conclude(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Intent (..., Z), certainty and presence (..., 1)."""
        presence = 1 - logits.softmax(-1)[..., -1:]
        likely = logits[..., :-1].softmax(-1)
        words = likely @ self.word  # (..., labels)
        drawn = likely * (words @ self.word.T) ** DECISION
        drawn = drawn / drawn.sum(-1, keepdim=True)
        return drawn @ self.prototype, ((drawn @ self.word) * words).sum(-1, keepdim=True), presence

    def forward(self, features: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen = self.see(features)
        input_weight, state_weight, input_bias, state_bias = self.remember.all_weights[0]
        from_input = F.linear(seen, input_weight, input_bias).chunk(3, -1)
        from_state = F.linear(state, state_weight, state_bias).chunk(3, -1)
        reset = torch.sigmoid(from_input[0] + from_state[0])
        update = torch.sigmoid(from_input[1] + from_state[1])
        new = torch.tanh(from_input[2] + reset * from_state[2])
        state = (1 - update) * new + update * state
        return (*self.conclude(self.judge(state)), state)


def prototypes(tracks: Tracks, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Intents (K, Z) that stand for all, ten of each word by k-means, and their words (K,)."""
    rng = np.random.default_rng(seed)
    found, words = [], []
    for label in range(len(LABELS)):
        z = np.unique(tracks.z[tracks.label == label], axis=0)
        if not len(z):
            continue
        centre = z[rng.choice(len(z), size=min(A_LABEL, len(z)), replace=False)]
        for _ in range(20):
            nearest = ((z[:, None] - centre) ** 2).sum(-1).argmin(1)
            centre = np.array(
                [z[nearest == k].mean(0) if (nearest == k).any() else c for k, c in enumerate(centre)]
            )
        found.append(centre)
        words += [label] * len(centre)
    return np.concatenate(found).astype(np.float32), np.array(words)


def fit(
    clips: Clips, prototype: np.ndarray, word: np.ndarray, steps: int, path: Path, batch: int = 36,
    seed: int = 0, progress: Callable[[float], None] = lambda done: None,
) -> StreamingEncoder:  # fmt: skip
    """Train on stretches of clips: cross-entropy to soft prototypes, the intent itself, and the facing."""
    torch.manual_seed(seed)
    model = StreamingEncoder(prototype, word, clips.features.shape[-1])
    features, facing = torch.from_numpy(clips.features), torch.from_numpy(clips.facing)
    targets = torch.from_numpy(clips.z), torch.from_numpy(clips.z_mirrored)
    absent = torch.from_numpy(clips.view == VIEWS.index("none"))
    length = min(STRETCH, features.shape[1])

    def loss(network: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        assert isinstance(network, StreamingEncoder)
        where = network.prototype.device
        rows = torch.from_numpy(rng.choice(len(features), size=min(batch, len(features)), replace=False))
        first = int(rng.integers(features.shape[1] - length + 1))
        part = slice(first, first + length)
        mirrored = bool(rng.random() < 0.5)
        seen = _vary(features[rows, part].to(where).float() / STORE, mirrored, rng)
        target = targets[mirrored][rows, part].to(where)[:, BLIND:]
        turned = facing[rows, part].to(where)[:, BLIND:] * torch.tensor(
            [1.0, -1.0 if mirrored else 1.0], device=where
        )
        nobody = absent[rows].to(where)
        distance = (target[..., None, :] - network.prototype).square().sum(-1)
        soft = F.pad((-SHARPNESS * distance).softmax(-1), (0, 1))
        soft[nobody] = F.one_hot(torch.tensor(soft.shape[-1] - 1), soft.shape[-1]).to(soft)
        memory = network.memories(seen)[:, BLIND:]
        logits = network.judge(memory).float()
        mean = logits[..., :-1].softmax(-1) @ network.prototype
        miss = (mean - target).square().mean(-1)[~nobody].mean()
        visible = turned.square().sum(-1) > 0
        face = (network.face(memory).float() - turned).square().sum(-1)[visible].mean()
        return F.cross_entropy(logits.flatten(0, 1), soft.flatten(0, 1)) + 2 * miss + face

    return train(model, loss, steps, path, 2e-3, seed=seed, progress=progress)


def _vary(features: torch.Tensor, mirrored: bool, rng: np.random.Generator) -> torch.Tensor:
    """Shift, noise, contrast and mirror, the same over a clip."""
    count = len(features)
    if mirrored:
        features = features.flip(-1) * torch.tensor([1.0, -1.0, 1.0], device=features.device)[:, None, None]
    features = features + 0.05 * torch.randn_like(features)
    gain = torch.from_numpy(rng.uniform(0.7, 1.3, (count, 1, 1, 1, 1)).astype(np.float32)).to(features)
    features = torch.cat([features[:, :, :1] * gain, features[:, :, 1:]], 2)
    dy, dx = (int(v) for v in rng.integers(-5, 6, 2))
    return torch.roll(features, (dy, dx), (-2, -1))


@torch.inference_mode()
def intents(
    model: StreamingEncoder, clips: Clips, batch: int = 32
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the encoder says at every frame: intent (N, T, Z), certainty and presence (N, T)."""
    parts = []
    for first in range(0, len(clips.features), batch):
        features = torch.from_numpy(clips.features[first : first + batch]).float() / STORE
        parts.append(model.conclude(model.logits(features)))
    intent, certainty, presence = (torch.cat(column).numpy() for column in zip(*parts, strict=True))
    return intent, certainty[..., 0], presence[..., 0]


def score(velocity: np.ndarray, label: np.ndarray, clips: Clips) -> dict[str, dict[str, float]]:
    """Held-out figures by view, after the clip's first second.

    Args:
        velocity: (N, T, 3) said.
        label: (N, T) said, as an index into ``LABELS``.
    """
    report = {}
    for number, view in enumerate(VIEWS[:2]):
        mine = clips.view == number
        said, true = velocity[mine, 10:], clips.velocity[mine, 10:]
        error = np.abs(said - true).mean((0, 1))
        unexplained = ((said - true) ** 2).sum((0, 1)) / ((true - true.mean((0, 1))) ** 2).sum((0, 1))
        right = label[mine, 10:] == clips.label[mine, 10:]
        by_word = [right[clips.label[mine, 10:] == n].mean() for n in np.unique(clips.label[mine, 10:])]
        report[view] = {
            "clips": int(mine.sum()),
            **{f"mae_{name}": float(e) for name, e in zip(("vx", "vy", "yaw_rate"), error, strict=True)},
            **{
                f"r2_{name}": float(1 - u)
                for name, u in zip(("vx", "vy", "yaw_rate"), unexplained, strict=True)
            },
            "label_accuracy": float(right.mean()),
            "label_macro_average": float(np.mean(by_word)),
        }
    return report


def constant(train_clips: Clips, clips: Clips) -> dict[str, dict[str, float]]:
    """The same figures for the best constant guess: the median velocity and the commonest word."""
    seen = train_clips.view < 2
    velocity = np.median(train_clips.velocity[seen], (0, 1))
    label = np.bincount(train_clips.label[seen].ravel()).argmax()
    shape = clips.label.shape
    return score(np.broadcast_to(velocity, (*shape, 3)), np.full(shape, label), clips)
