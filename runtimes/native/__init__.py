"""For firmware: one C99 header, ``rmedge_shm.h``, that speaks to the boards."""

from __future__ import annotations

from pathlib import Path

__all__ = ["include_dir"]


def include_dir() -> Path:
    """Where ``rmedge_shm.h`` lies: for the compiler's ``-I``."""
    return Path(__file__).parent
