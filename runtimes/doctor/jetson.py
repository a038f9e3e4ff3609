"""A Jetson: which one, with what system, and whether it may run as fast as it can."""

from __future__ import annotations

import re

from rmedge.runtimes.doctor.finding import Finding, failure, not_here, ok, unknown, warning
from rmedge.runtimes.doctor.system import System

__all__ = [
    "ARCHITECTURES",
    "chip",
    "clock_bounds",
    "clocks",
    "is_jetson",
    "jetpack",
    "mode_name",
    "power",
    "wheel",
]

ARCHITECTURES = {"tegra194": 72, "tegra234": 87}  # Xavier, Orin; newer ones have an nvidia-smi that tells
# by L4T's release: JetPack, its Python, where builds of onnxruntime with CUDA are
SYSTEMS = {
    34: (5, (3, 8), "https://elinux.org/Jetson_Zoo#ONNX_Runtime"),
    35: (5, (3, 8), "https://elinux.org/Jetson_Zoo#ONNX_Runtime"),
    36: (6, (3, 10), "https://pypi.jetson-ai-lab.io/jp6/cu126"),
    38: (7, (3, 12), ""),
}


def is_jetson(system: System) -> bool:
    """Whether this is one; a container may hide some of the signs."""
    return (
        "nvidia,tegra" in (system.read("/proc/device-tree/compatible") or "")
        or bool(system.glob("/etc/nv_tegra_release"))
        or (system.read("/proc/sys/kernel/osrelease") or "").endswith("-tegra")
    )


def chip(system: System) -> str | None:
    """tegra194 or tegra234; None: another one, or nobody says."""
    compatible = system.read("/proc/device-tree/compatible") or ""
    return next((name for name in ARCHITECTURES if name in compatible), None)


def release(system: System) -> tuple[int, str] | None:
    """L4T's: 35 and "35.4.1"."""
    text = system.read("/etc/nv_tegra_release") or ""
    found = re.search(r"R(\d{1,3}) \(release\), REVISION: ([\d.]{1,12})", text)
    return (int(found.group(1)), f"{found.group(1)}.{found.group(2)}") if found else None


def wheel(system: System) -> str:
    """How to get an onnxruntime with CUDA for this Jetson."""
    known = release(system)
    version, _, where = SYSTEMS.get(known[0] if known else 0, (0, (0, 0), ""))
    if version == 5:
        return f"pip install the onnxruntime_gpu wheel for JetPack 5 from {where}"
    if where:
        return f"pip install onnxruntime-gpu --index-url {where}"
    return "pip install NVIDIA's onnxruntime-gpu wheel for this JetPack"


def jetpack(system: System) -> Finding:
    """JetPack 5, 6 or 7, and the Python that its wheels are made for."""
    if not is_jetson(system):
        return not_here("no Jetson")
    known = release(system)
    if known is None:
        return unknown("/etc/nv_tegra_release is not there; in a container, ask on the host")
    number, name = known
    if number < 34:
        return failure(
            f"L4T {name} (JetPack 4 or older)", "flash JetPack 5 or newer with NVIDIA's SDK Manager"
        )
    if number not in SYSTEMS:
        return unknown(f"L4T {name}, newer than this doctor")
    version, python, _ = SYSTEMS[number]
    if system.python[:2] != python:
        ours, theirs = (".".join(map(str, pair)) for pair in (system.python[:2], python))
        return warning(
            f"L4T {name} (JetPack {version}), whose wheels are for Python {theirs}; this is {ours}",
            f"python{theirs} -m venv .venv, and install there; on the CPU any Python will do",
        )
    return ok(f"L4T {name} (JetPack {version})")


def mode_name(system: System) -> str | None:
    """nvpmodel's mode, such as MAXN; None: no Jetson, or nobody says."""
    if not is_jetson(system):
        return None
    answer = system.run("nvpmodel", "-q")
    said = re.search(r"NV Power Mode:\s*(\S+)", answer.out if answer else "")
    kept = re.search(r"pmode:0*(\d+)", system.read("/var/lib/nvpmodel/status") or "")
    return said.group(1) if said else (dict(_modes(system)).get(kept.group(1)) if kept else None)


def _modes(system: System) -> list[tuple[str, str]]:
    """Numbers and names of nvpmodel's modes."""
    return re.findall(r"^<\s*POWER_MODEL ID=(\d+) NAME=(\S+)", system.read("/etc/nvpmodel.conf") or "", re.M)


def power(system: System) -> Finding:
    """nvpmodel's mode without limits (MAXN)"""
    if not is_jetson(system):
        return not_here("no Jetson")
    mode = mode_name(system)
    if mode is None:
        return unknown("nvpmodel does not say", "sudo nvpmodel -q, on the host")
    if "MAXN" in mode:
        return ok(mode)
    fastest = next((number for number, name in _modes(system) if "MAXN" in name), "0")
    return warning(f"{mode}: fewer cores, slower clocks", f"sudo nvpmodel -m {fastest}")


def clock_bounds(system: System) -> dict[str, str]:
    """Where the lowest clock of each core and of a Jetson's GPU is said, and where its highest is."""
    pairs = {
        path: (path[: -len("scaling_min_freq")] + "scaling_max_freq")
        for path in system.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_min_freq")
    }
    for path in system.glob("/sys/class/devfreq/*/min_freq"):
        if re.search(r"(gpu|ga10b|gv11b|gb10b)", path):
            pairs[path] = path[: -len("min_freq")] + "max_freq"
    return pairs


def clocks(system: System) -> Finding:
    """Clocks of CPU and GPU locked at their highest (jetson_clocks)."""
    if not is_jetson(system):
        return not_here("no Jetson")
    pairs = clock_bounds(system)
    free = []
    for low, high in pairs.items():
        bounds = system.read(low), system.read(high)
        if None in bounds:
            return unknown(f"{low} cannot be read", "sudo jetson_clocks --show")
        if bounds[0] != bounds[1]:
            free.append("GPU" if "devfreq" in low else low.split("/")[5])
    if not pairs:
        return unknown("no clock can be read", "sudo jetson_clocks --show, on the host")
    if free:
        return warning(f"{', '.join(free)} free to slow down", "sudo jetson_clocks")
    return ok(f"{len(pairs)} clocks locked")
