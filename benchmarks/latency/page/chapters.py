"""The chapters of the page: what one variant's ticks took, in figures and plots."""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np

from rmedge.benchmarks.latency.page import around, plots, stacks
from rmedge.benchmarks.latency.page.axes import round_time
from rmedge.benchmarks.latency.page.figures import (
    ABSENT,
    WHOLE,
    Place,
    count,
    duration,
    median_start,
    microseconds,
    milliseconds,
    quantile,
    significant,
)
from rmedge.benchmarks.sheet import Html, section, table, tiles
from rmedge.benchmarks.statistics import QUANTILES, floor
from rmedge.trace import FOREIGN

__all__ = ["variant"]

COLOURS = '<li style="--c:var(--foreign)">camera and onnxruntime</li><li style="--c:var(--own)">rmedge</li>'
LATE = '<li style="--c:var(--late)">missed it; of ticks close together the longest</li>'
DEADLINE = '<li class="line" style="--c:var(--late);--s:dashed">deadline</li>'


def variant(one: Place, rules: Mapping[str, Any]) -> str:
    """All there is to say of one variant."""
    ticks = one.value["ticks"]
    spent = {stage: np.array(told, float) for stage, told in ticks["spent_us"].items()}
    tick_us, rounds = np.array(ticks["tick_us"], float), np.array(ticks["round"], int)
    parts = [_tiles(one, rules)]
    if len(tick_us):
        parts += [_stages(one, spent, tick_us, rules), _timeline(one, tick_us, rounds)]
        parts += [_waterfalls(one, spent, tick_us, rounds)]
        parts += [f'<div class="two">{_tail(one, tick_us)}{_worst(one)}</div>']
    parts += [f'<div class="two">{around.cold(one)}{around.graphs(one)}</div>', around.gauges(one)]
    return "".join(parts)


def _tiles(one: Place, rules: Mapping[str, Any]) -> str:
    tick, reach, age, late = one["tick"], one["sensor_to_actuator"], one["intent_age"], one["deadlines"]
    streak = Html(f"of {tick['count'].shown(count)}; longest streak {late['longest_streak'].shown(count)}")
    rows: list[tuple[str, str, str]] = [
        ("tick, median", tick["p50_us"].shown(duration), _between(tick, "p50")),
        ("tick, p99", tick["p99_us"].shown(duration), _between(tick, "p99")),
        ("missed deadlines", late["misses"].shown(count), streak),
        ("sensor to actuator", reach["p50_us"].shown(duration), _p99(reach)),
        ("intent's age at use", age["p50_us"].shown(duration), _p99(age)),
        ("rmedge's own", one["own"]["p50_us"].shown(duration), _p99(one["own"])),
    ]
    if one.value["throughput_hz"] is not None:
        paced = "paced by the clock" if rules["paced"] else "back to back"
        rows.append(("throughput", Html(f"{one['throughput_hz'].shown(significant)} Hz"), f"ticks, {paced}"))
    start = median_start(one.value["cold_start"])
    if start is not None:
        total = one["cold_start"][start]["total_ms"]
        rows.append(("cold start", total.shown(milliseconds), "process to first command, median"))
    memory = [value for value in one.value["gauges"]["resident_mb"] if value is not None]
    if memory:
        rows.append(("memory", f"{significant(max(memory))} MB", "resident, at most"))
    if one.value["energy_mj_per_tick"] is not None:
        rows.append(("energy", Html(f"{one['energy_mj_per_tick'].shown(significant)} mJ"), "a tick"))
    return tiles(rows)


def _between(row: Place, name: str) -> Html:
    """The quantile's interval, or how many samples there were."""
    ends = row.value["interval_us"][name]
    if not ends:
        return Html(f"from {row['count'].shown(count)} samples")
    return Html(f"{duration(ends[0])} to {duration(ends[1])}")


def _p99(row: Place) -> Html:
    return Html(f"median; p99 {row['p99_us'].shown(duration)}")


def _stages(
    one: Place, spent: Mapping[str, np.ndarray], tick_us: np.ndarray, rules: Mapping[str, Any]
) -> str:
    """The distributions, and every figure of them."""
    ticks = one.value["ticks"]
    own = [told for stage, told in spent.items() if stage not in FOREIGN]
    samples = {
        **spent,
        "tick": tick_us,
        "own": np.nansum([np.zeros(len(tick_us)), *own], axis=0),
        "sensor_to_actuator": np.array(ticks["sensor_to_actuator_us"], float),
        "intent_age": np.array(ticks["intent_age_us"], float),
    }
    rows = {**dict(one["stages"].items()), **{name: one[name] for name in WHOLE}}
    labels = {name: WHOLE.get(name, name) for name in rows}
    drawn = plots.densities(
        samples,
        {name: row.value for name, row in rows.items()},
        labels,
        {name: row["p50_us"].shown(duration) for name, row in rows.items()},
        one.value["period_us"],
    )
    key = (
        f'<ul class="key">{COLOURS}<li style="--c:var(--all)">all of it</li>'
        '<li class="line" style="--c:var(--ink)">p50, written on the right</li>'
        f'<li class="line" style="--c:var(--ink);--s:dashed">p99</li>{DEADLINE}</ul>'
    )
    head = ["[µs]", "count", *QUANTILES, "max", "jitter"]
    body = [
        [
            ("", row["count"].shown(count)),
            *(("", quantile(row, name)) for name in QUANTILES),
            ("", row["max_us"].shown(microseconds, "–")),
            ("", row["jitter_us"].shown(microseconds, "–")),
        ]
        for row in rows.values()
    ]
    note = (
        "The bar is all the time of all ticks. Each shape is the distribution of one stage over the ticks in "
        "which it ran, on a logarithmic axis; the dot is its longest. A stage that comes more than once in a "
        "tick, as the write does, is summed."
    )
    inside = (
        stacks.shares(spent) + drawn + key + table(head, [labels[name] for name in rows], body, me="tick")
    )
    return section("Where the time goes", note, inside + _rule(rows, rules))


