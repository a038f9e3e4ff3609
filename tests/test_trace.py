"""The trace adds up, and every figure of the report comes from the same samples."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rmedge.specs import Intent
from rmedge.trace import FOREIGN, STAGES, Report, Trace, quantiles_us

PERIOD = 20_000_000


class Watch:
    """A stopwatch turned by hand, in place of ``time.monotonic_ns``."""

    def __init__(self, monkeypatch):
        self.now = 5_000
        monkeypatch.setattr("rmedge.trace.time.monotonic_ns", lambda: self.now)

    def spend(self, trace, **stages):
        for stage, ns in stages.items():
            self.now += ns
            trace.mark(stage)


@pytest.fixture
def watch(monkeypatch):
    return Watch(monkeypatch)


def test_marks_add_up(watch):
    trace = Trace(PERIOD)
    trace.begin(0)
    watch.spend(trace, capture=1000, encode=20)
    watch.spend(trace, read=3, write=4)
    watch.now += 10_000
    trace.skip()  # waiting belongs to no stage
    watch.spend(trace, read=30, physics=500)
    trace.begin(PERIOD)
    watch.spend(trace, policy=70)
    row = dict(zip(STAGES, trace.spent_ns[0]))
    assert {name: ns for name, ns in row.items() if ns} == {
        "capture": 1000, "encode": 20, "read": 33, "write": 4, "physics": 500,
    }  # fmt: skip
    assert trace.compute_ns.tolist() == [1057, 70]
    assert trace.own_ns.tolist() == [37, 0]
    assert trace.spent_ns.shape == (2, len(STAGES))


def test_own_cost_is_all_but_the_foreign(watch):
    trace = Trace(PERIOD)
    trace.begin(0)
    watch.spend(trace, **{name: 1 << n for n, name in enumerate(STAGES)})
    own = sum(1 << n for n, name in enumerate(STAGES) if name not in FOREIGN)
    assert trace.own_ns.tolist() == [own]
    assert trace.compute_ns.tolist() == [(1 << len(STAGES)) - 1 - (1 << STAGES.index("physics"))]


def test_an_unknown_stage_is_refused():
    trace = Trace(PERIOD)
    trace.begin(0)
    with pytest.raises(KeyError, match="thinking"):
        trace.mark("thinking")


def test_capture_to_actuator_is_the_frames_age_and_the_ticks_compute(watch):
    trace = Trace(PERIOD)
    for age in (None, 33_000_000, 53_000_000, 0):
        trace.begin(0)
        if age is not None:
            trace.used(age)
        watch.spend(trace, encode=2_000_000, physics=9_000_000, write=1_000_000)
    assert trace.capture_to_actuator_ns.tolist() == [36_000_000, 56_000_000, 3_000_000]
    report = trace.report()
    assert report.capture_to_actuator_ms["p50"] == pytest.approx(36.0)
    assert report.capture_to_actuator_ms["max"] == pytest.approx(56.0)
    assert report.frame_age_ms["max"] == pytest.approx(53.0)


def test_a_miss_is_compute_beyond_the_period(watch):
    trace = Trace(PERIOD)
    for policy, physics in ((PERIOD, 0), (PERIOD + 1, 0), (1, 10 * PERIOD)):
        trace.begin(0)
        watch.spend(trace, policy=policy, physics=physics)
    assert trace.report().misses == 1


def test_a_command_answers_a_tick_before_the_writes_that_follow(watch):
    trace = Trace(PERIOD, expected_ticks=1)
    for tick in range(3):
        trace.begin(0)
        watch.spend(trace, encode=2_000 + tick, write=1)
        trace.answered()
        watch.now += 10_000
        trace.skip()
        watch.spend(trace, physics=500, write=7)
    assert trace.answered_ns.tolist() == [2_001, 2_002, 2_003]


def test_it_grows_beyond_the_expected_ticks(watch):
    trace = Trace(PERIOD, expected_ticks=3)
    for tick in range(50):
        trace.begin(tick * PERIOD)
        watch.spend(trace, policy=tick + 1)
        if tick % 2:
            trace.used(tick)
    assert trace.ticks == 50
    assert trace.spent_ns[:, STAGES.index("policy")].tolist() == list(range(1, 51))
    assert trace.spent_ns.sum() == 50 * 51 // 2
    assert trace.capture_to_actuator_ns.tolist() == [2 * tick + 1 for tick in range(1, 50, 2)]
    assert Trace(PERIOD, expected_ticks=0).ticks == 0


@pytest.mark.parametrize("seed", range(3))
def test_quantiles_are_of_one_array(seed):
    spent = np.random.default_rng(seed).lognormal(12, 1, 1 + 400 * seed).astype(np.int64)
    row = quantiles_us(spent)
    assert row["count"] == len(spent)
    for key, quantile in (("p50_us", 50), ("p95_us", 95), ("p99_us", 99), ("max_us", 100)):
        assert row[key] == pytest.approx(np.percentile(spent, quantile) / 1e3)
    assert row["p50_us"] <= row["p95_us"] <= row["p99_us"] <= row["max_us"]


def test_nothing_has_no_quantiles():
    assert quantiles_us(np.zeros(0, np.int64)) == {"count": 0}
    report = Trace(PERIOD).report()
    assert (report.ticks, report.misses, report.stages) == (0, 0, {})
    assert report.tick == report.own == {"count": 0}
    assert report.capture_to_actuator_ms == {}
    assert "0 ticks of 20 ms, 0 missed" in str(report)


def test_stages_that_never_ran_are_left_out_and_rare_ones_count_their_own(watch):
    trace = Trace(PERIOD)
    for tick in range(10):
        trace.begin(0)
        watch.spend(trace, policy=100)
        if tick % 5 == 0:
            watch.spend(trace, encode=7_000)
    stages = trace.report().stages
    assert list(stages) == ["encode", "policy"]
    assert stages["encode"]["count"] == 2
    assert stages["encode"]["p50_us"] == pytest.approx(7.0)


def test_the_report_is_plain_and_says_what_was_interfered_with(watch):
    trace = Trace(PERIOD)
    trace.begin(0)
    watch.spend(trace, policy=1_500)
    trace.intents.append(Intent(np.zeros(4, np.float32), 1.0, 1.0, 0))
    trace.clamped = {"rate": np.array([2, 0, 1]), "torque": np.array([0, 0, 0])}
    trace.refused, trace.stop_reason = 5, "interrupted"
    report = Report.of(trace)
    assert json.loads(json.dumps(report.to_dict()))["clamped"] == {"rate": 3, "torque": 0}
    text = str(report)
    assert "policy             1       1.5" in text
    assert "rate 3" in text and "refused: 5" in text and "stopped: interrupted" in text
