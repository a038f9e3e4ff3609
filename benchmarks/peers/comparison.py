"""The comparison: what a peer and rmedge took, in turns, and what has to be known to believe it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

__all__ = ["Comparison", "ratio"]


@dataclass(frozen=True)
class Comparison:
    """One peer beside rmedge."""

    title: str
    rows: Mapping[str, Mapping[str, Any]]  # who and what -> quantiles, as `statistics.summary` gives them
    figures: Mapping[str, Any] = field(default_factory=dict)  # what follows from the rows
    notes: Sequence[str] = ()


def ratio(part: Mapping[str, Any], whole: Mapping[str, Any], quantile: str = "p50") -> float | None:
    """One row by another at a quantile; None where it is not established, or of no time at all."""
    above, below = part[f"{quantile}_us"], whole[f"{quantile}_us"]
    return above / below if above is not None and below else None
