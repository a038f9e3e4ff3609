"""The sheet: one HTML file that needs no other, and what stands on it: sections, tables, bars, plots."""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from rmedge.errors import AbsentError

__all__ = [
    "COLOURS", "INK", "Html", "bar", "colour", "dash", "document", "drawn", "fact", "facts", "made", "needed",
    "number", "section", "table", "tiles", "words",
]  # fmt: skip

COLOURS = 8  # as many as CSS below names; a ninth line is drawn as the first, dashed

# matplotlib knows no CSS: it draws in colours that nobody picks, and these become variables
INK, MUTED, FAINT = "#010100", "#010101", "#010102"
VARIABLES = {
    **{INK: "--ink", MUTED: "--muted", FAINT: "--faint"},
    **{f"#0202{i:02x}": f"--c{i}" for i in range(COLOURS)},
}
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rmedge",  # the same figures, the same bytes
    "text.parse_math": False,  # a name may hold a $
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
}

CSS = """
:root { color-scheme: light dark; --paper: #fbfaf7; --card: #fff; --ink: #1d1f23; --muted: #666b73;
  --faint: #dedcd5; --good: #dcefe7; --bad: #ee6c45; --c0: #2563d9; --c1: #d9730d; --c2: #128a68;
  --c3: #a8409a; --c4: #87701c; --c5: #5d6b7a; --c6: #c23650; --c7: #2b93b8 }
@media (prefers-color-scheme: dark) { :root { --paper: #131517; --card: #1b1e21; --ink: #eceae5;
  --muted: #9ba1a8; --faint: #34383d; --good: #17392f; --bad: #d0502c; --c0: #6aa9ff; --c1: #ffa552;
  --c2: #4fcfa4; --c3: #e48bd6; --c4: #d6bd62; --c5: #a3b2c2; --c6: #ff8294; --c7: #7bd2ec } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  font-variant-numeric: tabular-nums }
main { max-width: 74rem; margin: auto; padding: clamp(1.2rem, 5vw, 4rem) clamp(1rem, 4vw, 2rem) }
h1 { font-size: clamp(1.7rem, 5vw, 2.9rem); line-height: 1.12; letter-spacing: -.025em; font-weight: 650;
  margin: 0 0 1rem; max-width: 22em; text-wrap: balance; overflow-wrap: anywhere }
h1 em { font-style: normal; color: var(--c0) }
h2 { font-size: 1.05rem; margin: 0 0 .2rem }
p { margin: 0 0 1rem; max-width: 44rem; color: var(--muted) }
p.lead { font-size: 1.1rem; color: var(--ink) }
section { background: var(--card); border: 1px solid var(--faint); border-radius: 14px;
  padding: 1.2rem clamp(.9rem, 2.5vw, 1.5rem); margin-top: 1.2rem; min-width: 0 }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  column-gap: 1.2rem }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1rem 2rem;
  margin: 1.8rem 0 }
.tiles dt { color: var(--muted); font-size: .85rem }
.tiles dd { margin: 0; font-size: 2rem; font-weight: 650; letter-spacing: -.02em; line-height: 1.2 }
.tiles small { display: block; font-size: .85rem; font-weight: 400; letter-spacing: 0;
  color: var(--muted) }
.marks { display: flex; flex-wrap: wrap; gap: 3px; margin: 0 0 .5rem }
.marks i { width: 9px; height: 9px; border-radius: 2px; background: var(--c0); opacity: .75 }
.marks i.fell { background: var(--bad); opacity: 1; border-radius: 50% }
.wide { overflow-x: auto; margin: .6rem 0 0 }
table { border-collapse: collapse; font-size: .9rem; width: 100% }
th, td { padding: .4rem .55rem; text-align: right; border-top: 1px solid var(--faint) }
tr > :first-child { text-align: left; position: sticky; left: 0; background: var(--card); z-index: 1;
  padding-left: 0; min-width: 5.5rem }
thead th { border: 0; font-weight: 500; color: var(--muted); font-size: .8rem; line-height: 1.25;
  vertical-align: bottom }
tbody th { font-weight: 500 }
tr.me th { font-weight: 700 }
td.left { white-space: nowrap }
.dot::before { content: ""; display: inline-block; width: .65em; height: .65em; border-radius: 2px;
  background: var(--c); margin-right: .5em }
.bar { position: relative; display: inline-block; width: 6rem; height: .9em; border-radius: 3px;
  background: var(--faint); margin-right: .6em; vertical-align: -.1em }
.bar i { position: absolute; inset: 0 auto 0 0; width: var(--v); border-radius: 3px; background: var(--c);
  opacity: .55 }
.bar b { position: absolute; inset: 15% auto 15% var(--lo); width: calc(var(--hi) - var(--lo));
  border: solid var(--ink); border-width: 0 1.5px;
  background: linear-gradient(var(--ink), var(--ink)) center / 100% 1.5px no-repeat }
td small { display: block; color: var(--muted); font-weight: 400; font-size: .75rem }
.heat td { border: 2px solid var(--card); border-radius: 7px; text-align: center; line-height: 1.2;
  background: color-mix(in oklab, var(--bad) var(--v), var(--good)) }
.heat td small { color: inherit; opacity: .75 }
.two .bar { width: min(4rem, 11vw) }
.two tr > * + * { padding-inline: .3rem }
.heat thead th + th { text-align: center }
.heat { border-collapse: separate; border-spacing: 0 }
.heat tbody th { border: 0 }
.matrix { border-collapse: separate; border-spacing: 2px }
.matrix th, .matrix td { border: 0; text-align: center; padding: .3rem .25rem }
.matrix td { border-radius: 6px; background: color-mix(in oklab, var(--c) var(--v), var(--card)) }
.matrix td.none { background: none }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: .4rem 0 .2rem;
  list-style: none; font-size: .85rem }
svg { display: block; width: 100%; height: auto; stroke-linejoin: round }
svg text { font-family: inherit !important }
dl.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1.2rem;
  font-size: .85rem; margin: .8rem 0 0 }
dl.facts dt { color: var(--muted) }
dl.facts dd { margin: 0; overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .8rem 0 0; padding: .7rem .9rem;
  border-radius: 8px; background: var(--paper); font: .85rem/1.5 ui-monospace, monospace }
"""


