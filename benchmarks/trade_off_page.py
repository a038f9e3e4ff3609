"""The page of an export: what each format weighs, how quick it is, what it costs, and which layers pay."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Sequence

from rmedge.benchmarks.sheet import (
    INK,
    bar,
    colour,
    dash,
    document,
    drawn,
    made,
    needed,
    number,
    section,
    table,
    tiles,
)

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["write"]

FLOAT = "float32"
UNITS = {"encoder": "the intent, 1 − cosine", "policy": "the joint that is worst off [rad]"}
Row = Mapping[str, Any]


def write(
    bundle: Bundle, path: Path, context: Mapping[str, Any] | None = None, command: str | None = None
) -> None:
    """Write the trials of a bundle (``quality.trials``) as one HTML file that needs no other.

    Args:
        context: what it was measured with, and on.
        command: how to measure it again.

    Raises:
        AbsentError: as `needed`.
    """
    needed()
    graphs = {name: rows for name, rows in (bundle.quality.get("trials") or {}).items() if rows}
    told = {
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "context": _context(bundle, context or {}),
        "command": command,
    }
    parts = [_graph(name, rows) for name, rows in graphs.items()]
    document(f"{bundle.name}: precision", [_heading(bundle, graphs), *parts, made(told)], path)


def _context(bundle: Bundle, context: Mapping[str, Any]) -> dict[str, Any]:
    target = bundle.target
    if target is None:
        return dict(context)
    return {
        "target": target.name,
        "provider": target.provider,
        "options": target.options or None,
        "unverified": target.unverified or None,
        **context,
    }


def _heading(bundle: Bundle, graphs: Mapping[str, Sequence[Row]]) -> str:
    target = "" if bundle.target is None else f" for {bundle.target.name}"
    shown = []
    for name, rows in graphs.items():
        chosen, plain = _chosen(rows), _plain(rows)
        pace = chosen["ratio_to_float32"]
        quick = "not timed on its target" if pace is None else f"{pace:.2f} × float32's pace"
        smaller = "" if plain is None else f", {plain['size'] / chosen['size']:.1f} × smaller"
        shown.append((name, chosen["format"], f"{quick}{smaller}"))
        shown.append(
            (f"{name}: error", f"{chosen['error']:.2g}", f"{UNITS.get(name, '')}; {_allowed(chosen)}")
        )
    words = (
        "Every format was made, run, and held against float32: what it weighs, how long a call takes beside "
        "one of float32 in the same run, and how far its last output goes astray. The quickest within the "
        "budget ships."
        if graphs
        else "No formats were tried."
    )
    return (
        f"<h1>What fewer bits do to <em>{escape(bundle.name)}</em>{escape(target)}.</h1>"
        f'<p class="lead">{escape(words)}</p>{tiles(shown)}'
    )


def _graph(name: str, rows: Sequence[Row]) -> str:
    """One graph's formats as a table, and drawn."""
    made_ = [row for row in rows if row["error"] is not None]
    two = f'<div class="two">{_trade_off(name, made_)}{_histogram(name, made_)}</div>'
    return f"{_formats(name, rows)}{two}{_losses(name, rows)}"


def _formats(name: str, rows: Sequence[Row]) -> str:
    plain = _plain(rows) or {"size": max(row["size"] for row in rows)}
    body = [
        [
            ('class="left"', _size(row["size"], plain["size"], i)),
            ("", number(row["p50_us"], ".0f")),
            ("", number(row["ratio_to_float32"], ".2f")),
            ("", number(row["error"], ".2g")),
            ("", str(len(row["kept_float"])) if row["kept_float"] else ""),
            ('style="text-align: left; min-width: 17rem"', escape(row["why"])),
        ]
        for i, row in enumerate(rows)
    ]
    head = ("format", "size", "p50 [µs]", "pace (× float32)", "error", "layers in float", "why")
    note = f"The error is of {UNITS.get(name, 'the last output')}; {_allowed(rows[0])}."
    names = [row["format"] for row in rows]
    return section(f"The {name} in every format", note, table(head, names, body, me=_chosen(rows)["format"]))


def _size(size: int, whole: int, i: int) -> str:
    return "–" if not size else f"{bar(size / whole, None, i)}{size / 1e6:.2f} MB"


