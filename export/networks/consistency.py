"""Consistency distillation of a flow: the many-step policy's end point, in one step.

Consistency distillation (Song et al. 2023, arXiv 2303.01469) on the rectified flow of `denoiser`: the
student is trained to say the same at two neighbouring points of the teacher's own trajectory,
``f(x_t, t) = f_ema(x_{t + dt}, t + dt)``, where the teacher takes the Euler step from ``x_t`` to
``x_{t + dt}``; ``f(x, 1) = x`` holds by construction. As teacher and student both name the clean chunk,
the student starts as the teacher. (With the smooth skip ``f = t x + (1 - t) F`` it has to unlearn that
first: after 2000 steps it turned with three times the error.)
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rmedge.export.networks.denoiser import Chunks, Denoiser, weighed
from rmedge.export.networks.training import device, train

__all__ = ["distil"]

GRID = 10  # neighbouring points lie one Euler step of the many-step policy apart
TARGET_DECAY = 0.95


def end_point(
    model: Denoiser, x: torch.Tensor, t: torch.Tensor, proprio: torch.Tensor, intent: torch.Tensor
) -> torch.Tensor:
    """Where the flow through (x, t) ends, in one evaluation; at t = 1 it is there."""
    return torch.where(t[:, :, None] >= 1.0 - 1e-6, x, model(x, t, proprio, intent).float())


class Pair(nn.Module):
    """The student and the slow copy that it is held against: one module, so that a checkpoint has both."""

    def __init__(self, teacher: Denoiser):
        super().__init__()
        self.student = copy.deepcopy(teacher).requires_grad_(True)
        self.target = copy.deepcopy(teacher).requires_grad_(False)


def distil(
    teacher: Denoiser, chunks: Chunks, steps: int, path: Path, batch: int = 1024, seed: int = 0,
    progress: Callable[[float], None] = lambda done: None,
) -> Denoiser:  # fmt: skip
    """A student of the same shape whose single step lands where the teacher's ten do."""
    teacher = copy.deepcopy(teacher).to(device()).requires_grad_(False)

    def loss(pair: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        assert isinstance(pair, Pair)
        with torch.no_grad():
            for slow, fast in zip(pair.target.parameters(), pair.student.parameters(), strict=True):
                slow.lerp_(fast, 1 - TARGET_DECAY)
        proprio, intent, actions = chunks.batch(rng, batch, teacher.action_mean.device)
        clean = (actions - teacher.action_mean) / teacher.action_std
        noise = torch.randn_like(clean)
        step = torch.from_numpy(rng.integers(GRID, size=(len(clean), 1))).to(clean)
        t = step / GRID
        x = noise + t[:, :, None] * (clean - noise)
        with torch.no_grad():
            further = x + (teacher(x, t, proprio, intent).float() - x) / (GRID * (1 - t))[:, :, None]
            goal = end_point(pair.target, further, (step + 1) / GRID, proprio, intent)
        return weighed(end_point(pair.student, x, t, proprio, intent), goal)

    return train(Pair(teacher), loss, steps, path, 3e-4, seed=seed, progress=progress).student
