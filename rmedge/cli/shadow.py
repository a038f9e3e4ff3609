"""Run everything beside the controller that drives a robot, write nothing, and compare."""

from __future__ import annotations

import argparse
from typing import Any

from rmedge.cli import command, realtime

EXAMPLES = """examples:
  rmedge shadow --actuator boards:/dev/shm/robot --camera 0 --seconds 60
  rmedge shadow --actuator boards:/dev/shm/robot --intent "walk forward" --json

The robot is read and never written to. Where its boards carry the live controller's targets, ours are
compared with them, joint by joint; otherwise with where the joints are a policy tick later.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument("--camera", metavar="NAME", help="a webcam's number, a stream, a video or null")
    parser.add_argument("--intent", metavar="WORDS", help="follow these words, whatever is seen")
    parser.add_argument(
        "--actuator", required=True, metavar="NAME", help="the robot: boards:DIR, sim or null"
    )
    parser.add_argument("--robot", help="refuse a bundle for any other robot")
    parser.add_argument("--seconds", type=command.positive, help="stop after so long (Ctrl-C)")
    command.add_engine(parser)
    realtime.arguments(parser)
    command.add_json(parser)


def main(args: Any) -> int:
    """Arm, run and compare."""
    return realtime.drive(args, shadow=True)
