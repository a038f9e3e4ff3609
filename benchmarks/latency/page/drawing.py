"""The drawing: shapes as SVG that is as wide as its place, and the words beside it as HTML."""

from __future__ import annotations

from html import escape
from typing import Any, Iterable, Sequence

import numpy as np

from rmedge.benchmarks.latency.page.axes import Axis
from rmedge.benchmarks.sheet import words

__all__ = [
    "WIDE", "across", "box", "dots", "grid", "height_of", "line", "path", "plot", "scale", "strips", "svg",
    "upright",
]  # fmt: skip

WIDE = 1000  # a drawing's width in its own units: a browser stretches them, but neither strokes nor words


def svg(height: float, said: str, parts: Iterable[str], more: str = "") -> str:
    """A drawing as wide as its place; what it shows in words is for who cannot see it."""
    return (
        f'<svg role="img" aria-label="{escape(said)}" viewBox="0 0 {WIDE} {height:g}" '
        f'preserveAspectRatio="none" style="height:{height:g}px" {more}>{"".join(parts)}</svg>'
    )


def path(d: str, kind: str, tip: str = "") -> str:
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return f'<path class="{kind}" d="{d}">{title}</path>'


def line(x: Any, y: Any) -> str:
    """Through points: x of 0 to 1, y [px]."""
    return "M" + "L".join(f"{WIDE * a:.1f} {b:.1f}" for a, b in zip(np.ravel(x), np.ravel(y)))


def dots(x: Any, y: Any) -> str:
    """Strokes of no length: a round cap makes a dot of each, however wide the drawing."""
    return "".join(f"M{WIDE * a:.1f} {b:.1f}h0" for a, b in zip(np.ravel(x), np.ravel(y)))


def upright(x: float, height: float, kind: str, tip: str = "", top: float = 0.0) -> str:
    return path(f"M{WIDE * x:.1f} {top:g}V{height:g}", kind, tip)


def across(y: float, kind: str) -> str:
    return path(f"M0 {y:.1f}H{WIDE}", kind)


def box(start: float, end: float, top: float, bottom: float, kind: str, tip: str = "") -> str:
    """At least a unit wide, so that it is seen."""
    left, wide = WIDE * start, max(WIDE * (end - start), 1.5)
    return path(f"M{left:.1f} {top:g}h{wide:.1f}V{bottom:g}h{-wide:.1f}z", kind, tip)


def grid(axis: Axis, height: float) -> str:
    return "".join(upright(axis.at(value), height, "grid") for value, _ in axis.ticks())


def scale(axis: Axis) -> str:
    """The words under a drawing."""
    ticks = axis.ticks()
    marks = "".join(f'<i style="left:{axis.at(value):.2%}">{escape(word)}</i>' for value, word in ticks)
    return f'<div class="scale{" many" if len(ticks) > 4 else ""}" aria-hidden="true">{marks}</div>'


def strips(rows: Iterable[tuple[str, str, str]], axis: Axis, kind: str = "") -> str:
    """Drawings under each other on one scale: each with its name before and its figure behind."""
    lines = "".join(
        f'<span class="who">{words(name)}</span>{drawing}<span class="val">{words(figure)}</span>'
        for name, drawing, figure in rows
    )
    return f'<div class="strips {kind}">{lines}{scale(axis)}</div>'


def height_of(axis: Axis, values: Any, height: float) -> Any:
    """Where values of an upward axis stand, from the top [px]."""
    return height * (1 - axis.at(values))


def plot(
    drawn: Sequence[str], height: float, said: str, x: Axis, y: Sequence[tuple[float, str]], under: str = "",
    more: str = "",
) -> str:  # fmt: skip
    """A drawing with words on two sides: ``y`` are heights from its top [px] and what is written there."""
    lines = [across(top, "grid") for top, _ in y]
    marks = "".join(f'<i style="top:{top:.0f}px">{escape(word)}</i>' for top, word in y)
    below = f'<div class="under">{escape(under)}</div>' if under else ""
    return (
        f'<div class="plot"><div class="y" aria-hidden="true">{marks}</div>'
        f"{svg(height, said, [*lines, *drawn], more)}{scale(x)}{below}</div>"
    )
