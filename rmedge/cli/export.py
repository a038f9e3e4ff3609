"""Train, export and seal a bundle, on a workstation."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Sequence

from rmedge.cli import command
from rmedge.errors import AbsentError, UsageError

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

EXAMPLES = """examples:
  rmedge export mine.yaml                any encoder or policy, as a bundle: see docs/export.md
  rmedge export mine.yaml --page report.html --json
  rmedge export g1-mirror --out build/   the shipped bundle

flags of its own: rmedge export --help, rmedge export mine.yaml --help"""
CONFIGS = (".yaml", ".yml")
SEEDS, SECONDS = (
    1,
    4.0,
)  # of each command in closed loop: a fall comes within that, or the grid must be larger
BEFORE, AFTER = "float32", "shipped"


def arguments(parser: argparse.ArgumentParser) -> None:
    """None here: `run` takes the command line before it is parsed."""


def run(argv: Sequence[str]) -> int:
    """Build what a configuration says; else what ``python -m rmedge.export`` does."""
    if sys.version_info < (3, 11):
        raise AbsentError(
            f"export: expected Python 3.11 or newer, got {sys.version.split()[0]}; use another one"
        )
    try:
        if any(Path(word).suffix in CONFIGS for word in argv):
            return _configured(argv)
        from rmedge.export.__main__ import main as export

        return export(argv)
    except ImportError as error:
        if isinstance(error, AbsentError):
            raise
        raise AbsentError(
            f'export: expected torch and onnx, got: {error}; pip install "rmedge[export]"'
        ) from error


def main(args: argparse.Namespace) -> int:
    """``rmedge export`` alone."""
    return run([])


def _configured(argv: Sequence[str]) -> int:
    parser = command.Parser(
        "rmedge export", "Build a bundle from somebody's encoder, policy or both.", EXAMPLES
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml", help="what to build, and from what")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the bundle's directory (the config's `out`)")
    parser.add_argument("--trust", action="store_true", help="run the Python code that the config names")
    parser.add_argument("--page", type=Path, metavar="FILE.html", help="write a page with plots")
    command.add_json(parser)
    args = parser.parse_args(argv)

    from rmedge.cli import terminal
    from rmedge.export import config as configs

    config = configs.read(args.config, args.trust)
    out = args.out or config.out
    if out is None:
        raise UsageError("out: expected a directory, got none; add out: to the configuration, or --out DIR")
    if config.closed_loop and "policy" not in config.networks:
        raise UsageError("config.closed_loop: expected a policy to walk with, got none; leave it out")
    with tempfile.TemporaryDirectory() as scratch, terminal.progress("%") as show:
        beside = Path(scratch) / BEFORE if config.closed_loop else None
        bundle = config.build(out, beside=beside, progress=lambda done, what: show(100 * done, 100.0, what))
        if beside is not None:
            bundle = _walk(bundle, out, beside, lambda done: show(100 * done, 100.0, "closed loop"))
    if args.page is not None:
        from rmedge.benchmarks import trade_off_page
        from rmedge.benchmarks.context import context

        trade_off_page.write(bundle, args.page, context(), shlex.join(["rmedge", "export", *argv]))
    if args.json:
        sealed = {"name": bundle.name, "sha256": bundle.sha256, "directory": str(out), "bytes": bundle.size}
        terminal.emit({"bundle": sealed, "target": bundle.target, **bundle.quality})
    else:
        _show(bundle, out)
    return 0


def _walk(bundle: Bundle, out: Path, beside: Path, advance: Any) -> Bundle:
    """Closed loop with the policy as it was in float32 and as it ships; written into the bundle."""
    from rmedge import Bundle
    from rmedge.benchmarks.policies import closed_loop, grid, report
    from rmedge.bundle import amend

    policies = {closed_loop.STUDENT: bundle, BEFORE: Bundle.load(beside)}
    cells = grid.cells(grid.captions(bundle), SEEDS)
    trials = closed_loop.evaluate(policies, cells, SECONDS, progress=advance)
    rows = report.by_policy(trials)
    named = {AFTER: rows[closed_loop.STUDENT], BEFORE: rows[BEFORE]}
    told = {
        name: {key: row[key] for key in ("success", "trials", "velocity_error_mean", "velocity_error_ratio")}
        for name, row in named.items()
    }
    from rmedge.cli import terminal

    amend(out, {}, quality={"closed_loop": terminal.plain({"seconds": SECONDS, **told})})
    return Bundle.load(out)


def _show(bundle: Bundle, out: Path) -> None:
    """What was made, why in this format, and how near it is to what was brought."""
    from rmedge.cli import built, terminal

    assert bundle.target is not None
    terminal.facts(
        f"{bundle.name} {bundle.sha256[:12]}",
        {
            "directory": out,
            "target": bundle.target.name,
            "unverified": ", ".join(bundle.target.unverified) or "nothing",
            "bytes": bundle.size,
            "licence": bundle.licence,
        },
    )
    built.show(bundle)
