"""Tell in words and numbers what motion a video shows."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Sequence

from rmedge.cli import command

if TYPE_CHECKING:
    from rmedge.runtimes.description import Passage

EXAMPLES = """examples:
  rmedge describe walk.mp4
  rmedge describe walk.mp4 --json | python -m json.tool
"""
BAR = 8  # characters of a whole bar


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument("file", metavar="FILE", help="a video")
    command.add_engine(parser)
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """Only the encoder runs: no robot, no physics."""
    from rmedge import Bundle
    from rmedge.cli import terminal
    from rmedge.runtimes.description import describe

    bundle = Bundle.load(args.bundle)
    with terminal.progress() as progress:
        told = describe(args.file, bundle, args.provider, args.threads, progress)
    if args.json:
        terminal.emit(
            {
                "file": args.file,
                "duration_s": told.duration_s,
                "frames": told.frames,
                "segments": told.passages,
                "bundle": {"name": bundle.name, "sha256": bundle.sha256},
            }
        )
    else:
        show(f"{args.file}: {told.duration_s:.1f} s, {told.frames} frames watched", told.passages)
    return 0


def show(title: str, told: Sequence[Passage]) -> None:
    """A timeline for people."""
    from rmedge.cli import terminal

    terminal.table(
        title,
        (">from s", ">to s", "motion", "", ">sure", ">vx m/s", ">vy", ">yaw rad/s", "gait"),
        [
            (
                f"{passage.start_s:.1f}",
                f"{passage.end_s:.1f}",
                passage.label.replace("_", " "),
                f"{'━' * round(BAR * passage.probability):<{BAR}}",
                f"{passage.probability:.2f}",
                *(f"{component:+.2f}" for component in passage.velocity),
                passage.gait,
            )
            for passage in told
        ],
    )
