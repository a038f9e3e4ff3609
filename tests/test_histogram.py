"""A histogram says what numpy says of the whole array, to one per cent, in memory that never grows."""

from __future__ import annotations

import pickle
import sys
import timeit

import numpy as np
import pytest

from rmedge.histogram import QUANTILES, Histogram


def filled(durations):
    histogram = Histogram()
    for duration in durations:
        histogram.add(int(duration))
    return histogram


def drawn(seed):
    """Durations of many kinds: narrow, wide, in lumps, with rare outliers, and all the same."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1000, 5000))
    kinds = (
        lambda: rng.normal(2e6, 2e4, size),
        lambda: 10 ** rng.uniform(0, 12, size),
        lambda: rng.choice([3.0, 4000.0, 5e6], size),
        lambda: np.where(rng.random(size) < 0.002, 4e7, rng.exponential(3e5, size)),
        lambda: np.full(size, rng.integers(1, 10**9)),
    )
    return np.abs(kinds[seed % len(kinds)]()).astype(np.int64)


@pytest.mark.parametrize("seed", range(20))
def test_every_quantile_is_numpys_to_one_per_cent(seed):
    durations = drawn(seed)
    histogram = filled(durations)
    assert (histogram.count, histogram.max_ns) == (len(durations), durations.max())
    for share in (*QUANTILES, 0.0, 0.25, 1.0):
        exact = np.percentile(durations, 100 * share, method="inverted_cdf")
        assert histogram.quantile(share) == pytest.approx(exact, rel=0.01, abs=0)


@pytest.mark.parametrize("exponent", range(0, 44))
def test_no_duration_is_moved_by_more_than_one_per_cent(exponent):
    rng = np.random.default_rng(exponent)
    edges = [2**exponent - 1, 2**exponent, 2**exponent + 1, 3 * 2**exponent // 2]
    for duration in [*edges, *rng.integers(2**exponent, 2 ** (exponent + 1), 50).tolist()]:
        if duration:
            assert filled([duration, 1 << 45]).quantile(0.5) == pytest.approx(duration, rel=0.01, abs=0)


def test_merged_is_what_one_would_have_counted():
    first, second = drawn(0), drawn(1)
    merged = filled(first)
    merged.merge(pickle.loads(pickle.dumps(filled(second))))  # another process's
    assert merged.told() == filled([*first, *second]).told()


@pytest.mark.parametrize(("share", "needed"), [(0.5, 2), (0.9, 10), (0.99, 100), (0.999, 1000)])
def test_what_too_few_cannot_tell_is_not_told(share, needed):
    assert filled(range(1, needed)).quantile(share) is None
    assert filled(range(1, needed + 1)).quantile(share) is not None


def test_an_empty_one_knows_nothing():
    told = Histogram().told()
    assert told == {
        "count": 0, "p50_ns": None, "p90_ns": None, "p99_ns": None, "p99.9_ns": None, "max_ns": None
    }  # fmt: skip
    assert Histogram().quantile(1.0) is None


@pytest.mark.parametrize("duration", [0, -1, -(10**18), 1 << 62, 1 << 200])
def test_what_lies_beyond_the_buckets_is_counted(duration):
    histogram = filled([duration] * 1000)
    assert (histogram.count, histogram.max_ns) == (1000, max(duration, 0))
    middle = histogram.quantile(0.5)
    assert middle == 0 if duration <= 0 else 2**46 <= middle <= duration


def test_memory_does_not_grow_and_adding_is_quick():
    histogram = Histogram()
    rng = np.random.default_rng(0)
    durations = (10 ** rng.uniform(0, 15, 5000)).astype(np.int64).tolist()
    before = sys.getsizeof(histogram._counts)
    for duration in durations:
        histogram.add(duration)
    assert sys.getsizeof(histogram._counts) == before < 30_000
    best = min(timeit.repeat(lambda: [histogram.add(duration) for duration in durations], number=1, repeat=5))
    assert best / len(durations) < 20e-6  # about 0.3 us; a generous bound, for a busy machine
