"""Places: room on the disk, shared memory, and the container around us."""

from __future__ import annotations

import os

from rmedge.runtimes.doctor.engine import loaded
from rmedge.runtimes.doctor.finding import Finding, failure, ok, unknown, warning
from rmedge.runtimes.doctor.jetson import is_jetson
from rmedge.runtimes.doctor.system import System

__all__ = ["container", "disk", "name_of_container", "shared_memory"]

SCANT, LEAST = 1 << 30, 100 << 20  # of a disk [byte]
BOARDS = 32 << 20  # boards of one robot, four pictures of 1920 x 1080 among them [byte]
SHM = "/dev/shm"


def disk(system: System) -> Finding:
    """1 GiB free in the working folder"""
    free = system.room(".")
    if free is None:
        return unknown("nobody says how much is free here")
    told = f"{free / (1 << 30):.1f} GiB free"
    if free < LEAST:
        return failure(told, "df -h . && sudo apt clean && rm -r ~/.cache/pip")
    return ok(told) if free >= SCANT else warning(told, "df -h . && sudo apt clean && rm -r ~/.cache/pip")


def shared_memory(system: System, boards: str | None = None) -> Finding:
    """Boards lie in memory, where we may write, with 32 MiB free."""
    asked = os.path.normpath(boards or SHM)
    if boards is None and not system.glob(SHM):
        return warning("no /dev/shm: boards lie in /tmp", "sudo mount -t tmpfs tmpfs /dev/shm")
    place = asked
    while place not in ("/", ".", "") and not system.glob(place):  # the last part is made by whoever writes
        place = os.path.dirname(place)
    place = place or "."
    if not system.usable(place):
        remedy = "sudo chmod 1777 /dev/shm" if place == SHM else f"sudo chown $USER {place}"
        return failure(f"{place} may not be written to", remedy)
    free, kind = system.room(place), _filesystem(system, place)
    if free is None:
        return unknown(f"nobody says how much is free in {place}")
    told = f"{asked}: {free / (1 << 20):.0f} MiB free"
    if kind not in ("tmpfs", "ramfs", None):
        return warning(f"{told}, on {kind}: a write may wait for the disk", "choose a directory in /dev/shm")
    if free < BOARDS:
        return warning(told, f"ls -l {place}, and remove what is left over; docker run --shm-size=256m")
    return ok(told) if kind else unknown(f"{told}; on what, nobody says")


def _filesystem(system: System, place: str) -> str | None:
    """The kind of file system that a path lies on."""
    best, kind = "", None
    for line in (system.read("/proc/mounts") or "").splitlines():
        parts = line.split()
        if (
            len(parts) > 2
            and (place + "/").startswith(parts[1].rstrip("/") + "/")
            and len(parts[1]) >= len(best)
        ):
            best, kind = parts[1], parts[2]
    return kind


def container(system: System) -> Finding:
    """A container has the GPU's devices, where onnxruntime has CUDA."""
    kind = name_of_container(system)
    if kind is None:
        return ok("none")
    engine = loaded(system)
    patterns = ("/dev/nvidia[0-9]*", "/dev/nvhost-gpu", "/dev/nvgpu/*", "/dev/nvmap")
    if (
        engine is not None
        and "CUDAExecutionProvider" in engine.providers
        and not any(map(system.glob, patterns))
    ):
        flag = "--runtime nvidia" if is_jetson(system) else "--gpus all"
        return warning(f"{kind}, and no GPU in it", f"docker run {flag}")
    return ok(kind)


def name_of_container(system: System) -> str | None:
    """Who made the container that we are in; None: we are in none."""
    if system.glob("/.dockerenv"):
        return "docker"
    if system.glob("/run/.containerenv"):
        return "podman"
    groups = system.read("/proc/1/cgroup") or ""
    inside = next((kind for kind in ("kubepods", "docker", "lxc", "containerd") if kind in groups), None)
    return inside or system.env.get("container") or None
