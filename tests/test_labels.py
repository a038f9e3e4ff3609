"""Every motion over the ground has the word that the contract gives it."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge.labels import LABELS, NONE, label_of

PERSON, ROBOT = 1.8, 0.65  # running starts here [m/s]


@pytest.mark.parametrize(
    ("velocity", "word"),
    [
        ((0.0, 0.0, 0.0), "stand"),
        ((0.09, 0.0, 0.14), "stand"),
        ((0.0, -0.09, -0.14), "stand"),
        ((0.1, 0.0, 0.0), "walk_forward"),
        ((-0.1, 0.0, 0.0), "walk_backward"),
        ((0.0, 0.1, 0.0), "side_step_left"),
        ((0.0, -0.1, 0.0), "side_step_right"),
        ((0.0, 0.0, 0.25), "turn_left"),
        ((0.0, 0.0, -0.25), "turn_right"),
        ((0.19, 0.0, 0.25), "turn_left"),
        ((0.2, 0.0, 0.25), "arc_left"),
        ((0.5, 0.1, -0.9), "arc_right"),
        ((2.5, 0.0, 0.3), "arc_left"),
        ((0.5, 0.0, 0.24), "walk_forward"),
        ((0.3, 0.2, 0.0), "walk_forward"),
        ((0.2, 0.3, 0.0), "side_step_left"),
        ((-0.2, -0.3, 0.0), "side_step_right"),
        ((-2.5, 0.0, 0.0), "walk_backward"),
        ((1.79, 0.0, 0.0), "walk_forward"),
        ((1.8, 0.0, 0.0), "run_forward"),
    ],
)
def test_a_person_is_named_by_the_contract(velocity: tuple[float, ...], word: str) -> None:
    assert label_of(velocity, PERSON) == word
    assert type(label_of(velocity, PERSON)) is str


def test_a_robot_runs_sooner() -> None:
    assert label_of((0.7, 0.0, 0.0), PERSON) == "walk_forward"
    assert label_of((0.7, 0.0, 0.0), ROBOT) == "run_forward"


def test_many_velocities_are_named_like_each() -> None:
    random = np.random.default_rng(0)
    velocities = random.uniform(-1, 1, (50, 8, 3)) * [2.5, 0.5, 0.5]
    words = label_of(velocities, ROBOT)
    assert words.shape == (50, 8)
    each = [label_of(velocity, ROBOT) for velocity in velocities.reshape(-1, 3)]
    assert words.ravel().tolist() == each


def test_every_word_is_reached_and_no_other() -> None:
    axis = np.linspace(-2.5, 2.5, 51)
    grid = np.stack(np.meshgrid(axis, axis, axis / 5), axis=-1)
    assert set(label_of(grid, PERSON).ravel().tolist()) == set(LABELS)


def test_left_and_right_are_mirror_images() -> None:
    velocities = np.random.default_rng(1).uniform(-1, 1, (200, 3))
    mirrored = label_of(velocities * [1, -1, -1], ROBOT)
    swap = {"left": "right", "right": "left"}
    for word, other in zip(label_of(velocities, ROBOT), mirrored):
        assert other == "_".join(swap.get(part, part) for part in word.split("_"))


def test_the_words_are_the_contracts() -> None:
    assert len({*LABELS, NONE}) == 11
    assert NONE not in LABELS
