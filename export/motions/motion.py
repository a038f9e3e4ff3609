"""The motion autoencoder: one second of motion as a point, and the point is the intent.

A window of motion is split in two: ``z``, what the motion *is*, and a small phase code ``u``, where in
its cycle it stands. Training decodes a window from the ``z`` of *another* window of the same segment,
so ``z`` cannot hold the phase and a constant ``z`` means a steady motion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.motions import teachers
from rmedge.export.motions.dances import DANCES
from rmedge.export.motions.gestures import NONE
from rmedge.export.motions.rollouts import Ticks
from rmedge.export.networks.training import train
from rmedge.labels import LABELS, label_of

__all__ = ["GAITS", "Library", "MotionAutoencoder", "Readout", "fit", "fit_readout"]

WINDOW = 50  # ticks: one second
Z = 32
PHASE = 6
GAITS = ("stand", *teachers.NAMES)
RUN_FROM = 0.65  # [m/s] contracts, section 3: the robot's own gait


class MotionAutoencoder(nn.Module):
    """Windows (B, 50, F) to intents (B, Z) and phase codes (B, 6), and back."""

    mean: torch.Tensor
    std: torch.Tensor
    scale: torch.Tensor

    def __init__(self, features: int, width: int = 384):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.register_buffer("scale", torch.ones(()))
        size = WINDOW * features
        self.encoder = nn.Sequential(
            nn.Linear(size, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, Z + PHASE)
        )
        self.decoder = nn.Sequential(
            nn.Linear(Z + PHASE, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, size)
        )
        self.velocity = nn.Linear(Z, 3)

    def normalise(self, window: torch.Tensor) -> torch.Tensor:
        return (window - self.mean) / self.std

    def split(self, window: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        code = self.encoder(self.normalise(window).flatten(1))
        return code[:, :Z] / self.scale, code[:, Z:]

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        """The intent (B, Z) of windows (B, 50, F)."""
        return self.split(window)[0]

    def decode(self, z: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
        """Normalised windows (B, 50, F)."""
        return self.decoder(torch.cat([z * self.scale, phase], 1)).unflatten(1, (WINDOW, -1))


def steady_windows(ticks: Ticks) -> np.ndarray:
    """First ticks (N,) of the windows that lie within one segment, half a second after its start."""
    start = np.flatnonzero(np.diff(ticks.segment, prepend=-1))
    length = np.diff(np.append(start, len(ticks.segment)))
    firsts = [np.arange(s + 25, s + n - WINDOW + 1) for s, n in zip(start, length, strict=True)]
    return np.concatenate(firsts)


def fit(
    ticks: Ticks, steps: int, path: Path, seed: int = 0, progress: Callable[[float], None] = lambda done: None
) -> MotionAutoencoder:
    """Train the autoencoder on the teachers' motion."""
    firsts = steady_windows(ticks)
    segment = ticks.segment[firsts]
    begin = np.searchsorted(segment, segment, "left")
    end = np.searchsorted(segment, segment, "right")
    motion = torch.from_numpy(ticks.motion)
    offsets = torch.arange(WINDOW)
    model = MotionAutoencoder(motion.shape[1])
    torch.manual_seed(seed)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
    model.mean.copy_(motion.mean(0))
    model.std.copy_(motion.std(0).clamp_min(0.02))

    def windows(rows: np.ndarray) -> torch.Tensor:
        index = torch.from_numpy(firsts[rows])[:, None] + offsets
        return motion[index].to(model.mean.device)

    def loss(network: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        assert isinstance(network, MotionAutoencoder)
        one = rng.integers(len(firsts), size=256)
        other = rng.integers(begin[one], end[one])  # the same segment at another instant
        first, second = windows(one), windows(other)
        z, _ = network.split(first)
        z_other, phase_other = network.split(second)
        # noise on z keeps its scale honest and its neighbourhood smooth
        decoded = network.decode(z + 0.1 * torch.randn_like(z), phase_other)
        rebuilt = F.mse_loss(decoded, network.normalise(second))
        same = F.mse_loss(z, z_other)
        velocity = F.mse_loss(network.velocity(z), second[:, :, :3].mean(1) / 0.3)
        return rebuilt + 0.1 * same + 0.2 * velocity + 0.01 * z.square().mean()

    model = train(model, loss, steps, path, seed=seed, bfloat16=False, progress=progress)
    with torch.no_grad():
        model.scale.fill_(1.0)
        sample = windows(np.random.default_rng(seed).integers(len(firsts), size=4096))
        model.scale.fill_(float(model(sample).square().mean().sqrt()))
    return model


class Library:
    """Steady segments of the teachers' motion: what each is called, does, and means.

    Attributes:
        gait: (N,) index into ``GAITS``.
        gesture: (N,) index into ``gestures``.
        walker: (N,) index into the teachers' names, of those that stand too.
        command: (N, 3) what it was told.
        velocity: (N, 3) what the body did [m/s, m/s, rad/s].
        z: (N, Z) its intent.
        label: (N,) index into ``LABELS``.
    """

    def __init__(self, ticks: Ticks, model: MotionAutoencoder, gestures: Sequence[str]):
        self.gestures = tuple(gestures)
        firsts = steady_windows(ticks)
        segment = ticks.segment[firsts]
        _, begin = np.unique(segment, return_index=True)
        first, last = firsts[begin], firsts[np.append(begin[1:], len(firsts)) - 1]
        z = encode(model, ticks, firsts)
        bounds = np.append(begin, len(firsts))
        self.z = np.array([z[a:b].mean(0) for a, b in pairwise(bounds)])
        spans = list(zip(first, last + WINDOW, strict=True))
        self.velocity = np.array([ticks.motion[a:b, :3].mean(0) for a, b in spans])
        self.walker = ticks.gait[first].astype(int)
        self.gesture = ticks.gesture[first].astype(int)
        self.command = ticks.command[first]
        self.segment = ticks.segment[first]
        standing = np.linalg.norm(self.command, axis=1) < teachers.STANDS
        names = label_of(self.velocity, RUN_FROM)
        self.label = np.array(
            [LABELS.index("stand" if s else n) for s, n in zip(standing, names, strict=True)]
        )
        self.gait = np.where(standing, 0, 1 + self.walker)

    def __len__(self) -> int:
        return len(self.z)

    @property
    def dances(self) -> np.ndarray:
        """(N,) bool: the whole body is the gesture's, no gait's."""
        return np.array([name in DANCES for name in self.gestures])[self.gesture]

    @property
    def stand(self) -> np.ndarray:
        """(Z,) the prototype that an old or uncertain intent decays to."""
        return self.z[self.nearest(np.zeros(3), gait=teachers.STEADY)].mean(0)

    def nearest(
        self,
        velocity: np.ndarray,
        count: int = 6,
        scale: tuple[float, ...] = (0.2, 0.1, 0.3),
        gait: str = GAITS[1],
        gesture: str = NONE,
    ) -> np.ndarray:
        """Rows (count,) of a gait's and gesture's segments that move most nearly at a velocity (3,).

        ``scale`` is how much of a difference counts as one, by component [m/s, m/s, rad/s].
        """
        mine = self.gesture == self.gestures.index(gesture)
        if np.linalg.norm(velocity) < teachers.STANDS:
            standing = mine & (self.gait == 0)
            own = np.flatnonzero(standing & (self.walker == GAITS.index(gait) - 1))
            return own if len(own) else np.flatnonzero(standing)  # a small library has one gait's alone
        mine = np.flatnonzero(mine & (self.gait == GAITS.index(gait)))
        distance = np.linalg.norm((self.velocity[mine] - velocity) / np.array(scale), axis=1)
        return mine[np.argsort(distance)[:count]]


def encode(model: MotionAutoencoder, ticks: Ticks, firsts: np.ndarray) -> np.ndarray:
    """Intents (N, Z) of the windows that start at ``firsts``."""
    motion = torch.from_numpy(ticks.motion)
    with torch.no_grad():
        parts = [
            model(motion[torch.from_numpy(rows)[:, None] + torch.arange(WINDOW)])
            for rows in np.array_split(firsts, max(1, len(firsts) // 4096))
        ]
    return torch.cat(parts).numpy()


class Readout(nn.Module):
    """What an intent says in plain terms: velocity [m/s, m/s, rad/s], label, gait and gesture."""

    def __init__(self, gestures: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(Z, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.velocity = nn.Linear(64, 3)
        self.label = nn.Linear(64, len(LABELS))
        self.gait = nn.Linear(64, len(GAITS))
        self.gesture = nn.Linear(64, gestures)

    def forward(self, intent: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, Z) to velocity (B, 3), label logits, gait logits, gesture logits."""
        hidden = self.trunk(intent)
        return self.velocity(hidden), self.label(hidden), self.gait(hidden), self.gesture(hidden)


def fit_readout(
    library: Library,
    steps: int,
    path: Path,
    seed: int = 0,
    progress: Callable[[float], None] = lambda done: None,
) -> Readout:
    """Train the readout on the library, balanced over labels, with noise on the intent.

    Half of the examples are mixtures of two segments, whose word is that of the mean velocity: an encoder
    that hesitates between a walk and a run says something between them, and that is to be read right.
    """
    torch.manual_seed(seed)
    model = Readout(len(library.gestures))
    count = np.bincount(library.label, minlength=len(LABELS))
    weight = 1.0 / np.maximum(count[library.label], 1)
    weight /= weight.sum()
    index_of = {word: number for number, word in enumerate(LABELS)}

    def loss(network: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        where = next(network.parameters()).device
        one, other = rng.choice(len(library), size=(2, 512), p=weight)
        share = rng.uniform(0, 0.5, (512, 1)) * (rng.random((512, 1)) < 0.5)
        velocity = library.velocity[one] + share * (library.velocity[other] - library.velocity[one])
        mixed = np.array([index_of[word] for word in label_of(velocity, RUN_FROM)])
        label = np.where(share[:, 0] > 0, mixed, library.label[one])
        z = (
            library.z[one]
            + share * (library.z[other] - library.z[one])
            + 0.15 * rng.standard_normal((512, Z))
        )
        said = network(torch.from_numpy(z.astype(np.float32)).to(where))
        return (
            F.mse_loss(said[0] / 0.2, torch.from_numpy(velocity.astype(np.float32)).to(where) / 0.2)
            + F.cross_entropy(said[1], torch.from_numpy(label).to(where))
            + F.cross_entropy(said[2], torch.from_numpy(library.gait[one]).to(where))
            + F.cross_entropy(said[3], torch.from_numpy(library.gesture[one]).to(where))
        )

    return train(model, loss, steps, path, seed=seed, bfloat16=False, progress=progress)
