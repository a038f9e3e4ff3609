"""Watch the sample clip, drive the simulated G1 with it, and film it all."""

from __future__ import annotations

import argparse
from pathlib import Path

from rmedge.cli import command, run
from rmedge.errors import AbsentError

EXAMPLES = """examples:
  rmedge demo                    ten seconds; the film is demo.mp4
  rmedge demo --out ~/g1.mp4     the film somewhere else
"""
SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "walk.mp4"  # painted by `rmedge export sample`


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument(
        "--out", dest="record", default="demo.mp4", metavar="FILM.mp4", help="the film (demo.mp4)"
    )
    parser.add_argument("--seconds", type=command.positive, default=run.SECONDS, help="how long (10)")
    run.shared_arguments(parser)
    parser.set_defaults(camera=str(SAMPLE), actuator="sim", robot=None, intent=None, realtime=False)


def main(args: argparse.Namespace) -> int:
    """`run`, with everything chosen."""
    if not SAMPLE.is_file():
        raise AbsentError(
            f"demo: expected the sample clip, got no {SAMPLE}; install rmedge again, "
            f"or paint it: rmedge export sample {SAMPLE}"
        )
    return run.main(args)
