"""The context: on what machine, with which versions, was something measured?"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from pathlib import Path
from typing import Any, Mapping

import rmedge
from rmedge import kernels
from rmedge.runtimes.doctor import System, ThisSystem
from rmedge.runtimes.doctor.gpu import name_of_gpu
from rmedge.runtimes.doctor.jetson import clock_bounds, mode_name
from rmedge.runtimes.doctor.places import name_of_container

__all__ = ["commit", "context", "facts"]

LIBRARIES = (
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-python",
    "opencv-python-headless",
    "av",
    "mujoco",
)
# what decides which kernels an engine has for this processor
FLAGS = (
    *("avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve"),
)
VIRTUAL = ("KVM", "QEMU", "VirtualBox", "VMware", "Virtual Machine", "Google Compute Engine", "Amazon EC2")


def context(system: System | None = None) -> dict[str, Any]:
    """The machine and what runs on it; what cannot be found out is None. No host's name is in it."""
    system = ThisSystem() if system is None else system
    about = (system.read("/proc/cpuinfo") or "").splitlines()
    told: dict[str, Any] = {
        "machine": _machine(system),
        "processor": _processor(about),
        "cpu_flags": _flags(about),
        "architecture": system.machine,
        "cores": _cores(about) or os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_gb": _memory_gb(system),
        "governor": system.read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "clocks_locked": _locked(system),
        "power_mode": mode_name(system),
        "container": name_of_container(system),
        "virtual_machine": _virtual_machine(system, about),
        "kernel": system.read("/proc/sys/kernel/osrelease") or platform.release(),
        "system": platform.platform(),
        "python": ".".join(map(str, system.python)),
        "own_kernels": "compiled" if kernels.COMPILED else "plain",
        "libraries": {"rmedge": rmedge.__version__, **_libraries(system)},
        "load_average": _load(system),
        "swap": _swap(system),
        "gpu": name_of_gpu(system),
    }
    told["machine_id"] = _identity(told)
    return told


def facts(context: Mapping[str, Any]) -> dict[str, str]:
    """The same in words, without what nobody knows."""
    told = {**context, **context.get("libraries", {})}
    return {
        name.replace("_gb", " [GB]").replace("_", " "): _words(value)
        for name, value in told.items()
        if name != "libraries" and value not in (None, [])
    }


def commit(system: System | None = None) -> str | None:
    """Of the checkout that rmedge runs from, with a ``+`` where it was changed; None: it is installed."""
    system = ThisSystem() if system is None else system
    home = str(Path(__file__).resolve().parents[1])
    told = system.run("git", "-C", home, "rev-parse", "--show-toplevel", "HEAD")
    if told is None or told.code != 0:
        return None
    top, _, head = told.out.partition("\n")
    if Path(top) != Path(home):  # installed somewhere below a checkout of something else
        return None
    changed = system.run("git", "-C", home, "status", "--porcelain", "--untracked-files=no")
    return head + ("+" if changed is not None and changed.out else "")


def _words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "  ".join(f"{part:.2f}" if isinstance(part, float) else str(part) for part in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _identity(told: Mapping[str, Any]) -> str:
    """The same for two machines of one kind, on which figures may be compared."""
    same = ("machine", "processor", "architecture", "cores", "gpu")
    memory = round(told["memory_gb"] or 0)  # the kernel keeps a little more or less of it for itself
    key = "\n".join([*(str(told[name]) for name in same), str(memory)])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _machine(system: System) -> str:
    """The board, as its firmware calls it."""
    parts = (system.read(f"/sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name"))
    return system.read("/proc/device-tree/model") or " ".join(part for part in parts if part) or "unknown"


def _fields(about: list[str], *names: str) -> list[str]:
    """What /proc/cpuinfo says under these names."""
    pairs = (line.partition(":") for line in about)
    return [value.strip() for name, _, value in pairs if name.strip() in names]


def _processor(about: list[str]) -> str | None:
    """The CPU's name, as the kernel gives it; an ARM core has but numbers."""
    named = _fields(about, "model name", "Model", "Hardware")
    if named:
        return named[0]
    numbers = [_fields(about, f"CPU {name}")[:1] for name in ("implementer", "part", "variant", "revision")]
    return "ARM " + " ".join(each[0] for each in numbers) if all(numbers) else platform.processor() or None


def _flags(about: list[str]) -> list[str]:
    has = set(" ".join(_fields(about, "flags", "Features")[:1]).split())
    return [flag for flag in FLAGS if flag in has]


def _cores(about: list[str]) -> int:
    return len(_fields(about, "processor"))


def _memory_gb(system: System) -> float | None:
    found = re.search(r"MemTotal:\s*(\d{1,12}) kB", system.read("/proc/meminfo") or "")
    return round(int(found.group(1)) / (1 << 20), 1) if found else None


def _libraries(system: System) -> dict[str, str]:
    return {name: system.packages[name] for name in LIBRARIES if name in system.packages}


def _locked(system: System) -> bool | None:
    """Whether no clock that can be read may change; None: none can be read."""
    bounds = [(system.read(low), system.read(high)) for low, high in clock_bounds(system).items()]
    if not bounds or any(None in pair for pair in bounds):
        return None
    return all(low == high for low, high in bounds)


def _virtual_machine(system: System, about: list[str]) -> str | None:
    machine = _machine(system)
    known = next((name for name in VIRTUAL if name in machine), None)
    inside = "hypervisor" in " ".join(_fields(about, "flags")[:1]).split()
    return known or system.read("/sys/hypervisor/type") or ("unknown" if inside else None)


def _load(system: System) -> list[float] | None:
    found = re.match(r"([\d.]{1,9}) ([\d.]{1,9}) ([\d.]{1,9}) ", system.read("/proc/loadavg") or "")
    return [float(part) for part in found.groups()] if found else None


def _swap(system: System) -> str | None:
    """Where pages may be put that a tick then waits for."""
    lines = (system.read("/proc/swaps") or "").splitlines()
    return (", ".join(line.split()[0] for line in lines[1:] if line) or "none") if lines else None
