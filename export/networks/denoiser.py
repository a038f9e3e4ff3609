"""The diffusion policy: a flow-matching network from noise to a chunk of actions.

Rectified flow (Liu et al. 2022, arXiv 2209.03003): ``x_t = (1 - t) noise + t chunk``; from ``x_t``, ``t``,
the proprioceptive history and the intent the network predicts the clean chunk, so the flow's velocity is
``(chunk - x_t) / (1 - t)``. (Predicting the velocity itself left a rest of the noise in a single step's
action and the robot stumbled.) Integrated in many Euler steps it is a diffusion policy; `consistency`
distils it to one.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.motions.motion import Z
from rmedge.export.motions.rollouts import Ticks
from rmedge.export.networks.training import Loss

__all__ = [
    "CHUNK",
    "HISTORY",
    "Chunks",
    "Denoiser",
    "OneStep",
    "Sampler",
    "flow_loss",
    "regression_loss",
    "weighed",
]

HISTORY = 5  # To: ticks of proprioception the policy sees, 0.1 s
CHUNK = 6  # Ta: ticks of action it plans, 0.12 s: with three inferences in a row lost, there are two to spare
ROW_WEIGHT = (0.4, 0.2, 0.14, 0.1, 0.08, 0.08)
TIME_FEATURES = 16


class Block(nn.Module):
    """A residual layer; its scale and shift come from the condition."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(x) * (1 + scale) + shift
        return x + self.outer(F.silu(self.inner(hidden)))


