"""The diffusion policy: a flow-matching network from noise to a chunk of actions.

Rectified flow (Liu et al. 2022, arXiv 2209.03003): ``x_t = (1 - t) noise + t chunk``; from ``x_t``, ``t``,
the proprioceptive history and the intent the network predicts the clean chunk, so the flow's velocity is
``(chunk - x_t) / (1 - t)``. (Predicting the velocity itself left a rest of the noise in a single step's
action and the robot stumbled.) Integrated in many Euler steps it is a diffusion policy; `consistency`
distils it to one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.motion import Z
from rmedge.export.rollouts import Ticks
from rmedge.export.training import Loss

__all__ = ["CHUNK", "HISTORY", "Chunks", "Denoiser", "OneStep", "flow_loss", "sample"]

HISTORY = 5  # To: ticks of proprioception the policy sees, 0.1 s
CHUNK = 4  # Ta: ticks of action it plans, 0.08 s
ROW_WEIGHT = (0.55, 0.2, 0.15, 0.1)
TIME_FEATURES = 16


class Block(nn.Module):
    """A residual layer whose scale and shift are set by the condition."""

    def __init__(self, width: int, condition: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(condition, 2 * width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        scale, shift = self.modulate(condition).chunk(2, dim=-1)
        hidden = self.norm(x) * (1 + scale) + shift
        return x + self.outer(F.silu(self.inner(hidden)))


class Denoiser(nn.Module):
    """The clean chunk (B, Ta, Da) seen from x (B, Ta, Da), t (B, 1), proprio (B, To*Do), intent (B, Z)."""

    proprio_mean: torch.Tensor
    proprio_std: torch.Tensor
    action_mean: torch.Tensor
    action_std: torch.Tensor
    frequency: torch.Tensor

    def __init__(self, tick: int, joints: int, width: int = 384, depth: int = 3):
        super().__init__()
        self.register_buffer("proprio_mean", torch.zeros(HISTORY * tick))
        self.register_buffer("proprio_std", torch.ones(HISTORY * tick))
        self.register_buffer("action_mean", torch.zeros(joints))
        self.register_buffer("action_std", torch.ones(joints))
        self.register_buffer("frequency", torch.pi * 2.0 ** torch.arange(TIME_FEATURES // 2))
        condition = Z + TIME_FEATURES
        self.inlet = nn.Linear(HISTORY * tick + CHUNK * joints + condition, width)
        self.blocks = nn.ModuleList(Block(width, condition) for _ in range(depth))
        self.outlet = nn.Linear(width, CHUNK * joints)

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, proprio: torch.Tensor, intent: torch.Tensor
    ) -> torch.Tensor:
        angle = t * self.frequency
        condition = torch.cat([intent, torch.sin(angle), torch.cos(angle)], -1)
        seen = ((proprio - self.proprio_mean) / self.proprio_std).clamp(-10, 10)
        hidden = self.inlet(torch.cat([seen, x.flatten(1), condition], -1))
        for block in self.blocks:
            hidden = block(hidden, condition)
        return self.outlet(F.silu(hidden)).view(x.shape)

    def actions(self, x: torch.Tensor) -> torch.Tensor:
        """From the flow's units to the teacher's action units, (B, Ta, Da)."""
        return x * self.action_std + self.action_mean


class OneStep(nn.Module):
    """The deployed graph: proprio, intent, noise (B, Ta, Da) to actions (B, Ta, Da) in one evaluation."""

    def __init__(self, denoiser: Denoiser):
        super().__init__()
        self.denoiser = denoiser

    def forward(self, proprio: torch.Tensor, intent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        start = torch.zeros_like(noise[:, 0, :1])
        return self.denoiser.actions(self.denoiser(noise, start, proprio, intent))


def sample(
    model: Denoiser, proprio: torch.Tensor, intent: torch.Tensor, noise: torch.Tensor, steps: int
) -> torch.Tensor:
    """Actions (B, Ta, Da) by ``steps`` Euler steps along the flow."""
    x = noise
    for step in range(steps):
        t = torch.full_like(noise[:, 0, :1], step / steps)
        x = x + (model(x, t, proprio, intent) - x) / (steps - step)
    return model.actions(x)


class Chunks:
    """Training examples out of control ticks: history, intent, and the teacher's next ``Ta`` actions."""

    def __init__(self, ticks: Ticks):
        self.ticks = ticks
        last = np.flatnonzero(np.append(np.diff(ticks.segment), 1))  # last tick of every segment
        ends = last[np.searchsorted(last, np.arange(len(ticks.segment)))]
        self.rows = np.flatnonzero(np.arange(len(ends)) + CHUNK - 1 <= ends)
        first = np.flatnonzero(np.diff(ticks.trial, prepend=-1))
        self.begin = first[np.searchsorted(first, np.arange(len(ticks.trial)), "right") - 1]
        self.proprio = torch.from_numpy(ticks.proprio)
        self.label = torch.from_numpy(ticks.label)
        self.intent = torch.from_numpy(ticks.intent)

    def normalise(self, model: Denoiser) -> None:
        """Give a model this data's statistics."""
        model.proprio_mean.copy_(self.proprio.mean(0).repeat(HISTORY))
        model.proprio_std.copy_(self.proprio.std(0).clamp_min(0.01).repeat(HISTORY))
        model.action_mean.copy_(self.label.mean(0))
        model.action_std.copy_(self.label.std(0).clamp_min(0.05))

    def batch(self, rng: np.random.Generator, size: int, where: torch.device) -> tuple[torch.Tensor, ...]:
        """proprio (B, To*Do), intent (B, Z), chunk of actions (B, Ta, Da)."""
        rows = rng.choice(self.rows, size=size)
        past = np.maximum(rows[:, None] + np.arange(1 - HISTORY, 1), self.begin[rows][:, None])
        proprio = self.proprio[torch.from_numpy(past)].flatten(1)
        chunk = self.label[torch.from_numpy(rows[:, None] + np.arange(CHUNK))]
        # the encoder's intent is never exact: neither is the one the policy learns from
        blur = torch.from_numpy(rng.choice([0.05, 0.15, 0.35], size=(size, 1)).astype(np.float32))
        intent = self.intent[torch.from_numpy(rows)]
        intent = intent + blur * torch.randn_like(intent)
        return proprio.to(where), intent.to(where), chunk.to(where)


def flow_loss(chunks: Chunks, batch: int = 1024) -> Loss:
    """The rectified-flow objective over those examples."""

    def loss(model: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        assert isinstance(model, Denoiser)
        proprio, intent, actions = chunks.batch(rng, batch, model.action_mean.device)
        target = (actions - model.action_mean) / model.action_std
        noise = torch.randn_like(target)
        t = torch.rand(len(target), 1, device=target.device)
        x = noise + t[:, :, None] * (target - noise)
        # the later rows of a chunk are played only when the next inference is late
        error = (model(x, t, proprio, intent).float() - target).square().mean((0, 2))
        return error @ torch.tensor(ROW_WEIGHT, device=error.device)

    return loss
