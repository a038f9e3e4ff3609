"""Devices of the user's own: what ``module:factory`` names."""

from __future__ import annotations

import importlib
import re
from typing import Any, Callable

from rmedge.errors import AbsentError, UsageError

__all__ = ["find", "is_own"]

_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_own(name: str) -> bool:
    """Whether it looks like ``module:factory``; ask for the names that are ours first."""
    return _NAME.fullmatch(name) is not None


def find(name: str) -> Callable[..., Any]:
    """What ``module:factory`` names: a class, or a function that makes a device.

    Raises:
        AbsentError: the module, or something that it imports, is not here.
        UsageError: there is nothing of that name in it that can be called.
    """
    path, _, factory = name.partition(":")
    try:
        module = importlib.import_module(path)
    except ImportError as error:
        raise AbsentError(
            f"device: expected a module {path!r}, got {error}; put its folder on PYTHONPATH"
        ) from error
    make = getattr(module, factory, None)
    if not callable(make):
        raise UsageError(f"device: expected something to call in {path}, got no {factory!r}; check its name")
    return make
