"""Descriptions: the motion in a video, told passage by passage; only the encoder runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import numpy as np

from rmedge.bundle import Bundle
from rmedge.clock import ManualClock
from rmedge.labels import NONE
from rmedge.runtimes.cameras.video import VideoCamera
from rmedge.runtimes.encoder import Encoder
from rmedge.runtimes.reading import Meaning, Reading
from rmedge.specs import Frame, Intent
from rmedge.timeline import segments

__all__ = ["LIKELY", "Description", "Glance", "Passage", "describe", "passages"]

LIKELY = 0.5  # a gesture is told from this probability on; below it something else is as likely


@dataclass(frozen=True)
class Passage:
    """A stretch of video in which one thing is done."""

    start_s: float
    end_s: float
    label: str
    probability: float  # of the label
    velocity: tuple[float, ...]  # (3,) vx, vy [m/s], yaw rate [rad/s]; zero where nobody is seen
    gait: str
    gesture: str  # none where no gesture is likely
    certainty: float  # mean
    presence: float  # mean
    name: str  # of the taught motion that is recognised in most of it, or empty
    labels: Mapping[str, float]  # every label's probability, the likeliest first
    gaits: Mapping[str, float]
    gestures: Mapping[str, float]


@dataclass(frozen=True)
class Glance:
    """What was read from one frame."""

    time_s: float
    intent: Intent
    meaning: Meaning


@dataclass(frozen=True)
class Description:
    """A whole video in words and numbers."""

    duration_s: float
    frames: int  # that the encoder watched
    passages: tuple[Passage, ...]
    labels: tuple[str, ...]  # the columns of every meaning's, the last one that nobody is there
    glances: tuple[Glance, ...]


def describe(
    path: str | Path,
    bundle: Bundle,
    provider: str = "cpu",
    threads: int = 1,
    on_frame: Callable[[float, float], Any] | None = None,
    on_picture: Callable[[float, Frame], Any] | None = None,
) -> Description:
    """Watch a video file at the encoder's own rate, from its first frame to its last.

    ``on_frame`` is told how many seconds of how many have been watched, ``on_picture`` is shown every
    frame that the encoder sees, with its time in the video [s].
    """
    encoder, reading = Encoder(bundle, provider, threads), Reading(bundle, provider, threads)
    clock, sequence = ManualClock(), -1
    glances: list[Glance] = []
    with VideoCamera(path) as camera:
        camera.attach(clock)
        while not camera.ended:
            frame = camera.read(encoder.image_ns)
            if frame is not None and frame.sequence != sequence:
                sequence = frame.sequence
                intent = encoder.watch(frame)
                time_s = clock.now_ns() / 1e9
                meaning = reading.of(intent.z, intent.presence, intent.certainty)
                glances.append(Glance(time_s, intent, meaning))
                if on_picture is not None:
                    on_picture(time_s, frame)
            if on_frame is not None:
                on_frame(clock.now_ns() / 1e9, camera.duration_s)
            clock.sleep_until_ns(clock.now_ns() + encoder.period_ns)
    told = passages(glances, reading, camera.duration_s)
    return Description(camera.duration_s, len(glances), tuple(told), reading.labels, tuple(glances))


def passages(glances: Sequence[Glance], reading: Reading, end_s: float) -> list[Passage]:
    """What was read at these instants, as passages from 0 to ``end_s``; a taught motion is one of its own."""
    if not glances:
        return []
    names = sorted({glance.intent.name for glance in glances} - {""})
    rows = np.array([_row(glance, names) for glance in glances])
    words = (*reading.labels, *names)
    return [
        _passage(segment.start_s, segment.end_s, glances[segment.samples], reading)
        for segment in segments([glance.time_s for glance in glances], rows, words, end_s)
    ]


def _row(glance: Glance, names: Sequence[str]) -> np.ndarray:
    """Probabilities of the labels and, beside them, of the taught motions' names."""
    intent, labels = glance.intent, glance.meaning.labels
    known = np.array([intent.presence * intent.certainty * (intent.name == name) for name in names])
    return np.concatenate([labels * (1.0 - known.sum()), known])


def _passage(start_s: float, end_s: float, within: Sequence[Glance], reading: Reading) -> Passage:
    def mean(of: Callable[[Glance], Any]) -> np.ndarray:
        return np.mean([of(glance) for glance in within], axis=0)

    labels = _ranked(reading.labels, mean(lambda glance: glance.meaning.labels))
    gaits = _ranked(reading.gaits, mean(lambda glance: glance.meaning.gaits))
    gestures = _ranked(reading.gestures, mean(lambda glance: glance.meaning.gestures))
    label, gesture = next(iter(labels)), next(iter(gestures))
    seen = label != NONE
    velocity = mean(lambda glance: glance.meaning.velocity) if seen else np.zeros(3)
    names = [glance.intent.name for glance in within]
    name = max(set(names), key=names.count)
    return Passage(
        start_s=start_s,
        end_s=end_s,
        label=label,
        probability=labels[label],
        velocity=tuple(float(component) for component in velocity),
        gait=next(iter(gaits)) if seen else NONE,
        gesture=gesture if seen and gestures[gesture] > LIKELY else NONE,
        certainty=float(mean(lambda glance: glance.intent.certainty)),
        presence=float(mean(lambda glance: glance.intent.presence)),
        name=name if 2 * names.count(name) > len(names) else "",
        labels=labels,
        gaits=gaits,
        gestures=gestures,
    )


def _ranked(words: Sequence[str], probabilities: np.ndarray) -> dict[str, float]:
    """Words and their probabilities, the likeliest first."""
    return {words[n]: float(probabilities[n]) for n in np.argsort(-probabilities, kind="stable")}
