"""Where MediaPipe lives: an interpreter of its own in the cache, because its NumPy is not ours."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from rmedge.benchmarks.environment import Environment, keep

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = [
    "COMMAND",
    "MEDIAPIPE",
    "TRAIN",
    "folder",
    "install",
    "interpreter",
    "landmark_head",
    "memory_head",
]

COMMAND = "python -m rmedge.benchmarks.pose install"
TRAIN = "python -m rmedge.benchmarks.pose train {} --work FOLDER"
MEDIAPIPE = Environment(
    "pose",
    "mediapipe-0.10.21",
    ("mediapipe==0.10.21", "numpy<2"),
    COMMAND,
    "MediaPipe has wheels for 3.9 to 3.12: use one of these, and check the network",
)


def folder() -> Path:
    """Everything that the pose pipeline keeps: its environment and the weights of its heads."""
    return keep("pose")


def landmark_head() -> Path:
    """Where the head on landmarks is kept."""
    return folder() / "landmark-head.npz"


def memory_head(bundle: Bundle) -> Path:
    """Where the head on this bundle's encoder is kept."""
    return folder() / f"memory-head-{hashlib.sha256(bundle.graph('encoder')).hexdigest()[:12]}.npz"


interpreter, install = MEDIAPIPE.interpreter, MEDIAPIPE.install
