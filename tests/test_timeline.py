"""Segments tile the clip, and follow what was seen rather than its flicker."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge.timeline import SHORTEST_S, segments

LABELS = ("walk", "run", "none")


def rows(*words: tuple[str, int], sure: float = 0.8) -> np.ndarray:
    """(N, 3) probabilities of so many frames of each word."""
    other = (1 - sure) / (len(LABELS) - 1)
    return np.array(
        [[sure if label == word else other for label in LABELS] for word, n in words for _ in range(n)]
    )


def cut(probabilities: np.ndarray, rate_hz: float = 10.0) -> list:
    times = np.arange(len(probabilities)) / rate_hz
    return segments(times, probabilities, LABELS, len(times) / rate_hz)


def test_constant_input_is_one_segment() -> None:
    (only,) = cut(rows(("walk", 40)))
    assert (only.start_s, only.end_s, only.label) == (0.0, 4.0, "walk")
    assert only.probability == pytest.approx(0.8)
    assert only.samples == slice(0, 40)


def test_a_change_is_found_where_it_is() -> None:
    walk, run = cut(rows(("walk", 30), ("run", 30)))
    assert (walk.label, run.label) == ("walk", "run")
    assert walk.end_s == run.start_s == pytest.approx(3.0, abs=0.11)


def test_a_flicker_is_smoothed_away() -> None:
    (only,) = cut(rows(("walk", 20), ("run", 2), ("walk", 20)))
    assert only.label == "walk"


@pytest.mark.parametrize("seed", range(20))
def test_segments_tile_the_clip_and_are_what_they_say(seed: int) -> None:
    random = np.random.default_rng(seed)
    times = np.cumsum(random.uniform(0.02, 0.3, 150))
    probabilities = random.dirichlet(np.ones(3), 150).repeat(1, 0) ** random.uniform(0.5, 3)
    probabilities /= probabilities.sum(1, keepdims=True)
    end_s = float(times[-1]) + 0.2
    found = segments(times, probabilities, LABELS, end_s)
    assert found[0].start_s == 0.0
    assert found[-1].end_s == end_s
    for before, after in zip(found, found[1:]):
        assert before.end_s == after.start_s
        assert before.samples.stop == after.samples.start
        assert before.label != after.label
    for segment in found:
        mean = probabilities[segment.samples].mean(0)
        assert segment.label == LABELS[mean.argmax()]
        assert segment.probability == pytest.approx(mean.max())
        assert len(found) == 1 or segment.end_s - segment.start_s >= SHORTEST_S


def test_a_short_one_joins_its_likelier_neighbour() -> None:
    # half a window of a third motion between two others; it looks more like the one after it
    between = np.tile([0.05, 0.35, 0.6], (4, 1))
    found = cut(np.concatenate([rows(("walk", 30)), between, rows(("run", 30))]))
    assert [segment.label for segment in found] == ["walk", "run"]
    assert found[0].end_s == pytest.approx(3.0, abs=0.11)


def test_the_shortest_clips() -> None:
    assert segments([], np.zeros((0, 3)), LABELS, 5.0) == []
    (only,) = segments([0.2], rows(("run", 1)), LABELS, 0.3)
    assert (only.start_s, only.end_s, only.label) == (0.0, 0.3, "run")
