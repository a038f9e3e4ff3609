"""The process of a peer that has an interpreter of its own: a line of JSON asked, a line answered."""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from rmedge.benchmarks.environment import end
from rmedge.errors import AbsentError

__all__ = ["Peer"]


class Peer:
    """A worker that is run by path; its first line is about itself.

    Attributes:
        about: what it said first.

    Raises:
        AbsentError: it ended instead of answering; the last thing it complained of is in the message.
    """

    def __init__(self, name: str, python: Path, script: str, *arguments: str) -> None:
        self._name = name
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (a pipe would fill)
        self._process = subprocess.Popen(
            [str(python), "-I", script, *arguments],  # nothing of ours in its way, not even by name
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
        )
        try:
            self.about = self._answer()
        except BaseException:
            self.close()
            raise

    def ask(self, samples: int) -> Any:
        """Have it take so many samples."""
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(BrokenPipeError):  # what it said of its end is read with the answer
            pipe.write(b"%d\n" % samples)
            pipe.flush()
        return self._answer()

    def close(self) -> None:
        """End it."""
        end(self._process)
        self._complaints.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def _answer(self) -> Any:
        pipe = self._process.stdout
        assert pipe is not None
        try:
            return json.loads(pipe.readline())
        except ValueError:
            self._complaints.seek(0)
            said = self._complaints.read().decode(errors="replace").strip() or "nothing"
            raise AbsentError(
                f"{self._name}: expected an answer of its worker, got {said.splitlines()[-1]}; "
                f"delete its environment and make it again"
            ) from None
