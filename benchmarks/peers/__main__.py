"""``python -m rmedge.benchmarks.peers install NAME``: an environment of its own for a peer that needs one."""

from __future__ import annotations

import sys
from typing import Sequence

from rmedge.benchmarks.peers import holosoma, unitree
from rmedge.cli import command

__all__ = ["main"]

ENVIRONMENTS = {"holosoma": holosoma.environment, "unitree": unitree.environment}


def main(argv: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    parser = command.Parser("python -m rmedge.benchmarks.peers", __doc__)
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    install = verbs.add_parser("install", help="with pip, into the cache")
    install.add_argument("name", choices=sorted(ENVIRONMENTS))
    name = parser.parse_args(argv).name
    print(f"{name}: {ENVIRONMENTS[name]().install()}")
    return 0


if __name__ == "__main__":
    sys.exit(command.guard(main, sys.argv[1:]))
