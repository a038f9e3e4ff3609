"""The cache: where this user's machine keeps what can be made or fetched again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["home"]


def home() -> Path:
    """``$RMEDGE_CACHE``, or the folder of rmedge in the user's own; it may not be there yet."""
    own = os.environ.get("RMEDGE_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rmedge"
