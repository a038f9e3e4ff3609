"""The witness: where each limb of whoever is looked at is, read off maps, for a memory that reads gaits.

One layer over the whole close look tells limbs from its own mean: within a clip its ankles follow the true
ones at a sixth of their swing. A map a landmark has the resolution that legs need.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.networks.eye import FAR, NEAR
from rmedge.export.networks.window import WINDOW
from rmedge.export.world.actor import LANDMARKS

__all__ = ["LIMBS", "Witness", "limbs_loss"]

ROWS, COLUMNS = WINDOW[0] // NEAR[1], WINDOW[1] // NEAR[1]
WIDTH = 64  # channels of the head
LIMBS = 2 * LANDMARKS


class Witness(nn.Module):
    """The maps of a close look, see `Close`, and what it says (B, said), to limbs and how sure they are.

    Limbs (B, LANDMARKS, 2) are where they are in the window, -1/2 .. 1/2; one that is outside of it is
    guessed. How sure (B, LANDMARKS) is the probability of the likeliest cell.
    """

    grid: torch.Tensor

    def __init__(self, said: int) -> None:
        super().__init__()
        self.near = nn.Sequential(nn.BatchNorm2d(NEAR[0]), nn.Conv2d(NEAR[0], 48, 1))
        self.far = nn.Sequential(nn.BatchNorm2d(FAR[0]), nn.Conv2d(FAR[0], WIDTH, 1))
        self.motion = nn.Sequential(nn.Conv2d(2, 16, 3, 2, 1), nn.ReLU())
        self.mix = nn.Sequential(nn.Conv2d(48 + WIDTH + 16, WIDTH, 1, bias=False), nn.BatchNorm2d(WIDTH))
        self.said = nn.Linear(said, WIDTH)  # which way he faces tells left from right
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
    ) -> tuple[torch.Tensor, torch.Tensor]:
        limbs, logits = self.maps(near, far, flow, close)
        return limbs, logits.softmax(-1).amax(-1)

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


def limbs_loss(limbs: torch.Tensor, logits: torch.Tensor, body: torch.Tensor) -> torch.Tensor:
    """How far limbs (B, LANDMARKS, 2) and their maps, see `Witness.maps`, are from where they are."""
    missed = 10 * (limbs - body).abs().mean()
    inside = (body.abs() < 0.5).all(-1)
    if not inside.any():
        return missed
    column, row = ((body[inside] + 0.5) * body.new_tensor([COLUMNS, ROWS])).long().unbind(-1)
    return missed + 0.3 * F.cross_entropy(logits[inside], row * COLUMNS + column)
