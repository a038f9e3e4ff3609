"""Withholding: what is withheld never comes, what is late comes with its own stamp, and losses are seeded."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge.benchmarks.policies.withholding import PROMPT, WITHHOLDINGS, Withheld, Withholding
from rmedge.specs import ActionChunk, RobotState

PERIOD_NS = 20_000_000


class Counting:
    """Plans its own count of calls."""

    period_ns = PERIOD_NS

    def reset(self, seed: int = 0) -> None:
        self.calls = 0

    def act(self, state: RobotState, z: np.ndarray, trace: object = None, sent: object = None) -> ActionChunk:
        self.calls += 1
        return ActionChunk(np.zeros((2, 1)), state.stamp_ns, self.period_ns)


def arrivals(withholding: Withholding, ticks: int = 400, seed: int = 0, episode: int = 0) -> list[int | None]:
    """Tick by tick, the tick whose result arrives."""
    policy = Withheld(Counting(), withholding, seed)
    policy.reset(episode)
    nothing, found = np.zeros(3), []
    for tick in range(ticks):
        chunk = policy.act(RobotState(nothing, nothing, nothing, nothing, tick * PERIOD_NS), nothing)
        found.append(None if chunk is None else chunk.stamp_ns // PERIOD_NS)
    return found


def test_without_withholding_every_result_arrives_at_once() -> None:
    assert arrivals(PROMPT) == list(range(400))


@pytest.mark.parametrize(("name", "every"), [("every-second", 2), ("three-in-a-row", 4)])
def test_one_of_so_many_is_delivered(name: str, every: int) -> None:
    assert arrivals(WITHHOLDINGS[name]) == [None if tick % every else tick for tick in range(400)]


@pytest.mark.parametrize("late", [0, 1, 8])
def test_a_late_result_is_the_one_asked_for_so_many_ticks_ago(late: int) -> None:
    assert arrivals(Withholding(late=late)) == [None] * late + list(range(400 - late))


def test_losses_have_their_share_and_their_seed() -> None:
    lost = arrivals(Withholding(drop=0.3), 4000)
    assert sum(tick is None for tick in lost) / 4000 == pytest.approx(0.3, abs=0.03)
    assert lost == arrivals(Withholding(drop=0.3), 4000)
    others = [arrivals(Withholding(drop=0.3), 4000, *seeds) for seeds in ((1, 0), (0, 1))]
    assert lost not in others and others[0] != others[1]


def test_what_is_withheld_combines() -> None:
    assert arrivals(Withholding(every=2, late=3), 8) == [None, None, None, 0, None, 2, None, 4]
    assert set(arrivals(Withholding(drop=1.0))) == {None}


def test_a_new_episode_has_nothing_under_way() -> None:
    policy, nothing = Withheld(Counting(), Withholding(late=1)), np.zeros(3)
    state = RobotState(nothing, nothing, nothing, nothing, 7)
    assert policy.act(state, nothing) is None
    policy.reset()
    assert policy.act(state, nothing) is None
