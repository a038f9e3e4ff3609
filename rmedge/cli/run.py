"""Drive a robot with what a camera sees."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from rmedge.cli import command
from rmedge.errors import SafetyStop

if TYPE_CHECKING:
    from rmedge.clock import Clock
    from rmedge.runtimes import Mirror
    from rmedge.runtimes.filming import Filming
    from rmedge.runtimes.reading import Meaning
    from rmedge.trace import Trace

EXAMPLES = """examples:
  rmedge run --camera walk.mp4                          a simulated G1 follows a video to its end
  rmedge run --camera walk.mp4 --record out.mp4         and a film of it
  rmedge run --camera 0                                 a mirror: stand before the webcam; Ctrl-C ends it
  rmedge run --camera synthetic --actuator null --json  the whole stack without any hardware
"""
SECONDS = 10.0  # for cameras that never end


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument(
        "--camera", required=True, metavar="FILE|N|NAME", help="a video, a webcam's number, synthetic or null"
    )
    parser.add_argument("--actuator", default="sim", choices=("sim", "null"), help="the robot (sim)")
    parser.add_argument("--robot", help="refuse a bundle for any other robot")
    parser.add_argument("--seconds", type=command.positive, help="stop after so long (the whole video)")
    parser.add_argument("--record", metavar="FILM.mp4", help="film the run")
    shared_arguments(parser)


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
        self, mirror: Mirror, clock: Clock, seconds: float | None, show: Any, film: Filming | None
    ) -> None:
        self.times_s: list[float] = []
        self.meanings: list[Meaning] = []
        self._reading, self._clock, self._seconds = mirror.reading, clock, seconds
        self._show, self._film = show, film
        self._start_ns = clock.now_ns()

    @property
    def elapsed_s(self) -> float:
        """Time of the run's own clock since the beginning [s]."""
        return (self._clock.now_ns() - self._start_ns) / 1e9

    def __call__(self, trace: Trace) -> None:
        for intent in trace.intents[len(self.meanings) :]:
            self.times_s.append((intent.captured_ns - self._start_ns) / 1e9)
            self.meanings.append(self._reading.of(intent.z, intent.presence, intent.certainty))
        label, probability = self.latest()
        self._show(self.elapsed_s, self._seconds, label)
        if self._film is not None:
            from rmedge.runtimes.film import Caption

            certainty = trace.intents[-1].certainty if trace.intents else 0.0
            velocity = self.meanings[-1].velocity if self.meanings else (0.0, 0.0, 0.0)
            caption = Caption(label.replace("_", " "), probability, velocity, certainty, self.elapsed_s)
            self._film.shoot(self.elapsed_s, caption, trace)

    def latest(self) -> tuple[str, float]:
        """The newest intent's label and its probability."""
        return self.word(-1) if self.meanings else ("none", 1.0)

    def word(self, index: int) -> tuple[str, float]:
        """The label of an intent, and its probability."""
        row = self.meanings[index].labels
        return self._reading.labels[row.argmax()], float(row.max())


def main(args: argparse.Namespace) -> int:
    """Run, then tell how it went, however it ended."""
    from rmedge import Bundle, runtimes
    from rmedge.cli import terminal
    from rmedge.clock import Clock, ManualClock

    bundle = Bundle.load(args.bundle, robot=args.robot)
    mirror = runtimes.load(bundle, args.provider, args.threads)
    live = args.camera.isdigit()
    clock = Clock() if live else ManualClock()
    with ExitStack() as stack:
        camera = stack.enter_context(runtimes.open_camera(args.camera))
        actuator = stack.enter_context(runtimes.open_actuator(args.actuator, bundle.robot))
        seconds = args.seconds or getattr(camera, "duration_s", None if live else SECONDS)
        film = None
        if args.record:
            from rmedge.runtimes.filming import Filming

            # in lock-step the film looks again with eyes of its own, so as not to disturb the run
            eyes = camera if live else stack.enter_context(runtimes.open_camera(args.camera))
            world = getattr(actuator, "world", None)
            film = stack.enter_context(Filming(args.record, eyes, bundle.robot, world, args.renderer, live))
        with terminal.progress() as show:
            watch = Watch(mirror, clock, seconds, show, film)
            trace = runtimes.Loop(camera, mirror, actuator, clock).run(seconds, args.seed, watch)
            if film is not None:
                film.develop(lambda done: show(done, watch.elapsed_s, "filming"))
    account = told(args, bundle, mirror, actuator, watch, trace)
    if args.json:
        terminal.emit(account)
    else:
        show_account(account, watch, mirror)
    if mirror.envelope.refusals:
        raise SafetyStop(
            f"run: expected valid commands, got none: {trace.stop_reason}; rmedge verify {args.bundle}"
        )
    return 0


def told(args: Any, bundle: Any, mirror: Mirror, actuator: Any, watch: Watch, trace: Trace) -> dict[str, Any]:
    """Everything about a run, for machines."""
    report = trace.report().to_dict()
    quantiles = ("p50", "p95", "p99", "max")
    for name in ("capture_to_actuator_ms", "frame_age_ms"):
        report[name] = {key: report[name].get(key) for key in quantiles}  # null where nothing was seen
    intents = []
    for index, (time_s, meaning, intent) in enumerate(zip(watch.times_s, watch.meanings, trace.intents)):
        label, probability = watch.word(index)
        intents.append(
            {
                "time_s": time_s,
                "label": label,
                "probability": probability,
                "certainty": intent.certainty,
                "presence": intent.presence,
                "velocity": meaning.velocity,
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

    told = passages(watch.times_s, watch.meanings, mirror.reading, account["simulated_s"])
    if told:
        describe.show("what was understood", told)
    rows = {**account["stages"], "tick": account["tick"], "own cost": account["own"]}
    terminal.latency("what it cost, by stage and policy tick", {k: v for k, v in rows.items() if v["count"]})
    forward, left = account["displacement"]
    turned = math.degrees(account["heading_change"])
    fell = f"it fell after {account['fell_at_s']:.1f} s" if account["fell"] else "it did not fall"
    delay = account["capture_to_actuator_ms"]
    clamped = ", ".join(f"{name} {count}" for name, count in account["clamped"].items())
    facts = {
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
