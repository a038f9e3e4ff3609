"""A board: one record in shared memory, one writer, any readers; nobody ever waits for anybody."""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from rmedge.runtimes.boards.files import HEADER, SLOTS, claim, file_size, make, place, survey, translated
from rmedge.runtimes.boards.records import record_of

__all__ = ["Board"]

_NUMBER = struct.Struct("<Q")
_TRIES = 2  # a writer may overtake a reader who is interrupted at the wrong moments; seldom twice in a row


class Board:
    """A record that one process writes and others read, in a file of that name.

    The file holds a header and four slots; a slot is a sequence number, the record, and the CRC-32 of
    both. The writer fills the slots in turn. A reader takes a copy of the newest slot and believes it
    only when number and checksum agree, whatever the processor's memory order; else the one before.

    Attributes:
        record: the writer's staging record; fill its fields, then `publish`.
        sequence: number of the record that was published or read last; 0: none yet.
        torn: how often a slot had to be rejected.
    """

    def __init__(self, path: Path, file: int, capacity: int, lock: int | None = None) -> None:
        self.path, self.name, self.capacity = path, path.name, capacity
        self.sequence = self.torn = 0
        self._lock, self._identity = lock, os.fstat(file).st_ino
        self._record = record_of(self.name, capacity)
        self._size = 8 + self._record.itemsize  # what the checksum covers
        slot, size = self._size + 8, file_size(self.name, capacity)
        access = mmap.ACCESS_READ if lock is None else mmap.ACCESS_WRITE
        self._map = mmap.mmap(file, size, access=access)
        self._sequences: Any = np.ndarray(SLOTS, "<u8", self._map, HEADER.itemsize, (slot,))
        view = memoryview(self._map)
        self._slots = [view[start : start + slot] for start in range(HEADER.itemsize, size, slot)]
        self._staged = memoryview(bytearray(slot))
        self.record: Any = np.frombuffer(self._staged, self._record, 1, 8)[0]

    @classmethod
    def create(cls, path: str | os.PathLike[str], name: str, capacity: int = 0) -> Board:
        """The writer of a board; the directory and the file are made where they are not there.

        A board that a writer before us left behind is taken over, so that its readers go on; one that is
        not laid out like ours is replaced, never changed under its readers.

        Args:
            capacity: of a frame [byte].

        Raises:
            WriterError: somebody else writes to it.
            BoardError: others may write to the directory.
            AbsentError: there is no room, or no right to make it.
        """
        where = place(path, name)
        with translated(where):
            lock = claim(where)
            try:
                file = make(where, capacity)
                try:
                    board = cls(where, file, capacity, lock)
                finally:
                    os.close(file)
            except BaseException:
                os.close(lock)
                raise
        board.read()  # goes on counting where the writer before us stopped: its readers may still be there
        board.torn = 0
        return board

    @classmethod
    def open(cls, path: str | os.PathLike[str], name: str) -> Board:
        """A reader of a board.

        Raises:
            AbsentError: it is not there (yet).
            LayoutError: its writer lays it out otherwise.
            BoardError: it is not a board, or its sizes contradict each other, or others may write to it.
        """
        where = place(path, name)
        with translated(where):
            file = os.open(where, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                return cls(where, file, survey(where, file))
            finally:
                os.close(file)

    @property
    def newest(self) -> int:
        """Number of the newest record as its slot claims, unchecked: whether reading is worth while."""
        return int(self._sequences.max())

    @property
    def replaced(self) -> bool:
        """The file of that name is another one by now, or gone: open it again."""
        try:
            return os.stat(self.path).st_ino != self._identity
        except OSError:
            return True

    def read(self) -> Any:
        """A copy of the newest whole record, which nobody can write to; None: there is none.

        Never one that is older than what was read before.
        """
        for _ in range(_TRIES):
            for sequence in sorted(self._sequences.tolist(), reverse=True):
                if sequence < self.sequence or sequence == 0:
                    break
                data = bytes(self._slots[sequence % SLOTS])  # a copy first: what is checked cannot change
                if self._whole(data, sequence):
                    self.sequence = sequence
                    return np.frombuffer(data, self._record, 1, 8)[0]
                self.torn += 1
        return None

    def _whole(self, data: bytes, sequence: int) -> bool:
        (found,), (checksum,) = _NUMBER.unpack_from(data), _NUMBER.unpack_from(data, self._size)
        return bool(found == sequence and checksum == zlib.crc32(memoryview(data)[: self._size]))

    def publish(self) -> None:
        """Show the staging record to everybody; it stays as it is, for the next time."""
        sequence = self.sequence + 1
        staged, slot = self._staged, self._slots[sequence % SLOTS]
        _NUMBER.pack_into(staged, 0, sequence)
        _NUMBER.pack_into(staged, self._size, zlib.crc32(staged[: self._size]))
        slot[:8] = bytes(8)  # spares readers the checking of what is being written
        slot[8:] = staged[8:]
        slot[:8] = staged[:8]
        self.sequence = sequence

    def close(self) -> None:
        """Leave; the file stays, for readers and for the next writer."""
        if self._map.closed:
            return
        self._sequences = np.zeros(SLOTS, np.uint64)  # gives up the map; nothing is read any more
        for slot in self._slots:
            slot.release()
        self._map.close()
        if self._lock is not None:
            os.close(self._lock)

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()
