"""The page: one evaluation of a policy as a file to read, with tables, plots and how it was made."""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from rmedge.errors import AbsentError

__all__ = ["needed", "write"]

STUDENT = "student"
FIRST = "reference"  # the physics that the tables and the curves tell of
COLOURS = 8  # as many as CSS below names; a ninth policy is drawn as the first, dashed
COLUMNS = {
    "velocity_error_mean": ("velocity error", ".3f"),
    "velocity_error_ratio": ("× reference", ".2f"),
    "heading_error": ("heading error [rad]", ".3f"),
    "mpjpe_mm": ("E_mpjpe [mm]", ".0f"),
    "upper_mpjpe_mm": ("upper body [mm]", ".0f"),
    "foot_slip": ("foot slip [m/s]", ".3f"),
    "action_rate": ("action rate [rad/s]", ".2f"),
    "jerk": ("jerk [rad/s³]", ".0f"),
    "torque": ("torque [of its limit]", ".3f"),
    "power": ("power [W]", ".0f"),
    "fall_time_s": ("fell after [s]", ".1f"),
}  # figure -> heading and format
COMPONENTS = ("forward [m/s]", "sideways [m/s]", "yaw [rad/s]")

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


def needed() -> None:
    """Say so where what draws the plots is absent.

    Raises:
        AbsentError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401  (asked for before anything is made)
    except ImportError as error:
        raise AbsentError('page: expected matplotlib, got none; pip install "rmedge[report]"') from error


def write(told: Mapping[str, Any], path: Path) -> None:
    """Write what ``rmedge-bench eval policy --json`` tells as one HTML file that needs no other.

    Parts that were not evaluated are left out.

    Raises:
        AbsentError: as `needed`.
    """
    needed()
    body = [
        _heading(told),
        _policies(told),
        _captions(told),
        f'<div class="two">{_components(told)}{_physics(told)}{_sweep(told)}{_falls(told)}</div>',
        _context(told),
    ]
    title = f"{told['bundle']['name']}: success {told['success']:.3f}"
    path.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{CSS}</style></head>\n<body><main>{''.join(body)}</main></body></html>\n",
        encoding="utf-8",
    )


def _heading(told: Mapping[str, Any]) -> str:
    """What was evaluated and how it went, in words, in four figures and in one mark a trial."""
    trials, captions = told["trials"], told.get("by_caption") or {}
    stood = round(told["success"] * trials)
    many = f"all {trials}" if stood == trials else f"{stood} of {trials}"
    parts = [f"{len(captions)} commands" if captions else f"{trials} trials"]
    if told.get("seeds") is not None:
        parts.append(f"{_fact(told['seeds'])} seeds")
    if told.get("seconds") is not None:
        parts.append(f"{_fact(told['seconds'])} s each")
    if told.get("perturbed"):
        parts.append("every trial with its own pushes, friction, masses, gains, delays and noise")
    lead = f"{', '.join(parts)}. "
    tiles = [("success", f"{told['success']:.3f}", "95 % interval {:.3f}–{:.3f}".format(*told["interval"]))]
    if told.get("velocity_error_ratio") is not None and told.get("reference") is not None:
        ratio, whose = told["velocity_error_ratio"], told["reference"]
        lead += f"Its velocity error is {ratio:.2f} times that of {whose}, the better teacher of walking. "
        tiles.append(("velocity error", f"{ratio:.2f} ×", f"that of {whose}"))
    for name, row in (told.get("by_physics") or {}).items():
        if name != FIRST and STUDENT in row:
            mine = row[STUDENT]
            tiles.append((f"in the {name} physics", f"{mine['success']:.3f}", f"gap {mine['gap']:+.3f}"))
    sweep = told.get("sweep")
    if sweep and sweep.get("budget") is not None:
        budget = f"{sweep['budget']:g} {sweep['unit']}"
        tiles.append((f"{sweep['kind']} that it bears", budget, f"of up to {sweep['points'][-1]['value']:g}"))
    if stood < trials and told.get("fall_time_s") is not None:
        lead += f"Where it fell, it did so after {told['fall_time_s']:.1f} s on average. "
    if told.get("stop_reason"):
        lead += f"The evaluation was stopped ({told['stop_reason']}): these are the trials until then."
    marks = "".join(map(_mark, _trials(told, STUDENT)))
    strip = f'<div class="marks">{marks}</div><p>One mark a trial; round ones fell.</p>' if marks else ""
    figures = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(figure)}<small>{escape(note)}</small></dd></div>"
        for name, figure, note in tiles
    )
    return (
        f"<h1>The policy of <em>{escape(told['bundle']['name'])}</em> stayed on its feet in {many} "
        f'{"perturbed " if told.get("perturbed") else ""}trials.</h1><p class="lead">{escape(lead)}</p>'
        f'<dl class="tiles">{figures}</dl>{strip}'
    )


def _mark(trial: Mapping[str, Any]) -> str:
    if trial["fell_at_s"] is None:
        return "<i></i>"
    words = f"{trial['caption']}, seed {trial['seed']}: fell after {trial['fell_at_s']:.1f} s"
    return f'<i class="fell" title="{escape(words)}"></i>'


def _policies(told: Mapping[str, Any]) -> str:
    """Every figure of every policy."""
    rows = told["by_policy"]
    shown = [key for key in COLUMNS if any(row.get(key) is not None for row in rows.values())]
    head = ["policy", "success", *(COLUMNS[key][0] for key in shown)]
    body = [
        [
            ('class="left"', f"{_bar(row['success'], row['interval'], i)}{row['success']:.3f}"),
            *(("", _number(row.get(key), COLUMNS[key][1])) for key in shown),
        ]
        for i, row in enumerate(rows.values())
    ]
    return _section(
        "Policy by policy",
        "Bars are success, whiskers its 95 % interval (Wilson). Velocity error is the mean over time of "
        "|achieved − asked| after the first second, over forward, sideways and yaw; it and all that "
        "stands right of it count the trials without a fall.",
        _table(head, [*rows], body),
    )


def _captions(told: Mapping[str, Any]) -> str:
    """Success of every caption by every policy: what fails glows."""
    captions, names = told.get("by_caption") or {}, [*told["by_policy"]]
    if not captions:
        return ""
    body = [[_heat(row[who]) if who in row else ("", "–") for who in names] for row in captions.values()]
    return _section(
        "Where it falls",
        "Success of each command; the small figure is the velocity error. A cell glows by the square root "
        "of what fell, so that one fall in a hundred is seen.",
        _table(["command", *names], [*captions], body, "heat"),
    )


def _heat(cell: Mapping[str, Any]) -> tuple[str, str]:
    glow = max(0.0, 1 - cell["success"]) ** 0.5
    error = _number(cell.get("velocity_error_mean"), ".3f")
    return f'style="--v:{glow:.0%}"', f"{cell['success']:.2f}<small>{error}</small>"


def _components(told: Mapping[str, Any]) -> str:
    """Velocity error by component, the reference as a line across each group."""
    rows, reference = told["by_policy"], told.get("reference")

    def draw(axes: Any) -> None:
        width = 0.8 / len(rows)
        for i, row in enumerate(rows.values()):
            places = [group - 0.4 + (i + 0.5) * width for group in range(3)]
            axes.bar(places, _filled(row["velocity_error"]), 0.88 * width, color=_colour(i))
        if reference in rows:
            for group, error in enumerate(_filled(rows[reference]["velocity_error"])):
                axes.hlines(error, group - 0.42, group + 0.42, color=INK, linestyle=":", linewidth=1.2)
        axes.set_xticks(range(3), COMPONENTS)

    note = f"The dotted line is {reference}." if reference in rows else ""
    return _section(
        "Velocity error by component", note, _drawn(draw, "velocity error by component"), legend=[*rows]
    )


def _physics(told: Mapping[str, Any]) -> str:
    """Success in each physics, and the gap to the first."""
    physics = told.get("by_physics") or {}
    names = [who for who in told["by_policy"] if any(who in row for row in physics.values())]
    if len(physics) < 2:
        return ""
    body = []
    for who in names:
        i = [*told["by_policy"]].index(who)
        body.append([_cell(row.get(who), i, first=name == FIRST) for name, row in physics.items()])
    return _section(
        "From one physics to another",
        "The same trials where time step, integrator and contact differ. "
        "The gap is by how much more succeed in the reference.",
        _table(["policy", *physics], names, body),
    )


def _cell(row: Mapping[str, Any] | None, i: int, first: bool) -> tuple[str, str]:
    if row is None:
        return 'class="left"', "–"
    gap = "" if first else f"<small>gap {row['gap']:+.3f}</small>"
    return 'class="left"', f"{_bar(row['success'], row.get('interval'), i)}{row['success']:.3f}{gap}"


def _sweep(told: Mapping[str, Any]) -> str:
    """Success against a disturbance that grows, and the budget."""
    sweep = told.get("sweep")
    if not sweep:
        return ""
    names = [*told["by_policy"]]
    names += [who for point in sweep["points"] for who in point["by_policy"] if who not in names]
    names = [who for who in dict.fromkeys(names) if any(who in p["by_policy"] for p in sweep["points"])]
    colours = {who: i for i, who in enumerate(dict.fromkeys([*told["by_policy"], *names]))}

    def draw(axes: Any) -> None:
        for who in names:
            met = [
                (point["value"], point["by_policy"][who])
                for point in sweep["points"]
                if who in point["by_policy"]
            ]
            values = [value for value, _ in met]
            low, high = zip(*(row["interval"] for _, row in met))
            colour = _colour(colours[who])
            axes.fill_between(values, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(
                values, [row["success"] for _, row in met], color=colour, marker="o", markersize=4,
                linestyle=_dash(colours[who]),
            )  # fmt: skip
        if sweep.get("budget") is not None:
            axes.axvline(sweep["budget"], color=INK, linestyle="--", linewidth=1.2)
        axes.set_ylim(0, 1.03)
        axes.set_xlabel(f"{sweep['kind']} [{sweep['unit']}]")

    budget = sweep.get("budget")
    note = "Bands are 95 % intervals."
    if budget is not None:
        note += f" The dashed line is the budget, {budget:g} {sweep['unit']}."
    title = f"Success against {sweep['kind']}"
    return _section(title, note, _drawn(draw, title), legend={who: colours[who] for who in names})


def _falls(told: Mapping[str, Any]) -> str:
    """The share that still stands over time, when anybody fell."""
    names, trials = [*told["by_policy"]], {who: _trials(told, who) for who in told["by_policy"]}
    fell = {who: sorted(t["fell_at_s"] for t in trials[who] if t["fell_at_s"] is not None) for who in names}
    if not any(fell.values()):
        return ""

    end = told.get("seconds") or max(seconds for falls in fell.values() for seconds in falls)

    def draw(axes: Any) -> None:
        for i, who in enumerate(names):
            if trials[who]:
                count = len(trials[who])
                left = [1 - k / count for k in range(len(fell[who]) + 1)]
                axes.step(
                    [0, *fell[who], end],
                    [*left, left[-1]],
                    where="post",
                    color=_colour(i),
                    linestyle=_dash(i),
                )
        axes.set_ylim(max(0.0, axes.get_ylim()[0]), 1.005)
        axes.set_xlim(0)
        axes.set_xlabel("time since the start [s]")

    return _section(
        "Still on its feet",
        "The share of trials that have not fallen yet.",
        _drawn(draw, "share of trials that have not fallen, over time"),
        legend=names,
    )


def _context(told: Mapping[str, Any]) -> str:
    """By what, on what, of what."""
    facts = {"bundle": f"{told['bundle']['name']} {told['bundle']['sha256']}", **(told.get("context") or {})}
    rows = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(_fact(value))}</dd>"
        for name, value in facts.items()
        if value is not None
    )
    command = f"<pre>{escape(told['command'])}</pre>" if told.get("command") else ""
    return _section("How this was measured", "", f'{command}<dl class="facts">{rows}</dl>')


def _trials(told: Mapping[str, Any], who: str) -> list[Mapping[str, Any]]:
    """The trials behind a policy's row: in the first physics, before a sweep's disturbance grows.

    Empty where they do not add up to what the row says.
    """
    row, each = told["by_policy"].get(who), told.get("trials_each") or []
    if row is None:
        return []
    mine = [trial for trial in each if trial["policy"] == who and trial.get("physics", FIRST) == FIRST]
    mine = mine[: row["trials"]]
    stood = sum(trial["fell_at_s"] is None for trial in mine)
    return mine if stood == round(row["success"] * row["trials"]) else []


def _filled(errors: Sequence[float | None]) -> list[float]:
    """What was never measured is no bar."""
    return [float("nan") if error is None else error for error in errors]


def _section(title: str, note: str, inside: str, legend: Sequence[str] | Mapping[str, int] = ()) -> str:
    colours = legend if isinstance(legend, Mapping) else {who: i for i, who in enumerate(legend)}
    keys = "".join(
        f'<li class="dot" style="--c:var(--c{i % COLOURS})">{escape(who)}</li>' for who, i in colours.items()
    )
    keys = f'<ul class="legend">{keys}</ul>' if keys else ""
    return f"<section><h2>{escape(title)}</h2><p>{escape(note)}</p>{keys}{inside}</section>"


def _table(
    head: Sequence[str], names: Sequence[str], body: Sequence[Sequence[tuple[str, str]]], kind: str = ""
) -> str:
    """A table that scrolls sideways within the page; a cell is its attributes and its HTML."""
    columns = "".join(f"<th>{escape(name)}</th>" for name in head)
    rows = "".join(
        f"<tr{' class=me' if name == STUDENT else ''}><th>{escape(name)}</th>"
        + "".join(f"<td {attributes}>{inside}</td>" for attributes, inside in cells)
        + "</tr>"
        for name, cells in zip(names, body)
    )
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{columns}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _bar(share: float, interval: Sequence[float] | None, i: int) -> str:
    """A share of one, with its interval as a whisker."""
    ends = f";--lo:{interval[0]:.2%};--hi:{interval[1]:.2%}" if interval else ""
    whisker = "<b></b>" if interval else ""
    return (
        f'<span class="bar" style="--c:var(--c{i % COLOURS});--v:{share:.2%}{ends}"><i></i>{whisker}</span>'
    )


def _drawn(draw: Callable[[Any], None], words: str) -> str:
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


def _colour(i: int) -> str:
    return f"#0202{i % COLOURS:02x}"


def _dash(i: int) -> str:
    return "-" if i < COLOURS else "--"


def _number(value: Any, form: str = "g") -> str:
    return "–" if value is None else format(value, form)


def _fact(value: Any) -> str:
    return (
        "  ".join(map(_fact, value))
        if isinstance(value, (list, tuple))
        else (f"{value:g}" if isinstance(value, float) else str(value))
    )
