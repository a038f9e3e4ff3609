"""Making: one network that somebody brought becomes a graph, proved against torch and in fewer bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from torch import nn

from rmedge.errors import CheckError, UsageError
from rmedge.export import graphs
from rmedge.export.draft import Draft, Network
from rmedge.export.graphs import Feed, feeds, proof, targets, trials
from rmedge.export.graphs.drift import Drift, compare
from rmedge.export.graphs.trials import Trial
from rmedge.manifest import EncoderSpec, PolicySpec, ReadoutSpec

__all__ = ["AUTO", "FLOAT", "MAKERS", "Made", "Order"]

AUTO, FLOAT = "auto", "float32"
# a float32 graph that is farther off torch is another function: as a share of what was said, or absolutely
# where next to nothing was said
PARITY, NEXT_TO_NOTHING = 1e-3, 1e-5
FINEST = 1e-4  # the least tolerance: what float32 kernels differ by between engines
PROVED = 64  # calls are compared with torch

Spec = EncoderSpec | PolicySpec | ReadoutSpec
Advance = Callable[[float, str], None]
Drifts = Mapping[str, Drift]


@dataclass(frozen=True)
class Order:
    """What one graph is to become."""

    format: str
    target: str
    budget: float  # the most error that fewer bits may cost
    recorded: Any  # inputs, or None


@dataclass(frozen=True)
class Made:
    """A graph that somebody brought, as it ships, and as it was before."""

    spec: Spec
    onnx: bytes
    float32: bytes
    format: str
    feeds: Sequence[Feed]  # that it was proved on
    recorded: bool  # whether those are recordings
    source: str  # what was brought
    parity: Drifts | None  # of float32 from torch; None where no torch was brought
    drift: Drifts = field(default_factory=dict)  # of the graph from float32
    trials: Sequence[Trial] = ()

    def in_float32(self) -> Made:
        """The same before its bits were fewer."""
        return replace(self, onnx=self.float32, format=FLOAT, drift={}, trials=())

    @property
    def tolerance(self) -> float:
        """The most that another engine may differ by: what this one does from torch, and what the bits cost.

        Rounding to eight bits elsewhere is as far from here as both are from float32, at the worst.
        """
        parity = [10 * drift.max_error for drift in (self.parity or {}).values()]
        return max([FINEST, *parity, *(2 * drift.max_error for drift in self.drift.values())])

    def told(self) -> dict[str, Any]:
        """For a bundle's quality."""

        def rows(drifts: Drifts) -> dict[str, Any]:
            return {output: asdict(drift) for output, drift in drifts.items()}

        return {
            "precision": self.format,
            "source": self.source,
            "proved_on": f"{len(self.feeds)} {'recorded inputs' if self.recorded else 'inputs of noise'}",
            "from_torch": None if self.parity is None else rows(self.parity),
            "from_float32": rows(self.drift),
            "trials": [trial.told() for trial in self.trials],
        }


def encoder(draft: Draft, network: Network, order: Order, advance: Advance) -> Made:
    """An encoder's graph; its error is that of its intents, with its own memory.

    Raises:
        UsageError, CheckError: see `build.build`.
    """
    network, spec = draft.encoder(network)
    _demand("encoder", order)
    clips = feeds.random_streams(spec) if order.recorded is None else feeds.streams(order.recorded, spec)
    graph, parity = _export("encoder", network, spec, advance)
    memory, held = spec.inputs["state"][1], clips[1::2]
    calibration = feeds.encoder_feeds(graph, clips[::2], memory)
    cases = feeds.encoder_feeds(graph, held, memory)
    found = parity(cases)
    made = Made(spec, graph, graph, FLOAT, cases, order.recorded is not None, _told(network), found)
    return _smaller("encoder", made, order, proof.error_of_intents(graph, held, memory), calibration, advance)


def policy(draft: Draft, network: Network, order: Order, advance: Advance) -> Made:
    """A policy's graph; its error is that of its actions [rad].

    Raises:
        UsageError, CheckError: see `build.build`.
    """
    network, spec = draft.policy(network)
    _demand("policy", order)
    every = feeds.noise(spec.inputs) if order.recorded is None else feeds.policy_feeds(order.recorded, spec)
    graph, parity = _export("policy", network, spec, advance)
    cases = every[1::2]
    made = Made(spec, graph, graph, FLOAT, cases, order.recorded is not None, _told(network), parity(cases))
    error = proof.error_of_actions(graph, cases, draft.action_scale)
    return _smaller("policy", made, order, error, every[::2], advance)


