"""Closed loop: the shipped policy walks where its intents say, beside its teachers, in one run."""

from __future__ import annotations

import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from rmedge import Bundle
from rmedge.benchmarks import closed_loop
from rmedge.benchmarks.closed_loop import COMMANDS, STUDENT, Trial, summary, wilson
from rmedge.cli import command


def test_wilson_holds_the_proportion_and_narrows_with_trials() -> None:
    for successes, trials in ((0, 10), (5, 10), (10, 10), (97, 100)):
        low, high = wilson(successes, trials)
        assert 0 <= low <= successes / trials <= high <= 1
    assert wilson(50, 100)[1] - wilson(50, 100)[0] < wilson(5, 10)[1] - wilson(5, 10)[0]
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)  # Wilson's formula, worked by hand


def test_the_student_is_held_against_the_better_teacher() -> None:
    trials = [
        Trial(who, "stand", 0, fell, (error, error, error), (0.0, 0.0, 0.0))
        for who, fell, error in ((STUDENT, None, 0.12), ("fastsac", None, 0.1), ("ppo", 3.0, 0.2))
    ]
    rows = summary(trials)
    assert rows[STUDENT]["reference"] == "fastsac"
    assert rows[STUDENT]["velocity_error_ratio"] == pytest.approx(1.2)
    assert rows["ppo"]["success"] == 0.0


def test_every_command_is_a_phrase_of_the_vocabulary() -> None:
    captions = {phrase.caption for phrase in Bundle.load(command.BUNDLE).intent.vocabulary}
    assert set(COMMANDS) <= captions


def test_the_shipped_policy_walks_twelve_commands_nearly_as_its_better_teacher_does() -> None:
    rows = summary(closed_loop.evaluate(Bundle.load(command.BUNDLE), seeds=1, seconds=5.0))
    assert rows[STUDENT]["success"] == 1.0
    assert rows[STUDENT]["velocity_error_ratio"] <= 1.3
