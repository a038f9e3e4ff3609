"""The page: a latency report as one HTML file that needs no other, no network and no library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping

import numpy as np

from rmedge.benchmarks.latency.page import plots, skin
from rmedge.benchmarks.latency.page.axes import round_time
from rmedge.benchmarks.latency.page.chapters import variant
from rmedge.benchmarks.latency.page.figures import (
    Place,
    count,
    duration,
    median_start,
    milliseconds,
    quantile,
    setting,
    significant,
)
from rmedge.benchmarks.sheet import Html, bar, document, fact, facts, section, table, words

__all__ = ["write"]

FACTS = {"machine_id": "kind of machine", "cpu_flags": "processor's flags", "memory_gb": "memory [GB]"}
LEFT_OUT = ("ticks", "gauges")  # of the JSON in the page: they are drawn, and they are most of it


def write(report: Mapping[str, Any], path: Path) -> None:
    """Write a report of ``rmedge-bench run`` as one HTML file.

    All of the report but its single ticks and its gauges stands in it once more as JSON, in the element
    ``#report``; a figure that is shown names its place there, as a JSON pointer in ``data-key``.
    """
    told, names = Place(report), _names(report)
    body = [_heading(told, names)]
    if len(names) > 1:
        links = "".join(f'<a href="#v{index}">{words(name)}</a>' for index, name in enumerate(names))
        body += [_beside(told, names), f'<nav class="tabs" aria-label="variants">{links}</nav>']
    for index, one in enumerate(told["variants"]):
        head = f"<h2>{words(names[index])}</h2>" if len(names) > 1 else ""
        body.append(f'<article id="v{index}">{head}{variant(one, report["rules"])}</article>')
    body += [_measured(told), _embedded(report)]
    document(f"{report['variants'][0]['bundle']['name']}: latency", body, Path(path), skin.CSS, skin.SCRIPT)


def _names(report: Mapping[str, Any]) -> list[str]:
    """The variants' names, without the bundle's where there is only one bundle."""
    bundles = {one["bundle"]["name"] for one in report["variants"]}
    first = f"{next(iter(bundles))} · " if len(bundles) == 1 else ""
    names = [one["name"] for one in report["variants"]]
    return [name[len(first) :] if name.startswith(first) else name for name in names]


def _heading(told: Place, names: list[str]) -> str:
    """The answer, and what it is an answer about."""
    medians = [one["tick"]["p50_us"] for one in told.value["variants"]]
    known = [index for index, median in enumerate(medians) if median is not None]
    at = min(known, key=medians.__getitem__, default=0)
    best = told["variants"][at]
    tick, value, context = best["tick"], best.value, told.value["context"]
    who = f"Lowest median of {len(names)}, {names[at]}: a tick of" if len(names) > 1 else "A tick of"
    late = f", {tick['p99_us'].shown(duration)} at p99" if value["tick"]["p99_us"] is not None else ""
    half = f"takes {tick['p50_us'].shown(duration)} at the median" if known else "was not measured enough"
    where = (context["machine"], context["processor"] or context["architecture"])
    machine = " with ".join(part for part in where if part != "unknown")
    lead = f"On {machine}: {', '.join(setting(value))}."
    return (
        f"<h1>{words(who)} <em>{words(value['bundle']['name'])}</em> {half}{late}; "
        f"{best['deadlines']['misses'].shown(count)} of {tick['count'].shown(count)} missed "
        f'{best["period_us"].shown(round_time)}.</h1><p class="lead">{words(lead)}</p>'
        f"{_chips(told.value, value)}"
    )


def _chips(report: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    """What to know before believing a figure: first what makes it worse or doubtful."""
    context, rules, made = report["context"], report["rules"], report["made"]
    load = (context["load_average"] or [0.0])[0]
    allowed, cores = context["cores_allowed"], context["cores"]
    throttled = [each["throttling"]["why"] for each in report["variants"] if each["throttling"]["seen"]]
    doubts = [
        f"{made['stop_reason']}: what was measured until then" if made["stop_reason"] else "",
        f"throttling: {throttled[0]}" if throttled else "",
        f"governor {context['governor']}" if context["governor"] not in (None, "performance") else "",
        "clocks not locked" if context["clocks_locked"] is False else "",
        f"other load before it began: {load:.2f}" if load > 0.5 else "",
        "synthetic camera" if one["camera"]["synthetic"] else "",
    ]
    rest = [
        f"{rules['rounds']} rounds, a fresh process each",
        f"{count(one['warm_up']['ticks'])} warm-up ticks left out",
        "paced by the clock" if rules["paced"] else "back to back",
        f"{allowed} of {cores} cores" if allowed != cores else "",
        f"virtual machine: {context['virtual_machine']}" if context["virtual_machine"] else "",
        f"container: {context['container']}" if context["container"] else "",
        f"power mode {context['power_mode']}" if context["power_mode"] else "",
        "no throttling seen" if one["throttling"]["seen"] is False else "",
    ]
    items = [f'<li class="warn">{words(text)}</li>' for text in doubts if text]
    items += [f"<li>{words(text)}</li>" for text in rest if text]
    return f'<ul class="chips">{"".join(items)}</ul>'


def _beside(told: Place, names: list[str]) -> str:
    """The variants' figures, and their ticks in one plot."""
    variants = [*told["variants"]]
    longest = max(_top(one.value["tick"]) for one in variants) or 1.0
    columns = {
        "tick p50 [µs]": [
            _bar(one["tick"], i, longest) + quantile(one["tick"], "p50") for i, one in enumerate(variants)
        ],
        "tick p99 [µs]": [quantile(one["tick"], "p99") for one in variants],
        "missed": [one["deadlines"]["misses"].shown(count) for one in variants],
        "sensor to actuator": [one["sensor_to_actuator"]["p50_us"].shown(duration) for one in variants],
        "ticks a second": [one["throughput_hz"].shown(significant, "–") for one in variants],
        "cold start": [_cold(one) for one in variants],
        "mJ a tick": [one["energy_mj_per_tick"].shown(significant, "–") for one in variants],
    }
    if all(one.value["energy_mj_per_tick"] is None for one in variants):
        del columns["mJ a tick"]
    links = [Html(f'<a href="#v{index}">{words(name)}</a>') for index, name in enumerate(names)]
    body = [
        [('class="left"' if not at else "", cell) for at, cell in enumerate(row)]
        for row in zip(*columns.values())
    ]
    ticks = {name: np.array(one.value["ticks"]["tick_us"], float) for name, one in zip(names, variants)}
    ticks = {name: each for name, each in ticks.items() if len(each)}
    periods = {one.value["period_us"] for one in variants}
    drawn = plots.tail(ticks, None, periods.pop() if len(periods) == 1 else None) if ticks else ""
    note = (
        "Bars are medians; the whisker, and small, the interval of each. Their rounds were interleaved. The "
        "intervals say nothing of what differs from process to process: rmedge-bench compare does."
    )
    return section("Side by side", note, table(["variant", *columns], links, body) + drawn, names)


