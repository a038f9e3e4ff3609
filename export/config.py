"""Configurations: a YAML file that says what `build.build` is told, every field checked before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmedge import document
from rmedge.bundle import Bundle
from rmedge.errors import BundleError, InputError, UsageError
from rmedge.export.build import Formats, build
from rmedge.export.draft import Network
from rmedge.export.foreign.sources import Sources, mapping
from rmedge.fields import Fields, Kind, choice, text

__all__ = ["Config", "read"]


@dataclass(frozen=True)
class Config:
    """What is to be built, with its networks loaded."""

    networks: Mapping[str, Network]  # by graph
    out: Path | None
    closed_loop: bool
    told: Mapping[str, Any]  # base, spec, precision and so on, as `build` takes them

    def build(self, out: Path, **more: Any) -> Bundle:
        """What `build.build` makes of it."""
        told: dict[str, Any] = {**self.networks, **self.told, **more}
        return build(out, **told)


def read(path: Path, trust: bool = False) -> Config:
    """A configuration; paths in it start where it lies.

    Args:
        trust: whether it may name Python code of its own, which is then run.

    Raises:
        InputError: it cannot be read.
        UsageError: a field is not what it must be; it is named.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"config: expected a file that can be read, got {str(path)!r} ({error.strerror})"
        ) from error
    try:
        return _config(Fields(document.parse(data, path.name), "config"), Sources(path.parent, trust))
    except BundleError as error:  # so are they called where they are a bundle's
        raise UsageError(str(error)) from error


def _config(fields: Fields, sources: Sources) -> Config:
    """All of it; networks are loaded last."""
    readers = {"encoder": sources.encoder, "policy": sources.policy, "readout": sources.readout}
    nothing: Any = {}

    def files(value: Any, path: str) -> dict[str, Path]:
        return {name: sources.file(told, f"{path}.{name}") for name, told in mapping(value, path).items()}

    with fields:
        base = fields.take_or("base", text, "g1-mirror")
        told: dict[str, Any] = {
            "base": base if base in Bundle.names() else sources.folder / base,
            "spec": fields.take_or("spec", mapping, nothing),
            "precision": fields.take_or("precision", _either(text), "auto"),
            "calibration": fields.take_or("calibration", files, nothing),
            "target": fields.take_or("target", text, "cpu-x86"),
            "budget": fields.take_or("budget", mapping, nothing),
        }
        out = fields.take_or("out", text, "")
        closed_loop = fields.take_or("closed_loop", choice(True, False), False)
        sections = {name: fields.take_or(name, Fields, None) for name in readers}
    Formats(told["precision"], told["budget"], told["target"])
    networks = {name: readers[name](section) for name, section in sections.items() if section is not None}
    return Config(networks, sources.folder / out if out else None, closed_loop, told)


def _either(kind: Kind[Any]) -> Kind[Any]:
    """One value for all, or a mapping of them."""

    def read(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {name: kind(told, f"{path}.{name}") for name, told in value.items()}
        return kind(value, path)

    return read
