"""The grid: on what terms a policy is tried, cell by cell."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Mapping, Sequence

import numpy as np

from rmedge.benchmarks.policies.withholding import PROMPT, Withholding
from rmedge.bundle import Bundle
from rmedge.errors import UsageError
from rmedge.runtimes.perturbation import CALM, Perturbation

if TYPE_CHECKING:
    from rmedge.export.motions.phrases import Phrase

__all__ = ["CHOICES", "COMMANDS", "REFERENCE", "Cell", "asked", "captions", "cells"]

COMMANDS = (
    "stand",
    "walk forward",
    "run forward",
    "walk backward",
    "side-step left",
    "side-step right",
    "turn left",
    "turn right",
    "walk forward, turning left",
    "walk forward, turning right",
    "run forward, turning left",
    "walk backward and to the left",
)
CHOICES: Mapping[str, Callable[[str, Phrase], bool]] = {
    "commands": lambda caption, phrase: caption in COMMANDS,
    "gestures": lambda caption, phrase: phrase.gesture != "none",
    "all": lambda caption, phrase: True,
}
REFERENCE = "reference"  # the physics that others are held against


@dataclass(frozen=True)
class Cell:
    """The terms of one trial, the same for whoever is tried."""

    caption: str
    seed: int  # of the start, and of a policy's noise
    perturbation: Perturbation = CALM
    physics: str = REFERENCE
    withholding: Withholding = PROMPT


def asked(caption: str) -> Phrase:
    """What a caption asks for."""
    from rmedge.export.motions.phrases import (
        PHRASES,  # here: export needs a newer Python than reading this does
    )

    return PHRASES[caption]


def captions(bundle: Bundle, choice: str = "commands") -> list[str]:
    """The captions of a choice that a bundle knows, in its order.

    Raises:
        UsageError: it knows none of them.
    """
    from rmedge.export.motions.phrases import PHRASES

    known = [p.caption for p in bundle.intent.vocabulary if p.caption in PHRASES]
    chosen = [caption for caption in known if CHOICES[choice](caption, PHRASES[caption])]
    if not chosen:
        raise UsageError(
            f"captions: expected some of {choice} in the bundle's vocabulary, got none; try --captions all"
        )
    return chosen


def cells(
    captions: Sequence[str],
    seeds: int,
    perturbed: bool = False,
    physics: Sequence[str] = (REFERENCE,),
    withholding: Withholding = PROMPT,
) -> list[Cell]:
    """Every caption with every seed; each pair has a perturbation of its own, the same in any physics."""
    return [
        Cell(caption, seed, _drawn(caption, seed) if perturbed else CALM, name, withholding)
        for name in physics
        for seed in range(seeds)
        for caption in captions
    ]


def _drawn(caption: str, seed: int) -> Perturbation:
    return Perturbation.drawn(np.random.default_rng((seed, zlib.crc32(caption.encode()))))
