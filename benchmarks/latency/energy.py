"""Energy: what the board draws, from a Jetson's rails or a processor's RAPL counters."""

from __future__ import annotations

import re
from typing import Protocol

from rmedge.runtimes.doctor import System

__all__ = ["PowerMeter", "open_power_meter"]

INPUT = "VDD_IN"  # an Orin Nano's and NX's rail that feeds all others
POWERCAP = "/sys/class/powercap/intel-rapl:[0-9]*"  # packages and, one level down, their parts


class PowerMeter(Protocol):
    """What draws how much."""

    def watts(self, now_ns: int) -> float | None:
        """The power at this instant, or since it was last asked [W]; None: it cannot tell."""


def open_power_meter(system: System) -> PowerMeter | None:
    """The meter of this machine: rails before counters, for they see the whole board.

    *Unverified*: no Jetson has been measured with it.
    """
    rails = _rails(system)
    if rails:
        return Rails(system, rails)
    zones = [path for path in system.glob(POWERCAP) if path.count(":") == 1]
    zones = [path for path in zones if system.read(f"{path}/energy_uj") is not None]  # root alone may read it
    return Counters(system, zones) if zones else None


class Rails:
    """Supply rails behind an INA3221, which the kernel gives in mV and mA."""

    def __init__(self, system: System, rails: list[tuple[str, str]]) -> None:
        self._system, self._rails = system, rails

    def watts(self, now_ns: int) -> float | None:
        total_uw = 0.0
        for voltage, current in self._rails:
            pair = _number(self._system, voltage), _number(self._system, current)
            if pair[0] is None or pair[1] is None:
                return None
            total_uw += pair[0] * pair[1]
        return total_uw / 1e6


class Counters:
    """RAPL: counters of energy, one a package, that begin again from 0 when they are full."""

    def __init__(self, system: System, zones: list[str]) -> None:
        self._system, self._zones = system, zones
        self._last: tuple[int, list[float | None]] | None = None

    def watts(self, now_ns: int) -> float | None:
        counts = [_number(self._system, f"{zone}/energy_uj") for zone in self._zones]
        last, self._last = self._last, (now_ns, counts)
        if last is None or now_ns <= last[0]:
            return None
        spent_uj = 0.0
        for zone, before, after in zip(self._zones, last[1], counts):
            if before is None or after is None:
                return None
            if after < before:
                full = _number(self._system, f"{zone}/max_energy_range_uj")
                if full is None:
                    return None
                after += full
            spent_uj += after - before
        return spent_uj * 1e3 / (now_ns - last[0])


def _rails(system: System) -> list[tuple[str, str]]:
    """Voltage and current of the rail that feeds all, or else of each rail that has a name."""
    named = {}
    for chip in system.glob("/sys/class/hwmon/hwmon*/name"):
        if system.read(chip) != "ina3221":
            continue
        home = chip[: -len("name")]
        for label in system.glob(f"{home}in[123]_label"):
            stem, number = home, re.sub(r"\D", "", label[len(home) :])
            pair = (f"{stem}in{number}_input", f"{stem}curr{number}_input")
            if all(system.read(path) is not None for path in pair):  # a channel may be switched off
                named[system.read(label) or label] = pair
    return [named[INPUT]] if INPUT in named else list(named.values())


def _number(system: System, path: str) -> float | None:
    text = system.read(path) or ""
    return float(text) if re.fullmatch(r"-?\d{1,20}", text) else None
