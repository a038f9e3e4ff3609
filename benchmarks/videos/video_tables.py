"""The tables of `eval video`: real clips, painted clips, and every system side by side, for people."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from rmedge.benchmarks.policies.tables import figure, share
from rmedge.cli import terminal

__all__ = ["show_video"]

OWN = "mirror"  # the bundle's own way from pictures to motion
INTENT = "true intent"


def show_video(told: Mapping[str, Any]) -> None:
    """Real clips and the labelled stretches in them, painted clips, and all systems side by side."""
    if "drives" in told:
        _real(told)
    if "synthetic" in told:
        _painted(told["synthetic"])
    if len(told["beside"]) > 1 or "synthetic" in told:
        _beside(told["beside"])


def _real(told: Mapping[str, Any]) -> None:
    own = [d for d in told["drives"] if d["system"] == OWN]
    terminal.table(
        "clips",
        ("clip", ">s", ">forward m", ">left m", ">turned rad", "fell"),
        [
            (
                d["clip"], f"{d['seconds']:.1f}", *(f"{x:+.2f}" for x in d["displacement"]),
                f"{d['heading_change']:+.2f}", "no" if d["fell_at_s"] is None else f"{d['fell_at_s']:.1f} s",
            )
            for d in own
        ],
    )  # fmt: skip
    terminal.table(
        "labelled stretches",
        ("clip", ">from", ">to", "label", "said", ">p", ">certainty", ">vx", ">vy", ">yaw", ""),
        [
            (
                d["clip"], s["start_s"], s["end_s"], s["label"], s["said"], figure(s["probability"], ".2f"),
                figure(s["certainty"], ".2f"), *(f"{v:+.2f}" for v in s["velocity"]),
                "" if s["said"] == s["label"] else "wrong",
            )
            for d in own
            for s in d["stretches"]
        ],
    )  # fmt: skip
    _labels(told["views"])
    terminal.say(f"{told['falls']} falls in {told['clips']} clips")
    terminal.say()


def _labels(views: Mapping[str, Any]) -> None:
    """Accuracy of each word, the confusion of them, and all in a line, a view."""
    for view, row in views.items():
        told = row["confusion"]
        mine = row["by_label"]
        numbers = {word: str(n) for n, word in enumerate(told["said"], 1)}  # words are too wide for a column
        terminal.table(
            f"{view}: what was said (across) of what was so",
            ("", "", ">right", *(f">{number}" for number in numbers.values())),
            [
                (
                    numbers[label], label, f"{mine[label]['right']} of {mine[label]['segments']}",
                    *(count or "" for count in counts),
                )
                for label, counts in zip(told["labels"], told["counts"])
            ],
            "never so: " + ", ".join(f"{n} {word}" for word, n in numbers.items() if word not in mine)
            if len(numbers) > len(mine)
            else None,
        )  # fmt: skip
        terminal.say(
            f"{view}: {row['right']} of {row['segments']} right "
            f"({row['accuracy']:.2f}, {_between(row['interval'])}; "
            f"macro {row['macro_average']:.2f}, {_between(row['macro_interval'])}; best constant answer "
            f"{row['best_constant']:.2f}, macro {row['best_constant_macro']:.2f})"
        )
        terminal.say()


def _painted(told: Mapping[str, Any]) -> None:
    rows = [
        (name, view, row)
        for name, views in told["systems"].items()
        for view, row in views.items()
        if view != "all"
    ]
    terminal.table(
        "held-out painted clips: success from pixels",
        ("system", "view", ">success", ">95 %", ">clips", ">falls", ">label", ">gesture"),
        [
            (
                name, view, f"{row['success']:.3f}", _between(row["interval"]), row["trials"], row["falls"],
                figure(row["label_accuracy"], ".3f"), figure(row["gesture_accuracy"], ".3f"),
            )
            for name, view, row in rows
        ],
        "teacher, true intent: without an encoder, what the others could reach",
    )  # fmt: skip
    terminal.table(
        "errors on them",
        ("system", "view", ">vx m/s", ">vy m/s", ">yaw", ">body mm", ">ends mm", ">rad"),
        [
            (
                name, view, *(figure(error, ".3f") for error in row["velocity_error"]),
                *(figure(row[key], ".1f") for key in ("mpjpe_mm", "mpkpe_mm")),
                figure(row["mpjpe_rad"], ".3f"),
            )
            for name, view, row in rows
        ],
        "of clips without a fall; body, ends: E_mpjpe and E_mpkpe to the teacher, from the same start",
    )  # fmt: skip
    shown = [name for name in (INTENT, OWN) if name in told["systems"]]
    for key in ("by_label", "by_gesture"):
        for view, words in told[key].items():
            terminal.table(
                f"{view}: success {key.replace('_', ' ')}",
                ("", *(f">{name}" for name in shown), ">clips"),
                [
                    (word, *(f"{mine[name]['success']:.2f}" for name in shown), mine[OWN]["trials"])
                    for word, mine in sorted(words.items())
                ],
            )
    _labels(told["labels"])
    _retrieval(told["retrieval"])
    pairs = told["pairs"]
    terminal.table(
        "one path, two gestures: nearer to its own teacher's motion than to the other's",
        ("", ">share", ">95 %", ">trials"),
        [
            ("motions", f"{pairs['right']:.3f}", _between(pairs["interval"]), pairs["trials"]),
            ("both of a pair", *share("", pairs["both"])[1:]),
        ],
        "upper-body E_mpjpe after the first second",
    )
    terminal.table(
        "reaction: from the change in the video to half way of the command",
        ("system", "", ">median s", ">p90 s", ">reacted"),
        [
            (
                name, part, figure(row["median_s"], ".2f"), figure(row["p90_s"], ".2f"),
                f"{row['reacted']} of {row['changes']}",
            )
            for name, mine in told["reaction"].items()
            for part, row in {**mine, **mine["by_change"]}.items()
            if part != "by_change"
        ],
        "simulated time: computing takes none of it",
    )  # fmt: skip


def _retrieval(told: Mapping[str, Any]) -> None:
    rows = [(name, view, row) for name, views in told["systems"].items() for view, row in views.items()]
    terminal.table(
        f"motion-text retrieval among {told['captions']} captions",
        ("system", "view", ">R@1", ">R@2", ">R@3", ">of 32", ">FID", ">MM-Dist"),
        [
            (
                name, view, *(f"{row[f'R@{k}']:.3f}" for k in (1, 2, 3)), f"{row['in_pools']['R@3']:.3f}",
                figure(row["fid"], ".3f"), figure(row["mm_distance"], ".3f"),
            )
            for name, view, row in [*rows, ("the space itself", "rollouts held out", told["space"])]
        ],
        "of 32: R@3 in pools; FID: to the teachers' motion on the same clips",
    )  # fmt: skip


def _beside(rows: Mapping[str, Any]) -> None:
    """All systems on the same clips."""
    if all("success" in row for row in rows.values()):
        terminal.table(
            "side by side, painted clips: speed",
            ("system", ">frame ms", ">p99", ">seen ms", ">clip s", ">reaction s", ">+ compute", ">reacted"),
            [
                (
                    name, f"{row['frame_p50_ms']:.2f}", figure(row["frame_p99_ms"], ".2f"),
                    f"{row['understanding_p50_ms']:.2f}", f"{row['clip_p50_s']:.2f}",
                    figure(row["reaction_median_s"], ".2f"), figure(row["reaction_with_compute_s"], ".2f"),
                    f"{row['reacted']:.2f}",
                )
                for name, row in rows.items()
            ],
            "frame: to its command, median; seen: until it is understood; clip: all computing for one",
        )  # fmt: skip
        terminal.table(
            "side by side, painted clips: success",
            ("system", ">success", ">95 %", ">clips", ">label", ">detected", ">there", ">ours", ">of"),
            [
                (
                    *share(name, row), figure(row["label_accuracy"], ".3f"), f"{row['detection']:.2f}",
                    *_there(row),
                )
                for name, row in rows.items()
            ],
            "there: success where 90 % of the frames show somebody to it; ours: the mirror's there",
        )  # fmt: skip
    if len(rows) > 1 and all("real" in row for row in rows.values()):
        terminal.table(
            "side by side, real clips",
            ("system", "view", ">right", ">95 %", ">macro", ">falls"),
            [
                (
                    name, view, f"{real['accuracy']:.2f}", _between(real["interval"]),
                    f"{real['macro_average']:.2f}", real["falls"],
                )
                for name, row in rows.items()
                for view, real in row["real"].items()
            ],
        )  # fmt: skip


def _there(row: Mapping[str, Any]) -> tuple[str, str, int]:
    theirs, ours = row["where_detected"], row["own_where_detected"]
    if theirs is None:
        return "-", "-", 0
    return f"{theirs['success']:.3f}", f"{ours['success']:.3f}", theirs["trials"]


def _between(interval: Sequence[float]) -> str:
    return "{:.2f}-{:.2f}".format(*interval)
