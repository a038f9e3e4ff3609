"""Build: a bundle out of anybody's encoder or policy, proved against torch, in the best format for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rmedge.bundle import Bundle
from rmedge.errors import UsageError
from rmedge.export.draft import Draft, Network
from rmedge.export.graphs import proof, targets
from rmedge.export.graphs.precision import FORMATS
from rmedge.export.making import AUTO, FLOAT, MAKERS, Made, Order
from rmedge.export.sealing import refuse_other, seal
from rmedge.fields import Fields, choice, positive

__all__ = ["Formats", "build"]

SMALLER = ("encoder", "policy")  # what fewer bits are worth; a readout is small already


class Formats:
    """What each graph may become.

    Raises:
        UsageError: a format, budget or target that there is not.
    """

    def __init__(self, precision: str | Mapping[str, str], budget: Mapping[str, float], target: str) -> None:
        told = dict.fromkeys(SMALLER, precision) if isinstance(precision, str) else dict(precision)
        with Fields(told, "precision") as fields:
            self._formats = {name: fields.take_or(name, choice(AUTO, *FORMATS), AUTO) for name in SMALLER}
        with Fields(dict(budget), "budget") as fields:
            self._budgets = {name: fields.take_or(name, positive, proof.BUDGETS[name]) for name in SMALLER}
        self._target = targets.find(target).name

    def order(self, graph: str, recorded: Any) -> Order:
        """For one graph; what is small already stays float32."""
        return Order(self._formats.get(graph, FLOAT), self._target, self._budgets.get(graph, 0.0), recorded)


def build(
    out: str | os.PathLike[str],
    *,
    encoder: Network | None = None,
    policy: Network | None = None,
    readout: Network | None = None,
    base: str | os.PathLike[str] | Bundle = "g1-mirror",
    spec: Mapping[str, Any] | None = None,
    precision: str | Mapping[str, str] = AUTO,
    calibration: Mapping[str, Any] | None = None,
    target: str = "cpu-x86",
    budget: Mapping[str, float] | None = None,
    beside: str | os.PathLike[str] | None = None,
    progress: Callable[[float, str], None] = lambda done, what: None,
) -> Bundle:
    """Export, prove, quantise and seal; returns the bundle, which lies in the directory ``out``.

    Args:
        encoder: ``image (1, C, h, w) -> intent (1, Z)``, perhaps in an `encoders.Glimpse`; or the whole
            streaming contract ``features, state -> intent, certainty, presence, next_state``; or its ONNX.
        policy: an MLP or a transformer ``proprio (1, P), intent (1, Z) -> action (1, Da) or (1, Ta, Da)``,
            perhaps in a `policies.Direct`; a denoiser in a `policies.Denoised`; or the whole contract
            ``proprio, intent, noise -> action_chunk``, in torch or ONNX, with its sampler in the spec.
        readout: ``intent -> velocity, label_logits, gait_logits, gesture_logits``, of an intent of one's own.
        base: the bundle that says and gives all that nobody brings.
        spec: parts of a manifest (see `draft.Draft`): what the networks were trained with.
        precision: ``auto``, one of `precision.FORMATS`, or either for ``encoder`` and ``policy`` apart.
        calibration: recorded inputs, ``encoder`` as `feeds.streams` takes them, ``policy`` as
            `feeds.policy_feeds` does. Only float32 needs none.
        target: one of `targets.TARGETS`.
        budget: the most that fewer bits may cost, ``encoder`` and ``policy``: see `proof.BUDGETS`.
        beside: a directory for the same bundle in float32, to compare with.
        progress: is told how much is done, and what is being done.

    Raises:
        UsageError: something does not fit; the field is named.
        CheckError: a graph is not its network's, or no format is within the budget.
    """
    for folder in (out, beside):
        if folder is not None:
            refuse_other(Path(folder))
    aims = Formats(precision, budget or {}, target)
    with Fields(dict(calibration or {}), "calibration") as fields:
        recorded = {name: fields.take_or(name, lambda value, path: value, None) for name in SMALLER}
    given = {"encoder": encoder, "policy": policy, "readout": readout}
    brought = {name: network for name, network in given.items() if network is not None}
    draft = Draft(base if isinstance(base, Bundle) else Bundle.load(base), spec or {})
    _check_intent(draft, brought)
    made: dict[str, Made] = {}
    for number, (name, network) in enumerate(brought.items()):

        def advance(done: float, what: str, number: int = number, name: str = name) -> None:
            progress((number + done) / len(brought), f"{name}: {what}")

        advance(0.0, "export")
        order = aims.order(name, recorded.get(name))
        made[name] = MAKERS[name](draft, network, order, advance)
    if beside is not None:
        seal(Path(beside), draft, {name: one.in_float32() for name, one in made.items()}, target)
    seal(Path(out), draft, made, target)
    progress(1.0, "sealed")
    return Bundle.load(Path(out))


def _check_intent(draft: Draft, brought: Mapping[str, Network]) -> None:
    """An intent space of one's own needs who writes it, who reads it, and who acts on it."""
    lacking = {"encoder", "policy", "readout"} - set(brought)
    if draft.intent != draft.base.intent.size and lacking:
        raise UsageError(
            f"spec.intent.size: expected {draft.base.intent.size} as {draft.base.name}, got {draft.intent}; "
            f"an intent of your own needs your own {' and '.join(sorted(lacking))}, too"
        )
    if not brought:
        raise UsageError("build: expected an encoder, a policy or both, got neither; name one")
