"""The witness: where each limb of whoever is looked at is, read off maps, for a memory that reads gaits.

One layer over the whole close look tells limbs from its own mean: within a clip its ankles follow the true
ones at a sixth of their swing. A map a landmark has the resolution that legs need. It looks at what the
trained sight's close eye has made already, and that stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.networks.eye import FAR, NEAR
from rmedge.export.networks.sight import (
    CLOSE,
    PLACE,
    SEEN,
    WINDOW,
    Sight,
    Truth,
    astray,
    drawn,
    lit,
    whereabouts,
    within,
)
from rmedge.export.networks.training import device, train, trained
from rmedge.export.world.actor import LANDMARKS

__all__ = ["BODY", "LIMBS", "TOLD", "Witness", "fit_witness", "load_witness", "tell", "testify"]

ROWS, COLUMNS = WINDOW[0] // NEAR[1], WINDOW[1] // NEAR[1]
WIDTH = 64  # channels of the head
FACING = 2
LIMBS = 2 * LANDMARKS
BODY = PLACE + LIMBS + FACING  # the last of what is told: place, limbs, facing
TOLD = SEEN + LIMBS + FACING


class Witness(nn.Module):
    """The maps of a close look, see `Close`, and what it says (B, CLOSE), to limbs (B, LANDMARKS, 2).

    Limbs are where they are in the window, -1/2 .. 1/2; one that is outside of it is guessed.
    """

    grid: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Sequential(nn.BatchNorm2d(NEAR[0]), nn.Conv2d(NEAR[0], 48, 1))
        self.far = nn.Sequential(nn.BatchNorm2d(FAR[0]), nn.Conv2d(FAR[0], WIDTH, 1))
        self.motion = nn.Sequential(nn.Conv2d(2, 16, 3, 2, 1), nn.ReLU())
        self.mix = nn.Sequential(nn.Conv2d(48 + WIDTH + 16, WIDTH, 1, bias=False), nn.BatchNorm2d(WIDTH))
        self.said = nn.Linear(CLOSE, WIDTH)  # which way he faces tells left from right
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU(),
            nn.Dropout2d(0.05),
        )  # fmt: skip
        self.where = nn.Conv2d(WIDTH, LANDMARKS, 1)
        self.beside = nn.Conv2d(WIDTH, 2 * LANDMARKS, 1)  # the cell's middle [share of the window]
        nn.init.zeros_(self.beside.weight)
        nn.init.zeros_(self.beside.bias)  # type: ignore[arg-type]
        steps = [(torch.arange(count) + 0.5) / count - 0.5 for count in (ROWS, COLUMNS)]
        grid = torch.stack(torch.meshgrid(*steps, indexing="ij")).flip(0).flatten(1)
        self.register_buffer("grid", grid, persistent=False)  # (2, cells) x and y

    def forward(
        self, near: torch.Tensor, far: torch.Tensor, flow: torch.Tensor, close: torch.Tensor
    ) -> torch.Tensor:
        return self.maps(near, far, flow, close)[0]

    def maps(
        self, near: torch.Tensor, far: torch.Tensor, flow: torch.Tensor, close: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Limbs, and the logits (B, LANDMARKS, cells) that each is in a cell."""
        far = F.interpolate(self.far(far), scale_factor=2.0)
        seen = self.mix(torch.cat([self.near(near), far, self.motion(flow)], 1))
        seen = self.head(seen + self.said(close)[..., None, None])
        logits = self.where(seen).flatten(2).float()
        places = self.beside(seen).flatten(2).unflatten(1, (LANDMARKS, 2)).float() + self.grid
        return (logits.softmax(-1)[:, :, None] * places).sum(-1), logits


def tell(sight: Sight, witness: Witness, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """All that is told of a frame (B, TOLD): what is seen, the limbs, and which way he faces."""
    seen, body = testify(sight, witness, rgb, flow)
    return torch.cat([seen, body[:, PLACE:]], 1)


def testify(
    sight: Sight, witness: Witness, rgb: torch.Tensor, flow: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What is seen (B, SEEN) and the body (B, BODY), which rounding must not measure by one scale."""
    view, place, _ = sight.look(rgb, flow)
    maps = sight.maps(rgb, flow, place)
    close = sight.close(*maps)
    limbs = witness(*maps, close).flatten(1)
    return torch.cat([view, close, place], 1), torch.cat([place, limbs, sight.facing(close)], 1)


def fit_witness(
    stills: Truth, sight: Sight, steps: int, path: Path, batch: int = 96, seed: int = 0,
    learning_rate: float = 2e-3, progress: Callable[[float], None] = lambda done: None,
) -> Witness:  # fmt: skip
    """Learn where the limbs are in what a trained sight looks at.

    Args:
        stills: see `Stills`; half of every batch's pictures are seen in a mirror.
    """
    torch.manual_seed(seed)
    where = device()
    seeing = copy.deepcopy(sight).to(where).eval().requires_grad_(False)

    def loss(network: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        assert isinstance(network, Witness)
        return witness_loss(network, seeing, drawn(stills, batch, rng, where), rng)

    return train(Witness(), loss, steps, path, learning_rate, seed=seed, progress=progress)


def load_witness(path: Path) -> Witness:
    """What `fit_witness` has left there.

    Raises:
        InputError: there is none.
    """
    return trained(Witness(), path, "witness")


def witness_loss(network: Witness, sight: Sight, true: Truth, rng: np.random.Generator) -> torch.Tensor:
    """How far limbs and their maps are from where they are, where somebody is."""
    rgb, flow, noise = lit(true, rng)
    place, there = whereabouts(true)
    if not there.any():
        return 0 * nn.utils.parameters_to_vector(network.parameters()).sum()
    with torch.no_grad():
        looked = astray(place, there, sight.look(rgb, flow)[1].float(), noise)
        rgb, flow, looked = rgb[there], flow[there], looked[there]
        maps = sight.maps(rgb, flow, looked)
        close = sight.close(*maps)
        body = within(true["body"].float()[there], looked)  # (B, LANDMARKS, 2)
    limbs, logits = network.maps(*maps, close)
    missed = 10 * (limbs - body).abs().mean()
    inside = (body.abs() < 0.5).all(-1)
    if not inside.any():
        return missed
    column, row = ((body[inside] + 0.5) * body.new_tensor([COLUMNS, ROWS])).long().unbind(-1)
    return missed + 0.3 * F.cross_entropy(logits[inside], row * COLUMNS + column)
