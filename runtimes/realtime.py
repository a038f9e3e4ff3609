"""Real time on Linux: what a process asks of the kernel, and what it was refused."""

from __future__ import annotations

import ctypes
import gc
import os
from typing import Callable

__all__ = ["prepare"]

PR_SET_TIMERSLACK = 29
MCL_CURRENT_AND_FUTURE = 3


def prepare(core: int | None = None, priority: int | None = None) -> list[str]:
    """Make this process as punctual as it may be; returns what was refused, each with its remedy.

    Memory is locked, sleeps end on time instead of up to 50 us late, and the garbage collector is off:
    nothing on the hot path makes cycles, and a full collection takes 20 ms.

    Args:
        core: to stay on; None: wherever the kernel likes.
        priority: of SCHED_FIFO, 1 to 99; None: the ordinary scheduler.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    refused: list[str] = []

    def ask(what: str, wish: Callable[[], object], remedy: str) -> None:
        try:
            wish()
        except (OSError, AttributeError, ValueError) as error:
            refused.append(f"{what}: refused ({error}); {remedy}")

    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *args: int) -> None:
        if getattr(libc, name)(*args):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    ask("short sleeps", lambda: call("prctl", PR_SET_TIMERSLACK, 1, 0, 0, 0), "sleeps end up to 50 us late")
    if core is not None:
        ask(
            f"core {core}",
            lambda: os.sched_setaffinity(0, {core}),
            f"choose one of {sorted(os.sched_getaffinity(0))}",
        )
    if priority is not None:
        limits = (
            "raise the limit: rtprio and memlock for your user in /etc/security/limits.d, then log in again"
        )
        ask(
            f"SCHED_FIFO {priority}",
            lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority)),
            f"{limits}; in a container --cap-add=SYS_NICE --ulimit rtprio=99",
        )
        ask("locked memory", lambda: call("mlockall", MCL_CURRENT_AND_FUTURE), limits)
    return refused
