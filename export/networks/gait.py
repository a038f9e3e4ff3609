"""The gait: a memory of limbs, which learns from rehearsals what their motion means.

Pictures cost thirty times what the limbs in them cost, before anything has looked at them. So what legs do
when somebody walks, on a treadmill, too, and across a cut, is learnt from many times as many clips as can
be painted; the limbs are told in them as badly as a sight tells them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.networks.hearsay import Hearsay
from rmedge.export.networks.judgement import BLIND, STRETCH, fresh, misjudged, weights
from rmedge.export.networks.sight import BODY, PLACE, SURE
from rmedge.export.networks.training import device, train, trained
from rmedge.export.networks.window import extent, place_of
from rmedge.export.networks.witness import LIMBS
from rmedge.export.world.actor import LANDMARKS
from rmedge.export.world.acts import way
from rmedge.export.world.footage import Rehearsals
from rmedge.labels import LABELS

__all__ = ["GAIT", "MEMORY", "Gait", "advance", "fit_gait", "load_gait"]

MEMORY = 192
HIPS = 2  # the landmark that others are seen from
SPOT = 2
ROW = LIMBS - 2 + 2 + 2 + SPOT  # limbs from the hips, facing, size, and the hips' spot in the picture
CHANGES = ROW - 1  # of all but the squeeze
INPUTS = ROW + CHANGES + SURE
FAR = 5.0  # spreads beyond which a number says no more, as when a film is cut
GAIT = MEMORY + ROW + 1  # the state: the memory, the row before, and whether there was one


class Gait(nn.Module):
    """What is told of bodies over time (B, T, BODY) to a memory (B, T, MEMORY).

    Limbs are seen from the hips and in heights of the window, so that distance does not matter; beside them
    stand the facing, the size, the spot, how all of it has changed since the frame before, and how sure the
    limbs are.
    """

    middle: torch.Tensor
    spread: torch.Tensor

    def __init__(self, gestures: int) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.1)
        self.remember = nn.GRU(INPUTS, MEMORY, batch_first=True)
        # asked for in training only
        self.judge = nn.Linear(MEMORY, len(LABELS))
        self.pace = nn.Linear(MEMORY, 3 * len(LABELS))
        self.gesture = nn.Linear(MEMORY, gestures)
        self.register_buffer("middle", torch.zeros(INPUTS))
        self.register_buffer("spread", torch.ones(INPUTS))

    def forward(self, told: torch.Tensor) -> torch.Tensor:
        return self.remember(self.drop(self._normal(self.inputs(told))))[0]

    def inputs(self, told: torch.Tensor) -> torch.Tensor:
        """Rows, changes, how sure (B, T, INPUTS) of what is told (B, T, BODY); at first nothing changes."""
        row = _row(told)
        changes = _changes(row, torch.cat([row[:, :1], row[:, :-1]], 1), extent(told[..., :PLACE]))
        return torch.cat([row, changes, told[..., -SURE:]], -1)

    def step(self, told: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """The next state (B, GAIT), of which the first is the memory."""
        memory, before, known = state.split([MEMORY, ROW, 1], -1)
        row = _row(told)
        changes = known * _changes(row, before, extent(told[:, :PLACE]))
        given = torch.cat([row, changes, told[:, -SURE:]], -1)
        memory = advance(self.remember, self._normal(given), memory)
        return torch.cat([memory, row, torch.ones_like(known)], -1)

    def _normal(self, given: torch.Tensor) -> torch.Tensor:
        return ((given - self.middle) / self.spread).clamp(-FAR, FAR)


def _row(told: torch.Tensor) -> torch.Tensor:
    place, limbs, facing, _ = told.split([PLACE, LIMBS, BODY - PLACE - LIMBS - SURE, SURE], -1)
    limbs = limbs.unflatten(-1, (LANDMARKS, 2))
    hips = limbs[..., HIPS : HIPS + 1, :]
    around = torch.cat([limbs[..., :HIPS, :], limbs[..., HIPS + 1 :, :]], -2) - hips
    spot = place[..., :2] + hips[..., 0, :] * extent(place)
    return torch.cat([around.flatten(-2), facing, place[..., 2:3].log(), place[..., 3:], spot], -1)


def _changes(row: torch.Tensor, before: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """What has changed (..., CHANGES); the spot in windows (..., 2), as large as whoever is there."""
    changed = row - before
    return torch.cat([changed[..., : -SPOT - 1], changed[..., -SPOT:] / size], -1)


def advance(memory: nn.GRU, seen: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """The state (B, S) after one more frame; engines are quicker at products than at a GRU of one step."""
    input_weight, state_weight, input_bias, state_bias = memory.all_weights[0]
    from_input = F.linear(seen, input_weight, input_bias).chunk(3, -1)
    from_state = F.linear(state, state_weight, state_bias).chunk(3, -1)
    reset = torch.sigmoid(from_input[0] + from_state[0])
    update = torch.sigmoid(from_input[1] + from_state[1])
    new = torch.tanh(from_input[2] + reset * from_state[2])
    return new + update * (state - new)


def fit_gait(
    rehearsals: Rehearsals, hearsay: Hearsay, gestures: int, steps: int, path: Path, batch: int = 256,
    seed: int = 0, learning_rate: float = 2e-3, progress: Callable[[float], None] = lambda done: None,
) -> Gait:  # fmt: skip
    """Train on stretches of rehearsals: the word, the pace and the gesture."""
    torch.manual_seed(seed)
    model = Gait(gestures)
    columns = _columns(rehearsals)
    count, frames = rehearsals.label.shape
    length = min(STRETCH, frames)
    some = {name: columns[name][:: count // 2000 + 1] for name in ("body", "place", "facing")}
    everything = model.inputs(hearsay.tell(**some, rng=np.random.default_rng(seed))).flatten(0, 1)
    model.middle.copy_(everything.mean(0))
    model.spread.copy_(everything.std(0) + 0.01)
    hearsay = hearsay.to(device())

    def loss(network: nn.Module, rng: np.random.Generator) -> torch.Tensor:
        assert isinstance(network, Gait)
        where = network.middle.device
        rows = torch.from_numpy(rng.choice(count, min(batch, count), replace=False))
        first = int(rng.integers(frames - length + 1))
        true = {name: c[rows, first : first + length].to(where) for name, c in columns.items()}
        told = hearsay.tell(true.pop("body"), true.pop("place"), true.pop("facing"), rng)
        memory = network(told)[:, BLIND:].flatten(0, 1)
        late = {name: value[:, BLIND:].flatten(0, 1) for name, value in true.items()}
        weight = weights(late["fresh"])
        return misjudged(
            network.judge(memory), network.pace(memory), network.gesture(memory),
            late | {"word": late["label"]}, weight, weight, weight,
        )  # fmt: skip

    return train(model, loss, steps, path, learning_rate, seed=seed, progress=progress)


def load_gait(path: Path, gestures: int) -> Gait:
    """What `fit_gait` has left there.

    Raises:
        InputError: there is none.
    """
    return trained(Gait(gestures), path, "gait")


def _columns(rehearsals: Rehearsals) -> dict[str, torch.Tensor]:
    """Frame by frame; who is out of the picture is told of as he was last seen."""
    body = torch.from_numpy(_held(rehearsals.body))
    squeeze = torch.from_numpy(rehearsals.squeeze)[:, None].expand(body.shape[:2])
    goes, _ = way(rehearsals.asked.reshape(-1, 3).copy(), rehearsals.label.ravel())
    return {
        "body": body,
        "place": place_of(body, squeeze),
        "facing": torch.from_numpy(rehearsals.facing),
        "label": torch.from_numpy(rehearsals.label.astype(np.int64)),
        "goes": torch.from_numpy(goes.reshape(rehearsals.asked.shape).astype(np.float32)),
        "gesture": torch.from_numpy(rehearsals.gesture.astype(np.int64)),
        "fresh": torch.from_numpy(fresh(rehearsals.label)),
    }


def _held(body: np.ndarray) -> np.ndarray:
    """Bodies (N, T, K, 2) without nan: as last seen, before that as first seen, or else in the middle."""
    known = ~np.isnan(body).any((-1, -2))
    last = np.maximum.accumulate(np.where(known, np.arange(body.shape[1]), -1), 1)
    last = np.where(last < 0, known.argmax(1)[:, None], last)
    return np.nan_to_num(np.take_along_axis(body, last[..., None, None], 1), nan=0.5)
