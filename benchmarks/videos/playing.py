"""Playing: a clip shown to a follower, with a simulated robot behind it, and everything it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Sequence

import numpy as np

from rmedge.benchmarks.policies.closed_loop import begin
from rmedge.benchmarks.policies.recording import Recorder, Recording
from rmedge.benchmarks.videos.follower import commanded, detection, word
from rmedge.clock import Clock
from rmedge.labels import NONE
from rmedge.protocols import Camera
from rmedge.robots import Robot
from rmedge.runtimes import Loop
from rmedge.runtimes.actuators.sim import SimActuator
from rmedge.specs import Frame
from rmedge.trace import Trace

__all__ = ["Played", "Reel", "Said", "play", "said"]


class Reel:
    """Pictures that were filmed, as a camera."""

    def __init__(self, pictures: Sequence[np.ndarray], rate_hz: float) -> None:
        self._pictures = pictures
        self._period_ns = round(1e9 / rate_hz)
        self.duration_s = len(pictures) / rate_hz
        self._clock, self._start_ns = Clock(), 0

    def attach(self, clock: Clock) -> None:
        self._clock, self._start_ns = clock, clock.now_ns()

    def read(self, max_age_ns: int) -> Frame | None:
        now_ns = self._clock.now_ns()
        number, age_ns = divmod(now_ns - self._start_ns, self._period_ns)
        if age_ns > max_age_ns or number >= len(self._pictures):
            return None
        return Frame(self._pictures[number], now_ns - age_ns, now_ns, number)

    def __enter__(self) -> Reel:
        return self

    def __exit__(self, *exc: Any) -> None:
        pass


@dataclass(frozen=True, eq=False)
class Played:
    """What a follower made of a clip."""

    recording: Recording
    trace: Trace
    robot: SimActuator
    commanded: np.ndarray  # (T, 3) asked of the robot at every tick [m/s, m/s, rad/s]
    detection: float  # share of frames

    @property
    def times_s(self) -> np.ndarray:
        """(T,) when each tick began."""
        return np.arange(len(self.commanded)) * self.recording.period_s


def play(
    follower: Any,
    camera: Camera,
    body: Robot,
    seconds: float,
    seed: int | None = 0,
    before: Callable[[float], Any] = lambda now_s: None,
) -> Played:
    """Show a clip to its end, in lock-step; what a robot does after its fall is not recorded.

    Args:
        seed: of the robot's start and the policy's noise; None: it stands as it is.
        before: called after each tick with the instant at which the next one begins [s].
    """
    robot = begin(body, seed)
    recorder, commands = Recorder(robot), []
    fell = False
    before(0.0)

    def on_tick(trace: Trace) -> None:
        nonlocal fell
        commands.append(commanded(follower, (trace.ticks - 1) * trace.period_ns))
        before(trace.ticks * trace.period_ns / 1e9)
        fell = fell or recorder(trace)

    trace = Loop(camera, follower, robot).run(seconds, seed=seed or 0, on_tick=on_tick)
    if trace.stop_reason == "interrupted":
        raise KeyboardInterrupt
    return Played(recorder.of(trace), trace, robot, np.array(commands), detection(follower))


@dataclass(frozen=True)
class Said:
    """What a follower said of a stretch of a clip."""

    label: str
    probability: float | None  # of the label; None: who says no words is not asked
    certainty: float | None
    velocity: tuple[float, ...]  # (3,) mean [m/s, m/s, rad/s]
    gait: str = ""
    gesture: str = ""


def said(follower: Any, played: Played, start_s: float, end_s: float) -> Said:
    """The words of highest mean probability.

    A follower without words is taken by its mean command; one without such commands, by its robot's motion.
    """
    if not hasattr(follower, "reading"):
        within = (played.times_s >= start_s) & (played.times_s <= end_s)
        mean = _mean(played.commanded[within])
        if not np.isfinite(mean).all():
            did = played.recording.velocity
            mean = _mean(did[within[: len(did)]])
        mean = np.nan_to_num(mean)  # it lay on the floor already
        return Said(word(mean), None, None, tuple(mean.tolist()))
    reading = follower.reading
    seen = [i for i in played.trace.intents if start_s <= i.captured_ns / 1e9 <= end_s]
    if not seen:  # the loop had ended before
        return Said(NONE, None, None, (0.0, 0.0, 0.0))
    meanings = [reading.of(intent.z, intent.presence, intent.certainty) for intent in seen]
    labels, gaits, gestures = (
        np.mean([getattr(meaning, name) for meaning in meanings], 0)
        for name in ("labels", "gaits", "gestures")
    )
    return Said(
        reading.labels[int(labels.argmax())],
        float(labels.max()),
        float(np.mean([intent.certainty for intent in seen])),
        tuple(np.mean([meaning.velocity for meaning in meanings], 0).tolist()),
        reading.gaits[int(gaits.argmax())],
        reading.gestures[int(gestures.argmax())],
    )


def _mean(velocities: np.ndarray) -> np.ndarray:
    """(3,) of velocities (T, 3); NaN of none."""
    return velocities.mean(0) if len(velocities) else np.full(3, np.nan)
