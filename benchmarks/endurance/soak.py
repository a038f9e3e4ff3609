"""Soak: a million control ticks in lock-step; nothing may drift, leak, or leave the envelope."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping

from rmedge.cli import command
from rmedge.errors import AbsentError

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

EXAMPLES = """examples:
  rmedge-bench soak                          2000 s of a walking robot, at 500 Hz
  rmedge-bench soak --ticks 20000 --json
"""
MB = 1e6
QUANTILES = ("p50", "p99", "p99.9", "max")
TRACED = 0.1  # the share of the ticks, at the end, whose allocations are traced: it takes its time
LEAK_BYTES, LEAK_MB = 65_536, 8.0  # what more than noise would be: of Python's own, and of the whole process


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument("--bundle", default=command.BUNDLE, help="a shipped name, directory or .rmedge file")
    parser.add_argument("--ticks", type=command.whole, default=1_000_000, help="of the body (1000000)")
    parser.add_argument("--seed", type=int, default=0, help="of starts and noise (0)")
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """What became of it, as facts or one JSON object; 1 where a claim does not hold."""
    from rmedge import Bundle
    from rmedge.benchmarks.context import context
    from rmedge.cli import terminal

    bundle = Bundle.load(args.bundle)
    machine = context()
    with terminal.progress("ticks") as show:
        try:
            told = soak(bundle, args.ticks, args.seed, lambda done: show(done, args.ticks, "soak"))
        except ModuleNotFoundError as error:
            raise AbsentError(f'soak: expected {error.name}, got none; pip install "rmedge[all]"') from error
    told = {**told, "context": machine, "bundle": {"name": bundle.name, "sha256": bundle.sha256}}
    if args.json:
        terminal.emit(told)
    else:
        _show(told)
    return 0 if all(row["holds"] for row in told["claims"]) else 1


def soak(
    bundle: Bundle, ticks: int, seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> dict[str, Any]:
    """So many ticks of the whole robot half and the simulated robot; Ctrl-C ends it, and it still tells.

    A robot that is stopped - it fell, say - is put back on its feet, and counted.
    """
    with tempfile.TemporaryDirectory(prefix="rmedge-") as boards:
        run = Soak(bundle, Path(boards), seed)
        stop_reason = ""
        start_s = time.monotonic()
        try:
            run.go(ticks, progress)
        except KeyboardInterrupt:
            stop_reason = "interrupted"
        finally:
            run.leave()
        told = run.told()
    return {**told, "asked": ticks, "stop_reason": stop_reason, "wall_s": time.monotonic() - start_s}


class Soak:
    """Rigs one after the other, each until its robot is stopped, and what all of them did."""

    def __init__(self, bundle: Bundle, boards: Path, seed: int) -> None:
        from rmedge.benchmarks.endurance.rig import Rig
        from rmedge.runtimes.meter import Meter

        def make(number: int) -> Rig:
            return Rig(bundle, boards, seed=seed + number)

        self._make = make
        self.meter = Meter()
        self.unsafe: Counter[str] = Counter()
        self.clamped: Counter[str] = Counter()
        self.stops: Counter[str] = Counter()
        self.ticks = self.episodes = self.falls = self.commands = self.torn_accepted = 0
        self.drift_ns = self.missed = self.failures = 0
        self.resident: list[float] = []  # [MB]
        self.traced_ticks, self.traced_bytes = 0, 0
        self.rig = self._make(0)

    def go(self, ticks: int, progress: Callable[[int], None]) -> None:
        """Nine tenths at full speed, the rest under the eyes of tracemalloc."""
        from rmedge.benchmarks.memory import resident, traced_growth

        traced = round(TRACED * ticks)
        every = max(1, ticks // 100)
        while self.ticks < ticks - traced:
            self._tick()
            if self.ticks % every == 0:
                progress(self.ticks)
                self.resident.append(resident() / MB)
        warm_up = traced // 2  # until what is kept for a while has been replaced by what is traced

        def step() -> None:
            self._tick()
            self.rig.forget()

        self.traced_bytes = traced_growth(step, traced - warm_up, warm_up)
        self.traced_ticks = traced - warm_up
        progress(ticks)

    def _tick(self) -> None:
        rig, meter = self.rig, self.meter
        rig.watch()
        meter.begin(time.monotonic_ns())
        rig.act(meter)
        meter.end(None)
        rig.advance()
        self.ticks += 1
        if self.ticks % 5000 == 0:
            rig.forget()
        if rig.body.state.stopped:
            self.leave()
            self.rig = self._make(self.episodes)

    def leave(self) -> None:
        """Add up what this rig did."""
        from rmedge.states import Count

        rig = self.rig
        rig.close()
        self.episodes += 1
        self.falls += rig.robot.fell_at_s is not None
        if rig.body.state.stopped:
            self.stops[rig.body.reason.partition(":")[0]] += 1
        self.commands += rig.witness.commands
        self.unsafe.update(rig.witness.unsafe)
        self.torn_accepted += rig.torn_accepted
        self.failures += int(rig.body.counts[Count.POLICY_FAILURES])
        self.drift_ns += abs(round(rig.now_s * 1e9) - rig.ticks * rig.rate.period_ns)
        self.missed += rig.rate.missed
        for name, joints in rig.pilot.envelope.clamped.items():
            self.clamped[name] += int(joints.sum())

    def told(self) -> dict[str, Any]:
        """All of it, and what must hold."""
        settled = self.resident[len(self.resident) // 10 :] or [0.0]
        growth_mb = settled[-1] - settled[0]
        traced = self.traced_bytes
        counted = self.meter.histograms["step"].count
        claims = [
            ("no unsafe command", not self.unsafe, dict(self.unsafe) or "none"),
            ("no drift of the deadlines' grid", not (self.drift_ns or self.missed), f"{self.drift_ns} ns"),
            ("every tick is in the histogram", counted == self.ticks, counted),
            (f"Python holds less than {LEAK_BYTES} bytes more", traced < LEAK_BYTES, traced),
            (f"the process grows by less than {LEAK_MB:g} MB", growth_mb < LEAK_MB, f"{growth_mb:+.2f} MB"),
            ("no torn record accepted", not self.torn_accepted, self.torn_accepted),
        ]  # fmt: skip
        return {
            "ticks": self.ticks, "simulated_s": self.ticks * self.rig.rate.period_ns / 1e9,
            "episodes": self.episodes, "falls": self.falls, "stops": dict(self.stops),
            "commands": self.commands, "unsafe": dict(self.unsafe), "clamped": dict(self.clamped),
            "policy_failures": self.failures,
            "drift_ns": self.drift_ns, "missed": self.missed, "torn_accepted": self.torn_accepted,
            "resident_mb": self.resident, "resident_growth_mb": growth_mb,
            "traced_bytes": self.traced_bytes, "traced_ticks": self.traced_ticks,
            "timing": self.meter.report(),
            "claims": [{"claim": claim, "holds": bool(holds), "got": got} for claim, holds, got in claims],
        }  # fmt: skip


def _show(told: Mapping[str, Any]) -> None:
    from rmedge.benchmarks.endurance.fault_tables import show_claims
    from rmedge.cli import terminal

    terminal.latency("what a step cost, if the machine was quiet", told["timing"], QUANTILES)
    ticks, traced, stops = told["ticks"], told["traced_ticks"], told["stops"] or "no stops"
    terminal.facts(
        "soak",
        {
            "ticks": f"{ticks} of {told['asked']}: {told['simulated_s']:.0f} s in {told['wall_s']:.0f} s",
            "commands": told["commands"],
            "robot": f"fell {told['falls']} times in {told['episodes']} starts; {stops}",
            "clamped": told["clamped"],
            "resident": f"{told['resident_growth_mb']:+.2f} MB",
            "traced": f"{told['traced_bytes']:+d} bytes over {traced} ticks",
        },
    )
    show_claims(told["claims"])
    if told["stop_reason"]:
        terminal.say(f"stopped: {told['stop_reason']}")
