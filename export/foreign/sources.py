"""Sources: where the networks of a configuration come from, and how each is made ready to export."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from torch import nn

from rmedge.errors import AbsentError, InputError, UsageError
from rmedge.export.draft import Network
from rmedge.export.foreign import hugging_face, weights
from rmedge.export.foreign.encoders import Glimpse
from rmedge.export.foreign.policies import Denoised, Direct, Units
from rmedge.export.networks.sampling import Sampling, Schedule
from rmedge.fields import Fields, choice, count, number, positive, text

__all__ = ["Sources", "mapping"]

SOURCES = ("hugging_face", "class", "onnx")


class Sources:
    """Loads what sections of a configuration name.

    Args:
        folder: where paths in it start.
        trust: whether it may name Python code of its own, which is then run.
    """

    def __init__(self, folder: Path, trust: bool) -> None:
        self.folder, self.trust = folder, trust

    def file(self, value: Any, path: str) -> Path:
        """A file or folder that is there."""
        found = self.folder / text(value, path)
        if not found.exists():
            raise InputError(f"{path}: expected a file or folder, got {str(found)!r}, which is not there")
        return found

    def encoder(self, fields: Fields) -> Network:
        """Of Hugging Face, a class of somebody's, or an ONNX file; its normalisation and head within."""
        with fields:
            kind, source = self._source(fields, SOURCES)
            if kind == "hugging_face":
                here = self.folder / source
                download = fields.take_or("download", choice(True, False), False)
                return hugging_face.load(str(here if here.is_dir() else source), self._head(fields), download)
            if kind == "onnx":
                return self.file(source, f"{fields.path}.onnx").read_bytes()
            network = self._network(fields, source)
            nothing: list[float] = []
            mean, std = (fields.take_or(name, _numbers, nothing) for name in ("mean", "std"))
            head = self._head(fields)
            return Glimpse(network, head, mean, std) if mean or std or head is not None else network

    def policy(self, fields: Fields) -> Network:
        """A class of somebody's, or an ONNX file; its units and sampler within."""
        with fields:
            kind, source = self._source(fields, SOURCES[1:])
            if kind == "onnx":
                return self.file(source, f"{fields.path}.onnx").read_bytes()
            network = self._network(fields, source)
            units = {name: fields.take_or(name, _units, None) for name in ("proprio", "action")}
            chunk = fields.take_or("chunk", count, 0)
            sampling = fields.take_or("sampler", _sampling, None)
            if sampling is not None:
                return Denoised(network, sampling, count(chunk, f"{fields.path}.chunk"), **units)
            return Direct(network, chunk or 1, **units) if chunk or any(units.values()) else network

    def readout(self, fields: Fields) -> Network:
        """A class of somebody's, or an ONNX file."""
        with fields:
            kind, source = self._source(fields, SOURCES[1:])
            if kind == "onnx":
                return self.file(source, f"{fields.path}.onnx").read_bytes()
            return self._network(fields, source)

    def _source(self, fields: Fields, kinds: tuple[str, ...]) -> tuple[str, str]:
        """Where a network comes from: exactly one of these."""
        given = {kind: fields.take_or(kind, text, "") for kind in kinds}
        named = {kind: source for kind, source in given.items() if source}
        if len(named) != 1:
            raise UsageError(
                f"{fields.path}: expected one of {', '.join(kinds)}, "
                f"got {' and '.join(named) or 'none'}; name one"
            )
        return next(iter(named.items()))

    def _head(self, fields: Fields) -> nn.Module | None:
        """A linear layer from a file with ``weight`` (Z, E) and perhaps ``bias`` (Z,)."""
        path = fields.take_or("head", self.file, None)
        if path is None:
            return None
        found = weights.read(path)
        weight = found.get("weight")
        if weight is None or weight.ndim != 2 or set(found) - {"weight", "bias"}:
            raise UsageError(
                f"{fields.path}.head: expected weight (Z, E) and perhaps bias (Z,), "
                f"got {weights.some(found)}; save one torch.nn.Linear"
            )
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in found)
        weights.load(layer, path)
        return layer

    def _network(self, fields: Fields, named: str) -> nn.Module:
        """An instance of a class of somebody's, with its weights."""
        made = self._class(named, f"{fields.path}.class")
        nothing: dict[str, Any] = {}
        arguments = fields.take_or("arguments", mapping, nothing)
        try:
            network = made(**arguments)
        except Exception as error:  # whatever a stranger's class raises
            raise UsageError(
                f"{fields.path}.arguments: expected those of {made.__name__}, got {type(error).__name__}: "
                f"{error}; correct them"
            ) from error
        weights.load(network, fields.take("weights", self.file))
        return network

    def _class(self, named: str, path: str) -> type[nn.Module]:
        """``package.module:Class``, or ``file.py:Class`` beside the configuration."""
        if not self.trust:
            raise UsageError(
                f"{path}: expected --trust for code of its own, got {named!r}; read that code, then add it"
            )
        module, _, name = named.rpartition(":")
        try:
            if module.endswith(".py"):
                found = importlib.util.spec_from_file_location(Path(module).stem, self.folder / module)
                assert found is not None and found.loader is not None
                loaded = importlib.util.module_from_spec(found)
                found.loader.exec_module(loaded)
            else:
                loaded = importlib.import_module(module)
        except (ImportError, OSError, ValueError) as error:
            raise AbsentError(
                f"{path}: expected an installed module or a file beside the configuration, "
                f"got {module!r}: {error}; install it, or correct the path"
            ) from error
        made = getattr(loaded, name, None)
        if not (isinstance(made, type) and issubclass(made, nn.Module)):
            raise UsageError(f"{path}: expected a torch.nn.Module's class, got {named!r}; name one")
        return made


def mapping(value: Any, path: str) -> dict[str, Any]:
    """Names and whatever they mean."""
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a mapping, got {value!r}; correct it")
    return value


def _numbers(value: Any, path: str) -> list[float]:
    if not isinstance(value, list):
        raise UsageError(f"{path}: expected a list of numbers, got {value!r}; correct it")
    return [number(one, f"{path}[{index}]") for index, one in enumerate(value)]


def _units(value: Any, path: str) -> Units:
    with Fields(value, path) as fields:
        return Units(fields.take("mean", _numbers), fields.take("std", _numbers))


def _sampling(value: Any, path: str) -> Sampling:
    with Fields(value, path) as fields:
        return Sampling(
            name=fields.take("name", text),
            steps=fields.take("steps", count),
            prediction=fields.take("prediction", text),
            schedule=fields.take_or("schedule", _schedule, None),
            clip=fields.take_or("clip", positive, None),
            spacing=fields.take_or("spacing", text, "leading"),
        )


def _schedule(value: Any, path: str) -> Schedule:
    usual = Schedule()
    with Fields(value, path) as fields:
        betas = fields.take(
            "betas", lambda told, at: _numbers(told, at) if isinstance(told, list) else text(told, at)
        )
        return Schedule(
            betas=betas,
            train_steps=fields.take("train_steps", count),
            start=fields.take_or("start", positive, usual.start),
            end=fields.take_or("end", positive, usual.end),
        )
