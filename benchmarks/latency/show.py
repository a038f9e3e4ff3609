"""Show a report that was made before: as tables, a page, a trace or Markdown."""

from __future__ import annotations

import argparse

from rmedge.benchmarks.latency import files
from rmedge.cli import command

EXAMPLES = """examples:
  rmedge-bench show report.json
  rmedge-bench show report.json --page report.html --markdown report.md
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument("report", help="as rmedge-bench run --out wrote it")
    files.add(parser)
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """Check it as a stranger's, then write and show it."""
    from rmedge.benchmarks.latency import loading

    files.demand_places(args)
    files.deliver(args, loading.load(args.report))
    return 0
