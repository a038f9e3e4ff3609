"""Boards: the shared memory between processes, and between rmedge and firmware; ``docs/boards.md``."""

from __future__ import annotations

from rmedge.runtimes.boards.board import Board
from rmedge.runtimes.boards.files import home
from rmedge.runtimes.boards.records import INTENT, MAX_JOINTS, RECORDS, TEXT, VERSION, Mode, Verb
from rmedge.runtimes.boards.stamps import SKEW_NS, fresh

__all__ = [
    "INTENT",
    "MAX_JOINTS",
    "RECORDS",
    "SKEW_NS",
    "TEXT",
    "VERSION",
    "Board",
    "Mode",
    "Verb",
    "fresh",
    "home",
]
