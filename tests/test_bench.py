"""The benchmark: quantiles only where samples establish them, pairs that are fair, output that is JSON."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rmedge.benchmarks import cli
from rmedge.benchmarks.statistics import floor, summary
from rmedge.runtimes.pairing import WARM_UP, pair


def test_floors_are_those_of_mlperf() -> None:
    assert [floor(quantile) for quantile in (0.9, 0.99, 0.999)] == [64, 662, 6636]


def test_a_quantile_is_given_only_when_established() -> None:
    spent_ns = np.arange(1, 664) * 1000
    row = summary(spent_ns[:661])
    assert row["count"] == 661 and row["p99_us"] is None
    row = summary(spent_ns)
    assert row["p50_us"] == 332.0
    assert row["p99_us"] == pytest.approx(656.38)
    assert row["p99.9_us"] is None
    assert row["max_us"] == 663.0
    assert summary(spent_ns[:0]) == {**dict.fromkeys(row), "count": 0}


def test_pairs_alternate_and_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns, calls = [0], []
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns[0])

    def takes(name: str, ns: int) -> None:
        calls.append(name)
        now_ns[0] += ns

    first, second = pair(lambda: takes("first", 5), lambda: takes("second", 7), 4)
    assert first.tolist() == [5] * 4
    assert second.tolist() == [7] * 4
    assert calls[2 * WARM_UP :] == ["second", "first", "first", "second"] * 2


@pytest.mark.parametrize("argv", [["run", "--ticks", "0"], ["walk"], ["run", "--bundle", "none"]])
def test_bad_usage_is_one_line_and_exit_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("rmedge: ") and err.count("\n") == 1
