"""Build the engines of a bundle ahead, so that no robot waits for them."""

from __future__ import annotations

import argparse

from rmedge.cli import command
from rmedge.errors import UsageError

EXAMPLES = """examples:
  rmedge build my.rmedge
  rmedge build my.rmedge --json

An engine holds for one graph, TensorRT, CUDA, driver and device; after an update of any, build again.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    command.add_bundle(parser)
    parser.add_argument(
        "--provider", default="tensorrt", help="tensorrt: the others build nothing (tensorrt)"
    )
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """Minutes now, instead of minutes at the robot."""
    from rmedge import Bundle
    from rmedge.bundle import GRAPHS
    from rmedge.cli import terminal
    from rmedge.runtimes import engines

    if args.provider != "tensorrt":
        raise UsageError(f"provider: expected tensorrt, got {args.provider!r}, which builds nothing ahead")
    bundle = Bundle.load(args.bundle)
    made = []
    with terminal.progress("engines") as show:
        for number, one in enumerate(engines.build(bundle, GRAPHS), 1):
            made.append(one)
            show(number, len(GRAPHS), one.graph)
    rows = [{"graph": one.graph, "seconds": one.seconds, "bytes": one.size} for one in made]
    if args.json:
        terminal.emit({"bundle": {"name": bundle.name, "sha256": bundle.sha256}, "engines": rows})
    else:
        terminal.table(
            f"{bundle.name} {bundle.sha256[:12]} on {args.provider}",
            ("graph", ">seconds", ">bytes"),
            [(one.graph, f"{one.seconds:.1f}", one.size) for one in made],
            "Next: rmedge verify BUNDLE --provider tensorrt",
        )
    return 0
