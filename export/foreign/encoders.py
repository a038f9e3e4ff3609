"""Encoders of others: any network that sees a picture, behind the contract of a bundle's encoder."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from rmedge.errors import UsageError
from rmedge.runtimes.features import MIDDLE, SPREAD

__all__ = ["Glimpse", "arity", "pixels"]

WHITE = 255.0


class Glimpse(nn.Module):
    """A network that sees one picture and remembers nothing, as a streaming encoder.

    Its memory (B, 1) passes through; certainty and presence are 1 unless the network gives them.

    Args:
        network: features (B, C, h, w) to an intent (B, Z) or an embedding, or to a tuple of that,
            certainty (B, 1) and presence (B, 1).
        head: from its embedding to the intent.
        mean, std: the network's normalisation of pixels from 0 to 1, one number for each of the first
            channels; features come as they are where it has none.
        image: what a bundle says of its pictures, where the network knows.
    """

    scale: torch.Tensor
    shift: torch.Tensor
    memory = 1

    def __init__(
        self,
        network: nn.Module,
        head: nn.Module | None = None,
        mean: Sequence[float] = (),
        std: Sequence[float] = (),
        image: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.head, self.image = network, head, image
        scale, shift = pixels(mean, std)
        self.colours = scale.shape[1]
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, features: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """features (B, C, h, w), state (B, 1) to intent (B, Z), certainty, presence (B, 1), next state."""
        if self.colours:
            seen = features[:, : self.colours] * self.scale + self.shift
            features = torch.cat([seen, features[:, self.colours :]], 1)
        said = self.network(features)
        first, *rest = said if isinstance(said, tuple) else (said,)
        intent = first if self.head is None else self.head(first)
        sure = 1.0 + 0.0 * intent[:, :1]  # of a number that is none nobody is sure
        certainty, presence = (*rest, *[sure] * (2 - len(rest)))
        return intent, certainty, presence, state * 1.0


def pixels(mean: Sequence[float], std: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift (1, C, 1, 1) from our features to pixels of 0 to 1 that a network normalised.

    Raises:
        UsageError: not as many means as deviations, or a deviation that is none.
    """
    means, stds = (torch.tensor(list(values), dtype=torch.float64) for values in (mean, std))
    if len(means) != len(stds) or not ((stds > 0) & means.isfinite()).all():
        raise UsageError(
            f"encoder.mean, encoder.std: expected as many finite means as deviations above 0, got "
            f"{list(mean)} and {list(std)}; correct them"
        )
    scale, shift = SPREAD / WHITE / stds, (MIDDLE / WHITE - means) / stds
    return scale.float()[None, :, None, None], shift.float()[None, :, None, None]


def arity(network: nn.Module) -> int:
    """How many inputs a network's ``forward`` must be given."""
    parameters = inspect.signature(network.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in positional and one.default is one.empty for one in parameters)
