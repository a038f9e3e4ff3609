"""rmedge: a robot that watches a person, understands the motion, and does it, on its own computer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Bundle", "__version__"]
__version__ = "0.1.0"

logging.getLogger("rmedge").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name == "Bundle":  # lazily: it needs YAML, and `import rmedge` should cost nothing
        from rmedge.bundle import Bundle

        return Bundle
    raise AttributeError(f"module 'rmedge' has no attribute {name!r}")
