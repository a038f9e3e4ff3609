"""The eye: the first half of a network that was trained on photographs, frozen."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.watchers import imagenet

__all__ = ["FAR", "MID", "MID_STAGE", "NEAR", "Eye"]

NEAR, MID, FAR = (40, 8), (80, 16), (112, 16)  # channels, and pixels a cell, after a stage
NEAR_STAGE, MID_STAGE, FAR_STAGE = 2, 3, 4


class Eye(nn.Module):
    """Pictures (B, 3, H, W) in -1 .. 1 to maps (B, 40, H/8, W/8) and (B, 112, H/16, W/16).

    EfficientNet-Lite0 (Tan & Le 2019) up to a sixteenth of the resolution, with published ImageNet weights.

    Args:
        last: the last stage; after ``MID_STAGE`` the second maps are (B, 80, H/16, W/16).
    """

    def __init__(self, last: int = FAR_STAGE) -> None:
        super().__init__()
        network = imagenet.load()
        self.stem, self.stages = network.stem, network.stages[: last + 1]
        self.eval().requires_grad_(False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.relu6(self.stem(x))
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number == NEAR_STAGE:
                near = x
        return near, x
