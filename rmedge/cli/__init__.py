"""The command line: one file a verb; the only room that may reach into every other."""

from __future__ import annotations

import sys
from typing import Sequence

from rmedge import __version__
from rmedge.cli import (
    build,
    command,
    conform,
    demo,
    describe,
    doctor,
    export,
    guard,
    import_,
    inspect,
    run,
    shadow,
    teach,
    verify,
)

__all__ = ["main"]

EXAMPLES = """examples:
  rmedge demo                              ten seconds of everything, and a film of it
  rmedge run --camera walk.mp4             a simulated G1 follows your video
  rmedge run --camera 0                    stand before your webcam: the robot follows
  rmedge run --intent "turn left, waving"  command it in words
  rmedge describe walk.mp4                 what motion is in this video, in words and numbers
  rmedge verify g1-mirror                  does this machine compute what the bundle promises?
  rmedge doctor                            is this computer fit to run a robot, and what mends it?

exit codes: 0 all well, 1 a check failed, 2 usage, 3 something is absent, 4 safety stop
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["export"]:  # it has flags of its own
        return command.guard(export.run, argv[1:])
    parser = command.Parser(
        "rmedge", "A robot that watches a person, understands the motion, and does it.", EXAMPLES
    )
    parser.add_argument("--version", action="version", version=f"rmedge {__version__}")
    parser.verbs(
        demo, run, shadow, guard, describe, teach, inspect, build, verify, conform, doctor, export, import_
    )
    return command.guard(parser.run, argv)
