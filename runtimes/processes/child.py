"""A child process: told what to do in one line, tells its parent in lines, and knows when that one dies."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from rmedge.errors import IntegrityError

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Child", "Parent", "bundle_of"]

LONGEST_LINE = 1 << 20


class Parent:
    """What a child has of the process that started it: lines of JSON, one way each."""

    def __init__(self) -> None:
        self._pid = os.getppid()
        # whatever else prints in this process must not break the lines
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    @property
    def alive(self) -> bool:
        """Whether it still is; an orphan has another parent."""
        return os.getppid() == self._pid

    def orders(self) -> dict[str, Any]:
        """What this child was started for."""
        orders: dict[str, Any] = json.loads(sys.stdin.readline(LONGEST_LINE))
        return orders

    def tell(self, **what: Any) -> None:
        """One line to the parent; nobody may be there to hear it."""
        with contextlib.suppress(BrokenPipeError, ValueError):
            print(json.dumps(what), file=self._out, flush=True)


def bundle_of(orders: dict[str, Any]) -> Bundle:
    """The bundle that a child is to load.

    Raises:
        IntegrityError: it is not the one that its parent has loaded.
    """
    from rmedge.bundle import Bundle

    bundle = Bundle.load(orders["bundle"])
    if bundle.sha256 != orders["sha256"]:
        raise IntegrityError(
            f"bundle: expected {orders['sha256'][:12]}, which was loaded a moment ago, "
            f"got {bundle.sha256[:12]}; somebody is writing to {orders['bundle']}"
        )
    return bundle


class Child:
    """A module run as a process of its own, in its own session: a Ctrl-C is for its parent to handle."""

    def __init__(self, module: str, orders: dict[str, Any]) -> None:
        command = [sys.executable, "-m", module]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        self._lines: Queue[dict[str, Any]] = Queue()
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(orders) + "\n")
            self.process.stdin.close()
        except BrokenPipeError:  # it died at once; `alive` says so
            pass
        threading.Thread(target=self._listen, daemon=True, name=f"{module} lines").start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                try:
                    told = json.loads(line)
                except ValueError:
                    continue
                if isinstance(told, dict):
                    self._lines.put(told)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    @property
    def fate(self) -> str:
        """How it ended, in words."""
        code = self.process.poll()
        if code is None:
            return "it runs"
        return f"killed by signal {-code}" if code < 0 else f"it ended with exit code {code}"

    def hear(self, timeout_s: float = 0.0) -> dict[str, Any] | None:
        """The next thing that it told, waited for so long; None where it tells nothing."""
        try:
            return self._lines.get(timeout=timeout_s) if timeout_s > 0 else self._lines.get_nowait()
        except Empty:
            return None

    def end(self, timeout_s: float) -> None:
        """Wait for its end, and make one when it does not come."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