def _rule(rows: Mapping[str, Place], rules: Mapping[str, Any]) -> str:
    """What the small figures are, and why a quantile may be missing."""
    text = f"Small: the interval of {rules['confidence']:.0%}. Jitter: the mean step from one to the next."
    if any(row.value[f"{name}_us"] is None for row in rows.values() for name in QUANTILES):
        least = ", ".join(f"{name} {count(floor(share))}" for name, share in QUANTILES.items())
        text += (
            f" {ABSENT}: not established; by MLPerf's rule a quantile needs so many samples ({least}), and "
            f"here {rules['min_seconds']:g} s of measuring."
        )
    return f'<p class="small">{text}</p>'


def _timeline(one: Place, tick_us: np.ndarray, rounds: np.ndarray) -> str:
    period, late = one["period_us"], one["deadlines"]
    misses, missed = late["misses"].shown(count), late["misses"].value
    note = Html(
        f"All {count(len(tick_us))} of them, in {len(set(rounds))} rounds, each a process of its own; "
        f"the darker, the more ticks there. {misses} took longer than {period.shown(round_time)}"
        + (f", at most {late['longest_streak'].shown(count)} in a row." if missed else ".")
    )
    key = f'<ul class="key">{DEADLINE}{LATE if missed else ""}</ul>'
    return section("Tick by tick", note, plots.timeline(tick_us, rounds, period.value) + key)


def _waterfalls(one: Place, spent: Mapping[str, np.ndarray], tick_us: np.ndarray, rounds: np.ndarray) -> str:
    """A usual tick, a usual one among those that see a picture, and the worst."""
    seen = np.isfinite(spent.get("encode", np.full(len(tick_us), np.nan)))
    chosen = {"The median tick": _middle(tick_us, np.ones(len(tick_us), bool))}
    if seen.any() and not seen[chosen["The median tick"]]:
        chosen["The median tick with a picture"] = _middle(tick_us, seen)
    chosen["The worst tick"] = int(tick_us.argmax())
    median = {stage: float(np.nanmedian(told)) for stage, told in spent.items() if np.isfinite(told).any()}
    cards = []
    for title, tick in chosen.items():
        parts = {stage: float(told[tick]) for stage, told in spent.items() if np.isfinite(told[tick])}
        parts.pop("physics", None)  # the simulator's time is not the tick's
        place = tick - int(np.flatnonzero(rounds == rounds[tick])[0])
        drawn = stacks.waterfall(parts, median, tick_us[tick], one.value["period_us"])
        said = f"{duration(tick_us[tick])}, tick {count(place)} of round {rounds[tick] + 1}"
        cards.append(f"<div><h3>{title}</h3><p>{said}</p>{drawn}</div>")
    key = (
        f'<ul class="key">{COLOURS}<li style="--c:var(--late)">more than twice its median</li>'
        '<li class="line" style="--c:var(--ink)">where it ends at its median</li></ul>'
    )
    note = "Its stages one after another, each tick on a scale of its own."
    return section("One tick, taken apart", note, f'<div class="three">{"".join(cards)}</div>{key}')


def _middle(tick_us: np.ndarray, among: np.ndarray) -> int:
    """Which tick is the median of those."""
    places = np.flatnonzero(among)
    return int(places[np.argsort(tick_us[places], kind="stable")[(len(places) - 1) // 2]])


def _tail(one: Place, tick_us: np.ndarray) -> str:
    drawn = plots.tail({one.value["name"]: tick_us}, one.value["tick"], one.value["period_us"])
    key = (
        '<ul class="key"><li class="line" style="--c:var(--c0)">ticks</li>'
        '<li style="--c:var(--ink)">p50 to p99.9, where established</li>'
        f'<li style="--c:var(--muted)">their intervals</li>{DEADLINE}</ul>'
    )
    headroom = one.value["tick"]["p99_us"]
    said = "How many ticks take longer than so long."
    if headroom:
        said += f" At p99 a tick uses {headroom / one.value['period_us']:.0%} of its period."
    return section("The deadline and the tail", said, drawn + key)


def _worst(one: Place) -> str:
    body = [
        [
            ("", row["tick_us"].shown(microseconds)),
            ("", str(row["round"].value + 1)),
            ("", row["tick"].shown(count)),
            ("", row["at_ms"].shown(milliseconds)),
            ("", row["stage_us"].shown(microseconds, "–")),
        ]
        for row in one["worst"]
    ]
    head = ["most over its median", "tick [µs]", "round", "tick no.", "at", "stage [µs]"]
    names = [row["stage"] for row in one.value["worst"]]
    return section(
        "The longest ticks",
        "And the stage of each that was most over its own median.",
        table(head, names, body),
    )
