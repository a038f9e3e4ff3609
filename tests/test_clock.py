"""Clocks conform; deadlines lie on a grid whatever happens between them."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge.clock import Clock, ManualClock
from rmedge.rate import Rate
from rmedge.testing import check_clock

MS = 1_000_000
PERIOD = 5 * MS  # 200 Hz


@pytest.mark.parametrize("make", [Clock, ManualClock, lambda: ManualClock(12 * MS)])
def test_clocks_conform(make):
    check_clock(make)


class Backward(ManualClock):
    def now_ns(self):
        self._now_ns -= 1
        return self._now_ns


class Early(ManualClock):
    def sleep_until_ns(self, deadline_ns):
        super().sleep_until_ns(deadline_ns - 1)


class Seconds(ManualClock):
    def now_ns(self):
        return super().now_ns() / 1e9


class Lazy(ManualClock):
    def sleep_until_ns(self, deadline_ns):
        self._now_ns += abs(deadline_ns - self._now_ns)


@pytest.mark.parametrize(
    ("clock", "message"),
    [
        (Backward, "now_ns: expected instants that never go back"),
        (Early, "sleep_until_ns: expected no return before"),
        (Seconds, "now_ns: expected an int, got float"),
        (Lazy, "sleep_until_ns: expected a return at once from the past"),
    ],
)
def test_bad_clocks_are_found_out(clock, message):
    with pytest.raises(AssertionError, match=message):
        check_clock(clock)


def test_manual_time_moves_only_when_waited_for():
    clock = ManualClock(3)
    assert clock.now_ns() == clock.now_ns() == 3
    clock.sleep_until_ns(10)
    clock.sleep_until_ns(4)
    assert clock.now_ns() == 10


def ran(work_ns, start_ns=17):
    """The instants at which ticks began, their deadlines, and the rate, for ticks that take so long."""
    clock = ManualClock(start_ns)
    rate = Rate(clock, PERIOD)
    began, deadlines = [], []
    for work in work_ns:
        deadlines.append(rate.wait())
        began.append(clock.now_ns())
        clock.sleep_until_ns(clock.now_ns() + work)
    return began, deadlines, rate


def test_quick_ticks_lie_on_the_grid():
    began, deadlines, rate = ran([3 * MS] * 400)
    assert began == deadlines == [17 + (k + 1) * PERIOD for k in range(400)]
    assert rate.missed == 0


def test_a_stall_is_skipped_and_counted():
    began, deadlines, rate = ran([MS] * 10 + [50 * MS + 1] + [MS] * 100)
    stall_ends = began[10] + 50 * MS + 1
    assert rate.missed == 9  # deadlines 5 to 45 ms after the stalled tick's own; that at 50 ms is served late
    assert deadlines[11] == deadlines[10] + 50 * MS
    assert began[11] == stall_ends
    assert began[12:] == deadlines[12:]  # no burst: the next tick waits for its own instant
    assert began[12] - began[11] > 0.9 * PERIOD
    assert all((deadline - 17) % PERIOD == 0 for deadline in deadlines)  # and no drift
    assert deadlines[-1] == 17 + (len(deadlines) + rate.missed) * PERIOD


@pytest.mark.parametrize("seed", range(5))
def test_no_deadline_is_lost_from_the_count_or_served_twice(seed):
    work = np.random.default_rng(seed).exponential(4 * MS, 500).astype(int).tolist()
    began, deadlines, rate = ran(work)
    assert all(earlier < later for earlier, later in zip(deadlines, deadlines[1:]))
    assert all((deadline - 17) % PERIOD == 0 for deadline in deadlines)
    assert len(deadlines) + rate.missed == (deadlines[-1] - 17) // PERIOD
    assert rate.missed > 0
    late = [now - deadline for now, deadline in zip(began, deadlines)]
    assert min(late) >= 0
    assert max(late) < PERIOD


def test_a_tick_that_is_always_too_long_runs_without_pause_and_counts():
    began, _, rate = ran([12 * MS] * 50)
    assert [later - earlier for earlier, later in zip(began, began[1:])] == [12 * MS] * 49
    assert 65 <= rate.missed <= 75  # 7 of every 12 ms