class Html(str):
    """Words that are HTML already: nothing in them is escaped again."""


def words(text: str) -> str:
    """As HTML."""
    return text if isinstance(text, Html) else escape(text)


def needed() -> None:
    """Say so where what draws the plots is absent.

    Raises:
        AbsentError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401  (asked for before anything is made)
    except ImportError as error:
        raise AbsentError('page: expected matplotlib, got none; pip install "rmedge[report]"') from error


def document(title: str, body: Sequence[str], path: Path, css: str = "", script: str = "") -> None:
    """Write it; ``css`` and ``script`` are the page's own, after what every sheet has."""
    script = f"<script>{script}</script>" if script else ""
    path.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{CSS}{css}</style></head>\n<body><main>{''.join(body)}</main>{script}</body></html>\n",
        encoding="utf-8",
    )


def tiles(rows: Sequence[tuple[str, str, str]]) -> str:
    """Figures to be seen first: name, figure, note."""
    figures = "".join(
        f"<div><dt>{words(name)}</dt><dd>{words(figure)}<small>{words(note)}</small></dd></div>"
        for name, figure, note in rows
    )
    return f'<dl class="tiles">{figures}</dl>'


def made(told: Mapping[str, Any]) -> str:
    """By what, on what, of what."""
    rows = {"bundle": f"{told['bundle']['name']} {told['bundle']['sha256']}", **(told.get("context") or {})}
    command = f"<pre>{escape(told['command'])}</pre>" if told.get("command") else ""
    return section("How this was measured", "", f"{command}{facts(rows)}")


def facts(rows: Mapping[str, Any]) -> str:
    """Names and what they are; what is None is left out."""
    lines = "".join(
        f"<dt>{words(str(name))}</dt><dd>{words(value if isinstance(value, Html) else fact(value))}</dd>"
        for name, value in rows.items()
        if value is not None
    )
    return f'<dl class="facts">{lines}</dl>'


def section(title: str, note: str, inside: str, legend: Sequence[str] | Mapping[str, int] = ()) -> str:
    colours = legend if isinstance(legend, Mapping) else {who: i for i, who in enumerate(legend)}
    keys = "".join(
        f'<li class="dot" style="--c:var(--c{i % COLOURS})">{escape(who)}</li>' for who, i in colours.items()
    )
    keys = f'<ul class="legend">{keys}</ul>' if keys else ""
    said = f"<p>{words(note)}</p>" if note else ""
    return f"<section><h2>{words(title)}</h2>{said}{keys}{inside}</section>"


def table(
    head: Sequence[str],
    names: Sequence[str],
    body: Sequence[Sequence[tuple[str, str]]],
    kind: str = "",
    me: str = "",
) -> str:
    """A table that scrolls sideways within the page; a cell is its attributes and its HTML.

    ``me``: the name of the row that the page is about.
    """
    columns = "".join(f"<th>{words(name)}</th>" for name in head)
    rows = "".join(
        f"<tr{' class=me' if name == me else ''}><th>{words(name)}</th>"
        + "".join(f"<td {attributes}>{inside}</td>" for attributes, inside in cells)
        + "</tr>"
        for name, cells in zip(names, body)
    )
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{columns}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def bar(share: float, interval: Sequence[float] | None, i: int) -> str:
    """A share of one, with its interval as a whisker."""
    ends = f";--lo:{interval[0]:.2%};--hi:{interval[1]:.2%}" if interval else ""
    whisker = "<b></b>" if interval else ""
    return (
        f'<span class="bar" style="--c:var(--c{i % COLOURS});--v:{share:.2%}{ends}"><i></i>{whisker}</span>'
    )


def drawn(draw: Callable[[Any], None], words: str) -> str:
    """What is drawn on axes, as SVG to stand within HTML."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    drawn = io.StringIO()
    with rc_context(STYLE):
        figure = Figure((5.2, 2.9), layout="constrained")
        draw(figure.subplots())
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    svg = drawn.getvalue()
    box = re.search(r'viewBox="[^"]*"', svg)
    inside = svg[svg.index("<g ") :].replace("xlink:href", "href")
    inside = re.sub(r'<g id="[^"]*"', "<g", inside)  # these would stand twice in one page
    for colour, variable in VARIABLES.items():
        inside = inside.replace(colour, f"var({variable})")
    return f'<svg role="img" aria-label="{escape(words)}" {box[0] if box else ""}>{inside}'


def colour(i: int) -> str:
    return f"#0202{i % COLOURS:02x}"


def dash(i: int) -> str:
    return "-" if i < COLOURS else "--"


def number(value: Any, form: str = "g") -> str:
    return "–" if value is None else format(value, form)


def fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {fact(each)}" for name, each in value.items())
    return (
        "  ".join(map(fact, value))
        if isinstance(value, (list, tuple))
        else (f"{value:g}" if isinstance(value, float) else str(value))
    )
