"""The page: one evaluation of a policy as a file to read, with tables, plots and how it was made."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Mapping, Sequence

from rmedge.benchmarks.sheet import (
    INK,
    bar,
    colour,
    dash,
    document,
    drawn,
    fact,
    made,
    needed,
    number,
    section,
    table,
    tiles,
)

__all__ = ["write"]

STUDENT = "student"
FIRST = "reference"  # the physics that the tables and the curves tell of
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
        made(told),
    ]
    title = f"{told['bundle']['name']}: success {told['success']:.3f}"
    document(title, body, path)


def _heading(told: Mapping[str, Any]) -> str:
    """What was evaluated and how it went, in words, in four figures and in one mark a trial."""
    trials, captions = told["trials"], told.get("by_caption") or {}
    stood = round(told["success"] * trials)
    many = f"all {trials}" if stood == trials else f"{stood} of {trials}"
    parts = [f"{len(captions)} commands" if captions else f"{trials} trials"]
    if told.get("seeds") is not None:
        parts.append(f"{fact(told['seeds'])} seeds")
    if told.get("seconds") is not None:
        parts.append(f"{fact(told['seconds'])} s each")
    if told.get("perturbed"):
        parts.append("every trial with its own pushes, friction, masses, gains, delays and noise")
    lead = f"{', '.join(parts)}. "
    shown = [("success", f"{told['success']:.3f}", "95 % interval {:.3f}–{:.3f}".format(*told["interval"]))]
    if told.get("velocity_error_ratio") is not None and told.get("reference") is not None:
        ratio, whose = told["velocity_error_ratio"], told["reference"]
        lead += f"Its velocity error is {ratio:.2f} times that of {whose}, the better teacher of walking. "
        shown.append(("velocity error", f"{ratio:.2f} ×", f"that of {whose}"))
    for name, row in (told.get("by_physics") or {}).items():
        if name != FIRST and STUDENT in row:
            mine = row[STUDENT]
            shown.append((f"in the {name} physics", f"{mine['success']:.3f}", f"gap {mine['gap']:+.3f}"))
    sweep = told.get("sweep")
    if sweep and sweep.get("budget") is not None:
        budget = f"{sweep['budget']:g} {sweep['unit']}"
        shown.append((f"{sweep['kind']} that it bears", budget, f"of up to {sweep['points'][-1]['value']:g}"))
    if stood < trials and told.get("fall_time_s") is not None:
        lead += f"Where it fell, it did so after {told['fall_time_s']:.1f} s on average. "
    if told.get("stop_reason"):
        lead += f"The evaluation was stopped ({told['stop_reason']}): these are the trials until then."
    marks = "".join(map(_mark, _trials(told, STUDENT)))
    strip = f'<div class="marks">{marks}</div><p>One mark a trial; round ones fell.</p>' if marks else ""
    return (
        f"<h1>The policy of <em>{escape(told['bundle']['name'])}</em> stayed on its feet in {many} "
        f'{"perturbed " if told.get("perturbed") else ""}trials.</h1><p class="lead">{escape(lead)}</p>'
        f"{tiles(shown)}{strip}"
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
            ('class="left"', f"{bar(row['success'], row['interval'], i)}{row['success']:.3f}"),
            *(("", number(row.get(key), COLUMNS[key][1])) for key in shown),
        ]
        for i, row in enumerate(rows.values())
    ]
    return section(
        "Policy by policy",
        "Bars are success, whiskers its 95 % interval (Wilson). Velocity error is the mean over time of "
        "|achieved − asked| after the first second, over forward, sideways and yaw; it and all that "
        "stands right of it count the trials without a fall.",
        table(head, [*rows], body, me=STUDENT),
    )


def _captions(told: Mapping[str, Any]) -> str:
    """Success of every caption by every policy: what fails glows."""
    captions, names = told.get("by_caption") or {}, [*told["by_policy"]]
    if not captions:
        return ""
    body = [[_heat(row[who]) if who in row else ("", "–") for who in names] for row in captions.values()]
    return section(
        "Where it falls",
        "Success of each command; the small figure is the velocity error. A cell glows by the square root "
        "of what fell, so that one fall in a hundred is seen.",
        table(["command", *names], [*captions], body, "heat"),
    )


def _heat(cell: Mapping[str, Any]) -> tuple[str, str]:
    glow = max(0.0, 1 - cell["success"]) ** 0.5
    error = number(cell.get("velocity_error_mean"), ".3f")
    return f'style="--v:{glow:.0%}"', f"{cell['success']:.2f}<small>{error}</small>"


def _components(told: Mapping[str, Any]) -> str:
    """Velocity error by component, the reference as a line across each group."""
    rows, reference = told["by_policy"], told.get("reference")

    def draw(axes: Any) -> None:
        width = 0.8 / len(rows)
        for i, row in enumerate(rows.values()):
            places = [group - 0.4 + (i + 0.5) * width for group in range(3)]
            axes.bar(places, _filled(row["velocity_error"]), 0.88 * width, color=colour(i))
        if reference in rows:
            for group, error in enumerate(_filled(rows[reference]["velocity_error"])):
                axes.hlines(error, group - 0.42, group + 0.42, color=INK, linestyle=":", linewidth=1.2)
        axes.set_xticks(range(3), COMPONENTS)

    note = f"The dotted line is {reference}." if reference in rows else ""
    return section(
        "Velocity error by component", note, drawn(draw, "velocity error by component"), legend=[*rows]
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
    return section(
        "From one physics to another",
        "The same trials where time step, integrator and contact differ. "
        "The gap is by how much more succeed in the reference.",
        table(["policy", *physics], names, body, me=STUDENT),
    )


def _cell(row: Mapping[str, Any] | None, i: int, first: bool) -> tuple[str, str]:
    if row is None:
        return 'class="left"', "–"
    gap = "" if first else f"<small>gap {row['gap']:+.3f}</small>"
    return 'class="left"', f"{bar(row['success'], row.get('interval'), i)}{row['success']:.3f}{gap}"


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
            ink = colour(colours[who])
            axes.fill_between(values, low, high, color=ink, alpha=0.15, linewidth=0)
            axes.plot(
                values, [row["success"] for _, row in met], color=ink, marker="o", markersize=4,
                linestyle=dash(colours[who]),
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
    return section(title, note, drawn(draw, title), legend={who: colours[who] for who in names})


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
                    color=colour(i),
                    linestyle=dash(i),
                )
        axes.set_ylim(max(0.0, axes.get_ylim()[0]), 1.005)
        axes.set_xlim(0)
        axes.set_xlabel("time since the start [s]")

    return section(
        "Still on its feet",
        "The share of trials that have not fallen yet.",
        drawn(draw, "share of trials that have not fallen, over time"),
        legend=names,
    )


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
