"""Hearsay: how far what is told of a body is from the truth, and the truth of rehearsals told as badly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rmedge.export.networks.sight import BODY, PLACE, SURE, Sight, Truth, eight_bits, whereabouts
from rmedge.export.networks.window import extent, within
from rmedge.export.networks.witness import LIMBS
from rmedge.export.world.actor import LANDMARKS, PAIRED

__all__ = ["Hearsay", "measure"]

# what is off in a clip is off for as long as it lasts, or for a moment; measured on films nobody learnt from:
# of the variance of a place's error 0.65 stays, of a limb's and a facing's 0.4
STAYS_PLACE, STAYS = 0.65, 0.4
LASTS = 0.5  # of what does not stay, how much is still off in the next frame
ALIKE = 64  # stills that a clip is told like: those of bodies that stand most nearly so
LIKE = 0.1  # and well or badly as a whole: how far apart its rows are, of these from best to worst
SINGLE = LANDMARKS - 2 * len(PAIRED)  # landmarks that have no sides come first
HEIGHTS, SQUEEZES = (0.1, 1.6), (-0.9, 0.9)  # that a wide look can name


@dataclass(frozen=True)
class Hearsay:
    """A line through what is told of a truth, column by column, and all that was off it on stills.

    A pair of limbs is its middle and half of what lies between: a stride shrinks by more than a body does.
    What a line cannot say is in what was off it: an arm that is raised is often told as if it hung, and so
    it is told of those who stand likewise. How sure limbs are comes with it.
    """

    offset: torch.Tensor  # (BODY,)
    slope: torch.Tensor  # (BODY,) less than one: in doubt the mean is told
    # (M, BODY) a row a still, the best told first: what is off together is told together, and how sure
    rest: torch.Tensor
    stance: torch.Tensor  # (M, LIMBS + 3) how its body stands, see `_stance`

    def tell(
        self, body: torch.Tensor, place: torch.Tensor, facing: torch.Tensor, rng: np.random.Generator
    ) -> torch.Tensor:
        """Bodies (B, T, K, 2), places (B, T, 4) and facings (B, T, 2) as they would be told (B, T, BODY)."""
        middle = place.shape[1] // 2
        alike = self._alike(_stance(body[:, middle], place[:, middle], facing[:, middle]))
        off = self._off(alike, place.shape[1], rng)
        where = torch.cat([torch.zeros_like(place[..., :2]), place[..., 2:3].log(), place[..., 3:]], -1)
        where = self._line(where, off, slice(0, PLACE))
        place = torch.cat([
            place[..., :2] + where[..., :2] * extent(place),
            where[..., 2:3].exp().clamp(*HEIGHTS), where[..., 3:].clamp(*SQUEEZES),
        ], -1)  # fmt: skip
        limbs = _apart(within(body, place)).flatten(-2)
        limbs = _joined(self._line(limbs, off, slice(PLACE, PLACE + LIMBS)).unflatten(-1, (LANDMARKS, 2)))
        facing = self._line(facing, off, slice(PLACE + LIMBS, BODY - SURE))
        return torch.cat([place, limbs.flatten(-2), facing, off[..., -SURE:]], -1)

    def _line(self, true: torch.Tensor, off: torch.Tensor, part: slice) -> torch.Tensor:
        return self.offset[part] + self.slope[part] * true + off[..., part]

    def _alike(self, stance: torch.Tensor) -> torch.Tensor:
        """(B, ALIKE) the rows of those who stand most nearly so (B, LIMBS + 3), the best told first."""
        scale = self.stance.std(0) + 0.01
        apart = torch.cdist(stance / scale, self.stance / scale)
        return apart.topk(min(ALIKE, apart.shape[1]), largest=False).indices.sort().values

    def _off(self, alike: torch.Tensor, frames: int, rng: np.random.Generator) -> torch.Tensor:
        """(B, frames, BODY) of the same spread as on stills (B, K), in part for good and in part slower."""
        clips, most = alike.shape
        rank = rng.random(clips) + LIKE * rng.standard_normal((1 + frames, clips))
        rank = 1 - np.abs(1 - np.abs(rank))  # who would be better than the best is told as well as the next
        chosen = torch.from_numpy((rank * most).astype(int).clip(0, most - 1)).to(alike.device)
        usual = self.rest[alike].mean(1)  # what such bodies are off by, always
        rows = self.rest[alike.gather(1, chosen.T).T] - usual
        off = [rows[1]]
        for row in rows[2:]:
            off.append(LASTS * off[-1] + math.sqrt(1 - LASTS**2) * row)
        stays = torch.full_like(self.offset, STAYS)
        stays[:PLACE] = STAYS_PLACE
        moved = (1 - stays).sqrt() * torch.stack(off, 1) + stays.sqrt() * rows[0][:, None]
        moved[..., -SURE:] = ((rows[0] + rows[1:]) / 2)[..., -SURE:].transpose(0, 1)
        return usual[:, None] + moved

    def to(self, where: torch.device) -> Hearsay:
        """The same on a device."""
        return Hearsay(**{name: value.to(where) for name, value in vars(self).items()})


def measure(
    stills: Truth, sight: Sight, path: Path, batch: int = 32,
    progress: Callable[[float], None] = lambda done: None,
) -> Hearsay:  # fmt: skip
    """How a sight tells of stills that it has not learnt from; kept in ``path``."""
    if not path.exists():
        told, true, stance = [], [], []
        for first in range(0, len(stills["label"]), batch):
            part = {name: column[first : first + batch] for name, column in stills.items()}
            place, there = whereabouts(part)
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):  # as clips are seen
                said = sight(*eight_bits(part["rgb"], part["flow"])).float()[there, -BODY:]
            shown = part["body"].float()[there], place[there], part["facing"].float()[there]
            both = _columns(said, *shown)
            told.append(both[0])
            true.append(both[1])
            stance.append(_stance(*shown))
            progress(min(first + batch, len(stills["label"])) / len(stills["label"]))
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **_fitted(torch.cat(told), torch.cat(true), torch.cat(stance)))  # type: ignore[arg-type]
        partial.replace(path)
    with np.load(path, allow_pickle=False) as arrays:
        return Hearsay(**{name: torch.from_numpy(arrays[name]) for name in arrays.files})


def _stance(body: torch.Tensor, place: torch.Tensor, facing: torch.Tensor) -> torch.Tensor:
    """Bodies (B, K, 2) at places (B, 4) who face somewhere (B, 2), by what makes some hard to see."""
    return torch.cat([within(body, place).flatten(1), facing, place[:, 2:3].log()], 1)


def _columns(
    said: torch.Tensor, body: torch.Tensor, place: torch.Tensor, facing: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What is told (N, BODY) and true, a column against a column: places off in windows, limbs apart."""
    found, limbs, faced, sure = said.split([PLACE, LIMBS, BODY - PLACE - LIMBS - SURE, SURE], -1)
    sized, size = (torch.cat([one[:, 2:3].log(), one[:, 3:]], 1) for one in (found, place))
    missed = (found[:, :2] - place[:, :2]) / extent(place)
    limbs = _apart(limbs.unflatten(-1, (LANDMARKS, 2))).flatten(1)
    shown = _apart(within(body, found)).flatten(1)
    return (
        torch.cat([missed, sized, limbs, faced, sure], 1),
        torch.cat([torch.zeros_like(missed), size, shown, facing, torch.zeros_like(sure)], 1),
    )


