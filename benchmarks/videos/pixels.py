"""From pixels to physics: painted clips for every system, and each judged by what its robot did."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Sequence

import numpy as np

from rmedge.benchmarks.policies.apart import Comparison
from rmedge.benchmarks.policies.closed_loop import TEACHER
from rmedge.benchmarks.pool import Pool, processes
from rmedge.benchmarks.videos import retrieval, stopwatch, tally
from rmedge.benchmarks.videos.follower import OWN
from rmedge.benchmarks.videos.painted import Reaction, Showing, Steps, Terms, jobs, perform
from rmedge.bundle import Bundle
from rmedge.errors import InputError

if TYPE_CHECKING:
    from rmedge.export.motions.motion import Library
    from rmedge.export.motions.rollouts import Ticks
    from rmedge.export.world.acts import Repertoire

__all__ = ["beside", "evaluate", "needed"]

SPACE_STEPS = 600  # of the motion-text space: more teach it nothing about motions held out
PAIRS, CHANGES = 3, 30  # one pair for so many clips a view, and one clip of each change
# of the progress bar, beside 0 .. 1 for the clips themselves
SPACE, WATCH = 0.1, 0.15

Advance = Callable[[float], None]


def evaluate(
    bundle: Bundle,
    work: Path,
    clips: int,
    others: Sequence[str] = (),
    seconds: float = 4.0,
    pool: Pool = processes,
    progress: Advance = lambda done: None,
) -> dict[str, Any]:
    """Everything that painted clips can tell; ``work``: the recipe's folder; ``clips``: a view."""
    repertoire = _repertoire(work)
    ticks, library = _motion(work, repertoire)
    terms = Terms(bundle, repertoire, Steps.of(library), tuple(others), seconds)
    # alone in the process, and before the pool makes the machine busy
    most = min(stopwatch.CLIPS, 2 * clips)
    spent = stopwatch.clock(terms, most, lambda done: progress(WATCH * done))
    wanted = jobs(clips, max(1, clips // PAIRS), max(1, clips // CHANGES))
    found: list[Any] = []
    for done, more in enumerate(pool(perform, terms, wanted), 1):
        found += more
        progress(WATCH + (1 - WATCH - SPACE) * done / len(wanted))
    showings = [one for one in found if isinstance(one, Showing)]
    shown = _retrieved(showings, work, repertoire, ticks, library, lambda d: progress(1 - SPACE + SPACE * d))
    return {
        "clips": clips,
        "seconds": seconds,
        "systems": tally.by_system(showings),
        "own_where_detected": tally.where_detected(showings, OWN),
        "by_label": tally.by_word(showings, "label"),
        "by_gesture": tally.by_word(showings, "gesture"),
        "labels": tally.words(showings, OWN, "label"),
        "gestures": tally.words(showings, OWN, "gesture"),
        "pairs": tally.compared([one for one in found if isinstance(one, Comparison)]),
        "reaction": tally.reacted([one for one in found if isinstance(one, Reaction)]),
        "retrieval": shown,
        "latency": spent,
        "showings": [one.told() for one in showings],
    }


def beside(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """System -> the figures that are held against each other: speed, success, reaction, real clips.

    ``told``: what `eval video` tells, with painted clips, real ones or both. The reaction time is of
    simulated time, in which computing takes none; with it comes the time from frame to command.
    """
    painted, real = told.get("synthetic") or {}, told.get("real_by_system") or {}
    rows: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys([*painted.get("latency", {}), *real]):
        found: dict[str, Any] = {}
        rows[name] = found
        if painted:
            spent, reaction = painted["latency"][name], painted["reaction"][name]["all"]
            frame_s = spent["frame"]["p50_us"] / 1e6
            late = None if reaction["median_s"] is None else reaction["median_s"] + frame_s
            found.update(
                frame_p50_ms=1e3 * frame_s,
                frame_p99_ms=None if spent["frame"]["p99_us"] is None else spent["frame"]["p99_us"] / 1e3,
                understanding_p50_ms=spent["understanding"]["p50_us"] / 1e3,
                clip_p50_s=spent["clip_s"]["p50"],
                reaction_median_s=reaction["median_s"],
                reaction_with_compute_s=late,
                reacted=reaction["share"],
                own_where_detected=painted["own_where_detected"][name],
                **{key: painted["systems"][name]["all"][key] for key in SHARED},
            )
        if name in real:
            found["real"] = {
                view: {
                    key: row[key] for key in ("accuracy", "interval", "macro_average", "segments", "falls")
                }
                for view, row in real[name]["views"].items()
            }
    return rows


SHARED = ("success", "interval", "trials", "falls", "detection", "where_detected", "label_accuracy")


def needed(work: Path) -> None:
    """Say so where the recipe's folder is none.

    Raises:
        InputError: it lacks what can be acted out.
    """
    if not (work / "repertoire.npz").is_file():
        raise InputError(
            f"--work: expected the recipe's folder with repertoire.npz, got {str(work)!r}; "
            "python -m rmedge.export makes it, OUT/work"
        )


def _repertoire(work: Path) -> Repertoire:
    """What can be acted out, as the recipe left it."""
    from rmedge.export.world.acts import Repertoire

    needed(work)
    return Repertoire.load(work)


def _motion(work: Path, repertoire: Repertoire) -> tuple[Ticks, Library]:
    """The teachers' rollouts and their library; what the recipe left is read, and nothing is trained."""
    from rmedge.export.motions import motion
    from rmedge.export.networks import dagger

    effort = json.loads((work / "effort.json").read_text(encoding="utf-8"))
    silent: Advance = lambda done: None  # noqa: E731
    robot, seed = effort["robot"], effort["seed"]
    ticks = dagger.teacher_motion(robot, effort["teacher_shards"], work / "rollouts", seed, silent)
    autoencoder = motion.fit(ticks, effort["autoencoder_steps"], work / "autoencoder.pt", seed, silent)
    return ticks, motion.Library(ticks, autoencoder, repertoire.gestures)


def _retrieved(
    showings: Sequence[Showing], work: Path, repertoire: Repertoire, ticks: Ticks, library: Library,
    advance: Advance,
) -> dict[str, Any]:  # fmt: skip
    """System -> view -> R@k, FID and MM-Dist in a space that was trained for this alone."""
    from rmedge.export.motions import motion_text, sentences

    seen = motion_text.shown(ticks, library, repertoire.caption)
    name = f"motion-text-{zlib.crc32(repr(seen.captions).encode()):08x}.pt"
    known = sentences.embed(seen.captions)
    space = motion_text.fit(seen, known, SPACE_STEPS, work / name, progress=advance)
    captions = sorted({*seen.captions, *(showing.caption for showing in showings)})
    embedded = sentences.embed(captions)
    motions, texts = motion_text.points(space, [showing.window for showing in showings], embedded)
    truth = np.array([captions.index(showing.caption) for showing in showings])
    kinds = np.array([(showing.system, showing.view) for showing in showings])
    told: dict[str, Any] = {"captions": len(captions), "space": _judged(space, seen, known), "systems": {}}
    for system, view in dict.fromkeys(map(tuple, kinds.tolist())):
        mine = np.flatnonzero((kinds == (system, view)).all(1))
        own = motions[(kinds == (TEACHER, view)).all(1)]
        told["systems"].setdefault(system, {})[view] = _row(
            motions[mine], texts, truth[mine], None if system == TEACHER else own
        )
    return told


def _row(motions: np.ndarray, texts: np.ndarray, truth: np.ndarray, own: np.ndarray | None) -> dict[str, Any]:
    far = retrieval.distances(motions, texts)
    there, theirs = motions[np.isfinite(motions).all(1)], own if own is None else own[np.isfinite(own).all(1)]
    enough = theirs is not None and min(len(there), len(theirs)) > 1
    return {
        "motions": len(motions),
        **retrieval.recall(far, truth),
        "in_pools": retrieval.recall_in_pools(far, truth),
        "mm_distance": retrieval.mm_distance(far, truth) if len(there) else None,
        "fid": retrieval.frechet(there, theirs) if enough and theirs is not None else None,
    }


def _judged(space: Any, seen: Any, sentences: np.ndarray) -> dict[str, Any]:
    """How well the space itself tells motions that it was not trained on: teachers' windows, held out."""
    from rmedge.export.motions import motion_text

    rows = np.flatnonzero(seen.held_out)
    rows = np.random.default_rng(0).permutation(rows)[:500]
    motions, texts = motion_text.points(space, [*seen.windows(rows).numpy()], sentences)
    return _row(motions, texts, seen.caption[rows], None)
