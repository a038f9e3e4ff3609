"""Latency: each graph bare and as rmedge calls it, or beside a peer, in pairs, and the whole loop."""

from __future__ import annotations

import time
from typing import Any, Callable, Iterator, Mapping

import numpy as np

from rmedge import runtimes
from rmedge.benchmarks.peers import PEERS
from rmedge.benchmarks.statistics import summary
from rmedge.bundle import GRAPHS, Bundle
from rmedge.clock import ManualClock
from rmedge.errors import AbsentError
from rmedge.runtimes.cameras.synthetic import SyntheticCamera
from rmedge.runtimes.session import PROVIDERS
from rmedge.specs import Frame, RobotState
from rmedge.trace import STAGES

__all__ = ["measure_graphs", "measure_loop", "measure_peers", "pair"]

WARM_UP = 50  # calls before anything counts: caches, allocator arenas, the processor's clock


def measure_graphs(
    bundle: Bundle,
    provider: str = "cpu",
    threads: int = 1,
    samples: int = 1000,
    on_pair: Callable[[str, int], Any] | None = None,
) -> dict[str, Any]:
    """Per graph: ``bare`` onnxruntime, rmedge's own ``call`` of it, and ``overhead``, their difference.

    The two alternate within one run, each first half of the time, so that whatever else the machine
    does falls on both. The readout's call is what names an intent; the loop itself never waits for it.
    """
    mirror = runtimes.load(bundle, provider, threads)
    random = np.random.default_rng(0)
    seen = _frames(WARM_UP + samples, bundle.encoder.period_ns)
    z = bundle.intent.stand
    calls: dict[str, Callable[[], Any]] = {
        "encoder": lambda: mirror.encoder.watch(next(seen)),
        "policy": _act(mirror, bundle, z),
        "readout": lambda: mirror.reading.of(z),
    }
    measured: dict[str, Any] = {"provider": None, "graphs": {}}
    for graph in GRAPHS:
        session = _bare_session(bundle.graph(graph), provider, threads)
        measured["provider"] = session.get_providers()[0]
        feed = _feed(getattr(bundle, graph).inputs, random)
        bare_ns, call_ns = pair(
            lambda session=session, feed=feed: session.run(None, feed),  # type: ignore[misc]
            calls[graph],
            samples,
            lambda done, graph=graph: on_pair(graph, done) if on_pair else None,  # type: ignore[misc]
        )
        measured["graphs"][graph] = {
            "bare": summary(bare_ns),
            "call": summary(call_ns),
            "overhead": summary(call_ns - bare_ns),
        }
    return measured


def measure_peers(
    bundle: Bundle,
    provider: str = "cpu",
    threads: int = 1,
    samples: int = 1000,
    on_pair: Callable[[str, int], Any] | None = None,
) -> dict[str, Any]:
    """Per peer: its summary, ``policy`` beside it, and ``policy_ratio_p50``, policy over peer.

    Both are one bare onnxruntime call and alternate. Where a peer cannot be made, ``absent`` says why.
    """
    random = np.random.default_rng(0)
    measured: dict[str, Any] = {}
    for name, make in PEERS.items():
        try:
            peer = make()
        except AbsentError as error:
            measured[name] = {"absent": str(error)}
            continue
        policy_ns, peer_ns = pair(
            _bare_call(bundle.graph("policy"), provider, threads, random),
            _bare_call(peer, provider, threads, random),
            samples,
            lambda done, name=name: on_pair(name, done) if on_pair else None,  # type: ignore[misc]
        )
        policy, row = summary(policy_ns), summary(peer_ns)
        established = row["p50_us"] is not None
        ratio = policy["p50_us"] / row["p50_us"] if established else None
        measured[name] = {**row, "policy": policy, "policy_ratio_p50": ratio}
    return measured


def pair(
    first: Callable[[], Any],
    second: Callable[[], Any],
    samples: int,
    on_pair: Callable[[int], Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(samples,) [ns] of each, taken in turns."""
    spent = np.zeros((2, samples), np.int64)
    for _ in range(WARM_UP):
        first()
        second()
    for sample in range(samples):
        for which in (0, 1) if sample % 2 else (1, 0):
            call = (first, second)[which]
            start = time.monotonic_ns()
            call()
            spent[which, sample] = time.monotonic_ns() - start
        if on_pair is not None:
            on_pair(sample)
    return spent[0], spent[1]


def measure_loop(
    bundle: Bundle,
    provider: str = "cpu",
    threads: int = 1,
    seconds: float = 10.0,
    camera: str = "synthetic",
    actuator: str = "null",
    on_tick: Callable[[float], Any] | None = None,
) -> dict[str, Any]:
    """The lock-step loop on this machine, by stage; ``own`` is all but decoder, onnxruntime and physics."""
    mirror = runtimes.load(bundle, provider, threads)
    with runtimes.open_camera(camera) as eyes, runtimes.open_actuator(actuator, bundle.robot) as robot:
        loop = runtimes.Loop(eyes, mirror, robot)
        loop.run(min(seconds, 1.0))  # warm-up
        trace = loop.run(
            seconds, on_tick=lambda trace: on_tick(trace.ticks * trace.period_ns / 1e9) if on_tick else None
        )
    rows = {name: column[column > 0] for name, column in zip(STAGES, trace.spent_ns.T)}
    report = trace.report()
    return {
        "camera": camera,
        "actuator": actuator,
        "ticks": trace.ticks,
        "misses": report.misses,
        "period_ms": report.period_ms,
        "stages": {name: summary(spent) for name, spent in rows.items() if len(spent)},
        "tick": summary(trace.compute_ns),
        "own": summary(trace.own_ns),
        "capture_to_actuator_ms": report.capture_to_actuator_ms,
    }


def _bare_session(graph: bytes, provider: str, threads: int) -> Any:
    """What somebody writes who has only onnxruntime, with the threads that rmedge uses."""
    import onnxruntime  # not above: where there is none, runtimes.load has said so properly by now

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=[PROVIDERS[provider]])


def _bare_call(graph: bytes, provider: str, threads: int, random: np.random.Generator) -> Callable[[], Any]:
    """One call of a graph on noise of the shapes that the graph itself names."""
    session = _bare_session(graph, provider, threads)
    feed = _feed({each.name: tuple(each.shape) for each in session.get_inputs()}, random)
    return lambda: session.run(None, feed)


def _feed(inputs: Mapping[str, tuple[int, ...]], random: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: random.standard_normal(shape, np.float32) for name, shape in inputs.items()}


def _frames(count: int, period_ns: int) -> Iterator[Frame]:
    """Synthetic pictures, one encoder period apart; made before anything is measured."""
    clock, camera = ManualClock(), SyntheticCamera()
    camera.attach(clock)
    frames = []
    for _ in range(count):
        frames.append(camera.read(period_ns))
        clock.sleep_until_ns(clock.now_ns() + period_ns)
    return iter([frame for frame in frames if frame is not None])


def _act(mirror: runtimes.Mirror, bundle: Bundle, z: np.ndarray) -> Callable[[], Any]:
    """One policy call at rest."""
    still = np.zeros_like(bundle.default_pose)
    state = RobotState(bundle.default_pose, still, np.zeros(3), np.array([0.0, 0.0, -1.0]), 0)
    return lambda: mirror.pilot.policy.act(state, z)
