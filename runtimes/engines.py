"""Engines: what TensorRT builds of a graph, minutes ahead, kept for the very machine that built it."""

from __future__ import annotations

import ctypes
import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

from rmedge.errors import AbsentError
from rmedge.runtimes import cache

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Built", "Platform", "build", "built", "folder", "options", "platform"]

_NAME = 256  # bytes that a device's name may take


@dataclass(frozen=True)
class Platform:
    """What an engine holds for: another of any of these is another machine to TensorRT."""

    tensorrt: str
    cuda: str
    driver: str
    device: str


@dataclass(frozen=True)
class Built:
    """One graph's engine."""

    graph: str
    seconds: float  # that it took
    size: int  # of what is kept [bytes]
    folder: Path


def platform() -> Platform:
    """Of this machine, asked of the libraries themselves.

    Raises:
        AbsentError: one of them is not here, or does not answer.
    """
    tensorrt = _library("TensorRT", ("libnvinfer.so.10", "libnvinfer.so.8", "libnvinfer.so"))
    cuda = _library("CUDA", ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so"))
    driver = _library("CUDA's driver", ("libcuda.so.1",))
    name = ctypes.create_string_buffer(_NAME)
    _ask("CUDA's driver", driver.cuInit, 0)
    _ask("CUDA's driver", driver.cuDeviceGetName, name, _NAME, 0)
    return Platform(
        str(tensorrt.getInferLibVersion()),
        _number("CUDA", cuda.cudaRuntimeGetVersion),
        _number("CUDA's driver", driver.cuDriverGetVersion),
        name.value.decode(errors="replace"),
    )


def folder(graph: bytes, given: Mapping[str, str]) -> Path:
    """Where the engine of a graph lies, for these options on this machine."""
    key = {"graph": hashlib.sha256(graph).hexdigest(), "options": dict(given), **asdict(platform())}
    told = json.dumps(key, sort_keys=True).encode()
    return cache.home() / "engines" / hashlib.sha256(told).hexdigest()[:32]


def built(where: Path) -> bool:
    """Whether an engine is there."""
    return any(where.glob("*.engine"))


def options(where: Path, given: Mapping[str, str]) -> dict[str, str]:
    """What TensorRT must be told to look there, and to put there what it builds."""
    return {
        **given,
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(where),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(where),
    }


def build(bundle: Bundle, graphs: Sequence[str]) -> Iterator[Built]:
    """Build the engines of a bundle's graphs, one after the other, where they are not built yet.

    Raises:
        AbsentError: TensorRT is not here.
        BundleError: it cannot read a graph.
    """
    from rmedge.runtimes.session import Session, options_of  # which asks this room where engines lie

    given = options_of(bundle, "tensorrt")
    for name in graphs:
        spec, start = getattr(bundle, name), time.monotonic()
        Session(bundle.graph(name), spec.inputs, spec.outputs, "tensorrt", 1, given, build=True)
        where = folder(bundle.graph(name), given)
        if not built(where):
            raise AbsentError(
                f"engine: expected TensorRT to leave one for {name} in {where}, got none; "
                "look at what onnxruntime's TensorRT says of the graph"
            )
        size = sum(path.stat().st_size for path in where.iterdir())
        yield Built(name, time.monotonic() - start, size, where)


def _library(what: str, names: Sequence[str]) -> Any:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise AbsentError(f"{what}: expected {names[0]}, got none; install it, or choose another provider")


def _number(what: str, function: Any) -> str:
    value = ctypes.c_int()
    _ask(what, function, ctypes.byref(value))
    return str(value.value)


def _ask(what: str, function: Any, *arguments: Any) -> None:
    code = function(*arguments)
    if code:
        raise AbsentError(f"{what}: expected an answer, got its error {code}; look at nvidia-smi")
