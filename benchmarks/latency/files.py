"""The files that a report can be written as: itself, a page, a trace, a table to paste."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Callable, Mapping

from rmedge.errors import UsageError

__all__ = ["add", "deliver", "demand_places"]


def add(parser: argparse.ArgumentParser) -> None:
    """The flags of all that is made of a report."""
    parser.add_argument("--page", metavar="FILE.html", help="the report as one page")
    parser.add_argument("--trace", metavar="FILE.json", help="every tick, for ui.perfetto.dev")
    parser.add_argument("--markdown", metavar="FILE.md", help="a table to paste")


def demand_places(args: argparse.Namespace) -> None:
    """Find out before half a minute has been spent.

    Raises:
        UsageError: a folder to write into is not there.
    """
    for flag, path in _asked(args).items():
        if not Path(path).absolute().parent.is_dir():
            raise UsageError(f"--{flag}: expected a folder that is there, got {path!r}; make it first")


def deliver(args: argparse.Namespace, report: Mapping[str, Any]) -> None:
    """Write the files that were asked for, and show the report or, with ``--json``, print it.

    Raises:
        UsageError: a file cannot be written.
    """
    from rmedge.benchmarks.latency import tables
    from rmedge.cli import terminal

    written = _write(args, report)
    if args.json:
        terminal.emit(report)
    else:
        tables.show(report, written)


def _write(args: argparse.Namespace, report: Mapping[str, Any]) -> dict[str, str]:
    """All that was asked for; returns the paths by what they are."""
    asked = _asked(args)
    for flag, path in asked.items():
        try:
            WRITERS[flag](report, Path(path))
        except OSError as error:
            raise UsageError(f"--{flag}: expected a path that can be written, got {path}: {error}") from error
    return asked


def _asked(args: argparse.Namespace) -> dict[str, str]:
    return {flag: getattr(args, flag) for flag in WRITERS if getattr(args, flag, None) is not None}


def _out(report: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(report, allow_nan=False) + "\n", "utf-8")


def _page(report: Mapping[str, Any], path: Path) -> None:
    from rmedge.benchmarks.latency import page

    page.write(report, path)


def _trace(report: Mapping[str, Any], path: Path) -> None:
    from rmedge.benchmarks.latency import perfetto

    perfetto.write(report, path)


def _markdown(report: Mapping[str, Any], path: Path) -> None:
    from rmedge.benchmarks.latency import markdown

    path.write_text(markdown.text(report), "utf-8")


WRITERS: Mapping[str, Callable[[Mapping[str, Any], Path], None]] = {
    "out": _out, "page": _page, "trace": _trace, "markdown": _markdown,
}  # fmt: skip
