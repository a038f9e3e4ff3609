"""Kernels: the loops over joints that run at every tick, in C where that was compiled, else in numpy.

Both give the same answers to the bit. ``RMEDGE_KERNELS=plain`` asks for numpy.
"""

from __future__ import annotations

import os

from rmedge.kernels.plain import LIMITS, parabola

__all__ = [
    "COMPILED",
    "LIMITS",
    "between",
    "constant",
    "feel",
    "finite",
    "parabola",
    "passes",
    "plan",
    "steady",
]

try:
    if os.environ.get("RMEDGE_KERNELS") == "plain":
        raise ImportError("plain ones were asked for")
    from rmedge.kernels.compiled import between, constant, feel, finite, passes, plan, steady
except (ImportError, RuntimeError):  # none, or one that was compiled for another numpy
    from rmedge.kernels.plain import between, constant, feel, finite, passes, plan, steady

COMPILED = not hasattr(finite, "__code__")
