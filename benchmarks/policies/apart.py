"""Told apart: of two intents with the same velocity, is the motion nearer to the one that was asked?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping, Sequence

from rmedge.benchmarks.policies import grid
from rmedge.benchmarks.policies.closed_loop import follow, lead
from rmedge.benchmarks.policies.grid import Cell
from rmedge.benchmarks.policies.measures import mpjpe_mm, places, upper_body
from rmedge.benchmarks.pool import Pool, processes
from rmedge.benchmarks.statistics import wilson
from rmedge.bundle import Bundle
from rmedge.errors import UsageError

__all__ = ["PATHS", "Comparison", "compare", "evaluate", "pairs", "summary"]

PATHS = ("stand", "walk forward")  # what is done while the upper body tells the intents apart


@dataclass(frozen=True)
class Comparison:
    """One motion of the student's, beside two teachers' from the same start."""

    path: str
    asked: str  # a caption
    other: str  # with the same velocity
    seed: int
    fell: bool
    asked_mm: float  # upper-body E_mpjpe to the teacher of what was asked [mm]
    other_mm: float  # and to the other's

    @property
    def right(self) -> bool:
        """Whether it stands, nearer to what was asked."""
        return not self.fell and self.asked_mm < self.other_mm


def pairs(bundle: Bundle, path: str) -> list[tuple[str, str]]:
    """Captions of a path's velocity that differ in gait or in gesture: plain beside each other one, and
    each gesture beside the next; both ways round.

    Raises:
        UsageError: the bundle knows no two.
    """
    plain = grid.asked(path)
    known = {
        caption: phrase
        for caption in grid.captions(bundle, "all")
        for phrase in (grid.asked(caption),)
        if phrase.velocity == plain.velocity
    }
    waving = [caption for caption, phrase in known.items() if replace(phrase, gesture=plain.gesture) == plain]
    gaits = [caption for caption, phrase in known.items() if replace(phrase, gait=plain.gait) == plain]
    found = {(path, caption) for caption in waving + gaits} | set(zip(waving, waving[1:]))
    found = {(first, second) for first, second in found if path in known and first != second}
    if not found:
        raise UsageError(f"apart: expected two captions that go as {path!r} does, got fewer in the bundle")
    return sorted(found | {(second, first) for first, second in found})


def compare(
    bundle: Bundle, job: tuple[str, Sequence[Cell], Sequence[tuple[str, str]], float]
) -> list[Comparison]:
    """All pairs of one path and one seed, of cells by caption: each motion is run once."""
    path, cells, pairs, seconds = job
    upper = upper_body(bundle.robot)
    done = {cell.caption: follow(bundle, cell, seconds) for cell in cells}
    shown = {cell.caption: lead(bundle, cell, seconds) for cell in cells}
    there = {caption: places(bundle.robot, motion.joint_pos)[:, upper] for caption, motion in shown.items()}
    found = []
    for asked, other in pairs:
        here = places(bundle.robot, done[asked].joint_pos)[:, upper]
        here = here[: min(len(there[asked]), len(there[other]))]  # both over the same ticks
        found.append(
            Comparison(
                path, asked, other, cells[0].seed, done[asked].fell_at_s is not None,
                mpjpe_mm(here, there[asked]), mpjpe_mm(here, there[other]),
            )
        )  # fmt: skip
    return found


def evaluate(
    bundle: Bundle,
    seeds: int = 3,
    seconds: float = 6.0,
    perturbed: bool = False,
    pool: Pool = processes,
    progress: Callable[[float], None] = lambda done: None,
) -> list[Comparison]:
    """Every pair of every path and seed; interrupted by Ctrl-C, those that are done."""
    jobs = []
    for path in PATHS:
        wanted = pairs(bundle, path)
        captions = sorted({caption for pair in wanted for caption in pair})
        for seed in range(seeds):
            # one start and one perturbation for all: what differs is the intent
            terms = grid.cells([path], seed + 1, perturbed)[-1]
            jobs.append((path, [replace(terms, caption=c) for c in captions], wanted, seconds))
    found: list[Comparison] = []
    try:
        for done, comparisons in enumerate(pool(compare, bundle, jobs), 1):
            found += comparisons
            progress(done / len(jobs))
    except KeyboardInterrupt:
        if not found:
            raise
    return found


def summary(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The share that was right, over all, by path and by pair."""

    def row(mine: Sequence[Comparison]) -> dict[str, Any]:
        right = sum(comparison.right for comparison in mine)
        return {"right": right / len(mine), "interval": wilson(right, len(mine)), "trials": len(mine)}

    def rows(key: Callable[[Comparison], str]) -> Mapping[str, dict[str, Any]]:
        names = dict.fromkeys(map(key, comparisons))
        return {name: row([c for c in comparisons if key(c) == name]) for name in names}

    return {
        **row(comparisons),
        "falls": sum(comparison.fell for comparison in comparisons),
        "by_path": rows(lambda c: c.path),
        "by_pair": rows(lambda c: f"{c.asked} | {c.other}"),
    }
