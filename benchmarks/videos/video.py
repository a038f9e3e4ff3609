"""Evaluation on labelled videos: what is said of each labelled stretch, and how the robot fares."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Sequence

from rmedge.benchmarks.pool import Pool, processes
from rmedge.benchmarks.videos.follower import OWN, team
from rmedge.benchmarks.videos.labelling import score
from rmedge.benchmarks.videos.playing import play, said
from rmedge.bundle import Bundle
from rmedge.errors import InputError
from rmedge.runtimes import open_camera

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
    probability: float | None = 0.0  # None by who does not say
    certainty: float | None = 0.0
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
    system: str = OWN
    detection: float = 1.0  # share of the frames in which somebody was found


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


def drive(given: tuple[Bundle, Sequence[str]], job: tuple[Path, Sequence[Stretch]]) -> list[Drive]:
    """Run one clip to its end, for the bundle's mirror and for whoever is beside it."""
    (bundle, beside), (path, stretches) = given, job
    drives = []
    for name, follower in team(bundle, beside).items():
        with open_camera(path) as camera:
            seconds: float = camera.duration_s  # type: ignore[attr-defined]
            played = play(follower, camera, bundle.robot, seconds, seed=None)
        heard = [(one, said(follower, played, one.start_s, one.end_s)) for one in stretches]
        judged = [
            replace(
                one, said=word.label, probability=word.probability, certainty=word.certainty,
                velocity=word.velocity,
            )
            for one, word in heard
        ]  # fmt: skip
        robot = played.robot
        drives.append(
            Drive(
                path.name, seconds, robot.fell_at_s, robot.displacement, robot.heading_change,
                played.trace.report().misses, tuple(judged), name, played.detection,
            )
        )  # fmt: skip
    return drives


def evaluate(
    bundle: Bundle,
    folder: Path,
    beside: Sequence[str] = (),
    pool: Pool = processes,
    progress: Callable[[float], None] = lambda done: None,
) -> list[Drive]:
    """Every clip of a manifest."""
    work = [(folder / clip, stretches) for clip, stretches in read_manifest(folder).items()]
    drives: list[Drive] = []
    for done, more in enumerate(pool(drive, (bundle, tuple(beside)), work), 1):
        drives += more
        progress(done / len(work))
    return drives


def summary(drives: Sequence[Drive]) -> dict[str, Any]:
    """Falls, and how well one system labelled, by view."""
    told = [(stretch, drive.clip) for drive in drives for stretch in drive.stretches]
    views: dict[str, Any] = {}
    for view in dict.fromkeys(stretch.view for stretch, _ in told):
        mine = [(stretch.label, stretch.said, clip) for stretch, clip in told if stretch.view == view]
        fell = [d for d in drives if d.fell_at_s is not None and any(s.view == view for s in d.stretches)]
        views[view] = {**score(*zip(*mine)), "falls": len(fell)}
    return {"clips": len(drives), "falls": sum(d.fell_at_s is not None for d in drives), "views": views}
