"""Sides: what is true of pictures in a mirror, where left is right and who turns left turns right."""

from __future__ import annotations

import torch

from rmedge.export.world.actor import PAIRED
from rmedge.labels import LABELS

__all__ = ["mirrored"]

_ACROSS = {"left": "right", "right": "left"}


def _across(word: str) -> str:
    start, _, side = word.rpartition("_")
    return f"{start}_{_ACROSS[side]}" if side in _ACROSS else word


WORDS = torch.tensor([LABELS.index(_across(word)) for word in LABELS])
# crown, neck and hips are their own; of the others left comes before right
LIMBS = torch.tensor([0, 1, 2, *(3 + 2 * n + side for n in range(len(PAIRED)) for side in (1, 0))])


def mirrored(true: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Pictures with their flow, and what is true of them; what has no sides is left as it is."""
    found = dict(true)
    if "rgb" in true:
        found["rgb"] = true["rgb"].flip(-1)
        found["flow"] = true["flow"].flip(-1) * torch.tensor([-1, 1], dtype=true["flow"].dtype)[:, None, None]
    if "body" in true:
        body = true["body"][..., LIMBS, :]
        found["body"] = torch.stack([1 - body[..., 0], body[..., 1]], -1)
    found["asked"] = true["asked"] * torch.tensor([1, -1, -1], dtype=true["asked"].dtype)
    found["facing"] = true["facing"] * torch.tensor([1, -1], dtype=true["facing"].dtype)
    found["label"] = WORDS[true["label"].long()]
    return found
