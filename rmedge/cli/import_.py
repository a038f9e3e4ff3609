"""Turn a policy that was trained elsewhere into a bundle."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from rmedge.cli import command
from rmedge.errors import AbsentError, UsageError

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

EXAMPLES = """examples:
  rmedge import fastsac_g1_29dof.onnx --out ./walker            holosoma: what it leaves open is published
  rmedge import logs/velocity/2026-01-01 --out ./walker         unitree_rl_lab: params/ and exported/
  rmedge import policy.onnx --out ./walker --tell rate_hz=50 --tell terms={} \\
      --tell 'command_limits=[[-1, 1], [-0.5, 0.5], [-1, 1]]'   mjlab: what its file does not say is told
  rmedge run --bundle ./walker --intent "walk forward"          and words drive it

Eyes, words and limits come from --base. What a policy needs and no robot measures is refused by name.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument("source", metavar="SOURCE", help="an ONNX file, a kinfer archive or a deploy folder")
    parser.add_argument("--out", required=True, metavar="DIR", help="the new bundle; a new directory")
    parser.add_argument(
        "--format",
        default="auto",
        metavar="NAME",
        help="holosoma, mjlab, unitree_rl_lab or kinfer (auto: by the file's own marks)",
    )
    parser.add_argument("--base", help="the bundle that gives all but the policy (the robot's own -mirror)")
    parser.add_argument(
        "--tell",
        action="append",
        default=[],
        metavar="FACT=VALUE",
        help="what the file leaves open, as YAML; may be repeated (see docs/importers.md)",
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="measure in the simulator which command gives which velocity, and command by that",
    )
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """Read the file, make it whole, and tell what was understood."""
    if sys.version_info < (3, 11):
        raise AbsentError(
            f"import: expected Python 3.11 or newer, got {sys.version.split()[0]}; use another one"
        )
    try:
        from rmedge.export import importers
        from rmedge.export.importers import tagged
    except ImportError as error:
        if isinstance(error, AbsentError):
            raise
        raise AbsentError(f'import: expected onnx, got: {error}; pip install "rmedge[export]"') from error
    told = {}
    for fact in args.tell:
        name, separator, value = fact.partition("=")
        if not separator or name in told:
            raise UsageError(f"--tell: expected each FACT=VALUE once, got {fact!r}")
        told[name] = tagged.load(value.encode(), f"--tell {name}")
    foreign = importers.read(args.source, args.format, told)
    bundle = importers.whole(foreign, args.out, args.base, _commands(args, foreign))
    show(args, bundle)
    return 0


def _commands(args: argparse.Namespace, foreign: Any) -> Any:
    if not args.calibrate:
        return None
    from rmedge.cli import terminal
    from rmedge.export.importers.calibration import calibrate

    with terminal.progress("walking") as progress:
        return calibrate(foreign, args.base, progress=lambda done: progress(done, 1.0))


def show(args: argparse.Namespace, bundle: Bundle) -> None:
    """What the bundle says of where it comes from."""
    from rmedge.cli import terminal

    account = {"name": bundle.name, "sha256": bundle.sha256, "directory": args.out}
    imported, commands = bundle.provenance["imported"], bundle.provenance["commands"]
    if args.json:
        terminal.emit({"bundle": account, **bundle.provenance})
        return
    others = {fact: who for fact, who in imported["sources"].items() if who != "file"}
    ranges = zip(commands["achieved"].items(), commands["command"].values())
    terminal.facts(
        f"{args.out}: {imported['robot']} at {imported['rate_hz']:g} Hz, {imported['format']}",
        {
            "observes": ", ".join(
                f"{term['name']} {term['size']}" + (f" x {term['history']}" if term["history"] > 1 else "")
                for term in imported["terms"]
            ),
            "commands": commands["how"],
            **{
                axis: f"{got[0]:+.2f} to {got[-1]:+.2f}, by {asked[0]:+.2f} to {asked[-1]:+.2f}"
                for (axis, got), asked in ranges
            },
            **{
                who: ", ".join(f for f, w in others.items() if w == who)
                for who in sorted(set(others.values()))
            },
            "licence": bundle.licence,
        },
    )
