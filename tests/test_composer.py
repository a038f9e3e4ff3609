"""The composer mixes linearly, knows no speed of what stands, and fits a library."""

from __future__ import annotations

import numpy as np
import torch

from rmedge.export.motions.motion import GAITS, Z
from rmedge.export.networks.composer import Composer, fit_composer


def shares(*index):
    return [torch.eye(size)[[n]] for size, n in zip((len(GAITS), 4), index, strict=True)]


@torch.inference_mode()
def test_shares_between_kinds_mix_their_intents():
    model = Composer(4).eval()
    velocity = torch.tensor([[0.3, -0.1, 0.2]])
    (one_gait, one_gesture), (other_gait, other_gesture) = shares(1, 0), shares(2, 3)
    one, other = model(velocity, one_gait, one_gesture), model(velocity, other_gait, one_gesture)
    mixed = model(velocity, 0.25 * one_gait + 0.75 * other_gait, one_gesture)
    torch.testing.assert_close(mixed, 0.25 * one + 0.75 * other)
    made = model(velocity, one_gait, other_gesture)
    mixed = model(velocity, one_gait, 0.5 * one_gesture + 0.5 * other_gesture)
    torch.testing.assert_close(mixed, 0.5 * one + 0.5 * made)


@torch.inference_mode()
def test_who_stands_has_no_speed():
    model = Composer(4).eval()
    gait, gesture = shares(0, 2)
    still, moved = (model(torch.tensor([v]), gait, gesture) for v in ([0.0, 0.0, 0.0], [0.5, 0.1, 1.0]))
    torch.testing.assert_close(still, moved)
    gait, gesture = shares(1, 2)
    still, moved = (model(torch.tensor([v]), gait, gesture) for v in ([0.0, 0.0, 0.0], [0.5, 0.1, 1.0]))
    assert (still - moved).abs().max() > 1e-3


class Shelf:
    """A library whose intents are linear in what is done."""

    gestures = ("none", "wave")

    def __init__(self):
        rng = np.random.default_rng(0)
        count = 400
        self.gait = rng.integers(len(GAITS), size=count)
        self.walker = np.ones(count, int)
        self.gesture = rng.integers(2, size=count)
        self.velocity = rng.uniform(-0.6, 0.6, (count, 3)) * (self.gait > 0)[:, None]
        self.dances = np.zeros(count, bool)
        given = np.concatenate([self.velocity, np.eye(3)[self.gait], np.eye(2)[self.gesture]], 1)
        self.z = (given @ rng.normal(size=(8, Z))).astype(np.float32)

    def __len__(self):
        return len(self.z)


def test_it_fits_what_the_library_holds(tmp_path):
    shelf = Shelf()
    model = fit_composer(shelf, 400, tmp_path / "composer.pt")
    with torch.inference_mode():
        said = model(
            torch.from_numpy(shelf.velocity.astype(np.float32)),
            torch.eye(3)[shelf.gait], torch.eye(2)[shelf.gesture],
        ).numpy()  # fmt: skip
    left = ((said - shelf.z) ** 2).sum() / ((shelf.z - shelf.z.mean(0)) ** 2).sum()
    assert left < 0.1
