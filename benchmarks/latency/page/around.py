"""Around the ticks: the page's chapters on cold starts, on single calls and on the machine meanwhile."""

from __future__ import annotations

from typing import Sequence

from rmedge.benchmarks.latency.page import plots, stacks
from rmedge.benchmarks.latency.page.figures import Place, milliseconds, quantile, significant
from rmedge.benchmarks.sheet import section, table

__all__ = ["cold", "gauges", "graphs"]

COLD = {
    "import_ms": "imports",
    "bundle_ms": "bundle",
    "load_ms": "sessions",
    "engine_build_ms": "engine build",
    "first_ms": "first frame to first command",
}
GAUGES = {
    "temperature_c": ("Temperature", "°C"),
    "frequency_mhz": ("Processor's clock", "MHz"),
    "power_w": ("Power", "W"),
    "cpu_percent": ("Processor time", "%"),
    "resident_mb": ("Resident memory", "MB"),
}


def cold(one: Place) -> str:
    rows = list(one["cold_start"])
    if not rows:
        return ""
    drawn = stacks.cold_starts(
        [row.value for row in rows], COLD, [row["total_ms"].shown(milliseconds, "–") for row in rows]
    )
    words = [*COLD.values(), "interpreter and the rest"]
    used = [*(any(row.value.get(key) for row in rows) for key in COLD), True]
    legend = {word: index for index, word in enumerate(words) if used[index]}
    return section("From a cold start", "From the process's start to its first command.", drawn, legend)


def graphs(one: Place) -> str:
    called = dict(one["graphs"].items())
    if not called:
        return ""
    head = ["[µs]", "bare p50", "call p50", "difference p50", "p99"]
    cells = (("bare", "p50"), ("call", "p50"), ("overhead", "p50"), ("overhead", "p99"))
    body = [[("", quantile(graph[how], name)) for how, name in cells] for graph in called.values()]
    note = (
        "onnxruntime alone and as rmedge calls it, in pairs that alternate; the difference is of each pair."
    )
    return section("What rmedge adds to a call", note, table(head, [*called], body))


def gauges(one: Place) -> str:
    readings, throttling = one.value["gauges"], one.value["throttling"]
    told = {name: readings[name] for name in GAUGES if any(value is not None for value in readings[name])}
    verdict = {True: "Throttling was seen", False: "No throttling was seen", None: "Throttling: not known"}
    note = verdict[throttling["seen"]] + (f": {throttling['why']}." if throttling["why"] else ".")
    silent = [title.lower() for name, (title, _) in GAUGES.items() if name not in told]
    if silent:
        note += f" This machine does not tell: {', '.join(silent)}."
    begun_ms = [each["start_ms"] for each in one.value["rounds"]]
    cards = "".join(
        f"<div><h3>{title}</h3><p>{_range(told[name])} {unit}</p>"
        f"{plots.gauge(readings['at_ms'], told[name], begun_ms, f'{title} [{unit}]')}</div>"
        for name, (title, unit) in GAUGES.items()
        if name in told
    )
    return section("What the machine did meanwhile", note, f'<div class="three">{cards}</div>')


def _range(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    ends = significant(min(known)), significant(max(known))
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
