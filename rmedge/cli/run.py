"""Drive a robot with what a camera sees, or with words."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from rmedge.cli import command, realtime
from rmedge.errors import SafetyStop, UsageError

if TYPE_CHECKING:
    from rmedge.clock import Clock
    from rmedge.runtimes import Mirror
    from rmedge.runtimes.filming import Filming
    from rmedge.trace import Trace
    from rmedge.words import Command

EXAMPLES = """examples:
  rmedge run --camera walk.mp4                          a simulated G1 follows a video to its end
  rmedge run --camera walk.mp4 --record out.mp4         and a film of it
  rmedge run --camera 0                                 a mirror: stand before the webcam; Ctrl-C ends it
  rmedge run --camera synthetic --actuator null --json  the whole stack without any hardware
  rmedge run --intent "walk forward slowly, turning left"                     in words; ten seconds
  rmedge run --realtime --camera 0 --actuator boards:/dev/shm/robot --fifo 50  a robot that firmware serves
  rmedge run --intent "side-step left, waving" --seconds 5 --record out.mp4   captions may be combined
"""
SECONDS = 10.0  # for cameras that never end


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument(
        "--camera",
        metavar="FILE|N|NAME",
        help="a video, a webcam's number, a stream, synthetic or null (see docs/cameras.md)",
    )
    parser.add_argument(
        "--intent",
        metavar="WORDS",
        help="follow these words, whatever is seen (rmedge inspect lists captions)",
    )
    parser.add_argument(
        "--actuator",
        default="sim",
        metavar="NAME",
        help="the robot: sim, null, boards:DIR or module:factory (sim)",
    )
    parser.add_argument(
        "--realtime", action="store_true", help="eyes and body in two processes, behind the arming gate"
    )
    parser.add_argument("--robot", help="refuse a bundle for any other robot")
    parser.add_argument("--seconds", type=command.positive, help="stop after so long (the whole video)")
    parser.add_argument("--record", metavar="FILM.mp4", help="film the run")
    shared_arguments(parser)
    realtime.arguments(parser)


def shared_arguments(parser: argparse.ArgumentParser) -> None:
    """What `demo` has too."""
    command.add_engine(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the policy's noise (0)")
    parser.add_argument(
        "--renderer",
        default="auto",
        choices=("auto", "painter", "mujoco"),
        help="who draws the film's robot (auto: MuJoCo where MUJOCO_GL names an OpenGL that works)",
    )
    command.add_json(parser)


class Watch:
    """Looks on at the end of every tick: reads new intents, shows progress, feeds the film."""

    def __init__(
        self,
        mirror: Mirror,
        clock: Clock,
        seconds: float | None,
        show: Any,
        film: Filming | None,
        asked: Command | None = None,
    ) -> None:
        self.glances: list[Any] = []
        self._asked = asked
        self._reading, self._clock, self._seconds = mirror.reading, clock, seconds
        self._show, self._film = show, film
        self._start_ns = clock.now_ns()

    @property
    def elapsed_s(self) -> float:
        """Time of the run's own clock since the beginning [s]."""
        return (self._clock.now_ns() - self._start_ns) / 1e9

    def __call__(self, trace: Trace) -> None:
        from rmedge.runtimes.description import Glance

        for intent in trace.intents[len(self.glances) :]:
            meaning = self._reading.of(intent.z, intent.presence, intent.certainty)
            self.glances.append(Glance((intent.captured_ns - self._start_ns) / 1e9, intent, meaning))
        label, probability = self.latest()
        self._show(self.elapsed_s, self._seconds, label)
        if self._film is not None:
            from rmedge.runtimes.film import Caption

            certainty, velocity = self._felt()
            caption = Caption(label.replace("_", " "), probability, velocity, certainty, self.elapsed_s)
            self._film.shoot(self.elapsed_s, caption, trace)

    def latest(self) -> tuple[str, float]:
        """The label that is followed, and its probability; words are meant as they are said."""
        if self._asked is not None:
            return self._asked.phrase.label, 1.0
        return self.word(-1) if self.glances else ("none", 1.0)

    def word(self, index: int) -> tuple[str, float]:
        """The label of an intent, and its probability."""
        row = self.glances[index].meaning.labels
        return self._reading.labels[row.argmax()], float(row.max())

    def _felt(self) -> tuple[float, Any]:
        """The certainty and the velocity that go with `latest`."""
        if self._asked is not None:
            return 1.0, self._asked.phrase.velocity
        if not self.glances:
            return 0.0, (0.0, 0.0, 0.0)
        return self.glances[-1].intent.certainty, self.glances[-1].meaning.velocity


