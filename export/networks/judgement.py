"""The judgement: what a memory is asked of a clip while it learns, and how far it is off."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from rmedge.export.networks.sight import TOLERANCE
from rmedge.labels import LABELS

__all__ = ["BLIND", "STRETCH", "fresh", "misjudged", "weights"]

STRETCH = 20  # frames of a clip that one training step sees
BLIND = 4  # the first frames have seen too little to be asked


def fresh(label: np.ndarray) -> np.ndarray:
    """(N, T) bool: the frame at which the word (N, T) changes, and the next."""
    changed = np.diff(label, axis=1, prepend=label[:, :1]) != 0
    return changed | np.roll(changed, 1, 1) * (np.arange(label.shape[1]) > 0)


def weights(fresh: torch.Tensor) -> torch.Tensor:
    """(N,) of frames (N,) bool that are fresh: nobody can know at once that something has changed."""
    return 1 - 0.7 * fresh.float()


def misjudged(
    judged: torch.Tensor, pace: torch.Tensor, gesture: torch.Tensor, true: dict[str, torch.Tensor],
    weight: torch.Tensor, there: torch.Tensor, shown: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """How far logits of words (N, W), paces by word (N, 3 L) and logits of gestures (N, G) are off.

    Args:
        weight, there, shown: (N,) what a frame counts for its word, its pace and its gesture.
    """
    named = F.cross_entropy(judged.float(), true["word"], reduction="none") * weight
    own = pace.float().unflatten(-1, (len(LABELS), 3))[torch.arange(len(pace)), true["label"]]
    off = (own - true["goes"]) / torch.tensor(TOLERANCE, device=pace.device)
    made = F.cross_entropy(gesture.float(), true["gesture"], reduction="none") * shown
    return (named + 0.7 * off.abs().mean(-1) * there + 1.5 * made).mean()
