"""Where MediaPipe lives: an interpreter of its own in the cache, because its NumPy is not ours."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rmedge.errors import AbsentError

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["COMMAND", "NEEDS", "TRAIN", "folder", "install", "interpreter", "landmark_head", "memory_head"]

NEEDS = ("mediapipe==0.10.21", "numpy<2")
COMMAND = "python -m rmedge.benchmarks.pose install"
TRAIN = "python -m rmedge.benchmarks.pose train {} --work FOLDER"


def folder() -> Path:
    """Everything that the pose pipeline keeps: its environment and the weights of its heads."""
    from rmedge.export.wheels import cache  # that room is for Python 3.11 and newer

    return cache() / "pose"


def landmark_head() -> Path:
    """Where the head on landmarks is kept."""
    return folder() / "landmark-head.npz"


def memory_head(bundle: Bundle) -> Path:
    """Where the head on this bundle's encoder is kept."""
    return folder() / f"memory-head-{hashlib.sha256(bundle.graph('encoder')).hexdigest()[:12]}.npz"


def interpreter() -> Path:
    """The interpreter that has MediaPipe.

    Raises:
        AbsentError: it was never installed.
    """
    python = _python(folder() / "mediapipe-0.10.21")
    if not python.exists():
        raise AbsentError(f"pose: expected MediaPipe in {folder()}, got none; {COMMAND}")
    return python


def install() -> Path:
    """Make that environment with pip, where it is not there yet.

    Raises:
        AbsentError: pip could not fetch MediaPipe, or this Python is none that it has a wheel for.
    """
    home = folder() / "mediapipe-0.10.21"
    if not _python(home).exists():
        partial = home.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(partial)])
        _run([str(_python(partial)), "-m", "pip", "install", "-q", *NEEDS])
        os.replace(partial, home)  # run by its path alone, so it may be moved
    return interpreter()


def _python(home: Path) -> Path:
    return home / "bin" / "python"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise AbsentError(
            f"pose: expected {' '.join(NEEDS)} for Python {sys.version_info[0]}.{sys.version_info[1]}, "
            f"got {said}; MediaPipe has wheels for 3.9 to 3.12: use one of these, and check the network"
        )