def readout(draft: Draft, network: Network, order: Order, advance: Advance) -> Made:
    """A readout's graph, in float32.

    Raises:
        UsageError, CheckError: see `build.build`.
    """
    network, spec = draft.readout(network)
    graph, parity = _export("readout", network, spec, advance)
    targets.check(graph, order.target)
    cases = feeds.noise(spec.inputs)
    return Made(spec, graph, graph, FLOAT, cases, False, _told(network), parity(cases))


MAKERS: Mapping[str, Callable[[Draft, Network, Order, Advance], Made]] = MappingProxyType(
    {"encoder": encoder, "policy": policy, "readout": readout}
)


def _demand(name: str, order: Order) -> None:
    """What fewer bits cost is measured on recordings, and nothing else is believed."""
    if order.recorded is None and order.format != FLOAT:
        raise UsageError(
            f"calibration.{name}: expected recorded inputs to choose {order.format} on, got none; "
            f"give some, or ask for precision {FLOAT}"
        )


def _export(
    name: str, network: Network, spec: Spec, advance: Advance
) -> tuple[bytes, Callable[[Sequence[Feed]], Drifts | None]]:
    """The float32 graph, and how to prove it."""
    if isinstance(network, bytes):
        return network, lambda cases: None
    advance(0.0, "export")
    try:
        graph = graphs.export(network, spec.inputs, spec.outputs)
    except Exception as error:  # the exporter's own errors share no public base
        first = str(error).strip().splitlines()[:1] or [""]
        raise UsageError(
            f"{name}: expected a network that torch.onnx can export, got {type(error).__name__}: {first[0]}; "
            "rewrite what it names, or export it yourself and bring the ONNX"
        ) from error

    def prove(cases: Sequence[Feed]) -> Drifts:
        advance(0.1, "compare with torch")
        drifts = proof.against_torch(network, graph, cases[:PROVED], list(spec.outputs))
        for output, drift in drifts.items():
            if not (drift.relative <= PARITY or drift.max_error <= NEXT_TO_NOTHING):
                raise CheckError(
                    f"{name}.{output}: expected ONNX within {PARITY:g} of torch, got {drift.relative:.2g}; "
                    "look for what depends on chance, on time or on a branch that export cannot see"
                )
        return drifts

    return graph, prove


def _smaller(
    name: str, made: Made, order: Order, error: Callable[[bytes], float], calibration: Sequence[Feed],
    advance: Advance,
) -> Made:  # fmt: skip
    """In the format that was asked for, or the one that serves best."""
    rows = trials.weigh(
        made.float32, made.feeds, error, order.budget, order.target,
        calibration if order.format != FLOAT else (),
        formats=None if order.format == AUTO else (order.format,),
        progress=lambda done: advance(0.2 + 0.8 * done, "weigh formats"),
    )  # fmt: skip
    if order.format == AUTO:
        chosen = next(row for row in rows if row.chosen)
    else:
        chosen = next(row for row in rows if row.format == order.format)
        if not chosen.error <= order.budget:
            raise CheckError(
                f"{name}: expected {order.format} within its budget of {order.budget:g}, "
                f"got {chosen.error:.3g} ({chosen.why}); ask for auto, or allow more in budget.{name}"
            )
        rows = [
            replace(row, chosen=row is chosen, why=row.why if row is not chosen else "asked for")
            for row in rows
        ]
    drift = compare(made.float32, chosen.onnx, made.feeds) if chosen.format != FLOAT else {}
    return replace(made, onnx=chosen.onnx, format=chosen.format, drift=drift, trials=rows)


def _told(network: Network) -> str:
    """What was brought, by its innermost name."""
    if isinstance(network, bytes):
        return "ONNX"
    for inner in ("network", "unrolled", "denoiser", "model"):
        network = getattr(network, inner, network)
    assert isinstance(network, nn.Module)
    return type(network).__name__
