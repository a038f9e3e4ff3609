"""Policies of others: any network that gives actions, behind the contract of a bundle's policy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from rmedge.errors import UsageError
from rmedge.export.networks.sampling import Sampling, Unrolled

__all__ = ["Denoised", "Direct", "Units"]


class Units(nn.Module):
    """Means and deviations between a network's own units and ours, x = own * std + mean, kept in the graph.

    Limits are told as their middle and half their distance.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float] | torch.Tensor, std: Sequence[float] | torch.Tensor) -> None:
        super().__init__()
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32))
        if self.mean.shape != self.std.shape or not (self.std > 0).all() or not self.mean.isfinite().all():
            raise UsageError(
                "units: expected as many finite means as deviations above 0, "
                f"got {tuple(self.mean.shape)} and {tuple(self.std.shape)}; correct them"
            )

    def own(self, x: torch.Tensor) -> torch.Tensor:
        """From ours to the network's."""
        return (x - self.mean) / self.std

    def ours(self, own: torch.Tensor) -> torch.Tensor:
        """And back."""
        return own * self.std + self.mean


class Denoised(nn.Module):
    """A denoiser with the sampler that it was trained for.

    Args:
        denoiser: as `Unrolled` takes it, in its own units.
        chunk: Ta, the rows that it denoises.
        proprio, action: its units, (P,) and (Da,); none where they are ours.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        sampling: Sampling,
        chunk: int,
        proprio: Units | None = None,
        action: Units | None = None,
    ) -> None:
        super().__init__()
        self.unrolled, self.chunk = Unrolled(denoiser, sampling), chunk
        self.proprio, self.action = proprio, action

    @property
    def sampler(self) -> dict[str, object]:
        """As the manifest says it."""
        sampling = self.unrolled.sampling
        return {"name": sampling.name, "steps": sampling.steps, "seed": "per_episode"}

    @property
    def draws(self) -> int:
        """See `Sampling.draws`."""
        return self.unrolled.sampling.draws

    def forward(self, proprio: torch.Tensor, intent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """proprio (B, P), intent (B, Z), noise (B, draws * Ta, Da) to actions (B, Ta, Da)."""
        seen = proprio if self.proprio is None else self.proprio.own(proprio)
        sample = self.unrolled(seen, intent, noise)
        return sample if self.action is None else self.action.ours(sample)


class Direct(nn.Module):
    """A network that needs no noise: proprio (B, P) and intent (B, Z) to an action (B, Da) or (B, Ta, Da).

    Args:
        network: such as an MLP, or an action-chunking transformer at its latent's mean.
        chunk: Ta, the rows that it gives.
        proprio, action: its units, as `Denoised` takes them.
    """

    sampler = {"name": "regression", "steps": 1, "seed": "per_episode"}  # noqa: RUF012  (read, never written)
    draws = 1

    def __init__(
        self, network: nn.Module, chunk: int = 1, proprio: Units | None = None, action: Units | None = None
    ) -> None:
        super().__init__()
        self.network, self.chunk = network, chunk
        self.proprio, self.action = proprio, action

    def forward(self, proprio: torch.Tensor, intent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The actions (B, Ta, Da), whatever the noise (B, Ta, Da)."""
        actions = self.network(proprio if self.proprio is None else self.proprio.own(proprio), intent)
        actions = actions if self.action is None else self.action.ours(actions)
        actions = actions[:, None] if actions.ndim == 2 else actions
        if actions.shape != noise.shape:  # the sum below would stretch a shape that disagrees
            return actions
        return actions + 0.0 * noise  # an input that is not used would not be in the graph
