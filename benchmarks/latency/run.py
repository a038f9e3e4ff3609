"""Measure what a tick costs here, stage by stage, and make a report of it that others can read."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import nullcontext
from datetime import datetime, timezone
from typing import Any

from rmedge.benchmarks.latency import files
from rmedge.cli import command

EXAMPLES = """examples:
  rmedge-bench run                                          half a minute; establishes p99
  rmedge-bench run --out report.json --page report.html     to keep, and to send around
  rmedge-bench run --ticks 7000                             enough to establish p99.9
  rmedge-bench run --provider cpu,cuda --threads 1,2        four variants, in turns
  rmedge-bench run --camera 0                               through a webcam, in real time
  rmedge-bench run --power-mode 0,2                         on a Jetson, with sudo
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument(
        "--bundle",
        action="append",
        metavar="BUNDLE",
        help=f"a shipped name, directory or .rmedge file; may be repeated ({command.BUNDLE})",
    )
    parser.add_argument("--provider", type=_names, default=["cpu"], help="some of cpu,cuda,tensorrt (cpu)")
    parser.add_argument("--threads", type=_wholes, default=[1], help="of onnxruntime, such as 1,2,4 (1)")
    parser.add_argument(
        "--power-mode",
        type=_numbers,
        default=[],
        metavar="ID",
        help="nvpmodel's, such as 0,2; on a Jetson alone, restored afterwards",
    )
    parser.add_argument("--rounds", type=command.whole, default=10, help="processes a variant (10)")
    parser.add_argument(
        "--seconds", type=command.positive, default=10.0, help="a variant at least, in all its rounds (10)"
    )
    parser.add_argument(
        "--ticks", type=command.whole, default=1000, help="a variant at least, in all its rounds (1000)"
    )
    parser.add_argument(
        "--camera",
        default="synthetic",
        metavar="NAME",
        help="as of rmedge run; a live one is paced (synthetic)",
    )
    parser.add_argument(
        "--actuator", default="null", metavar="NAME", help="null, sim or module:factory (null)"
    )
    parser.add_argument("--paced", action="store_true", help="in real time, not one tick after the other")
    parser.add_argument("--out", metavar="FILE.json", help="the report; docs/latency.md says what is in it")
    files.add(parser)
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """Rounds, then the report, however it ended."""
    from rmedge.benchmarks.context import context
    from rmedge.benchmarks.latency.campaign import Campaign
    from rmedge.benchmarks.latency.power_mode import power_modes
    from rmedge.benchmarks.latency.report import Rules
    from rmedge.benchmarks.latency.variants import variants
    from rmedge.cli import terminal
    from rmedge.runtimes.doctor import ThisSystem

    files.demand_places(args)
    system = ThisSystem()
    asked = variants(args.bundle or [command.BUNDLE], args.provider, args.threads, args.power_mode)
    machine = context(system)  # before the benchmark itself makes the load
    rules = Rules(args.rounds, args.seconds, max(args.ticks, args.rounds), paced=args.paced)
    campaign = Campaign(asked, rules, args.camera, args.actuator, system)
    chosen: Any = power_modes() if args.power_mode else nullcontext()
    with chosen as choose, terminal.progress("rounds") as show:
        campaign.run(choose, show)
    report = {
        **_made(campaign.stop_reason, system),
        "context": machine,
        "rules": vars(campaign.rules),
        "variants": campaign.told(machine["power_mode"]),
    }
    files.deliver(args, terminal.plain(report))
    return 0


def _made(stop_reason: str, system: Any) -> dict[str, Any]:
    """When, with what and how."""
    from rmedge import __version__
    from rmedge.benchmarks.context import commit
    from rmedge.benchmarks.latency.campaign import without_password
    from rmedge.benchmarks.latency.report import SCHEMA

    return {
        "schema": SCHEMA,
        "made": {
            "at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "rmedge": __version__,
            "commit": commit(system),
            "command": without_password(shlex.join(["rmedge-bench", *sys.argv[1:]])),
            "stop_reason": stop_reason,
        },
    }


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _wholes(text: str) -> list[int]:
    return [command.whole(part) for part in _names(text)] or [command.whole(text)]


def _numbers(text: str) -> list[str]:
    """nvpmodel's numbers of modes; 0 is one of them."""
    parts = _names(text)
    if not parts or not all(part.isdecimal() and len(part) <= 3 for part in parts):
        raise argparse.ArgumentTypeError(f"expected numbers such as 0,2, got {text!r}")
    return parts
