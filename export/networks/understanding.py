"""The streaming encoder: a frame's features and a memory to a motion intent, and how sure it is.

A `Sight` that has learnt to see says what every frame shows and where the limbs are, a `Gait` what their
motion means, and a memory judges.

The network does not regress the intent: it says how probable each word for motion is, how fast one would
move in each, and which gesture is made; the composer turns that into a point of the latent space. The
likeliest words are followed more than in proportion: the mean of walking forward and walking backward
would be neither. The certainty is the probability of the words that were followed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.motions.motion import GAITS
from rmedge.export.motions.teachers import FAST, STEADY
from rmedge.export.networks.composer import Composer
from rmedge.export.networks.gait import GAIT, Gait, advance
from rmedge.export.networks.gait import MEMORY as STRIDES
from rmedge.export.networks.judgement import BLIND, STRETCH, fresh, misjudged, weights
from rmedge.export.networks.sight import BODY, FLOW, PLACE, SEEN, TOLERANCE, Sight
from rmedge.export.networks.training import train
from rmedge.export.world.acts import FAST_FROM, way
from rmedge.export.world.clips import VIEWS
from rmedge.export.world.footage import Clips
from rmedge.labels import LABELS

__all__ = ["STATE", "StreamingEncoder", "calibrate", "constant", "fit", "intents", "score"]

MEMORY = 256  # numbers that the encoder judges by
STATE = MEMORY + GAIT + PLACE  # all that it remembers, and where it saw somebody
DECISION = 2.0  # how much the likeliest word draws the intent: 0 is the plain mean, large is the word alone
NOISE = 0.15  # that is added to what is seen, as a share of its spread
STAND = LABELS.index("stand")


class StreamingEncoder(nn.Module):
    """Features (B, 5, h, w) and state (B, S) to intent (B, Z), certainty, presence (B, 1), next state."""

    temperature: torch.Tensor
    middle: torch.Tensor
    spread: torch.Tensor

    def __init__(self, composer: Composer, sight: Sight, gait: Gait):
        super().__init__()
        self.composer, self.sight = composer.requires_grad_(False), sight.requires_grad_(False)
        self.gait = copy.deepcopy(gait).requires_grad_(True)  # it learns on
        self.drop = nn.Dropout(0.2)
        self.remember = nn.GRU(SEEN + STRIDES, MEMORY, batch_first=True)
        self.judge = nn.Linear(MEMORY, len(LABELS) + 1)  # the words, and that nobody is there
        self.pace = nn.Linear(MEMORY, 3 * len(LABELS))  # the velocity, if it is that word
        self.gesture = nn.Linear(MEMORY, composer.gestures)
        self.face = nn.Linear(MEMORY, 2)  # which way he faces: asked for in training only
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("middle", torch.zeros(SEEN))  # of what is seen, and how far it varies
        self.register_buffer("spread", torch.ones(SEEN))

    def train(self, mode: bool = True) -> StreamingEncoder:
        super().train(mode)
        self.sight.eval()
        return self

    def memories(self, told: torch.Tensor, blur: float = 0.0) -> torch.Tensor:
        """What is told of whole clips (B, T, TOLD) to the memory after every frame (B, T, MEMORY).

        Args:
            blur: noise that is added to what is seen, as a share of its spread; limbs have errors enough.
        """
        seen = (told[..., :SEEN] - self.middle) / self.spread
        if blur:
            seen = seen + blur * torch.randn_like(seen)
        strides = self.gait(told[..., -BODY:])
        return self.remember(self.drop(torch.cat([seen, strides], -1)))[0]

    def conclude(self, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Intent (B, Z), certainty and presence (B, 1) of memories (B, MEMORY)."""
        logits = self.judge(memory).float() / self.temperature
        words = logits[:, :-1].softmax(-1)
        drawn = words ** (1 + DECISION)
        drawn = drawn / drawn.sum(-1, keepdim=True)
        pace = self.pace(memory).float().unflatten(-1, (len(LABELS), 3))
        moving = drawn * (torch.arange(len(LABELS), device=drawn.device) != STAND)
        velocity = (moving[:, None] @ pace)[:, 0] / moving.sum(-1, keepdim=True).clamp_min(1e-3)
        fast = torch.sigmoid(40 * (pace[..., 0] - FAST_FROM[0])) + torch.sigmoid(
            40 * (FAST_FROM[1] - pace[..., 0])
        )
        hurried = (moving * fast).sum(-1)
        gaits = {"stand": drawn[:, STAND], FAST: hurried, STEADY: moving.sum(-1) - hurried}
        gesture = (self.gesture(memory).float() * (1 + DECISION)).softmax(-1)
        intent = self.composer(velocity, torch.stack([gaits[name] for name in GAITS], -1), gesture)
        presence = 1 - logits.softmax(-1)[:, -1:]
        return intent, (drawn * words).sum(-1, keepdim=True), presence

    def forward(self, features: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        cells = (FLOW, features.shape[-1] // FLOW)  # a mean, which engines are quicker at than at a pool
        flow = features[:, 3:].unflatten(-2, cells).unflatten(-1, cells).mean((-3, -1))
        memory, gait, before = state.split([MEMORY, GAIT, PLACE], -1)
        seen, body = self.sight.step(features[:, :3], flow, before)
        gait = self.gait.step(body, gait)
        seen = torch.cat([(seen - self.middle) / self.spread, gait[:, :STRIDES]], -1)
        memory = advance(self.remember, seen, memory)
        return (*self.conclude(memory), torch.cat([memory, gait, body[:, :PLACE]], -1))


def fit(
    clips: Clips, composer: Composer, sight: Sight, gait: Gait, steps: int, path: Path, batch: int = 192,
    seed: int = 0, latents: np.ndarray | None = None, learning_rate: float = 2e-3,
    progress: Callable[[float], None] = lambda done: None,
) -> StreamingEncoder:  # fmt: skip
    """Train on stretches of clips: the word, the pace, the gesture and the intent itself.

    The gait learns on, at a third of the rate; the sight stays as it is.

    Args:
        latents: (M, T, Z) what a teacher says of the first M clips; the intent is drawn to it as well.
    """
    torch.manual_seed(seed)
    model = StreamingEncoder(composer, sight, gait)
    goes, pattern = (a.reshape(*clips.label.shape, *a.shape[1:]) for a in way(
        clips.asked.reshape(-1, 3).copy(), clips.label.ravel()))  # fmt: skip
    columns = {
        "seen": torch.from_numpy(clips.seen),
        "facing": torch.from_numpy(clips.facing),
        "label": torch.from_numpy(clips.label.astype(np.int64)),
        "goes": torch.from_numpy(goes.astype(np.float32)),
        "gait": torch.from_numpy(pattern.astype(np.int64)),
        "gesture": torch.from_numpy(clips.gesture.astype(np.int64)),
        "view": torch.from_numpy(clips.view.astype(np.int64))[:, None].expand(clips.label.shape),
        "fresh": torch.from_numpy(fresh(clips.label)),
    }
    taught = None if latents is None else torch.from_numpy(latents)
    length = min(STRETCH, clips.label.shape[1])
    everything = columns["seen"].flatten(0, 1)[:: len(clips.label) // 500 + 1, :SEEN].float()
    model.middle.copy_(everything.mean(0))
    model.spread.copy_(everything.std(0) + 0.01)

    def loss(network: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        assert isinstance(network, StreamingEncoder)
        where = network.temperature.device
        rows = torch.from_numpy(
            rng.choice(len(clips.label), size=min(batch, len(clips.label)), replace=False)
        )
        first = int(rng.integers(clips.label.shape[1] - length + 1))
        true = {name: c[rows, first : first + length].to(where) for name, c in columns.items()}
        memory = network.memories(true.pop("seen").float(), NOISE)
        late = {name: value[:, BLIND:].flatten(0, 1) for name, value in true.items()}
        memory = memory[:, BLIND:].flatten(0, 1)
        intent = network.conclude(memory)[0]
        total = _word_loss(network, memory, intent, late)
        if taught is not None:
            known = rows < len(taught)
            if known.any():
                said = intent.unflatten(0, (len(rows), -1))[known]
                told = taught[rows[known], first + BLIND : first + length].to(where)
                total = total + 0.5 * (said - told).square().mean()
        return total

    return train(model, loss, steps, path, learning_rate, seed=seed, slowly="gait", progress=progress)


Truth = dict[str, torch.Tensor]


def _word_loss(
    network: StreamingEncoder, memory: torch.Tensor, intent: torch.Tensor, true: Truth
) -> torch.Tensor:
    """How far the memory is from the word, the pace, the gesture, the facing and the intent."""
    nobody = true["view"] == VIEWS.index("nobody")
    weight = weights(true["fresh"])
    there = weight * ~nobody
    wrong = misjudged(
        network.judge(memory), network.pace(memory), network.gesture(memory),
        true | {"word": torch.where(nobody, len(LABELS), true["label"])},
        weight, there, there * (true["view"] == VIEWS.index("third-person")),
    )  # fmt: skip
    turned = (network.face(memory).float() - true["facing"]).square().sum(-1)
    turned = (turned * (true["facing"].square().sum(-1) > 0)).mean()
    gaits = F.one_hot(true["gait"], len(GAITS)).float()
    gestures = F.one_hot(true["gesture"], network.composer.gestures).float()
    target = network.composer(true["goes"], gaits, gestures)
    return wrong + turned + ((intent - target).square().mean(-1) * there).mean()


@torch.inference_mode()
def calibrate(model: StreamingEncoder, clips: Clips, batch: int = 32) -> dict[str, float]:
    """Set the temperature with which the words' probabilities are right on these clips.

    Temperature scaling, Guo et al. 2017 (arXiv 1706.04599).

    Returns:
        The temperature, and the expected calibration error before and after, in ten bins.
    """
    logits = torch.cat(
        [model.judge(model.memories(part)[:, 10:]) for part in _batches(clips, batch)]
    ).flatten(0, 1)
    nobody = torch.from_numpy(clips.view == VIEWS.index("nobody"))[:, None]
    word = torch.where(nobody, len(LABELS), torch.from_numpy(clips.label.astype(np.int64)))[:, 10:].flatten()
    tried = np.geomspace(0.5, 4.0, 60)
    found = [float(F.cross_entropy(logits / t, word)) for t in tried]
    before = _calibration_error(logits, word)
    model.temperature.fill_(float(tried[int(np.argmin(found))]))
    after = _calibration_error(logits / model.temperature, word)
    return {"temperature": float(model.temperature), "error_before": before, "error_after": after}


def _calibration_error(logits: torch.Tensor, word: torch.Tensor, bins: int = 10) -> float:
    sure, said = logits.softmax(-1).max(-1)
    right, place = (said == word).float(), (sure * bins).long().clamp_max(bins - 1)
    gaps = [
        float((place == b).float().mean() * (right[place == b].mean() - sure[place == b].mean()).abs())
        for b in range(bins)
        if (place == b).any()
    ]
    return sum(gaps)


def _batches(clips: Clips, batch: int) -> Iterator[torch.Tensor]:
    for first in range(0, len(clips.label), batch):
        yield torch.from_numpy(clips.seen[first : first + batch]).float()


@torch.inference_mode()
def intents(
    model: StreamingEncoder, clips: Clips, batch: int = 32
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What is said at every frame: intent (N, T, Z), certainty, presence and gesture (N, T)."""
    parts = []
    for seen in _batches(clips, batch):
        memory = model.memories(seen)
        said = [part.unflatten(0, memory.shape[:2]) for part in model.conclude(memory.flatten(0, 1))]
        parts.append((*said, model.gesture(memory).argmax(-1)))
    intent, certainty, presence, gesture = (torch.cat(column).numpy() for column in zip(*parts, strict=True))
    return intent, certainty[..., 0], presence[..., 0], gesture


def score(
    velocity: np.ndarray, label: np.ndarray, clips: Clips, gesture: np.ndarray | None = None
) -> dict[str, dict[str, float]]:
    """Held-out figures by view, after the clip's first second.

    Args:
        velocity: (N, T, 3) said.
        label: (N, T) said, as an index into ``LABELS``.
        gesture: (N, T) said, if it is.
    """
    report = {}
    for number, view in enumerate(VIEWS[:2]):
        mine = clips.view == number
        said, true = velocity[mine, 10:], clips.asked[mine, 10:]
        error = np.abs(said - true).mean((0, 1))
        right = label[mine, 10:] == clips.label[mine, 10:]
        by_word = [right[clips.label[mine, 10:] == n].mean() for n in np.unique(clips.label[mine, 10:])]
        near = (np.abs(said.mean(1) - true.mean(1)) <= TOLERANCE).all(-1)
        report[view] = {
            "clips": int(mine.sum()),
            **{f"mae_{name}": float(e) for name, e in zip(("vx", "vy", "yaw_rate"), error, strict=True)},
            "within_tolerance": float(near.mean()),  # before any robot has moved
            "label_accuracy": float(right.mean()),
            "label_macro_average": float(np.mean(by_word)),
        }
        if gesture is not None and number == 0:
            report[view]["gesture_accuracy"] = float((gesture[mine, 10:] == clips.gesture[mine, 10:]).mean())
    return report


def constant(train_clips: Clips, clips: Clips) -> dict[str, dict[str, float]]:
    """The same figures for the best constant guess: the median velocity, the commonest word, no gesture."""
    seen = train_clips.view < 2
    velocity = np.median(train_clips.asked[seen], (0, 1))
    label = np.bincount(train_clips.label[seen].ravel()).argmax()
    shape = clips.label.shape
    return score(
        np.broadcast_to(velocity, (*shape, 3)), np.full(shape, label), clips, np.zeros(shape, dtype=int)
    )
