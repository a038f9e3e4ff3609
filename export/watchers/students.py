"""Students: streaming encoders on a watcher's own clips, by the truth alone or by what it says as well."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from rmedge.export.motions.motion import Readout
from rmedge.export.networks import understanding
from rmedge.export.networks.gait import Gait
from rmedge.export.networks.sight import Sight
from rmedge.export.watchers.harvest import Harvest, distil_targets
from rmedge.export.watchers.reader import TrainedWatcher
from rmedge.export.watchers.score import Report, judged
from rmedge.export.world import footage
from rmedge.export.world.acts import FRAME_HZ, Repertoire

__all__ = ["beside"]

Stage = Callable[[str], Callable[[float], None]]  # by name: how much of it is done


def beside(
    watcher: TrainedWatcher, harvest: Harvest, test: Harvest, first_seed: int, repertoire: Repertoire,
    sight: Sight, gait: Gait, readout: Readout, steps: int, folder: Path, stage: Stage, seed: int = 0,
) -> dict[str, Report]:  # fmt: skip
    """What two students come to on the held-out clips of a watcher, scored as it is.

    Both learn from what a trained sight tells of the watcher's training clips, and of these in a mirror, and
    begin with the gait that rehearsals have taught. One is told what the actors did, the other besides what
    the watcher says of the clips themselves.

    Args:
        harvest, test: what the watcher saw of the clips from ``first_seed`` on, and of held-out ones.
    """
    seeds = range(first_seed, first_seed + len(harvest.tokens))
    pairs = footage.render(
        repertoire, sight, 2 * len(seeds), folder / "student", first_seed,
        progress=stage("student's clips"),
    )  # fmt: skip
    own = footage.Clips(**{name: np.concatenate([v[::2], v[1::2]]) for name, v in vars(pairs).items()})
    held_out = footage.render(
        repertoire, sight, len(test.tokens), folder / "student-held-out", first_seed, True,
        stage("student's held-out clips"),
    )  # fmt: skip
    targets = distil_targets(watcher, seeds, footage.Films(repertoire), harvest)
    reports = {}
    for name, latents in (("student", None), ("student of the watcher", targets)):
        # one of another watcher must not be taken up
        told = "" if latents is None else f"-{zlib.crc32(latents.tobytes()):08x}"
        path = folder / f"{name.replace(' ', '-')}{told}-{steps}-of-{len(seeds)}.pt"
        model = understanding.fit(
            own, repertoire.composer, sight, gait, steps, path, seed=seed, latents=latents,
            progress=stage(name),
        )  # fmt: skip
        z = understanding.intents(model, held_out)[0]
        at_tokens = z[np.arange(len(z))[:, None], test.at]
        near = watcher.reader.near(torch.from_numpy(at_tokens)).numpy()
        reports[name] = judged(at_tokens, near, watcher.reader, test, readout, FRAME_HZ)
    return reports