class Denoiser(nn.Module):
    """The clean chunk (B, Ta, Da) seen from x (B, Ta, Da), t (B, 1), proprio (B, To*Do), intent (B, Z)."""

    proprio_mean: torch.Tensor
    proprio_std: torch.Tensor
    action_mean: torch.Tensor
    action_std: torch.Tensor
    frequency: torch.Tensor

    def __init__(self, tick: int, joints: int, width: int = 320, depth: int = 3):
        super().__init__()
        self.register_buffer("proprio_mean", torch.zeros(HISTORY * tick))
        self.register_buffer("proprio_std", torch.ones(HISTORY * tick))
        self.register_buffer("action_mean", torch.zeros(joints))
        self.register_buffer("action_std", torch.ones(joints))
        self.register_buffer("frequency", torch.pi * 2.0 ** torch.arange(TIME_FEATURES // 2))
        self.inlet = nn.Linear(HISTORY * tick + CHUNK * joints + Z, width)
        # one layer for all blocks' scales and shifts: in the graph a call costs as much as its weights
        self.modulate = nn.Linear(Z + TIME_FEATURES, 2 * depth * width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.outlet = nn.Linear(width, CHUNK * joints)

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, proprio: torch.Tensor, intent: torch.Tensor
    ) -> torch.Tensor:
        angle = t * self.frequency
        condition = torch.cat([intent, torch.sin(angle), torch.cos(angle)], -1)
        seen = ((proprio - self.proprio_mean) / self.proprio_std).clamp(-10, 10)
        hidden = self.inlet(torch.cat([seen, x.flatten(1), intent], -1))
        modulation = self.modulate(condition).chunk(2 * len(self.blocks), -1)
        for block, scale, shift in zip(self.blocks, modulation[::2], modulation[1::2], strict=True):
            hidden = block(hidden, scale, shift)
        return self.outlet(F.silu(hidden)).view(x.shape)

    def actions(self, x: torch.Tensor) -> torch.Tensor:
        """From the flow's units to the teacher's action units, (B, Ta, Da)."""
        return x * self.action_std + self.action_mean


class Sampler(nn.Module):
    """The deployed graph: proprio, intent, noise (B, Ta, Da) to actions (B, Ta, Da) in a few evaluations.

    - ``flow``: Euler steps along the flow; many of them are the diffusion policy.
    - ``consistency``: every evaluation names the flow's end, and the next one starts from a point between
      it and the noise (Song et al. 2023, algorithm 1, with the one noise of the call).
    - ``regression``: one evaluation that was trained without noise; the noise is not looked at.
    """

    def __init__(self, denoiser: Denoiser, name: str = "consistency", steps: int = 1):
        super().__init__()
        self.denoiser, self.name, self.steps = denoiser, name, steps

    def forward(self, proprio: torch.Tensor, intent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        model = self.denoiser
        # an input that is not used would not be in the graph
        x = 0.0 * noise if self.name == "regression" else noise
        for step in range(self.steps):
            t = torch.full_like(noise[:, 0, :1], step / self.steps)
            end = model(x, t, proprio, intent)
            if step + 1 == self.steps:
                x = end
            elif self.name == "flow":
                x = x + (end - x) / (self.steps - step)
            else:
                x = noise + (step + 1) / self.steps * (end - noise)
        return model.actions(x)


class OneStep(nn.Module):
    """A sampler of one step, for one robot, with its constants folded: the same sums in fewer nodes.

    What a small graph costs is its nodes: the time features go into a bias, as do the ones added to the
    scales; scales and shifts go into the norm; the units of actions go into the last layer.
    """

    def __init__(self, sampler: Sampler):
        super().__init__()
        assert sampler.steps == 1
        self.blind = sampler.name == "regression"
        model = self.denoiser = copy.deepcopy(sampler.denoiser).requires_grad_(False)
        width, depth, chunk = model.inlet.out_features, len(model.blocks), CHUNK
        at_start = torch.cat([torch.zeros(TIME_FEATURES // 2), torch.ones(TIME_FEATURES // 2)])
        bias = model.modulate.bias + model.modulate.weight[:, Z:] @ at_start
        bias.view(depth, 2, width)[:, 0] += 1.0
        self.modulate = nn.Linear(Z, 2 * depth * width).requires_grad_(False)
        self.modulate.weight.copy_(model.modulate.weight[:, :Z])
        self.modulate.bias.copy_(bias)
        spread = model.action_std.repeat(chunk)
        model.outlet.weight.mul_(spread[:, None])
        model.outlet.bias.mul_(spread).add_(model.action_mean.repeat(chunk))

    def forward(self, proprio: torch.Tensor, intent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        model = self.denoiser
        seen = ((proprio - model.proprio_mean) / model.proprio_std).clamp(-10, 10)
        x = 0.0 * noise if self.blind else noise
        hidden = model.inlet(torch.cat([seen, x.flatten(1), intent], -1))
        modulation = self.modulate(intent).flatten().chunk(2 * len(model.blocks))
        for block, scale, shift in zip(model.blocks, modulation[::2], modulation[1::2], strict=True):
            assert isinstance(block, Block)
            normed = F.layer_norm(hidden, block.norm.normalized_shape, scale, shift)
            hidden = hidden + block.outer(F.silu(block.inner(normed)))
        return model.outlet(F.silu(hidden)).view(noise.shape)


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
        blur = torch.from_numpy(rng.choice([0.0, 0.05, 0.1], size=(size, 1)).astype(np.float32))
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
        t = t * (torch.rand_like(t) < 0.5)  # half of it where a single step begins: there it is deployed
        x = noise + t[:, :, None] * (target - noise)
        return weighed(model(x, t, proprio, intent).float(), target)

    return loss


def regression_loss(chunks: Chunks, batch: int = 1024) -> Loss:
    """Plain squared error of the same network without noise: what diffusion has to be better than."""

    def loss(model: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        assert isinstance(model, Denoiser)
        proprio, intent, actions = chunks.batch(rng, batch, model.action_mean.device)
        target = (actions - model.action_mean) / model.action_std
        start = torch.zeros_like(target[:, 0, :1])
        return weighed(model(torch.zeros_like(target), start, proprio, intent).float(), target)

    return loss


def weighed(said: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error of chunks (B, Ta, Da), the first rows before the last."""
    # the later rows of a chunk are played only when the next inference is late
    error = (said - target).square().mean((0, 2))
    return (error * torch.tensor(ROW_WEIGHT, device=error.device)).sum()
