"""Tell in words and numbers what motion a video shows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from rmedge.cli import command

if TYPE_CHECKING:
    from rmedge.runtimes.description import Passage

EXAMPLES = """examples:
  rmedge describe walk.mp4
  rmedge describe walk.mp4 --top 3                          and what else it may have been
  rmedge describe walk.mp4 --plot walk.png                  a timeline under pictures of the video
  rmedge describe walk.mp4 --json | python -m json.tool     with every probability

A gesture is told where its probability is above 0.5. In JSON, nobody is the label "none".
"""
NONE = "none"  # as rmedge.labels has it, which takes NumPy to import
UNLIKELY = 0.05  # a gesture less probable is not worth a word
BAR = 6  # characters of a whole bar


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument("file", metavar="FILE", help="a video")
    parser.add_argument(
        "--top", type=command.whole, default=1, metavar="N", help="labels to tell of each passage (1)"
    )
    parser.add_argument("--plot", metavar="PICTURE.png", help="draw the timeline")
    command.add_engine(parser)
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """Only the encoder runs: no robot, no physics."""
    from rmedge import Bundle
    from rmedge.cli import terminal
    from rmedge.runtimes.description import describe

    bundle = Bundle.load(args.bundle)
    album = None
    if args.plot:
        from rmedge.runtimes.film import save_picture
        from rmedge.runtimes.filmstrip import Album, draw

        album = Album()
    with terminal.progress() as progress:
        told = describe(args.file, bundle, args.provider, args.threads, progress, album)
    if album is not None:
        title = f"{Path(args.file).name}   {told.duration_s:.1f} s   {bundle.name}"
        save_picture(args.plot, draw(title, told, album))
    if args.json:
        terminal.emit(
            {
                "file": args.file,
                "duration_s": told.duration_s,
                "frames": told.frames,
                "segments": told.passages,
                "bundle": {"name": bundle.name, "sha256": bundle.sha256},
                "plot": args.plot,
            }
        )
    else:
        show(f"{args.file}: {told.duration_s:.1f} s, {told.frames} frames watched", told.passages, args.top)
        if args.plot:
            terminal.say(f"the timeline is {args.plot}")
    return 0


def show(title: str, told: Sequence[Passage], top: int = 1) -> None:
    """A timeline for people, as wide as a terminal that is 80 columns wide."""
    from rmedge.cli import terminal

    gestures = any(passage.gesture != NONE for passage in told)
    columns = (">from", ">to s", "motion", ">sure", ">cert", ">vx", ">vy", ">yaw", "gait")
    terminal.table(
        title,
        (*columns, "gesture" if gestures else ""),  # a bar where there is room
        [(*_row(passage), _said(passage.gesture, "") if gestures else _bar(passage)) for passage in told],
        "cert: the encoder's certainty; vx, vy [m/s], yaw [rad/s]",
    )
    if top > 1:
        others = [
            (
                f"{passage.start_s:.1f}",
                f"{passage.end_s:.1f}",
                ", ".join(f"{_said(word)} {share:.2f}" for word, share in _others(passage, top)),
            )
            for passage in told
        ]
        terminal.table("what else it may have been", (">from", ">to s", "motion"), others)


def _row(passage: Passage) -> list[str]:
    return [
        f"{passage.start_s:.1f}",
        f"{passage.end_s:.1f}",
        passage.name or _said(passage.label),
        f"{passage.probability:.2f}",
        f"{passage.certainty:.2f}",
        *(f"{component:+.2f}" for component in passage.velocity),
        "" if passage.gait == NONE else passage.gait,
    ]


def _bar(passage: Passage) -> str:
    return "━" * round(BAR * passage.probability)


def _others(passage: Passage, top: int) -> list[tuple[str, float]]:
    """The labels after the first one, and what gesture it may have been."""
    others = list(passage.labels.items())[1:top]
    gesture, share = next((item for item in passage.gestures.items() if item[0] != NONE), (NONE, 0.0))
    return others + ([(gesture, share)] if share >= UNLIKELY and passage.gesture != gesture else [])


def _said(word: str, nothing: str = "nobody") -> str:
    """A label as people say it."""
    return nothing if word == NONE else word.replace("_", " ")
