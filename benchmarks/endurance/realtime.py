"""Measure the two processes in real time: how punctual the body is, and what a step costs it."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from rmedge.cli import command
from rmedge.errors import UsageError

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

EXAMPLES = """examples:
  rmedge-bench realtime                             a minute as the kernel likes, a minute under SCHED_FIFO
  rmedge-bench realtime --cores 1,0 --fifo 90
  rmedge-bench realtime --actuator sim --camera synthetic --json
"""
CLIP = "clip"  # the sample's walking person, again and again, over shared memory
ROWS = (
    "period_error", "read", "observe", "policy", "plan", "envelope", "write", "own", "step",
    "capture_to_write",
)  # fmt: skip
QUANTILES = ("p50", "p99", "p99.9", "max")
WARM_UP = 2000
POST = 50  # steps between two intents


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    command.add_engine(parser)
    parser.add_argument("--seconds", type=command.positive, default=60.0, help="of each run (60)")
    parser.add_argument(
        "--camera", default=CLIP, help=f"what vision sees; {CLIP}: a walking person, on and on ({CLIP})"
    )
    parser.add_argument("--actuator", default="null", help="what the body drives (null)")
    parser.add_argument(
        "--fifo", type=command.whole, default=80, metavar="N", help="priority of the second run's body (80)"
    )
    parser.add_argument("--cores", metavar="BODY,VISION", type=_cores, default=(None, None), help="to use")
    parser.add_argument(
        "--ticks", type=command.whole, default=100_000, help="over which allocations are watched (100000)"
    )
    command.add_json(parser)


def _cores(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"expected two cores such as 1,0, got {text!r}")
    return int(parts[0]), int(parts[1])


def main(args: argparse.Namespace) -> int:
    """The two runs side by side, and what grew, as tables or one JSON object."""
    from rmedge import Bundle
    from rmedge.benchmarks.context import context
    from rmedge.cli import terminal

    if not 1 <= args.fifo <= 99:
        raise UsageError(f"--fifo: expected 1 to 99, got {args.fifo}")
    bundle = Bundle.load(args.bundle)
    machine = context()  # before the benchmark itself makes the load
    with terminal.progress() as show:
        runs = {
            name: pace(args, priority, lambda done, name=name: show(done, args.seconds, name))
            for name, priority in (("ordinary", None), (f"SCHED_FIFO {args.fifo}", args.fifo))
        }
    told = {
        "runs": runs,
        "growth": growth(bundle, args.ticks),
        "camera": args.camera, "actuator": args.actuator, "seconds": args.seconds, "cores": args.cores,
        "context": machine,
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
    }  # fmt: skip
    if args.json:
        terminal.emit(told)
    else:
        _show(told)
    return 0


def pace(args: argparse.Namespace, priority: int | None, progress: Any) -> dict[str, Any]:
    """One run; `granted` says whether the kernel gave that priority."""
    import time

    from rmedge.runtimes import Runtime

    with ExitStack() as stack:
        camera = args.camera
        if camera == CLIP:
            from rmedge.benchmarks.endurance.projector import Projector

            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rmedge-"))
            camera = stack.enter_context(Projector(Path(folder))).name
        runtime = stack.enter_context(
            Runtime(
                args.bundle,
                camera,
                args.actuator,
                args.provider,
                args.threads,
                cores=args.cores,
                priority=priority,
            )
        )
        checks = runtime.arm()
        start_s = time.monotonic()
        account = runtime.run(args.seconds, lambda status: progress(time.monotonic() - start_s))
    body = account.body
    granted = priority is None or not any(line.startswith("SCHED_FIFO") for line in account.refused)
    return {
        "granted": granted,
        "refused": account.refused,
        "timing": body.get("timing", {}),
        "missed_deadlines": body.get("missed_deadlines"),
        "steps": body.get("counts", {}).get("steps"),
        "counts": body.get("counts", {}),
        "state": account.state.name,
        "stopped": account.stopped,
        "reason": account.reason,
        "seconds": account.seconds,
        "checks": [check.told() for check in checks],
    }


def growth(bundle: Bundle, ticks: int) -> dict[str, Any]:
    """What a body's loop holds more after so many steps, flat out: desk, boards, policy, envelope and all."""
    import gc

    from rmedge.benchmarks.memory import resident, traced_growth
    from rmedge.clock import ManualClock
    from rmedge.monitor import Monitor
    from rmedge.runtimes.actuators.null import NullActuator
    from rmedge.runtimes.boards import Board
    from rmedge.runtimes.body import Body
    from rmedge.runtimes.meter import Meter
    from rmedge.runtimes.pilot import Pilot
    from rmedge.runtimes.processes.body import Desk, Service
    from rmedge.runtimes.processes.vision import Sight
    from rmedge.states import State

    with ExitStack() as stack:
        boards = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rmedge-")))
        intents, requests, status = (
            stack.enter_context(Board.create(boards, name)) for name in ("intent", "request", "status")
        )
        clock, robot = ManualClock(10**9), NullActuator(bundle.robot)
        robot.attach(clock)
        monitor = Monitor(bundle.budgets, bundle.joint_names)
        body = Body(Pilot(bundle), robot, clock, Sight(boards), monitor, State.RUN)
        read = stack.enter_context(Board.open(boards, "request"))
        service = Service(body, Desk(body, read, status), Meter())
        said, z = intents.record, bundle.intent.stand
        said["size"], said["certainty"], said["presence"] = len(z), 1.0, 1.0
        said["z"][: len(z)] = z
        count = 0

        def step() -> None:
            nonlocal count
            count += 1
            if count % POST == 1:
                said["stamp_ns"] = said["captured_ns"] = requests.record["stamp_ns"] = clock.now_ns()
                intents.publish()
                requests.publish()
            service.step()

        for _ in range(WARM_UP):
            step()
        gc.collect()
        before = resident()
        for _ in range(ticks):
            step()
        grown = resident() - before
        traced = traced_growth(step, ticks)
        return {
            "ticks": ticks, "resident_bytes": grown, "traced_bytes": traced, "state": body.state.name,
            "steps": int(body.counts[0]),
        }  # fmt: skip


def _show(told: Mapping[str, Any]) -> None:
    from rmedge.benchmarks.context import facts as in_words
    from rmedge.cli import terminal

    facts: dict[str, object] = {}
    for name, run in told["runs"].items():
        heading = f"{name}: {run['steps']} steps, {run['missed_deadlines']} deadlines missed"
        if not run["granted"]:
            heading = f"{name} was refused: as the first once more, {run['missed_deadlines']} missed"
        timing = {row: run["timing"][row] for row in ROWS if row in run["timing"]}
        terminal.latency(heading, timing, QUANTILES)
        facts[name] = f"ended in {run['state']}" + (f": {run['reason']}" if run["reason"] else "")
        facts.update({f"{name}, refused {n}": line for n, line in enumerate(run["refused"], 1)})
    grown = told["growth"]
    facts[f"grown over {grown['ticks']} ticks"] = (
        f"{grown['resident_bytes'] / 1e6:+.2f} MB resident, {grown['traced_bytes']:+d} bytes traced"
    )
    terminal.facts("how it went", {**facts, **in_words(told["context"])})