def _fitted(told: torch.Tensor, true: torch.Tensor, stance: torch.Tensor) -> dict[str, np.ndarray]:
    middle = true.mean(0)
    slope = ((true - middle) * told).mean(0) / ((true - middle).square().mean(0) + 1e-6)
    offset = told.mean(0) - slope * middle
    rest = told - offset - slope * true
    rest[:, -SURE:] = told[:, -SURE:]
    best = (rest / (rest.std(0) + 1e-6))[:, :-SURE].abs().mean(1).argsort()
    found = {"offset": offset, "slope": slope, "rest": rest[best], "stance": stance[best]}
    return {name: value.numpy() for name, value in found.items()}


def _apart(limbs: torch.Tensor) -> torch.Tensor:
    """Limbs (..., K, 2) as the single ones, and each pair's middle and half of what lies between."""
    left, right = limbs[..., SINGLE::2, :], limbs[..., SINGLE + 1 :: 2, :]
    pairs = torch.stack([(left + right) / 2, (left - right) / 2], -2).flatten(-3, -2)
    return torch.cat([limbs[..., :SINGLE, :], pairs], -2)


def _joined(apart: torch.Tensor) -> torch.Tensor:
    """Back again."""
    middle, half = apart[..., SINGLE::2, :], apart[..., SINGLE + 1 :: 2, :]
    pairs = torch.stack([middle + half, middle - half], -2).flatten(-3, -2)
    return torch.cat([apart[..., :SINGLE, :], pairs], -2)
