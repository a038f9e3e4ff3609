"""Reads a stranger's directory or zip, whole and into memory, and writes zips that are always the same."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Mapping

from rmedge.errors import BundleError, InputError

__all__ = ["is_simple", "read", "unzip", "write"]

_MOST_BYTES = 512 << 20  # all files together: a ViT-B in float32 (345 MB) fits, a robot's memory holds it
_MOST_FILES = 64
_SIMPLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ENTRY = b"PK\x01\x02"  # opens every entry of a zip's directory
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest instant a zip can hold
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
)


def is_simple(name: object) -> bool:
    """Whether a name is safe as a file's: no separators, no leading dot, nothing a shell or screen minds."""
    return isinstance(name, str) and _SIMPLE.fullmatch(name) is not None


def read(path: Path) -> dict[str, bytes]:
    """Every file of a directory or zip, by name.

    Raises:
        InputError: it cannot be read or is no zip.
        BundleError: it holds more, or other things, than plain files.
    """
    try:
        if path.is_dir():
            return _read_directory(path)
        with path.open("rb") as file:
            data = file.read(min(path.stat().st_size, _MOST_BYTES) + 1)  # a cap, not a buffer
    except OSError as error:
        raise InputError(f"bundle: expected a readable path, got {str(path)!r} ({error.strerror})") from error
    return unzip(data, "bundle")


def unzip(data: bytes, what: str) -> dict[str, bytes]:
    """Every member of a zip held in memory, by name; ``what`` names it in messages."""
    if len(data) > _MOST_BYTES:
        raise _too_large(what)
    if data.count(_ENTRY) > 2 * _MOST_FILES:  # else zipfile builds an object for each; data may hold some too
        raise _too_many(what)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_members(archive, what)
    except BundleError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{what}: expected an intact zip file, got one that is damaged ({error})") from error


def write(path: Path, files: Mapping[str, bytes]) -> None:
    """Zip files so that equal files give equal bytes: sorted, undated, stored (weights hardly compress)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.create_system = 3  # Unix, on every machine
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(member, files[name])
    path.write_bytes(buffer.getvalue())


def _read_directory(path: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    room = _MOST_BYTES
    for entry in path.iterdir():
        if len(files) == _MOST_FILES:
            raise _too_many("bundle")
        if entry.is_symlink() or not entry.is_file() or not is_simple(entry.name):
            raise _not_plain("bundle", entry.name)
        with entry.open("rb") as file:
            files[entry.name] = file.read(min(entry.stat().st_size, room) + 1)
        room -= len(files[entry.name])
        if room < 0:
            raise _too_large("bundle")
    return files


def _read_members(archive: zipfile.ZipFile, what: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    room = _MOST_BYTES
    members = archive.infolist()
    if len(members) > _MOST_FILES:
        raise _too_many(what)
    if sum(member.file_size for member in members) > _MOST_BYTES:
        raise _too_large(what)
    for member in members:
        name = member.orig_filename
        kind = stat.S_IFMT(member.external_attr >> 16)  # zero where the maker was not Unix
        if not is_simple(name) or kind not in (0, stat.S_IFREG):
            raise _not_plain(what, name)
        if name in files:
            raise BundleError(f"{what}: expected each file once, got {name!r} twice; pack it again")
        if member.flag_bits & 1:
            raise BundleError(
                f"{what}: expected open files, got {name!r} encrypted; pack it again without a password"
            )
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(
                f"{what}: expected files stored or deflated, got {name!r} otherwise; pack it again"
            )
        with archive.open(member) as file:
            files[name] = file.read(room + 1)  # a cap, whatever the header promised
        room -= len(files[name])
        if room < 0:
            raise _too_large(what)
    return files


def _not_plain(what: str, name: str) -> BundleError:
    return BundleError(
        f"{what}: expected plain files with simple names (letters, digits, '.', '_', '-'), got {name!r}; "
        "remove it"
    )


def _too_large(what: str) -> BundleError:
    return BundleError(
        f"{what}: expected at most {_MOST_BYTES >> 20} MiB in all, got more; this is no bundle of ours"
    )


def _too_many(what: str) -> BundleError:
    return BundleError(f"{what}: expected at most {_MOST_FILES} files, got more; this is no bundle of ours")
