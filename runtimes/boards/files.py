"""Where boards lie: their directory, their headers, and the lock that only one writer can have."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import Any, Iterator

import numpy as np

from rmedge.errors import AbsentError, BoardError, LayoutError, UsageError, WriterError
from rmedge.runtimes.boards.records import CAPACITY, RECORDS, VERSION, fingerprint, record_of

__all__ = [
    "HEADER",
    "MAGIC",
    "SLOTS",
    "claim",
    "file_size",
    "home",
    "make",
    "memory",
    "place",
    "survey",
    "translated",
]

HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u4"),
        ("slots", "<u4"),
        ("fingerprint", "<u8"),
        ("record_size", "<u8"),
        ("capacity", "<u8"),
        ("name", "S16"),
        ("reserved", "<u8"),
    ]
)
MAGIC = b"RMEDGESM"
SLOTS = 4  # a reader may be three records slow before the one that it reads is written over


def memory() -> Path:
    """A place in memory, where the system has one."""
    base = Path("/dev/shm")
    return base if os.access(base, os.W_OK) else Path("/tmp")


def home() -> Path:
    """Where boards lie when nobody says: one directory a user."""
    return memory() / f"rmedge-{os.geteuid()}"


def place(path: str | os.PathLike[str], name: str) -> Path:
    """The file of a board.

    Raises:
        UsageError: there is no such board, or no directory is named.
    """
    if not os.fspath(path):
        raise UsageError("boards: expected a directory, got none; name one, as in boards:/dev/shm/robot")
    if name not in RECORDS:
        raise UsageError(f"board: expected one of {', '.join(RECORDS)}, got {name!r}")
    return Path(path) / name


def file_size(name: str, capacity: int) -> int:
    """Header and slots: each a sequence number, the record, its checksum [byte]."""
    return HEADER.itemsize + SLOTS * (record_of(name, capacity).itemsize + 16)


@contextlib.contextmanager
def translated(where: Path) -> Iterator[None]:
    """The system's refusals as ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise AbsentError(
            f"{where.name}: expected a board in {str(where.parent)!r}, got none; start its writer first"
        ) from error
    except OSError as error:  # no right, no room, a link where a file was expected
        raise AbsentError(
            f"{where.name}: expected a board in {str(where.parent)!r}, got: {error.strerror}; "
            "choose a directory of your own that has room"
        ) from error


def claim(where: Path) -> int:
    """The writer's lock, which the system takes back at its death; returns its open file.

    Raises:
        WriterError: somebody else has it.
    """
    os.makedirs(where.parent, 0o700, exist_ok=True)
    _check_folder(where)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(where.with_name(f"{where.name}.lock"), flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        writer = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
        os.close(lock)
        raise WriterError(
            f"{where.name}: expected no other writer in {str(where.parent)!r}, got process {writer}; "
            "stop it, or use another directory"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    return lock


def make(where: Path, capacity: int) -> int:
    """The file of a board to write to, open: the one that is there if it is ours to the byte, else a new one.

    A new one takes the other's place at once and whole: nobody sees half a header, and who still reads
    the old one keeps it.

    Raises:
        UsageError: a frame without a capacity, or anything else with one.
    """
    name = where.name
    if not (0 < capacity <= CAPACITY if name == "frame" else capacity == 0):
        wanted = f"1 to {CAPACITY}" if name == "frame" else "0"
        raise UsageError(f"{name}: expected a capacity of {wanted} bytes, got {capacity}")
    header, size = _header(name, capacity), file_size(name, capacity)
    with contextlib.suppress(OSError):
        file = os.open(where, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        found = os.fstat(file)
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_size == size
        if ours and os.pread(file, len(header), 0) == header:
            return file
        os.close(file)
    new = where.with_name(f"{where.name}.new")  # nobody else's: we have the lock
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(file, 0, size)  # where there is no room, writing to the map would kill us later
        os.pwrite(file, header, 0)
        os.rename(new, where)
    except BaseException:
        os.close(file)
        os.unlink(new)
        raise
    return file


def survey(where: Path, file: int) -> int:
    """Believe nothing that an open board says of itself before it is checked; returns its capacity [byte].

    Raises:
        LayoutError: its writer lays it out otherwise.
        BoardError: it is not a board, or its sizes contradict each other, or others may write to it.
    """
    _check_folder(where)
    found = os.fstat(file)
    if not (stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()):
        raise BoardError(f"{where.name}: expected a file of our own, got another's; remove {str(where)!r}")
    data = os.pread(file, HEADER.itemsize, 0)
    header: Any = np.frombuffer(data.ljust(HEADER.itemsize, b"\0"), HEADER)[0]
    name, capacity = where.name, int(header["capacity"])
    if header["magic"] != MAGIC:
        raise BoardError(f"{name}: expected a board, got another file; remove {str(where)!r}")
    if header["version"] != VERSION:
        raise LayoutError(
            f"{name}: expected layout version {VERSION}, got {header['version']}; "
            "build both sides with the same rmedge"
        )
    if header["fingerprint"] != fingerprint(name) or header["name"] != name.encode():
        raise LayoutError(
            f"{name}: expected layout {fingerprint(name):016x}, got {header['fingerprint']:016x}; "
            "build both sides with the same rmedge"
        )
    fits = 0 < capacity <= CAPACITY if name == "frame" else capacity == 0
    if not (fits and data == _header(name, capacity) and found.st_size == file_size(name, capacity)):
        raise BoardError(
            f"{name}: expected sizes that agree, got a record of {header['record_size']} bytes, capacity "
            f"{capacity}, in a file of {found.st_size}; remove {str(where)!r} and start its writer again"
        )
    return capacity


def _header(name: str, capacity: int) -> bytes:
    size = record_of(name, capacity).itemsize
    told = (MAGIC, VERSION, SLOTS, fingerprint(name), size, capacity, name.encode(), 0)
    return np.array([told], HEADER).tobytes()


def _check_folder(where: Path) -> None:
    found = os.stat(where.parent)
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise BoardError(
            f"{where.name}: expected a directory that only we can write to, got {str(where.parent)!r} of "
            f"user {found.st_uid}, mode {stat.S_IMODE(found.st_mode):o}; choose another one"
        )
