"""Compare reports of one machine: how many times slower or faster, and whether that is more than chance."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

from rmedge.cli import command
from rmedge.errors import UsageError

if TYPE_CHECKING:
    from rmedge.benchmarks.latency.matching import Pair

EXAMPLES = """examples:
  rmedge-bench compare before.json after.json
  rmedge-bench compare all.json all.json --variant "g1-mirror · cpu · 1 thread=g1-mirror · cpu · 2 threads"
  rmedge-bench compare before.json after.json again.json --markdown compared.md

exit codes: 0 whatever the difference is (rmedge-bench gate judges it), 2 where the reports cannot be compared
"""
CONFIDENCE = 0.99  # of every interval, as of a report's own
QUANTILES = ("p50", "p90", "p99")
FASTER, SLOWER, ALIKE = "faster", "slower", "no difference shown"
UNKNOWN = "not established"
STYLES = {FASTER: "green", SLOWER: "red", UNKNOWN: "dim"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument("reports", nargs="+", metavar="REPORT", help="each is compared with the first")
    add_variant(parser)
    add_force(parser)
    parser.add_argument("--markdown", metavar="FILE", help="also write a table for pasting")
    command.add_json(parser)


def add_variant(parser: argparse.ArgumentParser) -> None:
    """Which variants."""
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME[=OTHER]",
        help="only this one, which the other report may call otherwise; may be given again (all)",
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    """Comparing what should not be compared."""
    parser.add_argument(
        "--force", action="store_true", help="compare other machines or conditions, and say so beside it"
    )


def main(args: argparse.Namespace) -> int:
    """A table for each pair of variants, or one JSON object."""
    from rmedge.benchmarks.latency import loading
    from rmedge.cli import terminal

    if len(args.reports) < 2:
        raise UsageError("compare: expected two reports or more, got one; rmedge-bench run --out writes them")
    reports = [(path, loading.load(path)) for path in args.reports]
    told = [
        compare(reports[0][1], report, args.variant, args.force, (args.reports[0], path))
        for path, report in reports[1:]
    ]
    if args.markdown:
        write(args.markdown, "\n".join(map(markdown, told)))
    if args.json:
        terminal.emit({"confidence": CONFIDENCE, "comparisons": told})
    else:
        for one in told:
            _show(one)
    return 0


def compare(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    names: Sequence[str] = (),
    force: bool = False,
    files: Sequence[str] = ("first", "second"),
) -> dict[str, Any]:
    """What became of the first's figures in the second, variant by variant.

    Args:
        names: of variants; see `matching.matched`.

    Raises:
        UsageError: no variants are a pair, or machine or conditions differ and nobody forces it.
    """
    from rmedge.benchmarks.latency import matching
    from rmedge.benchmarks.latency.drift import drift

    pairs, alone = matching.matched(first, second, names)
    differences = matching.unlike(first, second, pairs)
    matching.demand_alike(differences, force)
    return {
        "files": list(files),
        "forced": differences,
        "changed": matching.changes(first, second),
        "alone": alone,
        "pairs": [_compared(pair, drift(first, second, pair)) for pair in pairs],
    }


def _compared(pair: Pair, drifted: float | None) -> dict[str, Any]:
    return {
        "variants": [one["name"] for one in pair],
        "bundles": [one["bundle"]["sha256"] for one in pair],
        "misses": [one["deadlines"]["misses"] for one in pair],
        "throttled": [one["throttling"]["seen"] for one in pair],
        "alone": sorted(set(pair[0]["stages"]) ^ set(pair[1]["stages"])),
        "drift": drifted,
        "rows": list(_rows(*pair, drifted or 1.0)),
    }


def _rows(first: Mapping[str, Any], second: Mapping[str, Any], drifted: float) -> Iterator[dict[str, Any]]:
    """A row for each quantile of whatever both measured."""
    from rmedge.benchmarks.latency import loading
    from rmedge.benchmarks.latency.bootstrap import ratios
    from rmedge.benchmarks.statistics import QUANTILES as SHARES

    figures, taken = zip(*((loading.rows(one), loading.samples(one)) for one in (first, second)))
    for name in ("tick", "own", "sensor_to_actuator", *first["stages"]):
        if name not in figures[1]:
            continue
        keys = [f"{quantile}_us" for quantile in QUANTILES]
        known = [all(rows[name][key] is not None for rows in figures) for key in keys]
        shares = [SHARES[quantile] for quantile in QUANTILES]
        found = (
            ratios(taken[0][name], taken[1][name], shares, CONFIDENCE) if any(known) else [None] * len(keys)
        )
        for quantile, key, established, ratio in zip(QUANTILES, keys, known, found):
            yield {
                "row": name,
                "quantile": quantile,
                "first_us": figures[0][name][key],
                "second_us": figures[1][name][key],
                "ratio": ratio.ratio if ratio and established else None,
                "interval": ratio.interval if ratio and established else None,
                "verdict": verdict(ratio.interval if ratio and established else None, drifted),
            }


def verdict(interval: tuple[float, float] | None, drifted: float = 1.0) -> str:
    """What an interval of ratios allows to be said, where a machine itself drifted by so much."""
    if interval is None:
        return UNKNOWN
    low, high = interval
    return SLOWER if low > max(drifted, 1.0) else FASTER if high < min(drifted, 1.0) else ALIKE


def write(path: str, text: str) -> None:
    """Write a text file.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: expected a file that can be written, got {error.strerror}") from error


