"""The axes: where on a plot a value stands, and which values are written beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Callable, Sequence, Union

import numpy as np

__all__ = ["Axis", "Linear", "Log", "round_time"]

# decades that an axis spans, and what is written within each
STEPS = ((2.2, (1,)), (1.5, (1, 3)), (0.5, (1, 2, 5)), (0.0, (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)))


def round_time(us: float) -> str:
    """A round time [us], without the digits that say how well it is known."""
    for unit, many in (("s", 1e6), ("ms", 1e3)):
        if us >= many:
            return f"{us / many:g} {unit}"
    return f"{us:g} µs" if us else "0"


@dataclass(frozen=True)
class Linear:
    """From low to high, evenly."""

    low: float
    high: float
    word: Callable[[float], str] = "{:g}".format
    most: int = 5  # steps between what is written

    def at(self, values: Any) -> Any:
        """0 at the low end, 1 at the high one; of a number, or of an array."""
        return (np.asarray(values, float) - self.low) / ((self.high - self.low) or 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Round values within, and how they read."""
        rough = (self.high - self.low) / self.most or 1.0
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * k for k in (1, 2, 5, 10) if power * k >= 0.999 * rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(k * step, self.word(k * step)) for k in range(first, last + 1)]


@dataclass(frozen=True)
class Log:
    """Positive values, by their logarithm."""

    low: float
    high: float
    word: Callable[[float], str] = round_time

    @classmethod
    def around(cls, values: Sequence[float]) -> Log:
        """With room on both sides; values of nothing or less have no place on it."""
        told = np.asarray(values, float)
        told = told[told > 0]
        return cls(0.8 * told.min(), 1.25 * told.max()) if len(told) else cls(1.0, 10.0)

    def at(self, values: Any) -> Any:
        """0 at the low end, 1 at the high one; of a number, or of an array."""
        low, high = math.log(self.low), math.log(self.high)
        return (np.log(np.maximum(values, self.low)) - low) / ((high - low) or 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Powers of ten, and values between them where there is room."""
        decades = math.log10(self.high / self.low)
        steps = next(steps for least, steps in STEPS if decades >= least)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [step * 10.0**power for power in powers for step in steps]
        return [(value, self.word(value)) for value in values if self.low <= value <= self.high]


Axis = Union[Linear, Log]
