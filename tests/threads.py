"""Waiting for other threads, and seeing that none is left."""

from __future__ import annotations

import threading
import time
from typing import Callable, Iterator

import pytest

__all__ = ["no_camera_is_left", "until"]


def until(holds: Callable[[], object]) -> None:
    """Wait for another thread, for a generous time."""
    for _ in range(10_000):
        if holds():
            return
        time.sleep(0.001)
    raise AssertionError("it never came to hold")


@pytest.fixture(autouse=True)
def no_camera_is_left() -> Iterator[None]:
    """In every test of a module that imports it."""
    yield
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("camera ")])
