"""Gauges: what a process and its machine do meanwhile, read from outside, at no cost to the process."""

from __future__ import annotations

import os
import re
import time
from typing import Any, Callable, Sequence

from rmedge.benchmarks.latency.energy import open_power_meter
from rmedge.benchmarks.latency.throttling import Alarms, throttling
from rmedge.runtimes.doctor import System

__all__ = ["NAMES", "Gauges"]

NAMES = ("cpu_percent", "resident_mb", "frequency_mhz", "temperature_c", "power_w")
USER, KERNEL, CORE = 11, 12, 36  # fields of /proc/PID/stat after the program's name (proc_pid_stat(5))
COLDEST_C, HOTTEST_C = -40.0, 150.0  # what lies beyond is a sensor that is not there
CLOCK = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"


class Gauges:
    """Samples of one process after the other, on one axis of time that begins at ``began_ns``."""

    def __init__(self, system: System, began_ns: int, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._system, self._began_ns, self._now_ns = system, began_ns, now_ns
        self._alarms, self._power = Alarms(system), open_power_meter(system)
        self._zones = system.glob("/sys/class/thermal/thermal_zone[0-9]*/temp")
        self._zones = self._zones or system.glob("/sys/class/hwmon/hwmon[0-9]*/temp1_input")
        self._at_ms: list[float] = []
        self._samples: dict[str, list[float | None]] = {name: [] for name in NAMES}
        self._pid = 0
        self._spent: tuple[int, float] | None = None  # when, and the processor's time until then [s]

    def follow(self, pid: int) -> None:
        """From now on it is this process."""
        self._pid, self._spent = pid, None
        if self._power is not None:  # what was drawn since the last process is not this one's
            self._power.watts(self._now_ns())

    def sample(self) -> None:
        """One sample of each; None: it cannot be read here, or says nothing yet."""
        now_ns = self._now_ns()
        stat = (self._system.read(f"/proc/{self._pid}/stat") or "").rpartition(")")[2].split()
        core = stat[CORE] if len(stat) > CORE else "0"
        told = {
            "cpu_percent": self._cpu_percent(now_ns, stat),
            "resident_mb": self._resident_mb(),
            "frequency_mhz": self._frequency_mhz(core),
            "temperature_c": self._temperature_c(),
            "power_w": None if self._power is None else self._power.watts(now_ns),
        }
        self._at_ms.append((now_ns - self._began_ns) / 1e6)
        for name, value in told.items():
            self._samples[name].append(value)

    def told(self, windows: Sequence[tuple[float, float]], ticks: int) -> dict[str, Any]:
        """``gauges``, ``throttling`` and ``energy_mj_per_tick`` of a report.

        Args:
            windows: from when to when ticks were measured [ms]; the processor and its power are judged by
                what they were then, not while a process started.
            ticks: in all of them.
        """
        inside = [
            place for place, at in enumerate(self._at_ms) if any(low <= at <= high for low, high in windows)
        ]
        power_w = [self._samples["power_w"][place] for place in inside]
        known_w = [each for each in power_w if each is not None]
        spent_ms = sum(high - low for low, high in windows)
        clocks = [self._samples["frequency_mhz"][place] for place in inside]
        rounded = {
            name: [None if value is None else round(value, 2) for value in values]
            for name, values in self._samples.items()
        }
        return {
            "gauges": {"at_ms": [round(at, 1) for at in self._at_ms], **rounded},
            "throttling": throttling(self._alarms.risen(), [self._at_ms[place] for place in inside], clocks),
            "energy_mj_per_tick": (
                round(sum(known_w) / len(known_w) * spent_ms / ticks, 3) if known_w and ticks else None
            ),
        }

    def _cpu_percent(self, now_ns: int, stat: Sequence[str]) -> float | None:
        """Since the last sample; 100 is one core."""
        if len(stat) <= KERNEL:
            return None
        spent_s = (int(stat[USER]) + int(stat[KERNEL])) / os.sysconf("SC_CLK_TCK")
        last, self._spent = self._spent, (now_ns, spent_s)
        if last is None or now_ns <= last[0]:
            return None
        return max(100e9 * (spent_s - last[1]) / (now_ns - last[0]), 0.0)

    def _resident_mb(self) -> float | None:
        pages = (self._system.read(f"/proc/{self._pid}/statm") or "").split()
        return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if len(pages) > 1 else None

    def _frequency_mhz(self, core: str) -> float | None:
        """The clock of the core that the process ran on last."""
        text = self._system.read(CLOCK.format(core)) or ""
        if text.isdecimal():
            return int(text) / 1e3
        # a PC's kernel may name it there; an ARM's does not, and a virtual machine's is a figure of speech
        about = self._system.read("/proc/cpuinfo") or ""
        own = next((part for part in about.split("\n\n") if _field(part, "processor") == core), "")
        clock = _field(own, "cpu MHz")
        virtual = "hypervisor" in (_field(own, "flags") or "").split()
        told = clock if clock and re.fullmatch(r"\d{1,6}(\.\d{1,6})?", clock) else None
        return None if told is None or virtual else float(told)

    def _temperature_c(self) -> float | None:
        """Of the hottest zone."""
        texts = [self._system.read(zone) or "" for zone in self._zones]
        read = [int(text) / 1e3 for text in texts if re.fullmatch(r"-?\d{1,7}", text)]
        return max((each for each in read if COLDEST_C < each < HOTTEST_C), default=None)


def _field(part: str, name: str) -> str | None:
    """What one core's part of /proc/cpuinfo says under a name."""
    pairs = (line.partition(":") for line in part.splitlines())
    return next((value.strip() for key, _, value in pairs if key.strip() == name), None)
