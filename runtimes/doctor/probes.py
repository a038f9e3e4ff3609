"""What the doctor tries out in a process of its own, which may hang, crash, or be refused.

``python -m rmedge.runtimes.doctor.probes engine | own | kernels FILE | library NAME | fifo PRIORITY``
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import struct
import sys
from typing import Iterator

from rmedge.kernels import COMPILED

__all__ = ["main"]

# NVIDIA's container of kernels: a header, then entries, each of a header and code
_CONTAINER = struct.Struct("<IHHQ")  # magic, version, header's size, size of all entries
_MAGIC = b"\x50\xed\x55\xba"
_ENTRY = struct.Struct("<HHIQIIHHI")  # kind, -, header's size, code's size, -, -, -, -, architecture
_KINDS = {1: "ptx", 2: "sm"}


def main(what: str, *about: str) -> int:
    """Try one thing and print what came of it."""
    if what == "engine":
        print(json.dumps(engine()))
    elif what == "own":
        print("compiled" if COMPILED else "plain")
    elif what == "kernels":
        print(*sorted(set(kernels(about[0]))))
    elif what == "library":
        ctypes.CDLL(about[0])
    elif what == "fifo":
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(int(about[0])))
    return 0


def engine() -> dict[str, object]:
    """The onnxruntime that Python finds: its version, providers, folder, and the CUDA it was built for."""
    import onnxruntime

    try:
        from onnxruntime.capi import build_and_package_info as built
    except ImportError:
        built = None
    return {
        "version": onnxruntime.__version__,
        "providers": onnxruntime.get_available_providers(),
        "folder": os.path.dirname(onnxruntime.__file__),
        "cuda": getattr(built, "cuda_version", None),
    }


def kernels(path: str) -> Iterator[str]:
    """The architectures that a library has code for: ``sm_87`` for the machine's own, ``ptx_90`` for PTX."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_MAGIC)
        while at >= 0:
            yield from _container(data, at)
            at = data.find(_MAGIC, at + len(_MAGIC))


def _container(data: mmap.mmap, at: int) -> Iterator[str]:
    if at + _CONTAINER.size > len(data):
        return
    _, _, header, size = _CONTAINER.unpack_from(data, at)
    at, end = at + header, at + header + size
    if header != _CONTAINER.size or end > len(data):  # the magic number by chance
        return
    while at + _ENTRY.size <= end:
        kind, _, header, code, *_, architecture = _ENTRY.unpack_from(data, at)
        if header < _ENTRY.size:
            return
        if kind in _KINDS:
            yield f"{_KINDS[kind]}_{architecture}"
        at += header + code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
