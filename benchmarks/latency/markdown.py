"""The report as Markdown: to be pasted into an issue, with the machine and the bundle's hash."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from rmedge.benchmarks.latency.page.axes import round_time
from rmedge.benchmarks.latency.page.figures import (
    ABSENT,
    WHOLE,
    count,
    median_start,
    microseconds,
    milliseconds,
    setting,
    significant,
)
from rmedge.benchmarks.sheet import fact

__all__ = ["text"]

QUANTILES = ("p50", "p90", "p99", "p99.9")


def text(report: Mapping[str, Any]) -> str:
    """A table for each variant, and under a fold what it was measured on."""
    parts = [f"### rmedge latency, {_plain(report['context']['machine'])}"]
    if report["made"]["stop_reason"]:
        parts.append(f"_{report['made']['stop_reason']}: what was measured until then_")
    for variant in report["variants"]:
        parts += [f"**{_plain(variant['name'])}**: {_line(variant)}", _table(variant)]
    parts.append(_context(report))
    return "\n\n".join(parts) + "\n"


def _line(variant: Mapping[str, Any]) -> str:
    """What no row of the table says."""
    late, throttling = variant["deadlines"], variant["throttling"]
    start = median_start(variant["cold_start"])
    many, deadline = count(variant["tick"]["count"]), round_time(variant["period_us"])
    missed = f"{late['misses']} of {many} ticks missed {deadline} (longest streak {late['longest_streak']})"
    parts = [missed, *map(_plain, setting(variant))]
    if variant["throughput_hz"] is not None:
        parts.append(f"{significant(variant['throughput_hz'])} ticks a second")
    if start is not None:
        parts.append(f"cold start {milliseconds(variant['cold_start'][start]['total_ms'])}")
    if variant["energy_mj_per_tick"] is not None:
        parts.append(f"{significant(variant['energy_mj_per_tick'])} mJ a tick")
    if throttling["seen"]:
        parts.append(f"**throttling: {_plain(throttling['why'])}**")
    return ", ".join(parts)


def _table(variant: Mapping[str, Any]) -> str:
    rows = {**variant["stages"], **{name: variant[name] for name in WHOLE}}
    lines = [["[µs]", "count", *QUANTILES, "max", "jitter"], ["---", *["---:"] * 7]]
    for name, row in rows.items():
        figures = [_figure(row[f"{quantile}_us"]) for quantile in QUANTILES]
        ends = [_figure(row[key], "–") for key in ("max_us", "jitter_us")]
        shown = f"**{name}**" if name == "tick" else WHOLE.get(name) or _plain(name)
        lines.append([shown, count(row["count"]), *figures, *ends])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _figure(us: float | None, absent: str = ABSENT) -> str:
    return absent if us is None else microseconds(us)


def _context(report: Mapping[str, Any]) -> str:
    made, rules = report["made"], report["rules"]
    bundles = {one["bundle"]["sha256"]: one["bundle"]["name"] for one in report["variants"]}
    rows: list[tuple[str, Any]] = [
        *((name.replace("_", " "), value) for name, value in report["context"].items()),
        ("rmedge", " ".join(filter(None, (made["rmedge"], made["commit"])))),
        ("measured at", made["at"]),
        ("command", made["command"]),
        ("rules", ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in rules.items())),
        *((f"bundle {name}", digest) for digest, name in bundles.items()),
    ]
    lines = "\n".join(
        f"- {_plain(name)}: {_plain(_told(value))}" for name, value in rows if value is not None
    )
    return f"<details><summary>measured on</summary>\n\n{lines}\n\n</details>"


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        value = [f"{name} {version}" for name, version in value.items() if version]
    return (
        ", ".join(map(str, value))
        if isinstance(value, Sequence) and not isinstance(value, str)
        else fact(value)
    )


def _plain(words: str) -> str:
    """On one line, and nothing in it that Markdown or HTML would read as its own."""
    line = " ".join(str(words).split())
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>|#~@!" else letter for letter in line)
