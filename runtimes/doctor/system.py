"""The one seam through which the doctor sees a computer, and this computer behind it."""

from __future__ import annotations

import contextlib
import glob
import os
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import Mapping, Protocol, Sequence

__all__ = ["Answer", "System", "ThisSystem"]

PATIENCE_S = 60.0  # for Python: the slowest loads onnxruntime from an SD card
PROMPT_S = 10.0  # for the system's programs
LONGEST = 1 << 20  # bytes of a file, characters of an answer: whatever is longer says nothing new


@dataclass(frozen=True)
class Answer:
    """What a program said."""

    code: int | None  # None: it did not end in time
    out: str = ""
    err: str = ""


class System(Protocol):
    """A computer, as far as the doctor looks at it; nothing here raises or hangs."""

    @property
    def python(self) -> tuple[int, int, int]:
        """The interpreter's version."""

    @property
    def machine(self) -> str:
        """The processor's kind, such as aarch64."""

    @property
    def env(self) -> Mapping[str, str]:
        """The environment's variables."""

    @property
    def packages(self) -> Mapping[str, str]:
        """Versions of what is installed for this Python, by lower-case name."""

    def read(self, path: str) -> str | None:
        """A text file without the white space and zeros around it; None: it cannot be read."""

    def glob(self, pattern: str) -> list[str]:
        """The paths that match, sorted; of a path without wildcards whether it is there."""

    def usable(self, path: str) -> bool:
        """Whether we may read and write there."""

    def room(self, path: str) -> int | None:
        """What is free there [byte]; None: nobody knows."""

    def run(self, *argv: str) -> Answer | None:
        """A program's answer; ``python`` is this interpreter; None: there is no such program."""


class ThisSystem:
    """This computer; a program is asked once, however many checks want to know."""

    def __init__(self) -> None:
        self.python = (sys.version_info[0], sys.version_info[1], sys.version_info[2])
        self.machine = platform.machine()
        self.env: Mapping[str, str] = dict(os.environ)
        self.packages: Mapping[str, str] = _packages()
        self._answers: dict[tuple[str, ...], Answer | None] = {}

    def read(self, path: str) -> str | None:
        try:
            with open(path, "rb") as file:
                return file.read(LONGEST).decode("utf-8", "replace").strip("\0\r\n\t ")
        except (OSError, ValueError):
            return None

    def glob(self, pattern: str) -> list[str]:
        return sorted(glob.glob(pattern))

    def usable(self, path: str) -> bool:
        return os.access(path, os.R_OK | os.W_OK)

    def room(self, path: str) -> int | None:
        try:
            about = os.statvfs(path)
        except OSError:
            return None
        return about.f_bavail * about.f_frsize

    def run(self, *argv: str) -> Answer | None:
        if argv not in self._answers:
            self._answers[argv] = self._ask(argv)
        return self._answers[argv]

    def _ask(self, argv: Sequence[str]) -> Answer | None:
        program = sys.executable if argv[0] == "python" else argv[0]
        # answers are read in English; some programs lie where an ordinary PATH does not lead
        path = os.pathsep.join((self.env.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
        env = {**self.env, "LC_ALL": "C", "PATH": path}
        patience_s = PATIENCE_S if argv[0] == "python" else PROMPT_S
        try:
            process = subprocess.Popen(
                [program, *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=env,
                start_new_session=True,  # so that its children can be ended with it
            )
        except (OSError, ValueError):
            return None
        try:
            said = process.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            return Answer(None)
        finally:
            _end(process)
        out, err = (text[:LONGEST].decode("utf-8", "replace").strip() for text in said)
        return Answer(process.returncode, out, err)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let go of a program; one that a broken driver holds in the kernel does not even die when killed."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _packages() -> dict[str, str]:
    found: dict[str, str] = {}
    for each in metadata.distributions():
        name = each.metadata["Name"]  # None in what a broken uninstall left behind
        if name:
            found.setdefault(name.lower().replace("_", "-"), each.version or "")
    return found
