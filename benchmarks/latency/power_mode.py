"""The power mode of a Jetson: chosen with nvpmodel, given back as it was found; *unverified* on a Jetson."""

from __future__ import annotations

import contextlib
import re
from typing import Callable, Iterator

from rmedge.errors import AbsentError, UsageError
from rmedge.runtimes.doctor import System, ThisSystem

__all__ = ["power_modes"]


@contextlib.contextmanager
def power_modes(make_system: Callable[[], System] = ThisSystem) -> Iterator[Callable[[str], str]]:
    """What sets a mode by its number and answers its name; in the end the mode that was found is set again.

    Args:
        make_system: a fresh view of the machine, for a `System` asks no program twice.

    Raises:
        AbsentError: there is no nvpmodel that answers.
        UsageError: it does not take the mode.
    """
    found = _mode(make_system())
    if found is None:
        raise AbsentError(
            "--power-mode: expected a Jetson with nvpmodel, got none that answers; leave the flag away, or "
            "measure on the host with sudo"
        )

    def choose(number: str) -> str:
        make_system().run("nvpmodel", "-m", number)
        now = _mode(make_system())
        if now is None or now[1] != number:
            raise UsageError(
                f"--power-mode: expected nvpmodel to set mode {number}, got mode {now and now[1]}; "
                "run it with sudo, with a number of /etc/nvpmodel.conf that needs no reboot"
            )
        return now[0]

    try:
        yield choose
    finally:
        if _mode(make_system()) != found:
            make_system().run("nvpmodel", "-m", found[1])


def _mode(system: System) -> tuple[str, str] | None:
    """Name and number."""
    answer = system.run("nvpmodel", "-q")
    said = re.search(r"NV Power Mode:\s*(\S+)\s+(\d{1,3})\b", answer.out if answer else "")
    return (said.group(1), said.group(2)) if said else None