def main(args: argparse.Namespace) -> int:
    """Run, then tell how it went, however it ended."""
    from rmedge import Bundle, runtimes, words
    from rmedge.cli import terminal
    from rmedge.clock import Clock, ManualClock
    from rmedge.protocols import Simulated
    from rmedge.runtimes.cameras.live import Live

    if args.camera is None and args.intent is None:
        raise UsageError("run: expected --camera or --intent, got neither; see rmedge run --help")
    if args.realtime:
        if args.record:
            raise UsageError(
                "run: expected --record or --realtime, got both; a film would cost it its deadlines"
            )
        return realtime.drive(args)
    args.camera = "null" if args.camera is None else args.camera
    bundle = Bundle.load(args.bundle, robot=args.robot)
    asked = None if args.intent is None else words.compose(args.intent, bundle.intent.phrases)
    mirror = runtimes.load(bundle, args.provider, args.threads)
    if asked is not None:
        mirror.follow(asked.phrase.z)
    with ExitStack() as stack:
        camera = stack.enter_context(runtimes.open_camera(args.camera))
        live = isinstance(camera, Live)
        clock = Clock() if live else ManualClock()
        actuator = stack.enter_context(runtimes.open_actuator(args.actuator, bundle.robot))
        if not isinstance(actuator, Simulated):  # a robot that does not wait for a simulated clock
            raise UsageError(f"run: expected --realtime with the actuator {args.actuator}, got none; add it")
        seconds = args.seconds or getattr(camera, "duration_s", None if live else SECONDS)
        film = None
        if args.record:
            from rmedge.runtimes.filming import Filming

            # in lock-step the film looks again with eyes of its own, so as not to disturb the run
            eyes = camera if live else stack.enter_context(runtimes.open_camera(args.camera))
            world = getattr(actuator, "world", None)
            film = stack.enter_context(Filming(args.record, eyes, bundle.robot, world, args.renderer, live))
        with terminal.progress() as show:
            watch = Watch(mirror, clock, seconds, show, film, asked)
            trace = runtimes.Loop(camera, mirror, actuator, clock).run(seconds, args.seed, watch)
            if film is not None:
                film.develop(lambda done: show(done, watch.elapsed_s, "filming"))
    account = told(args, bundle, mirror, actuator, watch, trace, asked)
    if args.json:
        terminal.emit(account)
    else:
        show_account(account, watch, mirror)
    if trace.stopped:
        raise SafetyStop(
            f"run: expected valid commands, got none: {trace.stop_reason}; rmedge verify {args.bundle}"
        )
    return 0


def told(
    args: Any,
    bundle: Any,
    mirror: Mirror,
    actuator: Any,
    watch: Watch,
    trace: Trace,
    asked: Command | None,
) -> dict[str, Any]:
    """Everything about a run, for machines."""
    report = trace.report().to_dict()
    quantiles = ("p50", "p95", "p99", "max")
    for name in ("capture_to_actuator_ms", "frame_age_ms"):
        report[name] = {key: report[name].get(key) for key in quantiles}  # null where nothing was seen
    intents = []
    for index, glance in enumerate(watch.glances):
        label, probability = watch.word(index)
        intents.append(
            {
                "time_s": glance.time_s,
                "label": label,
                "probability": probability,
                "certainty": glance.intent.certainty,
                "presence": glance.intent.presence,
                "velocity": glance.meaning.velocity,
                "name": glance.intent.name or None,
            }
        )
    fell_at_s = getattr(actuator, "fell_at_s", None)
    return {
        "fell": fell_at_s is not None,
        "fell_at_s": fell_at_s,
        "simulated_s": watch.elapsed_s,
        **report,
        "missed_deadlines": trace.missed_deadlines,
        "displacement": getattr(actuator, "displacement", (0.0, 0.0)),
        "heading_change": getattr(actuator, "heading_change", 0.0),
        "distance": getattr(actuator, "distance", 0.0),
        "intents": intents,
        "asked": None if asked is None else command.heard(args.intent, asked),
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "provider": args.provider,
        "camera": args.camera,
        "actuator": args.actuator,
        "seed": args.seed,
        "recording": args.record,
    }


def show_account(account: dict[str, Any], watch: Watch, mirror: Mirror) -> None:
    """The same for people."""
    import math

    from rmedge.cli import describe, terminal
    from rmedge.runtimes.description import passages

    told = passages(watch.glances, mirror.reading, account["simulated_s"])
    if told:
        describe.show("what was understood", told)
    rows = {**account["stages"], "tick": account["tick"], "own cost": account["own"]}
    terminal.latency("what it cost, by stage and policy tick", {k: v for k, v in rows.items() if v["count"]})
    forward, left = account["displacement"]
    turned = math.degrees(account["heading_change"])
    fell = f"it fell after {account['fell_at_s']:.1f} s" if account["fell"] else "it did not fall"
    delay = account["capture_to_actuator_ms"]
    clamped = ", ".join(f"{name} {count}" for name, count in account["clamped"].items())
    facts = {} if account["asked"] is None else {"followed": account["asked"]["followed"]}
    facts = {
        **facts,
        "robot": f"{forward:+.2f} m forward, {left:+.2f} m left, turned {turned:+.0f}° "
        f"in {account['simulated_s']:.1f} s; {fell}",
        "ticks": f"{account['ticks']}, {account['misses']} longer than their {account['period_ms']:g} ms",
        "envelope": f"clamped {clamped}; refused {account['refused']}",
    }
    if delay["p50"] is not None:
        facts["capture to motor"] = "  ".join(f"{name} {value:.0f} ms" for name, value in delay.items())
    if account["stop_reason"]:
        facts["stopped"] = account["stop_reason"]
    if account["recording"]:
        facts["film"] = account["recording"]
    terminal.facts("how it went", facts)
