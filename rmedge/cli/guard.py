"""Own a robot for a body in another process, and damp it when that falls silent."""

from __future__ import annotations

import argparse
import signal

from rmedge.cli import command

EXAMPLES = """examples:
  rmedge guard --boards /dev/shm/robot                                  a simulated G1, for anybody who asks
  rmedge run --realtime --actuator boards:/dev/shm/robot --camera 0     who then asks
  rmedge guard --actuator boards:/dev/shm/vendor --boards /dev/shm/ours between firmware and a body
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument(
        "--actuator",
        default="sim",
        metavar="NAME",
        help="the robot: sim, null, boards:DIR or module:factory (sim)",
    )
    parser.add_argument("--robot", default="g1", help="which robot that is (g1)")
    parser.add_argument("--boards", metavar="DIR", help="where states and targets lie (one of your own)")
    parser.add_argument(
        "--heartbeat-ms", type=command.positive, default=80.0, help="a body silent for so long is damped (80)"
    )
    parser.add_argument("--seconds", type=command.positive, help="stop after so long (at Ctrl-C)")
    parser.add_argument("--core", metavar="N", type=int, help="the processor to stay on")
    parser.add_argument("--fifo", metavar="N", type=command.whole, help="SCHED_FIFO priority, 1 to 99")
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """Guard, then tell how it went."""
    from rmedge import robots, runtimes
    from rmedge.cli import terminal
    from rmedge.runtimes import boards, realtime
    from rmedge.runtimes.guard import Guard

    robot = robots.load(args.robot)
    where = args.boards or boards.home()
    with runtimes.open_actuator(args.actuator, robot) as actuator:
        guard = Guard(actuator, robot, where, heartbeat_ns=round(args.heartbeat_ms * 1e6))
        getattr(actuator, "hang", lambda: None)()
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
        refused = realtime.prepare(args.core, args.fifo)
        if not args.json:
            for line in refused:
                command.complain(line)
            print(f"guarding {robot.name} ({args.actuator}) in {where}; Ctrl-C ends it", flush=True)
        try:
            guard.run(args.seconds)
        finally:
            signal.signal(signal.SIGTERM, before)
            guard.close()
    account = {
        **guard.counts,
        "latest_ms": guard.latest_ns / 1e6,
        "trouble": guard.trouble,
        "fell_at_s": getattr(actuator, "fell_at_s", None),
        "distance": getattr(actuator, "distance", 0.0),
        "refused_by_system": refused,
    }
    if args.json:
        terminal.emit(account)
    else:
        print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in guard.counts.items()))
        print(f"damping began at the latest {account['latest_ms']:.1f} ms after a heartbeat; {guard.trouble}")
    return 0
