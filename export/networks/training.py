"""One resumable training loop for every network of the recipe."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from rmedge.errors import InputError

__all__ = ["Loss", "device", "train", "trained"]

M = TypeVar("M", bound=nn.Module)
Loss = Callable[[nn.Module, np.random.Generator], torch.Tensor]
CHECKPOINT_EVERY = 500
SLOWLY = 1 / 3


def device() -> torch.device:
    """A GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(
    model: M,
    loss: Loss,
    steps: int,
    path: Path,
    learning_rate: float = 1e-3,
    ema: float = 0.999,
    seed: int = 0,
    bfloat16: bool = True,
    slowly: str = "",
    progress: Callable[[float], None] = lambda done: None,
) -> M:
    """Minimise ``loss(model, rng)`` with AdamW, a short warm-up and a cosine decay.

    Batches and noise are functions of (seed, step) alone, and ``path`` holds a checkpoint, so a run
    that was interrupted goes on where it was and ends in the same weights.

    Args:
        slowly: weights whose names begin so, which others trained before, change at a third of the rate.

    Returns:
        The exponential moving average of the weights, in evaluation mode, on the CPU.
    """
    where = device()
    model = model.to(where)
    average = copy.deepcopy(model).requires_grad_(False)
    groups: dict[float, list[nn.Parameter]] = {1.0: [], SLOWLY: []}
    for name, weight in model.named_parameters():
        groups[SLOWLY if slowly and name.startswith(slowly) else 1.0].append(weight)
    optimiser = torch.optim.AdamW(
        [{"params": weights, "share": share} for share, weights in groups.items() if weights],
        lr=learning_rate, weight_decay=1e-4,
    )  # fmt: skip
    start = 0
    if path.exists():
        saved = torch.load(path, map_location=where, weights_only=True)
        start = saved["step"]
        average.load_state_dict(saved["average"])
        if start < steps:
            model.load_state_dict(saved["model"])
            optimiser.load_state_dict(saved["optimiser"])
    warm_up = max(1, min(200, steps // 10))
    model.train()
    for step in range(start, steps):
        scale = min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * group["share"] * max(scale, 0.01)
        torch.manual_seed(seed * 1_000_003 + step)
        with torch.autocast(where.type, torch.bfloat16, enabled=bfloat16):
            value = loss(model, np.random.default_rng((seed, step)))
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        decay = min(ema, (step + 1) / (step + 10))
        with torch.no_grad():
            for kept, new in zip(average.parameters(), model.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
            for copied, buffer in zip(average.buffers(), model.buffers(), strict=True):
                copied.copy_(buffer)
        done = step + 1
        if done == steps or done % CHECKPOINT_EVERY == 0:
            _save(path, done, model, average, optimiser)
        if done % 20 == 0 or done == steps:
            progress(done / steps)
    return average.cpu().eval()


def trained(model: M, path: Path, noun: str) -> M:
    """The model with the weights that `train` has left there, on the CPU.

    Raises:
        InputError: there are none.
    """
    if not path.exists():
        raise InputError(f"{noun}: expected one that the recipe has trained, got no {path}")
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])
    return model.eval()


def _save(
    path: Path, step: int, model: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(
        {
            "step": step,
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
        },
        partial,
    )
    partial.replace(path)  # a killed run leaves the last whole checkpoint
