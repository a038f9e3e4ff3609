"""The pool: the same call here, over processes and over Ray; results in the order of the jobs."""

from __future__ import annotations

import operator
import sys
from functools import partial
from typing import Any

import pytest

from rmedge.benchmarks import pool
from rmedge.errors import AbsentError

JOBS = [3, 1, 2]


@pytest.mark.parametrize("over", [pool.here, partial(pool.processes, count=2)], ids=["here", "processes"])
def test_every_job_is_done_with_what_is_given(over: pool.Pool) -> None:
    assert list(over(operator.mul, 10, JOBS)) == [30, 10, 20]


@pytest.mark.parametrize("over", [pool.here, partial(pool.processes, count=1)], ids=["here", "processes"])
def test_an_error_of_a_job_is_raised(over: pool.Pool) -> None:
    with pytest.raises(ZeroDivisionError):
        list(over(operator.floordiv, 1, [1, 0]))


# Ray itself leaves files and sockets open
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_local_ray_of_two_processors_does_the_same() -> None:
    ray: Any = pytest.importorskip("ray")
    over = partial(pool.cluster, count=2)
    assert list(over(operator.mul, 10, JOBS)) == [30, 10, 20]
    assert not ray.is_initialized()  # it is ended with the jobs
    with pytest.raises(ZeroDivisionError) as raised:
        list(over(operator.floordiv, 1, [1, 0]))
    assert type(raised.value) is ZeroDivisionError
    assert not ray.is_initialized()


def test_without_ray_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(AbsentError, match=r'expected the library ray, got none; pip install "rmedge\[ray\]"'):
        list(pool.cluster(operator.mul, 10, JOBS))
