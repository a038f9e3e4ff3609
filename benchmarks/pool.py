"""The pool: jobs spread over the processes of this machine, or over a Ray cluster, by the same call."""

from __future__ import annotations

import logging
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, Callable, Iterable, Iterator

from rmedge.errors import AbsentError

__all__ = ["Pool", "cluster", "here", "processes"]

# pool(function, given, jobs): function(given, job) for every job, in their order; `given` travels once
Pool = Callable[[Callable[[Any, Any], Any], Any, Iterable[Any]], Iterator[Any]]


def here(function: Callable[[Any, Any], Any], given: Any, jobs: Iterable[Any]) -> Iterator[Any]:
    """In this process, one after the other."""
    return (function(given, job) for job in jobs)


def processes(
    function: Callable[[Any, Any], Any], given: Any, jobs: Iterable[Any], count: int | None = None
) -> Iterator[Any]:
    """Over so many new processes; as many as there are processors where None."""
    with ProcessPoolExecutor(
        count or os.cpu_count(), get_context("spawn"), initializer=_begin, initargs=(function, given)
    ) as pool:
        yield from pool.map(_job, jobs)


_work: Callable[[Any], Any]  # of a worker process


def _begin(function: Callable[[Any, Any], Any], given: Any) -> None:
    global _work
    _work = partial(function, given)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: what is begun is finished


def _job(job: Any) -> Any:
    return _work(job)


def cluster(
    function: Callable[[Any, Any], Any],
    given: Any,
    jobs: Iterable[Any],
    address: str = "local",
    count: int | None = None,
) -> Iterator[Any]:
    """Over a Ray cluster, whose nodes have rmedge installed.

    Args:
        address: as ``ray.init`` takes it; ``local`` begins one on this machine and ends it afterwards.
        count: processors of a local one; as many as there are where None.

    Raises:
        AbsentError: Ray is not installed, or nothing answers at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise AbsentError('--ray: expected the library ray, got none; pip install "rmedge[ray]"') from error
    local: dict[str, Any] = {"num_cpus": count, "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
    except ConnectionError as error:
        raise AbsentError(f"--ray: expected a cluster at {address!r}, got none; ray start --head") from error
    try:
        task: Any = ray.remote(lambda given, job: function(given, job))  # it takes no built-in function
        shared = ray.put(given)
        for result in [task.remote(shared, job) for job in jobs]:
            yield ray.get(result)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    finally:
        ray.shutdown()
