"""The projector: shows the walking person again and again on a board of frames, as firmware would."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from rmedge.benchmarks.endurance.rig import RATE_HZ, pictures
from rmedge.clock import Clock
from rmedge.rate import Rate
from rmedge.runtimes.boards import Board

__all__ = ["Projector"]


class Projector:
    """Pictures at their own rate, from a thread of this process, for the camera ``boards:FOLDER``."""

    def __init__(self, folder: Path) -> None:
        shown = pictures()
        self.name = f"boards:{folder}"
        self._board = Board.create(folder, "frame", shown[0].nbytes)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, name="projector")

    def _show(self) -> None:
        shown, record = pictures(), self._board.record
        rate, number = Rate(Clock(), round(1e9 / RATE_HZ)), 0
        record["height"], record["width"] = shown[0].shape[:2]
        while not self._over.is_set():
            record["pixels"][: shown[0].nbytes] = shown[number % len(shown)].reshape(-1)
            record["captured_ns"], record["number"] = time.monotonic_ns(), number
            self._board.publish()
            number += 1
            rate.wait()

    def __enter__(self) -> Projector:
        self._thread.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._over.set()
        self._thread.join()
        self._board.close()
