"""The composer: the intent of any velocity, gait and gesture, learnt from the teachers' motion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.motions.motion import GAITS, Library, Z
from rmedge.export.motions.teachers import NAMES, STEADY
from rmedge.export.networks.training import train

__all__ = ["Composer", "fit_composer"]

SPEED = (0.4, 0.2, 0.5)  # what counts as one [m/s, m/s, rad/s]


class Composer(nn.Module):
    """Velocities (B, 3) and shares of gaits (B, gaits) and gestures (B, gestures) to intents (B, Z).

    Every gait and gesture has an intent of its own at a velocity; shares between them mix those linearly,
    as the policy has learnt to follow mixtures.
    """

    scale: torch.Tensor

    def __init__(self, gestures: int, width: int = 96) -> None:
        super().__init__()
        self.gestures = gestures
        self.kinds = len(GAITS) * gestures
        self.register_buffer("scale", torch.tensor(SPEED))
        self.inlet = nn.Linear(3 + self.kinds, width)
        self.rest = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, Z))

    def each(self, velocity: torch.Tensor) -> torch.Tensor:
        """The intents (B, kinds, Z) of every gait and gesture, gait by gait; what stands has no velocity."""
        still = self.kinds // len(GAITS)  # the kinds of the first gait, which stands
        moving = (torch.arange(self.kinds, device=velocity.device) >= still).float()[:, None]
        given = (velocity / self.scale)[:, None] * moving  # (B, kinds, 3)
        weight = self.inlet.weight  # a kind is one of its columns
        return self.rest(F.linear(given, weight[:, :3], self.inlet.bias) + weight[:, 3:].T)

    def forward(self, velocity: torch.Tensor, gait: torch.Tensor, gesture: torch.Tensor) -> torch.Tensor:
        share = (gait[:, :, None] * gesture[:, None]).flatten(1)  # (B, kinds)
        return (share[:, None] @ self.each(velocity))[:, 0]


def fit_composer(
    library: Library,
    steps: int,
    path: Path,
    seed: int = 0,
    progress: Callable[[float], None] = lambda done: None,
) -> Composer:
    """Regress every segment's intent on what it did; who stands without dancing stands in the steady gait."""
    torch.manual_seed(seed)
    model = Composer(len(library.gestures))
    rows = np.flatnonzero((library.gait > 0) | library.dances | (library.walker == NAMES.index(STEADY)))
    gait, gesture = np.eye(len(GAITS))[library.gait], np.eye(len(library.gestures))[library.gesture]
    given = [torch.from_numpy(a.astype(np.float32)) for a in (library.velocity, gait, gesture, library.z)]
    kind = library.gait * len(library.gestures) + library.gesture
    weight = 1.0 / np.sqrt(np.bincount(kind)[kind[rows]])
    weight /= weight.sum()

    def loss(network: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        chosen = torch.from_numpy(rng.choice(rows, size=256, p=weight))
        velocity, gaits, gestures, z = (a[chosen].to(next(network.parameters()).device) for a in given)
        velocity = velocity + 0.02 * torch.randn_like(velocity)
        return F.mse_loss(network(velocity, gaits, gestures), z)

    return train(model, loss, steps, path, 2e-3, 0.99, seed, bfloat16=False, progress=progress)
