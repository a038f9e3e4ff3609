"""Environments: interpreters of their own in the cache, for packages whose needs are not ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmedge.errors import AbsentError
from rmedge.runtimes import cache

__all__ = ["Environment", "end", "keep"]


def keep(room: str) -> Path:
    """Where a room of the benchmarks keeps what it fetched."""
    return cache.home() / room


@dataclass(frozen=True)
class Environment:
    """An interpreter with packages that would not get on with ours; made once, with pip."""

    room: str  # whose it is, in the cache and in messages
    name: str
    needs: tuple[str, ...]  # what pip is asked for
    command: str  # that makes it
    remedy: str  # what to look at where pip could not

    @property
    def folder(self) -> Path:
        return keep(self.room) / self.name

    def interpreter(self) -> Path:
        """The interpreter that has the packages.

        Raises:
            AbsentError: they were never installed.
        """
        python = _python(self.folder)
        if not python.exists():
            raise AbsentError(
                f"{self.room}: expected {self.needs[0]} in {self.folder}, got none; {self.command}"
            )
        return python

    def install(self) -> Path:
        """Make the environment, where it is not there yet.

        Raises:
            AbsentError: pip could not fetch what is needed, or not build it for this Python.
        """
        if not _python(self.folder).exists():
            partial = self.folder.with_name(f"{self.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            self._run([sys.executable, "-m", "venv", str(partial)])
            self._run([str(_python(partial)), "-m", "pip", "install", "-q", *self.needs])
            os.replace(partial, self.folder)  # run by its path alone, so it may be moved
        return self.interpreter()

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
            raise AbsentError(
                f"{self.room}: expected {' '.join(self.needs)} for Python "
                f"{sys.version_info[0]}.{sys.version_info[1]}, got {said}; {self.remedy}"
            )


def _python(home: Path) -> Path:
    return home / "bin" / "python"


def end(process: subprocess.Popen[Any]) -> None:
    """Let a worker end: it does when nobody asks any more."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
