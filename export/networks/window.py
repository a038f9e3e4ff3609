"""The window: the upright part of a picture round somebody, which is looked at closely."""

from __future__ import annotations

import torch

__all__ = ["WINDOW", "WINDOW_FLOW", "extent", "place_of", "window", "within"]

WINDOW, WINDOW_FLOW = (96, 80), (24, 20)  # height and width, of its picture and of its flow [pixel]
SOLID = (0, 1, 2, 3, 4, 9, 10, 11, 12)  # landmarks that say how large one is: all but the arms'


def window(picture: torch.Tensor, place: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The upright part (B, C, *size) of pictures (B, C, h, w) round places (B, 4), no longer squeezed.

    What is outside of the picture is 0. As products of matrices, which every engine has and is quick at.
    """
    wide, high = extent(place).chunk(2, 1)
    rows = _sampling(place[:, 1:2], high, size[0], picture.shape[-2])
    columns = _sampling(place[:, 0:1], wide, size[1], picture.shape[-1])
    return rows[:, None] @ (picture @ columns[:, None].transpose(-1, -2))


def extent(place: torch.Tensor) -> torch.Tensor:
    """(..., 2) width and height [share of the picture] of the window round a place (..., 4)."""
    high = place[..., 2:3]
    return torch.cat([high * place[..., 3:4].exp() * (WINDOW[1] / WINDOW[0]), high], -1)


def _sampling(middle: torch.Tensor, length: torch.Tensor, count: int, pixels: int) -> torch.Tensor:
    """(B, count, pixels) weights of an even sampling, a tent as wide as a step, at least as a pixel."""
    steps = (torch.arange(count, device=middle.device) + 0.5) / count - 0.5
    at = middle + length * steps  # (B, count) [share]
    here = (torch.arange(pixels, device=middle.device) + 0.5) / pixels
    reach = (length / count).clamp_min(1 / pixels)[..., None]
    weights = torch.relu(1 - (at[..., None] - here).abs() / reach)
    # sums to one within the picture, and fades beyond its rim
    return weights / weights.sum(-1, keepdim=True).maximum(0.5 * reach * pixels)


def place_of(body: torch.Tensor, squeeze: torch.Tensor) -> torch.Tensor:
    """(..., 4) the place of bodies (..., K, 2) whose picture is squeezed (...); nan where there is none."""
    solid = body[..., SOLID, :]
    low, high = solid.amin(-2), solid.amax(-2)
    height = (1.3 * (high - low)[..., 1:]).clamp(0.12, 1.55)
    return torch.cat([(low + high) / 2, height, squeeze.log()[..., None]], -1)


def within(body: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Bodies (..., K, 2) in the windows round places (..., 4): -1/2 .. 1/2, not beyond -1 .. 1."""
    return ((body - place[..., None, :2]) / extent(place)[..., None, :]).clamp(-1, 1)
