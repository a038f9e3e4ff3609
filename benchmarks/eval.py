"""Evaluate in closed loop: the policy on commands, or the whole bundle on labelled videos."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rmedge.cli import command

EXAMPLES = """examples:
  rmedge-bench eval policy                  twelve commands, three seeds, beside both teachers
  rmedge-bench eval policy --seeds 10 --json
  rmedge-bench eval video clips/            every clip of clips/manifest.csv, with a robot behind it
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    suites = parser.add_subparsers(dest="suite", metavar="SUITE", required=True)
    policy = suites.add_parser("policy", help="commands given as intents, beside the teachers")
    policy.add_argument(
        "--seeds", type=command.whole, default=3, help="starts and noises of each command (3)"
    )
    policy.add_argument("--seconds", type=command.positive, default=10.0, help="of each trial (10)")
    video = suites.add_parser("video", help="labelled videos")
    video.add_argument("folder", type=Path, help="with the clips and their manifest.csv")
    for suite in (policy, video):
        suite.add_argument(
            "--bundle", default=command.BUNDLE, help="a shipped name, directory or .rmedge file"
        )
        command.add_json(suite)


def main(args: argparse.Namespace) -> int:
    """Evaluate, as tables or one JSON object."""
    from rmedge import Bundle
    from rmedge.cli import terminal

    bundle = Bundle.load(args.bundle)
    with terminal.progress("%") as show:

        def advance(done: float) -> None:
            show(100 * done, 100.0, args.suite)

        told = policy(bundle, args, advance) if args.suite == "policy" else video(bundle, args, advance)
    told["bundle"] = {"name": bundle.name, "sha256": bundle.sha256}
    if args.json:
        terminal.emit(told)
    elif args.suite == "policy":
        show_policy(told)
    else:
        show_video(told)
    return 0


def policy(bundle: Any, args: argparse.Namespace, advance: Any) -> dict[str, Any]:
    """The closed-loop figures of the policy; the student's own stand at the top."""
    from rmedge.benchmarks import closed_loop

    trials = closed_loop.evaluate(bundle, args.seeds, args.seconds, advance)
    rows = closed_loop.summary(trials)
    return {
        **rows[closed_loop.STUDENT],
        "by_policy": rows,
        "trials_each": [asdict(trial) for trial in trials],
    }


def video(bundle: Any, args: argparse.Namespace, advance: Any) -> dict[str, Any]:
    """The figures on labelled clips."""
    from rmedge.benchmarks import video as videos

    drives = videos.evaluate(bundle, args.folder, advance)
    return {**videos.summary(drives), "drives": [asdict(drive) for drive in drives]}


def show_policy(told: dict[str, Any]) -> None:
    """For people."""
    from rmedge.cli import terminal

    rows = [
        (
            who,
            f"{row['success']:.3f}",
            "{:.3f}-{:.3f}".format(*row["interval"]),
            row["trials"],
            *(f"{error:.3f}" for error in row["velocity_error"]),
            f"{row['velocity_error_mean']:.3f}",
        )
        for who, row in told["by_policy"].items()
    ]
    columns = ("policy", ">success", ">95 %", ">trials", ">vx m/s", ">vy m/s", ">yaw rad/s", ">mean error")
    ratio, reference = told["velocity_error_ratio"], told["reference"]
    note = f"student: {ratio:.2f} times the error of {reference}, the better teacher"
    terminal.table("velocity error after the first second, and falls", columns, rows, note)


def show_video(told: dict[str, Any]) -> None:
    """For people."""
    from rmedge.cli import terminal

    terminal.table(
        "clips",
        ("clip", ">s", ">forward m", ">left m", ">turned rad", "fell"),
        [
            (
                d["clip"], f"{d['seconds']:.1f}", *(f"{x:+.2f}" for x in d["displacement"]),
                f"{d['heading_change']:+.2f}", "no" if d["fell_at_s"] is None else f"{d['fell_at_s']:.1f} s",
            )
            for d in told["drives"]
        ],
    )  # fmt: skip
    terminal.table(
        "labelled stretches",
        ("clip", ">from", ">to", "label", "said", ">p", ">certainty", ">vx", ">vy", ">yaw", ""),
        [
            (
                d["clip"], s["start_s"], s["end_s"], s["label"], s["said"], f"{s['probability']:.2f}",
                f"{s['certainty']:.2f}", *(f"{v:+.2f}" for v in s["velocity"]),
                "" if s["said"] == s["label"] else "wrong",
            )
            for d in told["drives"]
            for s in d["stretches"]
        ],
    )  # fmt: skip
    for view, row in told["views"].items():
        terminal.say(
            f"{view}: {row['right']} of {row['segments']} right ({row['accuracy']:.2f}, "
            f"macro {row['macro_average']:.2f}; best constant answer {row['best_constant']:.2f})"
        )
    terminal.say(f"{told['falls']} falls in {told['clips']} clips")
