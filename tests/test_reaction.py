"""Reaction times: an estimator against known lags, and what never reacted."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge.benchmarks.videos.reaction import half_way_s, summary

TIMES = np.arange(200) * 0.02
CHANGED_S = 2.0
BEFORE, AFTER = np.array([0.5, 0.0, 0.0]), np.array([0.0, 0.0, 0.8])


def switched(lag_s: float, noise: float = 0.0) -> np.ndarray:
    """Commands (T, 3) that change at once, so long after the motion."""
    late = (lag_s - 1e-9 <= TIMES - CHANGED_S)[:, None]
    blur = noise * np.random.default_rng(0).standard_normal((len(TIMES), 3))
    return np.where(late, AFTER, BEFORE) + blur


@pytest.mark.parametrize("lag_s", [0.0, 0.02, 0.3, 0.74])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_a_known_lag_is_found_to_the_tick(lag_s: float, noise: float) -> None:
    assert half_way_s(TIMES, switched(lag_s, noise), CHANGED_S) == pytest.approx(lag_s, abs=1e-9)


def test_of_a_ramp_it_is_the_middle() -> None:
    share = np.clip((TIMES - CHANGED_S) / 0.6, 0, 1)[:, None]
    assert half_way_s(TIMES, BEFORE + share * (AFTER - BEFORE), CHANGED_S) == pytest.approx(0.3, abs=0.021)


def test_who_changes_nothing_or_is_there_already_has_not_reacted() -> None:
    still = np.tile(BEFORE, (len(TIMES), 1))
    assert half_way_s(TIMES, still, CHANGED_S) is None
    assert half_way_s(TIMES, still + 0.1 * (TIMES[:, None] > 2.3), CHANGED_S) is None  # within tolerance
    assert half_way_s(TIMES, np.full((len(TIMES), 3), np.nan), CHANGED_S) is None
    assert half_way_s(TIMES[:90], still[:90], CHANGED_S) is None  # it ended before the change
    assert half_way_s(TIMES, switched(-0.1), CHANGED_S) is None  # it changed its mind before the motion did


def test_a_summary_counts_who_never_came() -> None:
    told = summary([0.1, 0.2, 0.3, None])
    assert (told["changes"], told["reacted"], told["share"]) == (4, 3, 0.75)
    assert told["median_s"] == pytest.approx(0.2) and told["p90_s"] == pytest.approx(0.28)
    assert summary([None])["median_s"] is None
