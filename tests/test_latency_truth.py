"""Known truth: delays that are injected, and timed outside with the same clock, are what the report says."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping

import bundles
import numpy as np
import patients
import pytest
import stand_ins

from rmedge import runtimes
from rmedge.benchmarks.latency import round as core
from rmedge.benchmarks.latency.gauges import Gauges
from rmedge.benchmarks.latency.report import Rules, variant_of
from rmedge.benchmarks.statistics import quantile_interval, student
from rmedge.bundle import Bundle
from rmedge.runtimes import Loop
from rmedge.runtimes.actuators.null import NullActuator
from rmedge.specs import Frame

PERIOD_US, AGE_US = 20_000.0, 5_000.0
WARM_UP = 20
# in the order of a tick; what lies between two of them is rmedge's own, and short
MEDIANS_US = {
    "capture": 200.0,
    "preprocess": 100.0,
    "encode": 400.0,
    "read": 60.0,
    "policy": 200.0,
    "write": 100.0,
}
ABOUT = {"name": "truth"}


class Stopwatch:
    """Busy for a known while in each stage, and what that really took, from outside of what is tested."""

    def __init__(self, ticks: int, planted: Mapping[tuple[str, int], float] | None = None) -> None:
        random = np.random.default_rng(7)
        self._delays = {
            stage: median * random.lognormal(0.0, 0.3, WARM_UP + ticks)
            for stage, median in MEDIANS_US.items()
        }
        for delays in self._delays.values():
            delays[:WARM_UP] *= 10  # a cold machine: none of this may be in any figure
        for (stage, tick), more_us in (planted or {}).items():
            self._delays[stage][WARM_UP + tick] += more_us
        self._instants: dict[str, list[tuple[int, int]]] = {stage: [] for stage in MEDIANS_US}

    def busy(self, stage: str, work: Callable[[], Any]) -> Any:
        start_ns = time.monotonic_ns()
        done = work()
        until_ns = start_ns + 1e3 * self._delays[stage][len(self._instants[stage])]
        while time.monotonic_ns() < until_ns:
            pass
        self._instants[stage].append((start_ns, time.monotonic_ns()))
        return done

    def spent_us(self, stage: str) -> np.ndarray:
        """(ticks,) in which nothing but the stage ran; of the tick from its first stage to its last."""
        start_ns, end_ns = self._edges("capture" if stage == "tick" else stage)
        return ((self._edges("write")[1] if stage == "tick" else end_ns) - start_ns) / 1e3

    def room_us(self, stage: str) -> np.ndarray:
        """(ticks,) between the stages before and after, so that it cannot have taken longer."""
        stages = list(MEDIANS_US)
        first, last = ("capture", "write") if stage == "tick" else (stage, stage)
        before, after = stages[stages.index(first) - 1], stages[(stages.index(last) + 1) % len(stages)]
        ended_ns, began_ns = self._edges(before)[1], self._edges(after)[0]
        if first == "capture":  # after what ended the tick before
            ended_ns = np.concatenate([self._edges("capture")[0][:1], ended_ns[:-1]])
        if last == "write":  # until the next tick, if there is one
            began_ns = np.concatenate([began_ns[1:], [np.iinfo(np.int64).max]])
        return (began_ns - ended_ns) / 1e3

    def _edges(self, stage: str) -> tuple[np.ndarray, np.ndarray]:
        """(ticks,) when it began and ended, without the warm-up [ns]."""
        start_ns, end_ns = np.array(self._instants[stage][WARM_UP:]).T
        return start_ns, end_ns


class Camera:
    """A new picture, five milliseconds old, whenever it is asked."""

    def __init__(self, watch: Stopwatch) -> None:
        self._watch, self._count = watch, 0
        self._pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)

    def attach(self, clock: Any) -> None:
        self._clock = clock

    def read(self, max_age_ns: int) -> Frame:
        return self._watch.busy("capture", self._look)

    def _look(self) -> Frame:
        self._count += 1
        now_ns = self._clock.now_ns()
        return Frame(self._pixels, now_ns - int(1e3 * AGE_US), now_ns, self._count)


class Robot:
    """Stands still, and takes its time."""

    def __init__(self, watch: Stopwatch, bundle: Bundle) -> None:
        self._watch, self._still = watch, NullActuator(bundle.robot)

    def attach(self, clock: Any) -> None:
        self._still.attach(clock)

    def read(self) -> Any:
        return self._watch.busy("read", self._still.read)

    def write(self, target: Any) -> Any:
        return self._watch.busy("write", lambda: self._still.write(target))

    def damp(self) -> None:
        pass


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Sees a picture and asks its policy at every tick, and writes once."""
    says = bundles.manifest()
    says["encoder"]["rate_hz"] = 50.0
    return Bundle.load(bundles.make(tmp_path_factory.mktemp("bundles") / "tiny", says))


