"""Flow matching (Lipman et al. 2023): a small network that generates intents from what was seen."""

from __future__ import annotations

import math

import torch
from torch import nn

__all__ = ["FlowHead"]

WIDTH, BLOCKS = 256, 3
TIMES = 32  # numbers that say how far along the flow is
STEPS, NOISES = 4, 8  # Euler steps, and samples whose mean is the answer
SEED = 0  # of the noises, the same for every answer


class Block(nn.Module):
    """A residual layer whose scale, shift and gate come from the condition (AdaLN, Peebles & Xie 2023)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.steer = nn.Linear(WIDTH, 3 * WIDTH)
        self.think = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.SiLU(), nn.Linear(2 * WIDTH, WIDTH))
        nn.init.zeros_(self.steer.weight)
        nn.init.zeros_(self.steer.bias)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        scale, shift, gate = self.steer(condition).chunk(3, -1)
        return x + gate * self.think(self.norm(x) * (1 + scale) + shift)


class FlowHead(nn.Module):
    """The velocity that carries noise to intents (..., Z), given hidden rows (..., H)."""

    mean: torch.Tensor
    std: torch.Tensor
    noise: torch.Tensor

    def __init__(self, hidden: int, z: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(z))
        self.register_buffer("std", torch.ones(z))
        generator = torch.Generator().manual_seed(SEED)
        self.register_buffer("noise", torch.randn(NOISES, z, generator=generator))
        self.inlet, self.outlet = nn.Linear(z, WIDTH), nn.Linear(WIDTH, z)
        self.given, self.when = nn.Linear(hidden, WIDTH), nn.Linear(2 * TIMES, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.settle = nn.LayerNorm(WIDTH)

    def standardise(self, z: torch.Tensor) -> None:
        """Remember the mean and deviation of intents (N, Z)."""
        self.mean.copy_(z.mean(0))
        self.std.copy_(z.std(0).clamp_min(1e-3))

    def forward(self, x: torch.Tensor, time: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Velocities (..., Z) at points (..., Z) and times (..., 1) in [0, 1]."""
        turns = time * torch.exp(torch.linspace(0, math.log(100.0), TIMES, device=time.device))
        condition = nn.functional.silu(
            self.given(hidden) + self.when(torch.cat([turns.cos(), turns.sin()], -1))
        )
        x = self.inlet(x)
        for block in self.blocks:
            x = block(x, condition)
        return self.outlet(self.settle(x))

    def loss(self, z: torch.Tensor, hidden: torch.Tensor, draws: int = 4) -> torch.Tensor:
        """How far the velocity is from the straight way, noise to intents (N, Z), at random times.

        Several noises and times a row: the head is cheap beside what computed the hidden rows.
        """
        target = ((z - self.mean) / self.std).repeat(draws, 1)
        noise, time = torch.randn_like(target), torch.rand(len(target), 1, device=z.device)
        said = self(torch.lerp(noise, target, time), time, hidden.repeat(draws, 1))
        return (said.float() - (target - noise)).square().mean()

    def sample(self, hidden: torch.Tensor, steps: int = STEPS) -> torch.Tensor:
        """Intents (..., Z): the mean of what several noises flow to, always the same for the same rows."""
        rows = hidden.unsqueeze(-2).expand(*hidden.shape[:-1], NOISES, hidden.shape[-1])
        x = self.noise.expand(*rows.shape[:-1], -1)
        for step in range(steps):
            time = torch.full((*x.shape[:-1], 1), step / steps, device=x.device)
            x = x + self(x, time, rows) / steps
        return x.mean(-2) * self.std + self.mean
