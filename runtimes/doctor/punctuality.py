"""Punctuality: what the kernel lets a process have that must not be late."""

from __future__ import annotations

import re

from rmedge.runtimes.doctor.engine import PROBE, last_line
from rmedge.runtimes.doctor.finding import Finding, ok, unknown, warning
from rmedge.runtimes.doctor.jetson import is_jetson
from rmedge.runtimes.doctor.system import System

__all__ = ["cores", "governor", "memlock", "rtprio", "swap"]

PRIORITY = 50  # what docs/realtime.md asks for
SYS_NICE, IPC_LOCK = 23, 14  # the kernel's numbers of capabilities
LOCKED = 1 << 30  # what a process of ours may map with onnxruntime in it [byte]
SMALL = 8 << 30  # a memory in which building an engine has been killed [byte]
LIMITS = (
    r'printf "$USER - rtprio 99\n$USER - memlock unlimited\n" | '
    "sudo tee /etc/security/limits.d/rmedge.conf, then log in again; "
    "in a container --cap-add=SYS_NICE --ulimit rtprio=99 --ulimit memlock=-1"
)


def governor(system: System) -> Finding:
    """A governor that does not slow cores down."""
    paths = system.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
    names = sorted({name for name in map(system.read, paths) if name})
    if not names:
        return unknown("no governor can be read: a virtual machine, or a container")
    # schedutil on a Jetson runs between bounds, which `clocks` looks at
    quick = {"performance", "schedutil"} if is_jetson(system) else {"performance"}
    if set(names) <= quick:
        return ok(", ".join(names))
    return warning(
        f"{', '.join(names)}: a core that slept wakes up slow", "sudo cpupower frequency-set -g performance"
    )


def cores(system: System) -> Finding:
    """Two cores at least, and no quota on them."""
    allowed = re.search(r"^Cpus_allowed_list:\s*([\d,-]+)", system.read("/proc/self/status") or "", re.M)
    if allowed is None:
        return unknown("/proc/self/status does not say")
    spans = [
        part.split("-") for part in allowed.group(1).split(",") if re.fullmatch(r"\d{1,5}(-\d{1,5})?", part)
    ]
    count = sum(int(span[-1]) - int(span[0]) + 1 for span in spans)
    if count < 2:
        return warning(
            "one core, which body and vision must share",
            "taskset -pc 0-3 $$, or docker run without --cpuset-cpus",
        )
    quota = _quota(system)
    if quota is not None and quota < count:
        return warning(
            f"{count} cores, with a quota of {quota:g}: whoever spends it stands still until the next 100 ms",
            "docker run without --cpus; systemctl set-property UNIT CPUQuota=",
        )
    return ok(f"{count} cores")


def _quota(system: System) -> float | None:
    """Cores' worth of time that a control group may have; None: as much as it wants."""
    now = (system.read("/sys/fs/cgroup/cpu.max") or "").split()
    before = [system.read(f"/sys/fs/cgroup/cpu/cpu.cfs_{what}_us") or "" for what in ("quota", "period")]
    for pair in (now, before):
        if len(pair) == 2 and all(part.isdecimal() and len(part) < 16 for part in pair) and int(pair[1]):
            return int(pair[0]) / int(pair[1])
    return None


def swap(system: System) -> Finding:
    """Nothing of ours waits on a disk."""
    table, memory = system.read("/proc/swaps"), system.read("/proc/meminfo") or ""
    if table is None:
        return unknown("/proc/swaps cannot be read")
    rows = [line.split() for line in table.splitlines()[1:]]
    disks = {
        row[0]: int(row[3]) >> 10
        for row in rows
        if len(row) > 3 and row[3].isdecimal() and "zram" not in row[0]
    }
    used = {name: mebibytes for name, mebibytes in disks.items() if mebibytes}
    if used:
        return warning(
            ", ".join(f"{mebibytes} MiB on {name}" for name, mebibytes in used.items()),
            "sudo sysctl vm.swappiness=1 && sudo swapoff -a && sudo swapon -a",
        )
    total = re.search(r"^MemTotal:\s*(\d{1,15}) kB", memory, re.M)
    if is_jetson(system) and not rows and total and int(total.group(1)) << 10 <= SMALL:
        return warning(
            f"none, and {int(total.group(1)) >> 10} MiB of memory: building a TensorRT engine may be killed",
            "sudo fallocate -l 8G /swapfile && sudo chmod 600 /swapfile && "
            "sudo mkswap /swapfile && sudo swapon /swapfile",
        )
    return ok(", ".join(disks) + ", empty" if disks else "zram" if rows else "none")


def rtprio(system: System) -> Finding:
    """SCHED_FIFO at priority 50 is granted."""
    answer = system.run(*PROBE, "fifo", str(PRIORITY))
    if answer is None or answer.code is None:
        return unknown("the trial did not end")
    if answer.code == 0:
        return ok(f"SCHED_FIFO {PRIORITY} was granted to a process that tried")
    why = last_line(answer.err)
    limit = _limit(system, "Max realtime priority")
    if _capable(system, SYS_NICE) or (limit is not None and limit >= PRIORITY):
        return warning(
            f"SCHED_FIFO {PRIORITY} is refused, though the limit allows it ({why})",
            "sudo sysctl -w kernel.sched_rt_runtime_us=-1; in a container, on the host",
        )
    return warning(
        f"SCHED_FIFO {PRIORITY} is refused: the limit is {'?' if limit is None else f'{limit:g}'}", LIMITS
    )


def memlock(system: System) -> Finding:
    """1 GiB of memory may be locked"""
    limit = _limit(system, "Max locked memory")
    if _capable(system, IPC_LOCK):
        return ok("no limit, by CAP_IPC_LOCK")
    if limit is None:
        return unknown("/proc/self/limits does not say")
    if limit >= LOCKED:
        return ok("no limit" if limit == float("inf") else f"{limit / (1 << 20):.0f} MiB")
    return warning(f"{limit / (1 << 20):.1f} MiB: pages of ours may be taken away", LIMITS)


def _limit(system: System, name: str) -> float | None:
    """A soft limit of this process's."""
    row = re.search(rf"^{name}\s+(unlimited|\d{{1,20}})\s", system.read("/proc/self/limits") or "", re.M)
    if row is None:
        return None
    return float("inf") if row.group(1) == "unlimited" else float(row.group(1))


def _capable(system: System, number: int) -> bool:
    row = re.search(r"^CapEff:\s*([0-9a-fA-F]{1,32})$", system.read("/proc/self/status") or "", re.M)
    return bool(row and int(row.group(1), 16) >> number & 1)
