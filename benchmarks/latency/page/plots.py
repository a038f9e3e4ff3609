"""The plots: what a variant's ticks look like, drawn without any library."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from rmedge.benchmarks.latency.page.axes import Axis, Linear, Log, round_time
from rmedge.benchmarks.latency.page.drawing import (
    WIDE,
    across,
    dots,
    grid,
    height_of,
    line,
    path,
    plot,
    strips,
    svg,
    upright,
)
from rmedge.benchmarks.latency.page.figures import WHOLE, count, duration
from rmedge.benchmarks.sheet import COLOURS, Html, words
from rmedge.benchmarks.statistics import QUANTILES
from rmedge.trace import FOREIGN

__all__ = ["densities", "gauge", "kind_of", "tail", "timeline"]

RIDGE, GAUGE = 34, 96  # heights of one distribution and of a gauge's plot [px]
HEIGHT, TAIL = 220, 330  # of the timeline and of the tail's plot [px]
BINS = 140  # of a distribution
SMOOTH = np.exp(-0.5 * (np.arange(-4, 5) / 1.4) ** 2)  # over bins, so that chance makes no teeth
COLUMNS, LINES, SHADES = 140, 40, 5  # of the timeline; a cell is seen however few of many ticks it holds


def kind_of(stage: str) -> str:
    """Whose time it is: the decoder's, onnxruntime's and the simulator's, or rmedge's own."""
    return "foreign" if stage in FOREIGN else "own"


def densities(
    samples: Mapping[str, np.ndarray], rows: Mapping[str, Mapping[str, Any]], labels: Mapping[str, str],
    figures: Mapping[str, str], period_us: float,
) -> str:  # fmt: skip
    """A distribution for each of (N,) samples [us], on one logarithmic axis, with p50, p99 and the longest.

    Args:
        rows: the report's own figures of each; what it did not establish is not marked.
        labels: what each is called, and ``figures`` what is written behind it, as HTML.
    """
    samples = {name: told[np.isfinite(told)] for name, told in samples.items()}
    samples = {name: told for name, told in samples.items() if len(told)}
    ends = [told.max() for told in samples.values()]
    ends += [told.min() for name, told in samples.items() if name not in WHOLE]  # an age may be nothing
    axis = Log.around([*ends, period_us])
    names = {
        name: Html(f"<b>{words(label)}</b>") if name in WHOLE else label for name, label in labels.items()
    }
    return strips(
        [
            (names[name], _ridge(labels[name], kind, told, rows[name], axis, period_us), figures[name])
            for name, told in samples.items()
            for kind in ["all" if name in WHOLE and name != "own" else kind_of(name)]
        ],
        axis,
        "ridges",
    )


def _ridge(
    name: str, kind: str, told: np.ndarray, row: Mapping[str, Any], axis: Axis, period_us: float
) -> str:
    edges = np.linspace(0.0, 1.0, BINS + 1)
    many = np.convolve(np.histogram(axis.at(told), edges)[0], SMOOTH, "same")
    high = (RIDGE - 6) * many / many.max()
    seen = np.flatnonzero(high > 0.05)
    seen = np.arange(max(seen[0] - 1, 0), min(seen[-1] + 2, BINS))
    x, y = (edges[:-1] + edges[1:])[seen] / 2, RIDGE - high[seen]
    bottom = f"V{RIDGE}H{WIDE * x[0]:.1f}z"
    parts = [grid(axis, RIDGE), path(line(x, y) + bottom, f"area {kind}")]
    parts.append(upright(axis.at(period_us), RIDGE, "deadline", f"the deadline: {round_time(period_us)}"))
    said = [f"{name}: {len(told)} samples"]
    for quantile, stroke in (("p50", "median"), ("p99", "quantile")):
        if row[f"{quantile}_us"] is not None:
            said.append(f"{quantile} {duration(row[f'{quantile}_us'])}")
            parts.append(upright(axis.at(row[f"{quantile}_us"]), RIDGE, stroke, said[-1], top=6))
    said.append(f"longest {duration(told.max())}")
    parts.append(path(dots(axis.at(told.max()), RIDGE - 4), f"dot {kind}", said[-1]))
    return svg(RIDGE, ", ".join(said), parts)


def timeline(tick_us: np.ndarray, rounds: np.ndarray, period_us: float) -> str:
    """Every tick in the order of its measuring: how many stand in each cell, and those that missed.

    Args:
        tick_us: (N,) [us].
        rounds: (N,) which round each is of.
    """
    number = len(tick_us)
    x, y = Linear(0, number, count), Log.around([tick_us.min(), tick_us.max(), period_us])
    columns = min(COLUMNS, number)
    column = np.arange(number) * columns // number
    begins = np.flatnonzero(np.diff(rounds, prepend=-1))
    parts = [path(d, f"cell s{shade}") for shade, d in enumerate(_shaded(column, y.at(tick_us))) if d]
    parts.append(across(height_of(y, period_us, HEIGHT), "deadline"))
    parts += [upright(x.at(begin), HEIGHT, "round") for begin in begins[1:]]
    missed = np.flatnonzero(tick_us > period_us)
    seen = {column[tick]: tick for tick in sorted(missed, key=tick_us.__getitem__)}  # a column's longest
    shown = np.array(sorted(seen.values()), int)
    parts.append(path(dots(x.at(shown + 0.5), height_of(y, tick_us[shown], HEIGHT)), "dot late"))
    said = (
        f"{count(number)} ticks in {len(begins)} rounds, from {duration(tick_us.min())} to "
        f"{duration(tick_us.max())}; {len(missed)} missed the deadline of {round_time(period_us)}"
    )
    word = "round " if len(begins) < 8 else ""
    names = (f'<i style="left:{x.at(begin):.2%}">{word}{index}</i>' for index, begin in enumerate(begins, 1))
    over = f'<div class="scale rounds" aria-hidden="true">{"".join(names)}</div>'
    beside = [(height_of(y, value, HEIGHT), text) for value, text in y.ticks()]
    hover = f'data-columns="{_columns(column, tick_us, rounds)}"'
    return over + plot(parts, HEIGHT, said, x, beside, "tick", hover)


def _shaded(column: np.ndarray, up: np.ndarray) -> list[str]:
    """The cells that hold ticks, by how many they hold."""
    cells = np.zeros((column[-1] + 1, LINES), int)
    np.add.at(cells, (column, np.minimum((LINES * up).astype(int), LINES - 1)), 1)
    wide, high = WIDE / len(cells), HEIGHT / LINES
    shades = np.minimum(SHADES * np.log(cells + 1) / np.log(cells.max() + 1), SHADES - 1).astype(int)
    drawn = [""] * SHADES
    for x, y in zip(*np.nonzero(cells)):
        drawn[shades[x, y]] += f"M{wide * x:.1f} {HEIGHT - high * y:.1f}h{wide:.1f}v-{high:.1f}h-{wide:.1f}z"
    return drawn


def _columns(column: np.ndarray, tick_us: np.ndarray, rounds: np.ndarray) -> str:
    """For the pointer: what each column holds, in words."""
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    ends = np.append(starts[1:], len(column))
    return "|".join(
        f"{duration(tick_us[a:b].min())}–{duration(tick_us[a:b].max())}, "
        f"ticks {a}–{b - 1}, round {rounds[a] + 1}"
        for a, b in zip(starts, ends)
    )


def tail(ticks: Mapping[str, np.ndarray], row: Mapping[str, Any] | None, period_us: float | None) -> str:
    """How many in a hundred, in a thousand take longer than so long: the distribution's end, enlarged.

    Args:
        ticks: (N,) [us] of each variant.
        row: the report's figures of the only one, to be marked.
    """
    ends = [end for told in ticks.values() for end in (told.min(), told.max())]
    x = Log.around([*ends, *([period_us] if period_us else [])])
    most = max(10.0, *(float(len(told)) for told in ticks.values()))
    y = Log(1.0, most, lambda value: f"1 in {count(value)}" if value > 1 else "all")
    parts, said = [grid(x, TAIL)], []
    if period_us:
        parts.append(upright(x.at(period_us), TAIL, "deadline", f"the deadline: {round_time(period_us)}"))
    for index, (name, told) in enumerate(ticks.items()):
        longest = np.sort(told)[::-1]
        rank = np.unique(np.geomspace(1, len(longest), 160).astype(int))
        drawn = line(x.at(longest[rank - 1]), TAIL * y.at(len(longest) / rank))
        parts.append(path(drawn, f"edge v{index % COLOURS}", name))
        said.append(f"{name}: median {duration(float(np.median(told)))}, longest {duration(told.max())}")
    parts += _marks(row, x, y) if row else []
    beside = [(TAIL * y.at(value), word) for value, word in y.ticks()]
    return plot(
        parts, TAIL, f"how many ticks take longer. {'; '.join(said)}", x, beside, "a tick takes longer than"
    )


def _marks(row: Mapping[str, Any], x: Axis, y: Axis) -> list[str]:
    """Each quantile where it stands, with its interval; the interval alone where it is not established."""
    drawn = []
    for name, quantile in QUANTILES.items():
        ends, value, top = row["interval_us"][name], row[f"{name}_us"], TAIL * y.at(1 / (1 - quantile))
        if ends:
            tip = f"{name}: {duration(ends[0])} to {duration(ends[1])}"
            drawn.append(path(line(x.at(ends), [top, top]), "whisker", tip))
        if value is not None:
            drawn.append(path(dots(x.at(value), top), "dot mark", f"{name}: {duration(value)}"))
    return drawn


def gauge(
    at_ms: Sequence[float], values: Sequence[float | None], begun_ms: Sequence[float], title: str
) -> str:
    """What a gauge told over the run's time; where it told nothing, between rounds too, the line is broken.

    Args:
        begun_ms: when each round began to measure.
    """
    seconds, told = np.asarray(at_ms, float) / 1e3, np.array(values, float)
    known = np.isfinite(told)
    low, high = float(told[known].min()), float(told[known].max())
    room = 0.08 * (high - low) or 0.02 * abs(high) or 1.0
    x = Linear(float(seconds[0]), float(seconds[-1]), lambda s: f"{s:g} s")
    y = Linear(low - room, high + room, most=3)
    parts = [upright(x.at(ms / 1e3), GAUGE, "round") for ms in begun_ms if x.low <= ms / 1e3 <= x.high]
    steps = np.diff(seconds, prepend=seconds[0])
    broken = (steps > 4 * np.median(steps)) | ~known
    for piece in np.split(np.arange(len(told)), np.flatnonzero(broken)):
        piece = _thinned(piece[known[piece]], told)
        if len(piece):
            parts.append(path(line(x.at(seconds[piece]), height_of(y, told[piece], GAUGE)), "edge v0"))
    said = f"{title} over time: from {low:g} to {high:g}, {told[known][-1]:g} at the end"
    return plot(parts, GAUGE, said, x, [(height_of(y, value, GAUGE), word) for value, word in y.ticks()])


def _thinned(piece: np.ndarray, values: np.ndarray, most: int = 400) -> np.ndarray:
    """The lowest and the highest of each of so many stretches, in their order."""
    if len(piece) <= most:
        return piece
    stretches = np.array_split(piece, most // 2)
    kept = [(part[values[part].argmin()], part[values[part].argmax()]) for part in stretches]
    return np.unique(np.ravel(kept))
