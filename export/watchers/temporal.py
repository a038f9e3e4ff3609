"""A transformer over time that never looks ahead, so every picture has a latent of its own."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["WIDTH", "Temporal"]

WIDTH, LAYERS, HEADS = 256, 4, 4
REACH = 16  # tokens a layer looks back: three seconds at 5 Hz, the length of a clip
DROPOUT = 0.1


class Look(nn.Module):
    """One layer: attention to what was, by how long ago it was, then two linear maps."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query_key_value, self.mix = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.ago = nn.Parameter(torch.zeros(HEADS, REACH))
        self.think = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.drop = nn.Dropout(DROPOUT)

    def bias(self, count: int) -> torch.Tensor:
        """(heads, count, count) what is added to the attention: minus infinity ahead and beyond reach."""
        place = torch.arange(count, device=self.ago.device)
        ago = place[:, None] - place
        near = (ago >= 0) & (ago < REACH)
        return self.ago[:, ago.clamp(0, REACH - 1)].masked_fill(~near, float("-inf"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.query_key_value(self.before(x)).unflatten(-1, (3, HEADS, -1))  # (B, n, 3, heads, w)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(
            query, key, value, attn_mask=self.bias(x.shape[1]).to(query.dtype)
        )
        x = x + self.drop(self.mix(seen.transpose(1, 2).flatten(2)))
        return x + self.drop(self.think(self.between(x)))


class Temporal(nn.Module):
    """Tokens (B, n, F), any scale, to hidden rows (B, n, 256); row t knows tokens up to t."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, features: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.inlet = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(features, WIDTH))
        self.layers = nn.Sequential(*(Look() for _ in range(LAYERS)))
        self.outlet = nn.LayerNorm(WIDTH)

    def standardise(self, tokens: torch.Tensor) -> None:
        """Remember the mean and deviation of tokens (N, F)."""
        self.mean.copy_(tokens.mean(0))
        self.std.copy_(tokens.std(0).clamp_min(1e-3))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        # a feature that training hardly saw may be far out in the world
        return self.outlet(self.layers(self.inlet(((tokens - self.mean) / self.std).clamp(-6, 6))))
