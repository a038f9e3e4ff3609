"""Compare with others, side by side in one run."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from rmedge.cli import command
from rmedge.errors import AbsentError

if TYPE_CHECKING:
    from rmedge.benchmarks.peers.comparison import Comparison
    from rmedge.bundle import Bundle

__all__ = ["NAMES", "measure_peers"]

EXAMPLES = """examples:
  rmedge-bench peers                                  all that are installed
  rmedge-bench peers --only floor,roboghost           what a tick costs over bare onnxruntime, and one peer
  rmedge-bench peers --only holosoma --bundle imported/   its policy file, imported, on both sides
  python -m rmedge.benchmarks.peers install holosoma  an environment of its own, in the cache
"""
NAMES = ("floor", "holosoma", "roboghost", "pose", "unitree")  # each is a module here: ``measure``


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    command.add_engine(parser)
    parser.add_argument(
        "--only", type=_names, default=NAMES, metavar="NAME,...", help=f"of {', '.join(NAMES)} (all)"
    )
    parser.add_argument("--samples", type=command.whole, default=1000, help="of each, in turns (1000)")
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """A table for each peer, or one JSON object."""
    from rmedge import Bundle
    from rmedge.benchmarks.context import context
    from rmedge.cli import terminal

    bundle = Bundle.load(args.bundle)
    machine = context()  # before the benchmark itself makes the load
    with terminal.progress("samples") as show:
        peers, stop_reason = measure_peers(
            bundle,
            args.provider,
            args.threads,
            args.samples,
            args.only,
            lambda peer, done: show(done + 1, args.samples, peer),
        )
    told = {
        "peers": peers,
        "context": machine,
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "provider": args.provider,
        "threads": args.threads,
        "samples": args.samples,
        "stop_reason": stop_reason,
    }
    if args.json:
        terminal.emit(told)
    else:
        _show(told)
    nobody = peers and all("absent" in peer for peer in peers.values())
    return AbsentError.exit_code if nobody else 0


def measure_peers(
    bundle: Bundle,
    provider: str = "cpu",
    threads: int = 1,
    samples: int = 1000,
    names: Sequence[str] = NAMES,
    on_pair: Callable[[str, int], Any] = lambda peer, done: None,
) -> tuple[dict[str, dict[str, Any]], str]:
    """Per peer its comparison, or ``absent``: what is missing and how to get it; and why it ended early.

    Raises:
        AbsentError: the provider is not on this machine.
    """
    from rmedge.runtimes.pilot import Pilot

    Pilot(bundle, provider, threads)  # it refuses; bare onnxruntime would take another provider and only warn
    measured: dict[str, dict[str, Any]] = {}
    try:
        for name in names:
            try:
                measure = import_module(f"{__name__}.{name}").measure
                found: Comparison = measure(
                    bundle, provider, threads, samples, lambda done, name=name: on_pair(name, done)
                )
                measured[name] = asdict(found)
            except AbsentError as error:
                measured[name] = {"absent": str(error)}
    except KeyboardInterrupt:
        return measured, "interrupted"
    return measured, ""


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    strangers = [name for name in names if name not in NAMES]
    if strangers:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(NAMES)}, got {strangers[0]!r}")
    return names


def _show(told: Mapping[str, Any]) -> None:
    from rmedge.benchmarks.context import facts
    from rmedge.cli import terminal

    for name, peer in told["peers"].items():
        if "absent" in peer:
            terminal.say(f"{name}: absent: {peer['absent']}\n")
            continue
        rows = {_words(who): row for who, row in peer["rows"].items()}
        terminal.latency(peer["title"], rows)
        for what, figure in peer["figures"].items():
            terminal.say(f"{_words(what)}: {_figure(figure)}")
        for note in peer["notes"]:
            terminal.say(f"({note})")
        terminal.say()
    if told["stop_reason"]:
        terminal.say(f"stopped: {told['stop_reason']}\n")
    bundle = told["bundle"]
    terminal.facts(
        "measured on",
        {
            **facts(told["context"]),
            "bundle": f"{bundle['name']} {bundle['sha256'][:12]}",
            "provider": told["provider"],
            "threads": told["threads"],
        },
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _figure(figure: Any) -> str:
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    return "not established" if figure is None else f"{figure:.3g}"
