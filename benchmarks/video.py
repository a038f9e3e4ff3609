"""Evaluation on labelled videos: what is said of each labelled stretch, and how the robot fares."""

from __future__ import annotations

import csv
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Callable

import numpy as np

from rmedge.bundle import Bundle
from rmedge.errors import InputError
from rmedge.runtimes import Loop, load, open_camera
from rmedge.runtimes.actuators.sim import SimActuator

__all__ = ["Drive", "Stretch", "evaluate", "read_manifest", "summary"]

SAME_WORD = {"walk_slow": "walk_forward"}  # contracts, section 3


@dataclass(frozen=True)
class Stretch:
    """A labelled part of a clip, and what was said of it."""

    view: str
    start_s: float
    end_s: float
    label: str
    said: str = ""
    probability: float = 0.0
    certainty: float = 0.0
    velocity: tuple[float, ...] = ()  # (3,) mean [m/s, m/s, rad/s]

    @property
    def right(self) -> bool:
        return self.said == self.label


@dataclass(frozen=True)
class Drive:
    """One clip, played to its end with a simulated robot behind it."""

    clip: str
    seconds: float
    fell_at_s: float | None
    displacement: tuple[float, float]  # forward, left [m]
    heading_change: float  # [rad]
    misses: int
    stretches: tuple[Stretch, ...]


def read_manifest(folder: Path) -> dict[str, list[Stretch]]:
    """The labelled stretches of ``manifest.csv``, by clip.

    Raises:
        InputError: there is no manifest.
    """
    path = folder / "manifest.csv"
    if not path.is_file():
        raise InputError(f"videos: expected a folder with manifest.csv, got {str(folder)!r}; name another")
    clips: dict[str, list[Stretch]] = {}
    with path.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            label = SAME_WORD.get(row["label"], row["label"])
            stretch = Stretch(row["view"], float(row["start_s"]), float(row["end_s"]), label)
            clips.setdefault(row["clip"], []).append(stretch)
    return clips


def drive(job: tuple[Bundle, Path, list[Stretch]]) -> Drive:
    """Run one clip."""
    bundle, path, stretches = job
    mirror = load(bundle)
    with open_camera(path) as camera, SimActuator(bundle.robot) as robot:
        trace = Loop(camera, mirror, robot).run(camera.duration_s)  # type: ignore[attr-defined]
        times = np.array([intent.captured_ns for intent in trace.intents]) / 1e9
        meanings = [
            mirror.reading.of(intent.z, intent.presence, intent.certainty) for intent in trace.intents
        ]
        judged = []
        for stretch in stretches:
            within = np.flatnonzero((times >= stretch.start_s) & (times <= stretch.end_s))
            likely = np.mean([meanings[n].labels for n in within], 0)
            judged.append(
                Stretch(
                    stretch.view,
                    stretch.start_s,
                    stretch.end_s,
                    stretch.label,
                    mirror.reading.labels[int(likely.argmax())],
                    float(likely.max()),
                    float(np.mean([trace.intents[n].certainty for n in within])),
                    tuple(np.mean([meanings[n].velocity for n in within], 0).tolist()),
                )
            )
        report = trace.report()
        return Drive(
            path.name, camera.duration_s, robot.fell_at_s, robot.displacement, robot.heading_change,  # type: ignore[attr-defined]
            report.misses, tuple(judged),
        )  # fmt: skip


def evaluate(
    bundle: Bundle, folder: Path, progress: Callable[[float], None] = lambda done: None
) -> list[Drive]:
    """Every clip of a manifest, on all cores."""
    jobs = [(bundle, folder / clip, stretches) for clip, stretches in read_manifest(folder).items()]
    drives = []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for done in pool.map(drive, jobs):
            drives.append(done)
            progress(len(drives) / len(jobs))
    return drives


def summary(drives: list[Drive]) -> dict[str, Any]:
    """Falls, and label accuracy by view beside the best constant answer's."""
    views: dict[str, Any] = {}
    stretches = [stretch for drive in drives for stretch in drive.stretches]
    for view in dict.fromkeys(stretch.view for stretch in stretches):
        mine = [stretch for stretch in stretches if stretch.view == view]
        labels = [stretch.label for stretch in mine]
        by_label = [np.mean([s.right for s in mine if s.label == label]) for label in set(labels)]
        views[view] = {
            "segments": len(mine),
            "right": sum(stretch.right for stretch in mine),
            "accuracy": float(np.mean([stretch.right for stretch in mine])),
            "macro_average": float(np.mean(by_label)),
            "best_constant": max(map(labels.count, labels)) / len(mine),
        }
    return {"clips": len(drives), "falls": sum(d.fell_at_s is not None for d in drives), "views": views}