def markdown(told: Mapping[str, Any]) -> str:
    """The tables of one comparison, for pasting."""
    lines = []
    for pair in told["pairs"]:
        lines += [f"**{_title(told, pair)}**", ""]
        lines += [f"- {line}" for line in _notes(told, pair)] + [""]
        lines += ["| | | first µs | second µs | ratio | interval | |", "|---|---|--:|--:|--:|--:|---|"]
        lines += [f"| {' | '.join(_cells(row))} |" for row in pair["rows"]]
        lines.append("")
    return "\n".join(lines)


def _show(told: Mapping[str, Any]) -> None:
    from rmedge.cli import terminal

    for pair in told["pairs"]:
        terminal.say(_title(told, pair), "bold")
        terminal.say(f"{'':<24}{'first µs':>11}{'second µs':>11}{'ratio':>8}  {'interval':<14}", "dim")
        for row in pair["rows"]:
            name, quantile, first, second, ratio, interval, what = _cells(row)
            line = f"{name:<19} {quantile:<4}{first:>11}{second:>11}{ratio:>8}  {interval:<14} {what}"
            terminal.say(line.rstrip(), STYLES.get(what))
        for line in _notes(told, pair):
            terminal.say(line, "yellow" if line.startswith("forced") else "dim")
        terminal.say()


def _title(told: Mapping[str, Any], pair: Mapping[str, Any]) -> str:
    files = [Path(file).name for file in told["files"]]
    names = pair["variants"]
    if names[0] == names[1]:
        return f"{files[0]} → {files[1]}: {names[0]}"
    return f"{files[0]}: {names[0]} → {files[1]}: {names[1]}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    first, second = (
        "not est." if row[key] is None else f"{row[key]:.1f}" for key in ("first_us", "second_us")
    )
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.3f}"
    interval = "–".join(f"{end:.3f}" for end in row["interval"] or ())
    return [row["row"], row["quantile"], first, second, ratio, interval, row["verdict"]]


def _notes(told: Mapping[str, Any], pair: Mapping[str, Any]) -> list[str]:
    judged = sum(row["interval"] is not None for row in pair["rows"])
    notes = [f"forced: not the same {difference}" for difference in told["forced"]]
    notes.append(
        f"{judged} intervals of {100 * CONFIDENCE:g} %, of which one in {round(1 / (1 - CONFIDENCE))} misses"
    )
    if pair["drift"] is None:
        notes.append("how much the machine itself drifted between the two is not known, and in no interval")
    else:
        notes.append(
            f"the machine itself: bare onnxruntime took {pair['drift']:.3f} times as long; "
            "slower or faster is what goes beyond that"
        )
    if judged < len(pair["rows"]):
        notes.append("not established: too few samples, or one round alone")
    notes.append("ticks over their period: {} → {}".format(*pair["misses"]))
    if pair["bundles"][0] != pair["bundles"][1]:
        notes.append("bundles: {:.12} → {:.12}".format(*pair["bundles"]))
    for file, seen in zip(told["files"], pair["throttled"]):
        notes += [f"{Path(file).name}: the machine slowed itself down meanwhile"] if seen else []
    notes += [f"changed: {difference}" for difference in told["changed"]]
    return notes + [f"in one report alone: {name}" for name in (*pair["alone"], *told["alone"])]