@pytest.fixture
def measured(bundle, monkeypatch):
    """A stopwatch's ticks, all in one round, as a report has them."""

    def measure(watch: Stopwatch, ticks: int, watched: Mapping[str, Any] | None = None) -> dict[str, Any]:
        class Session(stand_ins.Session):
            def run(self, feed: Mapping[str, np.ndarray]) -> Any:
                stage = "encode" if "certainty" in self.outputs else "policy"
                return watch.busy(stage, lambda: super(Session, self).run(feed))

        class Features:
            def __init__(self, image: Any, period_ns: int) -> None:
                self._blank = np.zeros(
                    (1, image.channels, image.feature_height, image.feature_width), np.float32
                )

            def reset(self) -> None:
                pass

            def push(self, pixels: np.ndarray, captured_ns: int) -> np.ndarray:
                return watch.busy("preprocess", lambda: self._blank)

        monkeypatch.setattr("rmedge.runtimes.encoder.Features", Features)
        monkeypatch.setattr(stand_ins, "Session", Session)
        stand_ins.install(monkeypatch)
        mirror = runtimes.load(bundle, write_hz=50.0)
        rules = Rules(rounds=1, min_seconds=0.0, min_ticks=ticks, warm_up_ticks=WARM_UP)
        made = core.measure(lambda: Loop(Camera(watch), mirror, Robot(watch, bundle)), rules)
        assert made.warm_up["ticks"] == WARM_UP
        return variant_of([made], rules, PERIOD_US, ABOUT, watched)

    return measure


SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def test_quantiles_are_those_of_the_injected_delays(measured):
    """Within 2 % or 50 us; where others take the processor away, within what they can have added at most."""
    ticks = 1000
    watch = Stopwatch(ticks)
    told = measured(watch, ticks)
    rows = {**told["stages"], "tick": told["tick"]}
    for stage in (*MEDIANS_US, "tick"):
        true_us, room_us = watch.spent_us(stage), watch.room_us(stage)
        assert rows[stage]["count"] == len(true_us) == ticks
        assert rows[stage]["p99.9_us"] is None
        between = room_us - true_us
        disturbed = (between > 2 * np.median(between) + 20).mean()
        for name, share in SHARES.items():
            least, most = np.quantile(true_us, share), np.quantile(room_us, share)
            assert least - 0.1 <= rows[stage][f"{name}_us"] <= most + 0.1, (stage, name)
            if disturbed <= (1 - share) / 10:  # by too few ticks to move this quantile
                assert rows[stage][f"{name}_us"] == pytest.approx(least, rel=0.02, abs=50), (stage, name)
            low, high = rows[stage]["interval_us"][name]
            assert low <= rows[stage][f"{name}_us"] <= high
    for name in SHARES:
        assert told["sensor_to_actuator"][f"{name}_us"] == pytest.approx(
            AGE_US + told["tick"][f"{name}_us"], abs=0.2
        )
    assert told["intent_age"]["p50_us"] == told["intent_age"]["max_us"] == AGE_US


