"""Judge a report by budgets, or by what the same machine did before; made for a CI that must stay quiet."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Sequence

from rmedge.benchmarks.latency.compare import add_force, add_variant
from rmedge.cli import command
from rmedge.errors import CheckError, UsageError

if TYPE_CHECKING:
    from rmedge.benchmarks.latency.budget import Judged

EXAMPLES = """examples:
  rmedge-bench gate now.json                           by what the bundle promises for this processor
  rmedge-bench gate now.json --budget budget.yaml      lines such as tick.p99_us: 15000, deadlines.misses: 0
  rmedge-bench gate now.json --against before.json --tolerance 5

exit codes: 1 where a figure is above its budget or not established, 2 where nothing can be judged
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument("report", metavar="REPORT", help="as rmedge-bench run --out writes it")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--budget", metavar="FILE", help="YAML: places of figures, each with the most it may be"
    )
    source.add_argument("--against", metavar="BASE", help="an earlier report of the same machine")
    source.add_argument("--bundle", help="whose promises hold (the shipped one that bears the report's name)")
    parser.add_argument(
        "--tolerance",
        type=command.positive,
        default=10.0,
        metavar="PERCENT",
        help="how much slower than BASE is borne, if it is not chance (10)",
    )
    parser.add_argument("--target", help="kind of computer whose promises hold (the report's processor's)")
    add_variant(parser)
    add_force(parser)
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """A line for each figure that is judged, and exit code 1 where one failed."""
    from rmedge.benchmarks.latency import loading
    from rmedge.cli import terminal

    report = loading.load(args.report)
    found, notes = _beside(args, report) if args.against is not None else (_within(args, report), [])
    rows = list(found)
    slowed = [one for one in report["variants"] if one["throttling"]["seen"]]
    notes += [f"{one['name']}: the machine slowed itself down: {one['throttling']['why']}" for one in slowed]
    failed = [row for row in rows if not row.passed]
    if args.json:
        terminal.emit({"ok": not failed, "rows": rows, "notes": notes})
    else:
        _show(rows, notes)
    if failed:
        first = failed[0]
        raise CheckError(
            f"gate: {first.variant}: {first.row}: expected {_expected(first)}, got {_got(first)} "
            f"({len(failed)} of {len(rows)} figures failed); rmedge-bench compare says more"
        )
    return 0


def _beside(args: argparse.Namespace, report: Mapping[str, Any]) -> tuple[Iterable[Judged], list[str]]:
    """By an earlier report; and what was forced."""
    from rmedge.benchmarks.latency import budget, loading, matching

    base = loading.load(args.against)
    pairs, alone = matching.matched(base, report, args.variant)
    if alone:
        raise UsageError(
            f"gate: expected each variant in both reports, got {', '.join(alone)} in one alone; "
            "choose with --variant"
        )
    differences = matching.unlike(base, report, pairs)
    matching.demand_alike(differences, args.force)
    judged = budget.against(base, report, pairs, args.tolerance / 100)
    return judged, [f"forced: not the same {difference}" for difference in differences]


def _within(args: argparse.Namespace, report: Mapping[str, Any]) -> Iterable[Judged]:
    """By budgets."""
    from rmedge import Bundle
    from rmedge.benchmarks.latency import budget, matching

    variants = matching.chosen(report, args.variant)
    if args.budget is not None:
        return budget.by_file(variants, budget.read(args.budget))
    names = sorted({variant["bundle"]["name"] for variant in variants})
    source = args.bundle or names[0]
    if args.bundle is None and (len(names) > 1 or source not in Bundle.names()):
        raise UsageError(
            f"gate: expected --bundle, --budget or --against for what does not ship, got a report of "
            f"{', '.join(names)}; name the bundle that was measured"
        )
    return budget.by_bundle(report, variants, Bundle.load(source), args.target)


def _expected(row: Judged) -> str:
    return "an established figure" if row.most is None else f"at most {row.most:.1f}"


def _got(row: Judged) -> str:
    measured = "none" if row.measured is None else f"{row.measured:.1f}"
    ratio = "" if row.ratio is None else f", {row.ratio:.3f} times what it was"
    ratio += "" if row.drift is None else f" on a machine {row.drift:.3f} times as slow"
    return f"{measured}{ratio}{row.why and f' ({row.why})'}"


def _show(rows: Sequence[Judged], notes: Sequence[str]) -> None:
    from rmedge.cli import terminal

    width = max(len(row.row) for row in rows)
    variant = None
    for row in rows:
        if row.variant != variant:
            variant = row.variant
            terminal.say(variant, "bold")
        word, style = ("ok", "green") if row.passed else ("FAILED", "red")
        terminal.say(f"{row.row:<{width}}  {word:<6}  {_got(row)}; {_expected(row)}", style)
    for note in notes:
        terminal.say(note, "yellow")
