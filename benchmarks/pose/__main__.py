"""``python -m rmedge.benchmarks.pose``: install the pose estimator, train the heads of the comparison."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Sequence

from rmedge.errors import InputError, RmedgeError

EXAMPLES = """examples:
  python -m rmedge.benchmarks.pose install                      MediaPipe, in an environment of its own
  python -m rmedge.benchmarks.pose train landmarks --work build/work    the head on its landmarks
  python -m rmedge.benchmarks.pose train pixels --work build/work       the head on our encoder's memory
"""
CLIPS = {"landmarks": 1500, "pixels": 2000}
STEPS = {"landmarks": 3000, "pixels": 4000}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m rmedge.benchmarks.pose",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("install", help="MediaPipe 0.10.21, in the cache")
    train = verbs.add_parser("train", help="train a head on painted clips")
    train.add_argument("kind", choices=sorted(CLIPS))
    train.add_argument("--work", type=Path, required=True, help="folder of a recipe: it has repertoire.npz")
    train.add_argument("--bundle", help="whose encoder it is: a shipped name, directory or file")
    train.add_argument("--clips", type=int, default=None)
    train.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(argv)
    try:
        if asked.verb == "install":
            from rmedge.benchmarks.pose import environment

            print(f"pose: {environment.install()}")
        else:
            for name, value in _train(asked).items():
                print(f"{name:<14} {value:.3f}")
    except RmedgeError as error:
        print(f"rmedge: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _train(asked: argparse.Namespace) -> dict[str, float]:
    from rmedge.benchmarks.pose import schooling
    from rmedge.bundle import Bundle
    from rmedge.export.world.acts import Repertoire

    if not (asked.work / "repertoire.npz").is_file():
        raise InputError(f"train: expected {asked.work / 'repertoire.npz'}, got none; run the recipe first")
    repertoire = Repertoire.load(asked.work)
    clips, steps = asked.clips or CLIPS[asked.kind], STEPS[asked.kind]
    work = asked.work / "pose"
    if asked.kind == "landmarks":
        return schooling.train_landmarks(repertoire, work, clips, steps, asked.seed, _progress)
    bundle = Bundle.load(asked.bundle or f"{repertoire.robot.name}-mirror")
    return schooling.train_memories(repertoire, bundle, work, clips, steps, asked.seed, _progress)


def _progress(done: float) -> None:
    if sys.stderr.isatty():
        print(f"\r{100 * done:5.1f} %", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
