"""Measure a bundle's graphs, its policy beside a peer, and the loop on this machine."""

from __future__ import annotations

import argparse
from typing import Any, Mapping

from rmedge.cli import command

EXAMPLES = """examples:
  rmedge-bench run
  rmedge-bench run --samples 7000            enough to establish p99.9
  rmedge-bench run --actuator sim --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    command.add_engine(parser)
    parser.add_argument(
        "--samples", type=command.whole, default=1000, help="calls of each graph, in pairs (1000)"
    )
    parser.add_argument("--seconds", type=command.positive, default=10.0, help="of the loop's own time (10)")
    parser.add_argument("--camera", default="synthetic", help="what the loop sees (synthetic)")
    parser.add_argument(
        "--actuator", default="null", choices=("null", "sim"), help="what the loop drives (null)"
    )
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """Graphs, peers, loop and context, as a table or one JSON object."""
    from rmedge import Bundle
    from rmedge.benchmarks.context import context
    from rmedge.benchmarks.latency import WARM_UP, measure_graphs, measure_loop, measure_peers
    from rmedge.cli import terminal

    bundle = Bundle.load(args.bundle)
    machine = context()  # before the benchmark itself makes the load
    with terminal.progress("calls") as show:
        graphs = measure_graphs(
            bundle,
            args.provider,
            args.threads,
            args.samples,
            lambda graph, done: show(done, args.samples, graph),
        )
    with terminal.progress("calls") as show:
        peers = measure_peers(
            bundle,
            args.provider,
            args.threads,
            args.samples,
            lambda peer, done: show(done, args.samples, peer),
        )
    with terminal.progress() as show:
        loop = measure_loop(
            bundle,
            args.provider,
            args.threads,
            args.seconds,
            args.camera,
            args.actuator,
            lambda done: show(done, args.seconds, "loop"),
        )
    result = {
        **graphs,
        "peers": peers,
        "loop": loop,
        "context": machine,
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "threads": args.threads,
        "warm_up": WARM_UP,
        "samples": args.samples,
    }
    if args.json:
        terminal.emit(result)
    else:
        _show(result)
    return 0


def _show(result: Mapping[str, Any]) -> None:
    from rmedge.cli import terminal

    rows = {}
    for graph, measured in result["graphs"].items():
        rows[f"{graph}: onnxruntime"] = measured["bare"]
        rows[f"{graph}: rmedge's call"] = measured["call"]
        rows[f"{graph}: difference"] = measured["overhead"]
    terminal.latency("graphs, in pairs", rows)
    _show_peers(result["peers"])
    loop = result["loop"]
    title = f"loop: camera {loop['camera']}, actuator {loop['actuator']}, {loop['misses']} misses"
    terminal.latency(title, {**loop["stages"], "tick": loop["tick"], "own cost": loop["own"]})
    bundle = result["bundle"]
    terminal.facts(
        "measured on",
        {
            **{name: _fact(value) for name, value in result["context"].items() if value is not None},
            "bundle": f"{bundle['name']} {bundle['sha256'][:12]}",
            "provider": result["provider"],
            "threads": result["threads"],
            "warm-up": f"{result['warm_up']} calls",
        },
    )


def _show_peers(peers: Mapping[str, Any]) -> None:
    from rmedge.cli import terminal

    title = "policy beside its peer, in pairs"
    names = {"roboghost_shaped": "RoboGhost-shaped"}
    for key, row in peers.items():
        name = names.get(key, key)
        if "absent" in row:
            terminal.say(f"policy: {name}: {row['absent']}\n")
            continue
        terminal.latency(title, {"policy: onnxruntime": row["policy"], f"policy: {name}": row})
        if row["policy_ratio_p50"] is not None:
            terminal.say(f"policy call is {row['policy_ratio_p50']:.2f} of it, at p50\n")


def _fact(value: Any) -> str:
    return "  ".join(f"{part:.2f}" for part in value) if isinstance(value, tuple) else str(value)