def test_a_stall_and_missed_deadlines_are_told(measured):
    ticks, stalled, late = 150, 70, (100, 101, 102)
    watch = Stopwatch(ticks, {("encode", stalled): 80e3, **{("policy", tick): 45e3 for tick in late}})
    told = measured(watch, ticks)
    tick_us = watch.spent_us("tick")
    surely, perhaps = (tick_us > PERIOD_US).sum(), (watch.room_us("tick") > PERIOD_US).sum()
    assert 1 + len(late) <= surely <= told["deadlines"]["misses"] <= perhaps
    assert told["deadlines"]["longest_streak"] >= len(late)
    named = {worst["tick"]: worst for worst in told["worst"]}
    assert {stalled, *late} <= set(named)
    assert named[stalled]["stage"] == "encode" and named[late[1]]["stage"] == "policy"
    spent_us, room_us = watch.spent_us("encode")[stalled], watch.room_us("encode")[stalled]
    assert 80e3 <= spent_us - 0.1 <= named[stalled]["stage_us"] <= room_us + 0.1
    assert told["stages"]["encode"]["max_us"] >= named[stalled]["stage_us"]


@pytest.mark.parametrize(("clocks", "seen"), [([2000] * 20, False), ([2000] * 15 + [1500] * 5, True)])
def test_throttling_is_told(measured, clocks, seen):
    """A simulated machine that slows its clock down, watched every fifth of a second."""
    machine = patients.Patient("board", (3, 11, 9), "x86_64", {}, {}, {"/proc/7/stat": ""}, {}, {})
    now_ms, clock_file = [0.0], "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"
    gauges = Gauges(machine, 0, lambda: int(1e6 * now_ms[0]))
    for clock in clocks:
        machine.files[clock_file] = str(1000 * clock)
        gauges.sample()
        now_ms[0] += 200.0
    told = measured(Stopwatch(20), 20, gauges.told([(0.0, now_ms[0])], 20))
    assert told["throttling"]["seen"] is seen
    assert ("1500" in told["throttling"]["why"]) is seen
    assert told["gauges"]["frequency_mhz"] == clocks


@pytest.mark.parametrize(("count", "share"), [(40, 0.5), (700, 0.9), (700, 0.99)])
def test_an_interval_of_order_statistics_covers_as_often_as_it_says(count, share):
    """Conover's law, with whatever distribution: here of the uniform one."""
    random, confidence, trials = np.random.default_rng(3), 0.9, 3000
    low, high = quantile_interval(count, share, confidence)
    drawn = np.sort(random.random((trials, count)))
    covered = ((drawn[:, low] <= share) & (share <= drawn[:, high])).mean()
    assert confidence - 0.02 <= covered <= 1.0
    for narrower in ((low + 1, high), (low, high - 1)):  # either side is as near as it may be
        missed = (drawn[:, narrower[0]] > share).mean(), (drawn[:, narrower[1]] < share).mean()
        assert max(missed) > (1 - confidence) / 2 - 0.015


def test_there_is_no_interval_where_no_samples_bound_it():
    assert quantile_interval(0, 0.5, 0.99) is None
    assert quantile_interval(8, 0.5, 0.99) == (0, 7)  # missed by all eight with 2 in 2^8
    assert quantile_interval(7, 0.5, 0.99) is None
    assert quantile_interval(527, 0.99, 0.99) is None
    assert quantile_interval(528, 0.99, 0.99) is not None


@pytest.mark.parametrize(
    ("freedom", "t95", "t99"), [(1, 12.706, 63.657), (4, 2.776, 4.604), (9, 2.262, 3.250)]
)
def test_student_is_that_of_the_tables(freedom, t95, t99):
    assert [student(0.95, freedom), student(0.99, freedom)] == pytest.approx([t95, t99], abs=5e-4)
