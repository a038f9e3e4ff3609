"""Retrieval: R@k of orders that are known, and distances of clouds that have a formula."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge.benchmarks.videos.retrieval import distances, frechet, mm_distance, recall, recall_in_pools

POINTS = np.random.default_rng(0).normal(size=(50, 8))
TRUTH = np.arange(50)


def test_who_lies_on_his_caption_finds_it_first() -> None:
    far = distances(POINTS, POINTS)
    assert recall(far, TRUTH) == {"R@1": 1.0, "R@2": 1.0, "R@3": 1.0}
    assert recall_in_pools(far, TRUTH)["R@1"] == 1.0
    assert mm_distance(far, TRUTH) == 0.0


def test_ranks_are_counted() -> None:
    far = np.array([[0.0, 1.0, 2.0, 3.0]] * 4)  # the same order for everybody
    assert recall(far, np.arange(4)) == {"R@1": 0.25, "R@2": 0.5, "R@3": 0.75}
    assert mm_distance(far, np.arange(4)) == pytest.approx(1.5)


def test_all_alike_is_no_find() -> None:
    """Where every caption is as near, guessing is not credited."""
    assert recall(np.zeros((5, 9)), np.arange(5))["R@3"] == 0.0


def test_who_is_not_there_finds_nothing_and_is_left_out_of_distances() -> None:
    motions = POINTS.copy()
    motions[:10] = np.nan
    far = distances(motions, POINTS)
    assert recall(far, TRUTH)["R@3"] == pytest.approx(0.8)
    assert recall_in_pools(far, TRUTH)["R@3"] == pytest.approx(0.8)
    assert mm_distance(far, TRUTH) == 0.0


def test_a_pool_of_thirty_two_is_easier_than_all_and_holds_its_own_once() -> None:
    rng = np.random.default_rng(1)
    far = rng.random((400, 200))  # nobody knows anything
    pooled = recall_in_pools(far, rng.integers(0, 200, 400))
    assert pooled["R@1"] == pytest.approx(1 / 32, abs=0.01)
    assert pooled["R@3"] == pytest.approx(3 / 32, abs=0.015)


def test_frechet_of_clouds_with_a_formula() -> None:
    assert frechet(POINTS, POINTS) == pytest.approx(0.0, abs=1e-9)
    assert frechet(POINTS, POINTS + 2.0) == pytest.approx(4.0 * 8)  # the means alone
    variance = np.cov(POINTS, rowvar=False).trace()
    centred = POINTS - POINTS.mean(0)
    assert frechet(centred, 3 * centred) == pytest.approx(variance * (3 - 1) ** 2)
    assert frechet(POINTS, centred[:, ::-1]) == pytest.approx(frechet(centred[:, ::-1], POINTS))
