"""``python -m rmedge.export.watchers``: train the default watcher by each objective, and compare them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import Progress

from rmedge import robots
from rmedge.errors import InputError, RmedgeError
from rmedge.export.motions import motion, sentences
from rmedge.export.motions.troupe import gestures_of
from rmedge.export.networks import dagger
from rmedge.export.networks.gait import Gait, load_gait
from rmedge.export.networks.sight import Sight, load_sight
from rmedge.export.watchers import students
from rmedge.export.watchers.frames import Frames
from rmedge.export.watchers.harvest import Film, Harvest, gather
from rmedge.export.watchers.reader import Objectives, Reader, TrainedWatcher, fit
from rmedge.export.watchers.score import score, table
from rmedge.export.world import footage
from rmedge.export.world.acts import FRAME_HZ, Repertoire

EXAMPLES = """example:
  python -m rmedge.export.watchers --work build/work --clips 2000 --steps 2000
  python -m rmedge.export.watchers --work build/work --clips 2000 --steps 2000 --students 1000
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="rmedge export watchers",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--work", type=Path, required=True, help="the recipe's work folder; resumes what is there"
    )
    parser.add_argument("--clips", type=int, default=2000, help="clips to train on")
    parser.add_argument("--held-out", type=int, default=300, help="clips to test on")
    parser.add_argument("--steps", type=int, default=2000, help="training steps of each reader")
    parser.add_argument(
        "--first-seed", type=int, default=None, help="of the clips; the student's own when left out"
    )
    parser.add_argument(
        "--without", choices=("align", "reconstruct"), help="train one objective alone and compare nothing"
    )
    parser.add_argument(
        "--students", type=int, metavar="STEPS",
        help="also train streaming encoders on the same clips, by the truth and by what the watcher says",
    )  # fmt: skip
    asked = parser.parse_args(argv)
    try:
        print(compare(asked))
    except RmedgeError as error:
        print(f"rmedge: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def compare(asked: argparse.Namespace) -> str:
    """Film, look, train and score; returns the table, which is also kept in the folder."""
    folder = asked.work / "watchers"
    repertoire, readout, seed = _means(asked.work)
    # asked for before anything is filmed or trained
    eyes = _eyes(asked.work, repertoire.composer.gestures) if asked.students else None
    first = seed * 1000 if asked.first_seed is None else asked.first_seed  # as in the recipe
    with Progress() as bar:
        stage = partial(_stage, bar)
        eye = Frames()
        films: dict[bool, Film] = {
            held_out: footage.Films(repertoire, held_out) for held_out in (False, True)
        }
        harvest, test = (
            gather(range(first, first + count), films[held_out], repertoire, eye, folder / name, stage(name))
            for name, count, held_out in (
                ("training", asked.clips, False),
                ("held-out", asked.held_out, True),
            )
        )
        reports = {}
        for name, objectives in _objectives(asked.without).items():
            reader = trained(harvest, objectives, asked.steps, folder, name, seed, stage(name))
            reports[name] = score(TrainedWatcher(eye, reader), test, readout, FRAME_HZ)
            (folder / f"{name}.json").write_text(json.dumps(reports[name], indent=1))
        if eyes is not None:
            reports |= students.beside(
                TrainedWatcher(eye, reader), harvest, test, first, repertoire, *eyes, readout,
                asked.students, folder, stage, seed,
            )  # fmt: skip
    return table(reports)


def trained(
    harvest: Harvest, objectives: Objectives, steps: int, folder: Path, name: str, seed: int,
    progress: Callable[[float], None] = lambda done: None,
) -> Reader:  # fmt: skip
    """A reader of what was gathered, saved in the folder as ``NAME.pt``."""
    captions = [str(caption) for caption in np.unique(harvest.seen("caption"))]
    checkpoint = folder / f"{name}-{steps}-of-{len(harvest.tokens)}.pt"
    reader = fit(
        harvest.tokens, harvest.seen("z"), harvest.spoken(captions), captions, sentences.embed(captions),
        steps, checkpoint, objectives, seed=seed, progress=progress,
    )  # fmt: skip
    reader.save(folder / f"{name}.pt")
    return reader


def _objectives(without: str | None) -> dict[str, Objectives]:
    every = {
        "align": Objectives(reconstruct=False),
        "reconstruct": Objectives(align=False),
        "both": Objectives(),
    }
    if without is None:
        return every
    name = "reconstruct" if without == "align" else "align"
    return {name: every[name]}


def _means(work: Path) -> tuple[Repertoire, motion.Readout, int]:
    """The repertoire, the readout and the seed that the recipe left in its folder."""
    path = work / "effort.json"
    if not path.exists():
        raise InputError(
            f"watchers: expected the recipe's work folder, got {work}; run: python -m rmedge.export g1-mirror"
        )
    effort = json.loads(path.read_text())
    robot = robots.load(effort["robot"])
    ticks = dagger.teacher_motion(
        robot.name, effort["teacher_shards"], work / "rollouts", effort["seed"], lambda done: None
    )
    autoencoder = motion.fit(ticks, effort["autoencoder_steps"], work / "autoencoder.pt", effort["seed"])
    library = motion.Library(ticks, autoencoder, gestures_of(robot))
    readout = motion.fit_readout(library, effort["readout_steps"], work / "readout.pt", effort["seed"])
    return Repertoire.load(work), readout, effort["seed"]


def _eyes(work: Path, gestures: int) -> tuple[Sight, Gait]:
    """What the recipe has trained to see, and to read limbs."""
    return load_sight(work / "sight.pt", gestures), load_gait(work / "gait.pt", gestures)


def _stage(bar: Progress, name: str) -> Callable[[float], None]:
    task = bar.add_task(name, total=1.0)
    return lambda done: bar.update(task, completed=done)


if __name__ == "__main__":
    sys.exit(main())