def _cold(one: Place) -> str:
    start = median_start(one["cold_start"].value)
    return "–" if start is None else one["cold_start"][start]["total_ms"].shown(milliseconds)


def _bar(tick: Place, index: int, longest: float) -> str:
    value, ends = tick.value["p50_us"], tick.value["interval_us"]["p50"]
    return "" if value is None else bar(value / longest, ends and [end / longest for end in ends], index)


def _top(tick: Mapping[str, Any]) -> float:
    return max([tick["p50_us"] or 0.0, *(tick["interval_us"]["p50"] or [])])


def _measured(told: Place) -> str:
    """Every fact behind the figures."""
    made, rules = told.value["made"], told.value["rules"]
    rows = {FACTS.get(name, name.replace("_", " ")): _fact(value) for name, value in told["context"].items()}
    unknown = [name for name, value in rows.items() if value is None]
    rows["none, or not known"] = ", ".join(unknown) or None
    rows["rmedge"] = f"{made['rmedge']}{' ' + made['commit'] if made['commit'] else ''}"
    rows["measured at"] = made["at"]
    for bundle in {one["bundle"]["sha256"]: one["bundle"] for one in told.value["variants"]}.values():
        rows[f"bundle {bundle['name']}"] = f"{bundle['sha256']}, for {bundle['robot']}"
    for one in told.value["variants"]:
        precision = [f"{graph} {kind or 'of unknown precision'}" for graph, kind in one["precision"].items()]
        mode = [f"power mode {one['power_mode']}"] if one["power_mode"] else []
        rows[one["name"]] = ", ".join([f"asked for {one['provider']}", *setting(one), *precision, *mode])
    note = (
        f"{rules['rounds']} rounds of each variant in turn, each a fresh process: a cold start, "
        f"{count(rules['warm_up_ticks'])} ticks of warm-up that do not count, then ticks "
        f"{'paced by the clock' if rules['paced'] else 'one after another, the next when the last is done'}. "
        f"All rounds together: at least {rules['min_seconds']:g} s and {count(rules['min_ticks'])} ticks. "
        "A quantile is written only where MLPerf's early-stopping rule finds samples enough; intervals are "
        f"of order statistics, at {rules['confidence']:.0%}, of ticks taken as independent of each other."
    )
    if not rules["paced"]:
        note += (
            " Sensor to actuator is the picture's age at the tick, on the loop's simulated clock, plus what "
            "the tick took; a miss is a tick that took longer than its period."
        )
    command = f"<pre>{words(made['command'])}</pre>" if made["command"] else ""
    return section("How this was measured", note, command + facts(rows))


def _fact(place: Place) -> Any:
    value = place.value
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items() if version) or None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return place.shown(fact) if isinstance(value, (int, float)) else (value or None)


def _embedded(report: Mapping[str, Any]) -> str:
    kept = [{key: value for key, value in one.items() if key not in LEFT_OUT} for one in report["variants"]]
    told = json.dumps({**report, "variants": kept}, separators=(",", ":"), allow_nan=False)
    told = told.replace("<", "\\u003c")  # no name in it may end the script
    return f'<script type="application/json" id="report">{told}</script>'
