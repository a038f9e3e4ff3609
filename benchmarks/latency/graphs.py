"""The graphs: each bare and as rmedge calls it, in pairs, so that it shows what rmedge adds."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping

import numpy as np

from rmedge.bundle import GRAPHS, Bundle
from rmedge.clock import ManualClock
from rmedge.runtimes import Mirror, engines
from rmedge.runtimes.cameras.synthetic import SyntheticCamera
from rmedge.runtimes.pairing import WARM_UP, pair
from rmedge.runtimes.session import PROVIDERS, options_of
from rmedge.specs import Frame, RobotState

__all__ = ["bare_session", "measure_graphs", "noise", "precision", "provider_options"]

QUANTISER = "onnx.quantize"  # how onnxruntime's own signs what it made of a graph


def measure_graphs(
    bundle: Bundle, mirror: Mirror, provider: str, threads: int, samples: int
) -> dict[str, dict[str, np.ndarray]]:
    """Per graph (samples,) [us] of a ``bare`` onnxruntime and of rmedge's own ``call``.

    The readout's call is what names an intent; the loop itself never waits for it.
    """
    random = np.random.default_rng(0)
    seen = _frames(WARM_UP + samples, bundle.encoder.period_ns)
    z = bundle.intent.stand
    calls: dict[str, Callable[[], Any]] = {
        "encoder": lambda: mirror.encoder.watch(next(seen)),
        "policy": _act(mirror, bundle, z),
        "readout": lambda: mirror.reading.of(z),
    }
    measured = {}
    for graph in GRAPHS:
        session = bare_session(
            bundle.graph(graph), provider, threads, provider_options(bundle, graph, provider)
        )
        feed = noise(getattr(bundle, graph).inputs, random)
        bare_ns, call_ns = pair(
            lambda session=session, feed=feed: session.run(None, feed),  # type: ignore[misc]
            calls[graph],
            samples,
        )
        measured[graph] = {"bare": bare_ns / 1e3, "call": call_ns / 1e3}
    return measured


def precision(bundle: Bundle) -> dict[str, str | None]:
    """Of each graph's weights, as the bundle says or else as the graph is signed; None: nobody says.

    It is never guessed: a graph that was written by PyTorch may hold anything.
    """
    return {graph: _said(bundle, graph) or _signed(bundle.graph(graph)) for graph in GRAPHS}


def _said(bundle: Bundle, graph: str) -> str | None:
    said = bundle.quality.get(f"{graph}_weights")
    return said if isinstance(said, str) else None


def _signed(graph: bytes) -> str | None:
    signature = bare_session(graph, "cpu", 1).get_modelmeta().producer_name
    return "int8" if signature == QUANTISER else None


def provider_options(bundle: Bundle, graph: str, provider: str) -> Mapping[str, str]:
    """What the provider is told; TensorRT, to take the engine that is there."""
    given = options_of(bundle, provider)
    if provider != "tensorrt":
        return given
    return engines.options(engines.folder(bundle.graph(graph), given), given)


def bare_session(graph: bytes, provider: str, threads: int, given: Mapping[str, str] | None = None) -> Any:
    """What somebody writes who has only onnxruntime, with the options of rmedge's own session.

    ``given``: options of the provider.
    """
    import onnxruntime  # not above: where there is none, runtimes.load has said so properly by now

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    where = (PROVIDERS[provider], dict(given)) if given else PROVIDERS[provider]
    return onnxruntime.InferenceSession(graph, options, providers=[where])


def noise(inputs: Mapping[str, tuple[int, ...]], random: np.random.Generator) -> dict[str, np.ndarray]:
    """A feed of these shapes."""
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


def _act(mirror: Mirror, bundle: Bundle, z: np.ndarray) -> Callable[[], Any]:
    """One policy call at rest."""
    still = np.zeros_like(bundle.default_pose)
    state = RobotState(bundle.default_pose, still, np.zeros(3), np.array([0.0, 0.0, -1.0]), 0)
    return lambda: mirror.pilot.policy.act(state, z)
