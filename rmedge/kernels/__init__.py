"""Kernels: the loops over joints that run at every tick, in C where that was compiled, else in numpy.

Both give the same answers to the bit. ``RMEDGE_KERNELS=plain`` asks for numpy.
"""

from __future__ import annotations

import os

from rmedge.errors import UsageError
from rmedge.kernels.plain import FARTHEST, LIMITS, LONGEST, SHORTEST, parabola

__all__ = [
    "COMPILED",
    "FARTHEST",
    "LIMITS",
    "LONGEST",
    "SHORTEST",
    "between",
    "constant",
    "feel",
    "finite",
    "parabola",
    "passes",
    "plan",
    "steady",
]

_asked = os.environ.get("RMEDGE_KERNELS", "")
if _asked not in ("", "plain"):
    raise UsageError(f"RMEDGE_KERNELS: expected plain, or nothing for what is there, got {_asked!r}")
try:
    if _asked == "plain":
        raise ImportError
    from rmedge.kernels.compiled import between, constant, feel, finite, passes, plan, steady
except (ImportError, RuntimeError):  # none, or one that was compiled for another numpy
    from rmedge.kernels.plain import between, constant, feel, finite, passes, plan, steady

COMPILED = not hasattr(finite, "__code__")
