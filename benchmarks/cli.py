"""The command ``rmedge-bench``: the proof, on your own machine."""

from __future__ import annotations

import sys
from typing import Sequence

from rmedge import __version__
from rmedge.benchmarks import eval as evaluation
from rmedge.benchmarks import peers
from rmedge.benchmarks.endurance import realtime, soak
from rmedge.benchmarks.latency import compare, gate, run, show
from rmedge.cli import command

__all__ = ["main"]

EXAMPLES = """examples:
  rmedge-bench eval policy  does it walk, and how well beside its teachers
  rmedge-bench eval faults  what becomes of it when parts break
  rmedge-bench run          what a tick costs here, and how much of it is onnxruntime
  rmedge-bench show         a report that was made before, or the page of it
  rmedge-bench compare      two reports of it: how much slower or faster, and whether that is chance
  rmedge-bench gate         a report of it against budgets, or against an earlier one
  rmedge-bench peers        the same beside others, in one run
  rmedge-bench realtime     how punctual its two processes are here
  rmedge-bench soak         whether it drifts or leaks in a million ticks
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code."""
    parser = command.Parser("rmedge-bench", "Measures what rmedge costs and what it can do.", EXAMPLES)
    parser.add_argument("--version", action="version", version=f"rmedge {__version__}")
    parser.verbs(run, show, compare, gate, peers, realtime, soak, evaluation)
    return command.guard(parser.run, sys.argv[1:] if argv is None else argv)
