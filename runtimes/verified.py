"""Verified: the note that a bundle's promises were kept by this machine's engine, for the gate to find."""

from __future__ import annotations

import hashlib
import json
import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rmedge.errors import UsageError
from rmedge.runtimes import cache, engines, session

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["forget", "keep", "known"]

_MACHINE = Path("/etc/machine-id")
_LONGEST = 4096  # bytes of a note


def keep(bundle: Bundle, provider: str) -> None:
    """Note that every golden vector was met on this provider.

    Raises:
        UsageError: the cache cannot be written.
        AbsentError: as `known` raises.
    """
    path, note = _note(bundle, provider)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(note), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise UsageError(
            f"cache: expected a folder that can be written, got {str(path.parent)!r} ({error.strerror}); "
            "set RMEDGE_CACHE to one"
        ) from error


def forget(bundle: Bundle, provider: str) -> None:
    """What held once does not hold any more."""
    path, _ = _note(bundle, provider)
    with suppress(FileNotFoundError):
        path.unlink()


def known(bundle: Bundle, provider: str) -> bool:
    """Whether a note says so, of this bundle, provider, engine and machine.

    Raises:
        AbsentError: the engine is not here, or cannot say its version.
    """
    path, note = _note(bundle, provider)
    try:
        with path.open(encoding="utf-8") as file:
            found = json.loads(file.read(_LONGEST))
    except (OSError, ValueError):
        return False
    return bool(found == note)


def _note(bundle: Bundle, provider: str) -> tuple[Path, dict[str, str]]:
    """Where the note lies and what it says; any other engine or machine has another one."""
    note = {
        "bundle": bundle.sha256,
        "provider": provider,
        "engine": _engine(provider),
        "machine": f"{platform.machine()} {_machine()}",
    }
    name = hashlib.sha256(json.dumps(note, sort_keys=True).encode()).hexdigest()[:32]
    return cache.home() / "verified" / f"{name}.json", note


def _engine(provider: str) -> str:
    """Versions of all that computes."""
    engine = f"onnxruntime {session.version()}"
    return engine if provider == "cpu" else f"{engine}, {engines.platform()}"


def _machine() -> str:
    """This one and no other, without telling who it is."""
    try:
        known_as = _MACHINE.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        known_as = platform.node()
    return hashlib.sha256(known_as.encode()).hexdigest()[:16]
