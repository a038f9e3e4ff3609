"""Check that a robot or a camera of yours keeps the contracts that rmedge relies on."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from rmedge.cli import command
from rmedge.errors import CheckError, UsageError

if TYPE_CHECKING:
    from rmedge.robots import Robot
    from rmedge.testing import Verdict

EXAMPLES = """examples:
  rmedge conform --actuator sim
  rmedge conform --actuator my_robot:MyActuator --robot g1 --yes     a class, or a function of the robot
  rmedge conform --actuator boards:/dev/shm/robot --yes --json
  rmedge conform --camera my_robot:MyCamera --seconds 5

Hang a real robot up first: its joints move a little, and some rules send what it must refuse.
"""
SAFE = ("null", "sim")  # nobody is hurt by these


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument("--actuator", metavar="NAME", help="sim, null, boards:DIR or module:factory")
    parser.add_argument("--robot", default="g1", help="whose joints the actuator has (g1)")
    parser.add_argument("--camera", metavar="NAME", help="as of rmedge run, or module:factory")
    parser.add_argument("--seconds", type=command.positive, default=2.0, help="to watch the camera (2)")
    parser.add_argument("--yes", action="store_true", help="the robot hangs free, its stop at hand")
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """The pass/fail list, and exit code 1 where a rule fails."""
    from rmedge import robots
    from rmedge.cli import terminal

    if args.actuator is None and args.camera is None:
        raise UsageError("conform: expected --actuator or --camera, got neither; see rmedge conform --help")
    if args.actuator is not None and args.actuator not in SAFE and not args.yes:
        raise UsageError(
            f"conform: expected --yes for {args.actuator}, got none: hang the robot up so that it touches "
            "nothing, have somebody at its emergency stop, then add --yes"
        )
    lists: dict[str, list[Verdict]] = {}
    if args.actuator is not None:
        lists["actuator"] = _actuator(args.actuator, robots.load(args.robot))
    if args.camera is not None:
        lists["camera"] = _camera(args.camera, args.seconds)
    failed = [(device, each) for device, told in lists.items() for each in told if each.passed is False]
    if args.json:
        terminal.emit({"ok": not failed, "robot": args.robot, **lists})
    else:
        for device, told in lists.items():
            _show(f"{device} {getattr(args, device)}", told)
    if failed:
        device, worst = failed[0]
        rules = sum(map(len, lists.values()))
        raise CheckError(
            f"conform: {device}: {worst.name}: {worst.got} "
            f"({len(failed)} of {rules} rules failed); {worst.remedy}"
        )
    return 0


def _actuator(name: str, robot: Robot) -> list[Verdict]:
    from rmedge import runtimes
    from rmedge.testing import conformance

    with runtimes.open_actuator(name, robot) as actuator:
        simulated = hasattr(actuator, "advance")  # its time is ours to turn
    return conformance(lambda: runtimes.open_actuator(name, robot), robot, real=not simulated)


def _camera(name: str, seconds: float) -> list[Verdict]:
    from rmedge import runtimes
    from rmedge.testing import camera_conformance

    real = name not in ("null", "synthetic") and not os.path.isfile(name)
    return camera_conformance(lambda: runtimes.open_camera(name), seconds, real, pictures=name != "null")


def _show(title: str, told: list[Verdict]) -> None:
    """The same for people; what to do stands below, where something is to be done."""
    from rmedge.cli import terminal

    words = {True: "pass", False: "FAIL", None: "-"}
    terminal.say(title, style="bold")
    width = max(len(each.name) for each in told)
    for each in told:
        terminal.say(f"  {each.name:<{width}}  {words[each.passed]:<4}  {each.got}")
        if each.passed is False:
            terminal.say(f"  {'':<{width}}        expected: {each.expected}")
            terminal.say(f"  {'':<{width}}        to do:    {each.remedy}")
    terminal.say()
