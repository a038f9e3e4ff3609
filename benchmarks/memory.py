"""The memory of this process: what it holds, and what Python allocated and did not give back."""

from __future__ import annotations

import gc
import os
import tracemalloc
from typing import Callable

__all__ = ["resident", "traced_growth"]


def resident() -> int:
    """What the kernel keeps in memory for this process [byte]."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def traced_growth(step: Callable[[], object], steps: int, warm_up: int = 1000) -> int:
    """How much more is allocated after so many steps than before them [byte].

    The collector does not run meanwhile, as it does not in a real-time process: cycles count as growth.
    """
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    tracemalloc.start(1)
    try:
        for _ in range(warm_up):
            step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(steps):
            step()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        if collecting:
            gc.enable()