def _trade_off(name: str, rows: Sequence[Row]) -> str:
    """Error against pace, larger marks for larger graphs; against size where nothing was timed."""
    timed = all(row["ratio_to_float32"] is not None for row in rows)
    least = min((row["error"] for row in rows if row["error"]), default=1e-3) / 3
    largest = max(row["size"] for row in rows)

    def draw(axes: Any) -> None:
        for i, row in enumerate(rows):
            across = row["ratio_to_float32"] if timed else row["size"] / 1e6
            mark = {"s": 30 + 320 * row["size"] / largest, "color": colour(i), "alpha": 0.6}
            ring = {"linewidths": 2.5 if row["chosen"] else 0, "edgecolors": INK}
            axes.scatter(across, max(row["error"], least), **mark, **ring)
        axes.axhline(rows[0]["budget"], color=INK, linestyle="--", linewidth=1.2)
        if timed:
            axes.axvline(1.0, color=INK, linestyle=":", linewidth=1)
            axes.set_xlim(0)
        axes.set_yscale("log")
        axes.margins(y=0.2)
        _decades(axes, "y")
        axes.set_xlabel("pace (× float32)" if timed else "size [MB]")
        axes.set_ylabel("error")

    note = (
        "Right is quicker, low is nearer to float32, a small mark is a small graph. "
        if timed
        else "Nobody has timed them on this target: error against size. "
    )
    note += (
        "The dashed line is the budget, the ring is what was chosen; float32 has no error and stands lowest."
    )
    legend = [row["format"] for row in rows]
    return section(f"{name}: size, pace and error", note, drawn(draw, "error against pace"), legend=legend)


def _histogram(name: str, rows: Sequence[Row]) -> str:
    """How far single numbers of the first output are off."""
    shown = [(i, row) for i, row in enumerate(rows) if sum(row["histogram"]["counts"])]
    if not shown:
        return ""

    def draw(axes: Any) -> None:
        for i, row in shown:
            told = row["histogram"]
            counts = told["counts"]
            step = (told["to"] / told["from"]) ** (1 / len(counts))
            edges = [told["from"] * step**n for n in range(len(counts) + 1)]
            shares = [count / sum(counts) for count in counts]
            axes.stairs(shares, edges, color=colour(i), linestyle=dash(i), linewidth=1.8)
        axes.set_xscale("log")
        _decades(axes, "x")
        axes.set_ylim(0)
        axes.set_xlabel("difference from float32, of one number of the output")
        axes.set_ylabel("share")

    legend = {row["format"]: i for i, row in shown}
    note = "Of all numbers of the first output, over the inputs that were held out."
    return section(f"{name}: errors", note, drawn(draw, "histogram of errors"), legend=legend)


def _decades(axes: Any, which: str) -> None:
    """Powers of ten within the limits, in plain figures: matplotlib's own are formulas."""
    low, high = (math.log10(limit) for limit in getattr(axes, f"get_{which}lim")())
    powers = range(math.ceil(low), math.floor(high) + 1, max(1, round((high - low) / 5)))
    getattr(axes, f"set_{which}ticks")([10.0**n for n in powers], [f"{10.0**n:g}" for n in powers])
    getattr(axes, f"{which}axis").minorticks_off()


def _losses(name: str, rows: Sequence[Row]) -> str:
    """Which layers cannot do with eight bits."""
    i, row = next(((i, row) for i, row in enumerate(rows) if row["losses"]), (0, None))
    if row is None:
        return ""
    losses = [loss for loss in row["losses"] if loss["error"] > 0]
    worst = losses[0]["error"]
    kept = set(row["kept_float"])
    body = [
        [
            ('class="left"', f"{bar(loss['error'] / worst, None, i)}{loss['error']:.2g}"),
            ("", "float32" if loss["weight"] in kept else "INT8"),
        ]
        for loss in losses
    ]
    note = (
        f"The error of the last output when this layer alone is in eight bits, the worst {len(losses)}; "
        f"{len(kept)} layers stayed in float for the budget."
    )
    head = ("layer", "error", "in the end")
    return section(
        f"{name}: sensitivity of layers", note, table(head, [loss["weight"] for loss in losses], body)
    )


def _allowed(row: Row) -> str:
    return f"the budget is {row['budget']:g}"


def _chosen(rows: Sequence[Row]) -> Row:
    return next(row for row in rows if row["chosen"])


def _plain(rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if row["format"] == FLOAT), None)
