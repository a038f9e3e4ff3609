"""The page of `eval video`: what was said and done of real and painted clips, by one system beside others."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Mapping, Sequence

from rmedge.benchmarks.sheet import bar, document, made, needed, number, section, table, tiles

__all__ = ["write"]

OWN = "mirror"
TEACHER = "teacher"


def write(told: Mapping[str, Any], path: Path) -> None:
    """Write what ``rmedge-bench eval video --json`` tells as one HTML file that needs no other.

    Raises:
        AbsentError: matplotlib is not installed.
    """
    needed()
    real, painted = told.get("views") or {}, told.get("synthetic") or {}
    body = [_heading(told, real, painted), _beside(told.get("beside") or {})]
    if painted:
        body += [_systems(painted), _words(painted, "by_label"), _words(painted, "by_gesture")]
    body += [_labels("Real clips", view, row) for view, row in real.items()]
    if painted:
        body += [_labels("Painted clips", view, row) for view, row in painted["labels"].items()]
        shown = painted["gestures"].items()
        body += [_labels("Gestures", view, row) for view, row in shown if len(row["by_label"]) > 1]
        body += [_reaction(painted["reaction"]), _retrieval(painted["retrieval"])]
    body += [_drives(told.get("drives") or []), made(told)]
    document(f"{told['bundle']['name']}: from pixels to physics", body, path)


def _heading(told: Mapping[str, Any], real: Mapping[str, Any], painted: Mapping[str, Any]) -> str:
    shown = []
    if painted:
        for view, row in painted["systems"][OWN].items():
            if view != "all":
                shown.append((f"success, {view}", f"{row['success']:.3f}", _between(row["interval"])))
        for view, row in painted["retrieval"]["systems"][OWN].items():
            note = f"of {painted['retrieval']['captions']} captions"
            shown.append((f"R@3, {view}", f"{row['R@3']:.3f}", note))
        pairs = painted["pairs"]
        shown.append(("gestures told apart", f"{pairs['right']:.3f}", _between(pairs["interval"])))
        reaction = painted["reaction"][OWN]["all"]
        shown.append(
            ("reaction, median", _seconds(reaction["median_s"]), f"90 % within {_seconds(reaction['p90_s'])}")
        )
    for view, row in real.items():
        note = f"macro {row['macro_average']:.2f}; best constant answer {row['best_constant']:.2f}"
        shown.append((f"real labels, {view}", f"{row['right']} of {row['segments']}", note))
    words = []
    if painted:
        words.append(
            f"{painted['clips']} held-out painted clips a view, {painted['seconds']:g} s each: actors, "
            "cameras and rooms that were never trained on. Each is played to a simulated robot in lock-step."
        )
    if real:
        words.append(f"{told['clips']} real clips with labels, whole; the robot fell in {told['falls']}.")
    return (
        f"<h1>What <em>{escape(told['bundle']['name'])}</em> makes of a video, from pixels to physics.</h1>"
        f'<p class="lead">{escape(" ".join(words))}</p>{tiles(shown)}'
    )


def _beside(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """All systems on the same clips."""
    if not rows or not all("success" in row for row in rows.values()):
        return ""
    head = [
        "system", "frame to command [ms]", "understanding a frame [ms]", "a clip [s]", "success",
        "frames detected", "success there", "reaction [s]", "with compute [s]", "real clips right",
    ]  # fmt: skip
    body = [
        [
            ("", f"{row['frame_p50_ms']:.2f}<small>p99 {number(row['frame_p99_ms'], '.2f')}</small>"),
            ("", f"{row['understanding_p50_ms']:.2f}"),
            ("", f"{row['clip_p50_s']:.2f}"),
            ('class="left"', f"{bar(row['success'], row['interval'], i)}{row['success']:.3f}"),
            ("", f"{row['detection']:.2f}"),
            ("", _there(row)),
            ("", f"{number(row['reaction_median_s'], '.2f')}<small>{row['reacted']:.0%} react</small>"),
            ("", number(row["reaction_with_compute_s"], ".2f")),
            ("", "<br>".join(f"{v['accuracy']:.2f}" for v in row.get("real", {}).values()) or "–"),
        ]
        for i, row in enumerate(rows.values())
    ]
    return section(
        "Side by side",
        "The same clips for every system, one thread each. Frame to command is the compute of the tick on "
        "which a frame came, median and p99; a clip is all computing for it. Success there: on clips in "
        "which it found a person in 90 % of the frames; below it the mirror's on the same clips.",
        table(head, [*rows], body, me=OWN),
    )


def _there(row: Mapping[str, Any]) -> str:
    theirs, ours = row["where_detected"], row["own_where_detected"]
    if theirs is None:
        return "–"
    return f"{theirs['success']:.3f}<small>{OWN} {ours['success']:.3f}, of {theirs['trials']}</small>"


def _systems(painted: Mapping[str, Any]) -> str:
    """Success and errors of every system and view."""
    head = [
        "system", "view", "success", "falls", "forward [m/s]", "sideways [m/s]", "yaw [rad/s]",
        "E_mpjpe [mm]", "E_mpkpe [mm]", "joints [rad]", "label", "gesture",
    ]  # fmt: skip
    names, body = [], []
    for i, (name, views) in enumerate(painted["systems"].items()):
        for view, row in views.items():
            if view == "all":
                continue
            names.append(name)
            body.append(
                [
                    ('class="left"', escape(view)),
                    ('class="left"', f"{bar(row['success'], row['interval'], i)}{row['success']:.3f}"),
                    ("", f"{row['falls']}<small>of {row['trials']}</small>"),
                    *(("", number(error, ".3f")) for error in row["velocity_error"]),
                    *(("", number(row[key], ".0f")) for key in ("mpjpe_mm", "mpkpe_mm")),
                    ("", number(row["mpjpe_rad"], ".3f")),
                    *(("", number(row[key], ".2f")) for key in ("label_accuracy", "gesture_accuracy")),
                ]
            )
    return section(
        "Painted clips",
        "Success: it stands, and after the first second the mean velocity is within 0.2 m/s, 0.15 m/s and "
        "0.25 rad/s of what was asked; whiskers are 95 % intervals (Wilson). E_mpjpe: bodies in the root's "
        "frame, E_mpkpe: hands and feet alone, to the teachers' motion from the same start. The true "
        "intent is the same policy without an encoder.",
        table(head, names, body, me=OWN),
    )


def _words(painted: Mapping[str, Any], key: str) -> str:
    """Success of every system by label or by gesture: what fails glows."""
    parts = []
    for view, words in painted[key].items():
        if len(words) > 1:
            names = [name for name in painted["systems"] if name != TEACHER]
            body = [[_heat(words[word][name]) for name in names] for word in sorted(words)]
            spelt = [word.replace("_", " ") for word in sorted(words)]
            inside = table([view, *names], spelt, body, "heat")
            parts.append(section(f"{key.replace('_', ' ').capitalize()}, {view}", "Success.", inside))
    return f'<div class="two">{"".join(parts)}</div>'


def _heat(cell: Mapping[str, Any]) -> tuple[str, str]:
    glow = max(0.0, 1 - cell["success"]) ** 0.5
    return f'style="--v:{glow:.0%}"', f"{cell['success']:.2f}<small>{cell['trials']}</small>"


def _labels(what: str, view: str, row: Mapping[str, Any]) -> str:
    """The confusion of words: what was so down, what was said across."""
    told = row["confusion"]
    body = []
    for label, counts in zip(told["labels"], told["counts"]):
        mine = row["by_label"][label]
        cells = [_cell(count, sum(counts), label == said) for said, count in zip(told["said"], counts)]
        body.append([*cells, ('class="none"', f"{mine['right']} of {mine['segments']}")])
    spelt = [[word.replace("_", " ") for word in told[side]] for side in ("said", "labels")]
    inside = table(["so ↓ said →", *spelt[0], "right"], spelt[1], body, "matrix")
    return section(
        f"{what}, {view}: what was said of what was so",
        f"{row['right']} of {row['segments']} right: {row['accuracy']:.2f} ({_between(row['interval'])}), "
        f"macro average {row['macro_average']:.2f} ({_between(row['macro_interval'])}). The best constant "
        f"answer, {row['best_constant_label'].replace('_', ' ')}: {row['best_constant']:.2f}, macro "
        f"{row['best_constant_macro']:.2f}. Intervals of 95 %, drawn clip by clip.",
        inside,
    )


def _cell(count: int, of: int, right: bool) -> tuple[str, str]:
    ink = "--c2" if right else "--bad"
    share = 0.1 + 0.6 * count / of if count else 0.0
    return f'style="--c:var({ink});--v:{share:.0%}"', str(count or "")


def _reaction(told: Mapping[str, Any]) -> str:
    """How long each system takes to follow each change."""
    names = [*told]
    changes = [*told[OWN]["by_change"]]
    parts = [*(view for view in told[OWN] if view != "by_change"), *changes]
    body = [
        [_time((told[name]["by_change"] if part in changes else told[name]).get(part)) for name in names]
        for part in parts
    ]
    return section(
        "Reaction time",
        "From the instant the motion in the video changes to the instant the command has crossed half way "
        "from its mean before to its mean after; median, 90 % quantile, and how many changed their command "
        "at all. In simulated time: computing takes none of it.",
        table(["change", *names], [part.replace("_", " ") for part in parts], body),
    )


def _time(row: Mapping[str, Any] | None) -> tuple[str, str]:
    if row is None:
        return "", "–"
    note = f"90 % {_seconds(row['p90_s'])}, {row['reacted']} of {row['changes']}"
    return "", f"{_seconds(row['median_s'])}<small>{note}</small>"


def _retrieval(told: Mapping[str, Any]) -> str:
    rows = [(name, view, row) for name, views in told["systems"].items() for view, row in views.items()]
    rows.append(("the space itself", "rollouts held out", told["space"]))
    body = [
        [
            ('class="left"', escape(view)),
            *(("", f"{row[f'R@{k}']:.3f}") for k in (1, 2, 3)),
            *(("", f"{row['in_pools'][f'R@{k}']:.3f}") for k in (1, 2, 3)),
            ("", number(row["fid"], ".3f")),
            ("", number(row["mm_distance"], ".3f")),
        ]
        for _, view, row in rows
    ]
    head = [
        "system", "view", "R@1", "R@2", "R@3", "R@1 of 32", "R@2 of 32", "R@3 of 32", "FID", "MM-Dist",
    ]  # fmt: skip
    return section(
        "Does the motion say what the video said?",
        f"Two seconds of executed motion find their caption among all {told['captions']}, and among 32 as "
        "the literature has it, in a space of motions and sentences that was trained on the teachers' motion "
        "for this alone. FID is to the teachers' motion on the same clips; the teachers' own rows bound all.",
        table(head, [name for name, _, _ in rows], body, me=OWN),
    )


def _drives(drives: Sequence[Mapping[str, Any]]) -> str:
    """Every real clip of the bundle's own."""
    mine = [drive for drive in drives if drive["system"] == OWN]
    if not mine:
        return ""
    body = [
        [
            ("", f"{drive['seconds']:.1f}"),
            *(("", f"{metres:+.2f}") for metres in drive["displacement"]),
            ("", f"{drive['heading_change']:+.2f}"),
            ("", "no" if drive["fell_at_s"] is None else f"{drive['fell_at_s']:.1f} s"),
            ('class="left"', "<br>".join(map(_stretch, drive["stretches"]))),
        ]
        for drive in mine
    ]
    head = ["clip", "s", "forward [m]", "left [m]", "turned [rad]", "fell", "labelled stretches"]
    return section("Clip by clip", "", table(head, [drive["clip"] for drive in mine], body))


def _stretch(one: Mapping[str, Any]) -> str:
    right = one["said"] == one["label"]
    words = f"{one['start_s']:g}–{one['end_s']:g} s {one['label']}" + (
        "" if right else f", said {one['said']}"
    )
    return escape(words) if right else f"<b>{escape(words)}</b>"


def _between(interval: Sequence[float]) -> str:
    return "{:.2f}–{:.2f}".format(*interval)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"
