"""Makes up small networks of the kinds that people bring, and what a build must be told of them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

import rmedge
from rmedge.export.networks.sampling import Sampling, Schedule

BASE = rmedge.Bundle.load("g1-mirror")
JOINTS, INTENT, PROPRIO = 29, BASE.intent.size, BASE.policy.inputs["proprio"][1]
SIDE = 32  # pixels
IMAGE = {
    "height": SIDE, "width": SIDE, "feature_height": SIDE, "feature_width": SIDE,
    "colour": "rgb", "motion": "none",
}  # fmt: skip
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ConvNet(nn.Module):
    """A picture (B, 3, h, w), normalised as image networks are, to an intent."""

    def __init__(self, width: int = 16, size: int = INTENT) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, size),
        )  # fmt: skip

    def forward(self, picture):
        return self.see(picture)


class Streaming(nn.Module):
    """The whole contract: what it remembers goes in and comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.see = ConvNet(8, 12)
        self.remember = nn.GRUCell(12, 24)
        self.say = nn.Linear(24, INTENT + 2)

    def forward(self, features, state):
        state = self.remember(self.see(features), state)
        intent, sure, there = self.say(state).split((INTENT, 1, 1), 1)
        return intent, torch.sigmoid(sure), torch.sigmoid(there), state


class MLP(nn.Module):
    """A plain policy: one action."""

    def __init__(self, width: int = 64, joints: int = JOINTS) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(PROPRIO + INTENT, width), nn.ELU(), nn.Linear(width, joints))

    def forward(self, proprio, intent):
        return self.net(torch.cat([proprio, intent], 1))


class Chunker(nn.Module):
    """An action-chunking transformer, its latent at the mean: learned queries read the history."""

    def __init__(self, chunk: int = 8, width: int = 32) -> None:
        super().__init__()
        history = BASE.policy.observation.history
        self.history = history
        self.feel, self.told = nn.Linear(PROPRIO // history, width), nn.Linear(INTENT, width)
        layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.1, batch_first=True)
        self.encode = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.queries = nn.Parameter(torch.randn(chunk, width))
        self.decode = nn.TransformerDecoderLayer(width, 4, 64, dropout=0.1, batch_first=True)
        self.out = nn.Linear(width, JOINTS)

    def forward(self, proprio, intent):
        ticks = self.feel(proprio.view(len(proprio), self.history, -1))
        seen = self.encode(torch.cat([ticks, self.told(intent)[:, None]], 1))
        return self.out(self.decode(self.queries.expand(len(proprio), -1, -1), seen))


class Denoiser(nn.Module):
    """A conditional 1-D convolutional denoiser over a chunk, as Diffusion Policy's, with FiLM."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.register_buffer("frequency", torch.exp(torch.arange(8) * (-math.log(1e4) / 7)))
        self.condition = nn.Sequential(nn.Linear(PROPRIO + INTENT + 16, 48), nn.Mish())
        self.down = nn.Conv1d(JOINTS, width, 5, padding=2)
        self.norm = nn.GroupNorm(4, width)
        self.film = nn.Linear(48, 2 * width)
        self.up = nn.Conv1d(width, JOINTS, 5, padding=2)

    def forward(self, x, time, proprio, intent):
        angle = time[:, None] * self.frequency
        told = self.condition(torch.cat([proprio, intent, angle.sin(), angle.cos()], 1))
        scale, shift = self.film(told)[:, :, None].chunk(2, 1)
        hidden = self.norm(self.down(x.transpose(1, 2))) * (1 + scale) + shift
        return self.up(torch.nn.functional.mish(hidden)).transpose(1, 2)


DDIM = Sampling("ddim", 4, "epsilon", Schedule("squaredcos_cap_v2", 100), clip=1.0)


def streams(clips: int = 2, frames: int = 6, side: int = SIDE) -> np.ndarray:
    """(N, T, 3, h, w) features of moving stripes."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, side)
    phase = rng.uniform(0, 6, (clips, frames, 3, 1, 1))
    stripes = np.sin(2 * np.pi * 3 * x + phase + 2 * x[:, None])
    return (0.7 * stripes + 0.1 * rng.standard_normal(stripes.shape)).astype(np.float32)


def calls(count: int = 24) -> dict[str, np.ndarray]:
    """Recorded calls of a policy."""
    rng = np.random.default_rng(1)
    return {
        "proprio": rng.standard_normal((count, PROPRIO)).astype(np.float32),
        "intent": rng.standard_normal((count, INTENT)).astype(np.float32),
    }
