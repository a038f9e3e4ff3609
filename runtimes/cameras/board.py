"""A camera that firmware owns: it writes its frames to shared memory."""

from __future__ import annotations

import os
from typing import Any

from rmedge.clock import Clock
from rmedge.errors import RmedgeError
from rmedge.runtimes.boards import Board, fresh
from rmedge.specs import Frame

__all__ = ["BoardCamera"]

LOOK_AGAIN_NS = 500_000_000  # after so long without a frame: has its writer begun anew, with another size?


class BoardCamera:
    """Reads the ``frame`` board of a directory.

    A frame that cannot be meant - too big for its board, of the future, older than the last - is left out
    and counted. When the firmware comes back with another size of picture, its new board is found.

    Attributes:
        rejected: frames that were left out.

    Raises:
        AbsentError: there is no such board (yet).
        LayoutError: the other side lays it out otherwise.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path, self._clock = path, Clock()
        self._board = Board.open(path, "frame")
        self._newest: Frame | None = None
        self._looked_ns = 0
        self._before = 0  # frames on boards that were replaced
        self.rejected = 0

    @property
    def torn(self) -> int:
        """Frames that were not whole."""
        return self._board.torn

    def attach(self, clock: Clock) -> None:
        self._clock, self._newest, self._looked_ns = clock, None, clock.now_ns()

    def read(self, max_age_ns: int) -> Frame | None:
        if self._board.newest != self._board.sequence:  # a copy of a picture is not cheap
            self._take()
        now_ns, frame = self._clock.now_ns(), self._newest
        if frame is not None and 0 <= now_ns - frame.captured_ns <= max_age_ns:
            return frame
        if now_ns - self._looked_ns > LOOK_AGAIN_NS:
            self._looked_ns = now_ns
            self._look_again()
        return None

    def _take(self) -> None:
        record = self._board.read()
        if record is None:
            return
        now_ns, last = self._clock.now_ns(), self._newest
        captured_ns, height, width = (int(record[name]) for name in ("captured_ns", "height", "width"))
        fits = 0 < height * width * 3 <= self._board.capacity
        if fits and fresh(captured_ns, now_ns, now_ns) and (last is None or captured_ns > last.captured_ns):
            pixels = record["pixels"][: height * width * 3].reshape(height, width, 3)
            self._newest = Frame(
                pixels, min(captured_ns, now_ns), now_ns, self._before + self._board.sequence
            )
        else:
            self.rejected += 1

    def _look_again(self) -> None:
        if not self._board.replaced:
            return
        try:
            board = Board.open(self._path, "frame")
        except RmedgeError:  # on its way, or of another version: no frames, which is what is shown
            return
        self._before += self._board.sequence
        self._board.close()
        self._board = board

    def __enter__(self) -> BoardCamera:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._board.close()
