"""Descriptions: the motion in a video, told passage by passage; only the encoder runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np

from rmedge.bundle import Bundle
from rmedge.clock import ManualClock
from rmedge.labels import NONE
from rmedge.runtimes.cameras.video import VideoCamera
from rmedge.runtimes.encoder import Encoder
from rmedge.runtimes.loop import MAX_FRAME_AGE_NS
from rmedge.runtimes.reading import Meaning, Reading
from rmedge.timeline import segments

__all__ = ["Description", "Passage", "describe", "passages"]


@dataclass(frozen=True)
class Passage:
    """A stretch of video in which one thing is done."""

    start_s: float
    end_s: float
    label: str
    probability: float  # of the label
    velocity: tuple[float, ...]  # (3,) vx, vy [m/s], yaw rate [rad/s]; zero where nobody is seen
    gait: str
    gesture: str


@dataclass(frozen=True)
class Description:
    """A whole video in words and numbers."""

    duration_s: float
    frames: int  # that the encoder watched
    passages: tuple[Passage, ...]


def describe(
    path: str | Path,
    bundle: Bundle,
    provider: str = "cpu",
    threads: int = 1,
    on_frame: Callable[[float, float], Any] | None = None,
) -> Description:
    """Watch a video file at the encoder's own rate, from its first frame to its last.

    ``on_frame`` is told how many seconds of how many have been watched.
    """
    encoder, reading = Encoder(bundle, provider, threads), Reading(bundle, provider, threads)
    clock, sequence = ManualClock(), -1
    times: list[float] = []
    meanings: list[Meaning] = []
    with VideoCamera(path) as camera:
        camera.attach(clock)
        while not camera.ended:
            frame = camera.read(MAX_FRAME_AGE_NS)
            if frame is not None and frame.sequence != sequence:
                sequence = frame.sequence
                intent = encoder.watch(frame)
                times.append(clock.now_ns() / 1e9)
                meanings.append(reading.of(intent.z, intent.presence, intent.certainty))
            if on_frame is not None:
                on_frame(clock.now_ns() / 1e9, camera.duration_s)
            clock.sleep_until_ns(clock.now_ns() + encoder.period_ns)
    told = passages(times, meanings, reading, camera.duration_s)
    return Description(camera.duration_s, len(times), tuple(told))


def passages(
    times_s: Sequence[float], meanings: Sequence[Meaning], reading: Reading, end_s: float
) -> list[Passage]:
    """What was read at these instants, as passages from 0 to ``end_s``."""
    rows = np.array([meaning.labels for meaning in meanings])
    told = []
    for segment in segments(times_s, rows, reading.labels, end_s):
        within = meanings[segment.samples]
        seen = segment.label != NONE
        velocity = np.mean([meaning.velocity for meaning in within], axis=0) if seen else np.zeros(3)
        gait = np.mean([meaning.gaits for meaning in within], axis=0).argmax()
        gesture = np.mean([meaning.gestures for meaning in within], axis=0).argmax()
        told.append(
            Passage(
                start_s=segment.start_s,
                end_s=segment.end_s,
                label=segment.label,
                probability=segment.probability,
                velocity=tuple(float(component) for component in velocity),
                gait=reading.gaits[gait] if seen else NONE,
                gesture=reading.gestures[gesture] if seen else NONE,
            )
        )
    return told
