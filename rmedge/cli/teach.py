"""Teach a motion from a few clips of it, into a copy of a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmedge.archive import is_simple
from rmedge.cli import command
from rmedge.errors import UsageError

if TYPE_CHECKING:
    from rmedge.runtimes.teaching import Lesson

EXAMPLES = """examples:
  rmedge teach salute a.mp4 b.mp4 c.mp4 --as "stand, waving" --out my-bundle
  rmedge teach march a.mp4 b.mp4 c.mp4 --as "walk forward" --not squat.mp4 --out my-bundle
  rmedge run --camera 0 --bundle ./my-bundle            it is recognised
  rmedge run --intent march --bundle ./my-bundle        and has a name

Nothing is trained: the clips become a place in the encoder's memory, which is recognised again. Three
clips or more, of two seconds or more, one motion and nothing else in each, filmed as the robot will see it:
from the same side, at the same size. What else will be seen there goes to --not.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument("name", metavar="NAME", help="of the motion (letters, digits, '.', '_', '-')")
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="a video of it")
    parser.add_argument("--as", dest="words", required=True, metavar="WORDS", help="what the robot does then")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the copy goes; a new directory")
    parser.add_argument(
        "--not",
        dest="others",
        action="append",
        default=[],
        metavar="CLIP",
        help="something else; may be repeated",
    )
    command.add_engine(parser)
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """Watch the clips, measure how well they can be told apart, and write the copy."""
    from rmedge import Bundle, words
    from rmedge.bundle import enrich
    from rmedge.cli import terminal
    from rmedge.runtimes.teaching import teach

    if not is_simple(args.name):
        raise UsageError(
            f"name: expected letters, digits, '.', '_' or '-', got {args.name!r}; choose another"
        )
    if Path(args.out).exists():
        raise UsageError(f"--out: expected a new directory, got {args.out!r}, which is there; name another")
    bundle = Bundle.load(args.bundle)
    asked = words.compose(args.words, bundle.intent.phrases)
    with terminal.progress("clips") as show:
        lesson = teach(
            bundle, args.name, args.clips, asked.phrase, args.others, args.provider, args.threads, show
        )
    enriched = enrich(bundle, lesson.taught, args.out)
    account = told(args, lesson)
    account["asked"] = command.heard(args.words, asked)
    account["bundle"] = {"name": enriched.name, "sha256": enriched.sha256, "directory": args.out}
    if args.json:
        terminal.emit(account)
    else:
        show_account(account)
    return 0


def told(args: argparse.Namespace, lesson: Lesson) -> dict[str, Any]:
    """What was measured, for machines."""
    return {
        "name": args.name,
        "clips": lesson.shown,
        "radius": lesson.taught.radius,
        "near": lesson.near,
        "others": lesson.others,
        "nearest": lesson.nearest,
        "separation": lesson.separation,
    }


def show_account(account: dict[str, Any]) -> None:
    """The same for people."""
    from rmedge.cli import terminal

    name, alone = account["name"], len(account["clips"]) == 1
    terminal.table(
        f"{name}: {len(account['clips'])} clips, {'itself' if alone else 'each compared with the others'}",
        ("clip", ">s", ">distance", ">recognised"),
        [
            (shown.file, f"{shown.seconds:.1f}", f"{shown.distance:.2f}", f"{100 * shown.recognised:.0f} %")
            for shown in account["clips"]
        ],
    )
    others = sorted(account["others"].items(), key=lambda item: item[1])
    terminal.table("what else there is", ("", ">distance"), [(what, f"{far:.2f}") for what, far in others])
    out = account["bundle"]["directory"]
    source = out if out.startswith(("/", ".")) else f"./{out}"
    terminal.facts(
        "taught",
        {
            "radius": f"{account['radius']:.2f}",
            "separation": f"{account['nearest']} is {account['separation']:.1f} times as far as its clips",
            "then the robot does": account["asked"]["followed"],
            "bundle": out,
            "try it": f"rmedge describe CLIP --bundle {source}",
        },
    )
    if alone:
        terminal.say("One clip says little of how the next will differ: give three or more.", "yellow")
