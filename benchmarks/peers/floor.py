"""The floor: the policy's graph in bare onnxruntime, and what rmedge's tick adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping

import numpy as np

from rmedge.benchmarks.latency.graphs import bare_session, noise, provider_options
from rmedge.benchmarks.peers.comparison import Comparison, ratio
from rmedge.benchmarks.peers.tick import PARTS, Tick
from rmedge.benchmarks.statistics import summary
from rmedge.runtimes.pairing import WARM_UP, pair

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["bare", "bare_graph", "measure"]


def bare(
    graph: bytes, provider: str, threads: int, options: Mapping[str, str] | None = None
) -> Callable[[], Any]:
    """A call of this graph and nothing else, on noise: a dense network takes as long whatever the numbers."""
    session = bare_session(graph, provider, threads, options)
    feed = noise({each.name: tuple(each.shape) for each in session.get_inputs()}, np.random.default_rng(0))
    return lambda: session.run(None, feed)


def bare_graph(bundle: Bundle, graph: str, provider: str, threads: int) -> Callable[[], Any]:
    """The same of a graph of the bundle, with what the bundle wants its provider to be told."""
    return bare(bundle.graph(graph), provider, threads, provider_options(bundle, graph, provider))


def measure(
    bundle: Bundle, provider: str, threads: int, samples: int, on_pair: Callable[[int], Any]
) -> Comparison:
    """Policy ticks and bare calls in pairs, the nine writes of a tick after each; and the encoder's call."""

    def between(sample: int) -> None:
        tick.writes()
        on_pair(sample)

    encoder = bare_graph(bundle, "encoder", provider, threads)
    policy = bare_graph(bundle, "policy", provider, threads)
    share = bundle.policy.period_ns / bundle.encoder.period_ns  # of a frame, on each policy tick
    # beside the policy: alone, it would find warmer caches than it ever does
    watch_ns, _ = pair(encoder, policy, max(1, round(samples * share)))
    tick = Tick(bundle, provider, threads, WARM_UP + samples)
    tick_ns, bare_ns = pair(tick.policy, policy, samples, between)
    stages = tick.stages_ns(samples)
    rows = {
        "onnxruntime": summary(bare_ns),
        "rmedge_tick": summary(tick_ns),
        "difference": summary(tick_ns - bare_ns),
        **{f"of_it_{stage}": summary(stages[stage]) for stage in PARTS},
        "write_between": summary(np.array(tick.writes_ns)),
        "encoder_onnxruntime": summary(watch_ns),
    }
    inference_us = _sum(rows["onnxruntime"]["p50_us"], rows["encoder_onnxruntime"]["p50_us"], share)
    return Comparison(
        "floor: rmedge's policy tick beside bare onnxruntime",
        rows,
        {
            "difference_of_policy_call_p50": ratio(rows["difference"], rows["onnxruntime"]),
            "difference_of_inference_p50": ratio(rows["difference"], {"p50_us": inference_us}),
            "joints_clamped": tick.clamped,
        },
        (
            "a tick: read, monitor, observe, policy, plan, envelope, write; on the null robot, told to stand",
            f"inference of a tick: the policy's call and {share:g} of the encoder's",
        ),
    )


def _sum(policy_us: float | None, encoder_us: float | None, share: float) -> float | None:
    return None if policy_us is None or encoder_us is None else policy_us + share * encoder_us
