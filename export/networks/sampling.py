"""Samplers: how a denoiser's answers become actions, step by step along its path from noise.

A *path* mixes sample and noise, ``x = signal * sample + rest * noise``. Two are known:

- a variance schedule of T training steps, where signal^2 + rest^2 = 1 (DDPM, Ho et al. 2020, arXiv
  2006.11239; DDIM, Song et al. 2020, arXiv 2010.02502);
- the straight line of rectified flow, where signal = t and rest = 1 - t (Liu et al. 2022, arXiv 2209.03003).

Whatever a network predicts (the noise, the sample, v or the line's velocity) says both sample and noise at a
point; mixed anew at the next point they are a DDIM step, and on the straight line an Euler step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from rmedge.errors import UsageError

__all__ = ["PREDICTIONS", "SAMPLERS", "SCHEDULES", "Sampling", "Schedule", "Unrolled"]

SAMPLERS = ("ddpm", "ddim", "flow", "consistency")
PREDICTIONS = ("epsilon", "sample", "v", "velocity")
SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")  # as diffusers name them
SPACINGS = ("leading", "trailing")
_MOST_BETA = 0.999  # of the cosine schedule, whose last step would be all noise


@dataclass(frozen=True)
class Schedule:
    """The variances that a denoiser was trained with.

    Attributes:
        betas: a name of `SCHEDULES`, or the variances themselves (T,).
        train_steps: T.
        start, end: first and last variance, where the name needs them.
    """

    betas: str | Sequence[float] = "squaredcos_cap_v2"
    train_steps: int = 100
    start: float = 1e-4
    end: float = 0.02

    def signals(self) -> np.ndarray:
        """(T,) the products of 1 - beta up to each training step: the signal's variance there.

        Raises:
            UsageError: no such schedule, or variances that are none.
        """
        betas = self._betas()
        if not (len(betas) == self.train_steps and ((betas > 0) & (betas < 1)).all()):
            raise UsageError(
                f"schedule.betas: expected {self.train_steps} variances between 0 and 1, got {len(betas)} "
                f"from {betas.min():g} to {betas.max():g}; give those of training"
            )
        return np.cumprod(1.0 - betas)

    def _betas(self) -> np.ndarray:
        if not isinstance(self.betas, str):
            return np.asarray(self.betas, np.float64)
        if self.betas == "linear":
            return np.linspace(self.start, self.end, self.train_steps)
        if self.betas == "scaled_linear":
            return np.linspace(self.start**0.5, self.end**0.5, self.train_steps) ** 2
        if self.betas == "squaredcos_cap_v2":  # Nichol and Dhariwal 2021, arXiv 2102.09672
            turn = np.arange(self.train_steps + 1) / self.train_steps
            share = np.cos((turn + 0.008) / 1.008 * math.pi / 2) ** 2
            return np.minimum(1 - share[1:] / share[:-1], _MOST_BETA)
        raise UsageError(_refused("schedule.betas", SCHEDULES, self.betas))


@dataclass(frozen=True)
class Point:
    """Where on its path a network is asked: the time it is told, and how x is mixed there."""

    time: float
    signal: float
    rest: float


@dataclass(frozen=True)
class Sampling:
    """How a denoiser was trained, and how it is sampled.

    Attributes:
        name: ``ddpm`` draws anew at every step, ``ddim`` never; ``flow`` is Euler on the straight line;
            ``consistency`` starts every step from a mixture with the first noise.
        steps: evaluations a call, unrolled in the graph.
        prediction: what the network gives: ``epsilon`` (the noise), ``sample``, ``v`` (Salimans and Ho 2022,
            arXiv 2202.00512), or on the straight line ``velocity`` (sample - noise).
        schedule: the variances of ddpm and ddim.
        clip: the greatest absolute value that a predicted sample may have.
        spacing: how ddpm's and ddim's steps lie among the training steps.
    """

    name: str
    steps: int
    prediction: str
    schedule: Schedule | None = None
    clip: float | None = None
    spacing: str = "leading"

    def __post_init__(self) -> None:
        _choice("sampler.name", self.name, SAMPLERS)
        straight = self.name in ("flow", "consistency")
        fitting = ("velocity", "sample") if straight else ("epsilon", "sample", "v")
        _choice("sampler.prediction", self.prediction, fitting)
        _choice("sampler.spacing", self.spacing, SPACINGS)
        if straight != (self.schedule is None):
            expected, got = ("none", "one") if straight else ("the variances of training", "none")
            raise UsageError(f"sampler.schedule: expected {expected} for {self.name}, got {got}; correct it")
        most = 1000 if self.schedule is None else self.schedule.train_steps
        if not 1 <= self.steps <= most:
            raise UsageError(f"sampler.steps: expected 1 to {most}, got {self.steps}; correct it")
        if self.clip is not None and not 0 < self.clip < math.inf:
            raise UsageError(f"sampler.clip: expected a number above 0, got {self.clip}; correct it")

    @property
    def draws(self) -> int:
        """Noises of the sample's shape that a call takes: the start, and what ddpm draws between steps."""
        return self.steps if self.name == "ddpm" else 1

    def points(self) -> list[Point]:
        """Where the network is asked, noise first."""
        if self.schedule is None:
            return [Point(n / self.steps, n / self.steps, 1 - n / self.steps) for n in range(self.steps)]
        signals, total = self.schedule.signals(), self.schedule.train_steps
        if self.spacing == "leading":
            times = np.arange(self.steps)[::-1] * (total // self.steps)
        else:
            times = np.round(np.arange(total, 0, -total / self.steps)).astype(int)[: self.steps] - 1
        return [Point(float(t), float(signals[t] ** 0.5), float((1 - signals[t]) ** 0.5)) for t in times]


class Unrolled(nn.Module):
    """A denoiser and its sampler as one function of noise, whose steps are all in the graph.

    Args:
        denoiser: ``(x (B, Ta, Da), time (B,), proprio (B, P), intent (B, Z)) -> (B, Ta, Da)``. On a schedule
            its time is the training step, on the straight line it goes from 0 (noise) to 1; float32 both.
    """

    def __init__(self, denoiser: nn.Module, sampling: Sampling) -> None:
        super().__init__()
        self.denoiser, self.sampling = denoiser, sampling

    def forward(self, proprio: torch.Tensor, intent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The sample (B, Ta, Da) from noise (B, draws * Ta, Da), the start's rows first."""
        sampling = self.sampling
        draws = noise.chunk(sampling.draws, 1)
        points = sampling.points()
        x = draws[0]
        for step, here in enumerate(points):
            time = torch.full_like(noise[:, 0, 0], here.time)  # (B,)
            said = self.denoiser(x, time, proprio, intent)
            sample, rest = parts(sampling.prediction, said, x, here)
            if sampling.clip is not None:
                sample = sample.clamp(-sampling.clip, sampling.clip)
                if sampling.name == "ddpm":  # its mean is one of x and the sample, not of the noise
                    rest = (x - here.signal * sample) / here.rest
            if step + 1 == len(points):
                return sample
            there = points[step + 1]
            if sampling.name == "ddpm":
                spread = deviation(here, there)
                kept = (there.rest**2 - spread**2) ** 0.5
                x = there.signal * sample + kept * rest + spread * draws[step + 1]
            else:
                x = there.signal * sample + there.rest * (
                    draws[0] if sampling.name == "consistency" else rest
                )
        raise AssertionError("a sampler has at least one step")


def parts(prediction: str, said: Any, x: Any, here: Point) -> tuple[Any, Any]:
    """The sample and the noise that a prediction at x means."""
    if prediction == "epsilon":
        return (x - here.rest * said) / here.signal, said
    if prediction == "sample":
        return said, (x - here.signal * said) / here.rest
    if prediction == "v":
        return here.signal * x - here.rest * said, here.rest * x + here.signal * said
    return x + here.rest * said, x - here.signal * said


def deviation(here: Point, there: Point) -> float:
    """The standard deviation of the posterior q(there | here, sample) (Ho et al. 2020, equation 7)."""
    beta = 1 - (here.signal / there.signal) ** 2
    return (there.rest**2 / here.rest**2 * beta) ** 0.5


def _choice(field: str, value: str, options: Sequence[str]) -> None:
    if value not in options:
        raise UsageError(_refused(field, options, value))


def _refused(field: str, options: Sequence[str], got: object) -> str:
    return f"{field}: expected one of {', '.join(options)}, got {got!r}; choose one"
