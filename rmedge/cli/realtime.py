"""Real time, for the commands that drive a robot: arm, run, and tell how it went."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from rmedge.cli import command
from rmedge.errors import SafetyStop

if TYPE_CHECKING:
    from rmedge.runtimes.gate import Check
    from rmedge.runtimes.processes import Account

__all__ = ["arguments", "drive"]

ROWS = (
    "period_error", "read", "observe", "policy", "plan", "envelope", "write", "own", "step",
    "capture_to_write",
)  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that only real time has."""
    group = parser.add_argument_group("real time")
    group.add_argument("--boards", metavar="DIR", help="shared memory for others to look at (a private one)")
    group.add_argument("--cores", metavar="BODY,VISION", type=_cores, default=(None, None), help="to stay on")
    group.add_argument(
        "--fifo", metavar="N", type=command.whole, help="SCHED_FIFO priority of the body, 1 to 99"
    )
    group.add_argument(
        "--magnitude", type=float, default=1.0, help="share of the motion, for first steps (1.0)"
    )
    group.add_argument(
        "--slowdown", type=float, default=1.0, help="times slower, for a robot that hangs (1.0)"
    )


def _cores(text: str) -> tuple[int | None, int | None]:
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"expected two cores such as 1,2, got {text!r}")
    return int(parts[0]), int(parts[1])


def drive(args: Any, shadow: bool = False) -> int:
    """Arm the robot that was named, run it, and say how it went; a safety stop is exit code 4."""
    from rmedge import Bundle, words
    from rmedge.cli import terminal
    from rmedge.runtimes.processes import Runtime

    bundle = Bundle.load(args.bundle, robot=args.robot)
    asked = None if args.intent is None else words.compose(args.intent, bundle.intent.phrases)
    with Runtime(
        args.bundle,
        "null" if args.camera is None else args.camera,
        args.actuator,
        args.provider,
        args.threads,
        follow=None if asked is None else asked.phrase.z,
        boards=args.boards,
        cores=args.cores,
        priority=args.fifo,
        shadow=shadow,
        magnitude=args.magnitude,
        slowdown=args.slowdown,
    ) as runtime:
        checks = runtime.arm()
        if not args.json:
            _show_checks(checks)
        with terminal.progress() as show:
            account = runtime.run(
                args.seconds,
                lambda status: show(status.ticks * 0.002, args.seconds, status.state.name.lower()),
            )
    if args.json:
        told = {**terminal.plain(account), "state": account.state.name}
        terminal.emit({**told, "checks": [check.told() for check in checks], "shadow": shadow})
    else:
        _show_account(account)
    if account.stopped:
        raise SafetyStop(f"run: the robot was stopped: {account.reason}")
    return 0


def _show_checks(checks: list[Check]) -> None:
    from rmedge.cli import terminal

    terminal.facts(
        "the arming gate", {check.name: f"ok: {check.got}; asked for {check.expected}" for check in checks}
    )


def _show_account(account: Account) -> None:
    from rmedge.cli import terminal

    body = account.body
    if body:
        rows = {name: body["timing"][name] for name in ROWS if name in body["timing"]}
        terminal.latency("what a step cost", rows, ("p50", "p99", "p99.9", "max"))
        counted = {name.replace("_", " "): n for name, n in body["counts"].items() if n and name != "steps"}
    else:
        counted = {}
    facts = {
        "ended": f"{account.state.name} after {account.seconds:.1f} s; {account.reason or 'time was over'}",
        "steps": f"{body['counts']['steps']}, {body['missed_deadlines']} deadlines missed"
        if body
        else "no report",
        "camera": account.camera,
        "counted": ", ".join(f"{name} {n}" for name, n in counted.items()) or "nothing out of the ordinary",
    }
    if account.vision_deaths:
        facts["vision died"] = "; ".join(account.vision_deaths)
    robot = body.get("robot") or {}
    if robot.get("compared"):
        facts["apart from the live controller"] = (
            f"{max(robot['mean_rad']):.3f} rad in the mean of the worst joint, "
            f"{max(robot['most_rad']):.3f} at most, over {robot['compared']} commands"
        )
    if "displacement" in robot:
        forward, left = robot["displacement"]
        fell = "" if robot["fell_at_s"] is None else f"; it fell after {robot['fell_at_s']:.1f} s"
        facts["robot"] = f"{forward:+.2f} m forward, {left:+.2f} m left{fell}"
    for number, line in enumerate(account.refused, 1):
        facts[f"refused {number}"] = line
    terminal.facts("how it went", facts)
