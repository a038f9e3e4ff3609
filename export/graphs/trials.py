"""Trials: a graph in every format of a target, weighed against its float32 self; one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np
import onnx

from rmedge.errors import RmedgeError
from rmedge.export.graphs import Feed, infer, precision, search, targets
from rmedge.runtimes.pairing import pair
from rmedge.runtimes.session import Session

__all__ = ["Trial", "weigh"]

SAMPLES = 300  # calls of each, in turns
TIE = 0.03  # formats are as quick as each other where their ratios differ by no more, and the smaller wins
EDGES = [float(edge) for edge in np.geomspace(1e-6, 10, 29)]  # of the histogram; the outer bins have the rest
WORST = 16  # layers whose losses are told


@dataclass(frozen=True)
class Trial:
    """One format, tried."""

    format: str
    onnx: bytes  # empty where the format was refused
    error: float  # of the final output, in the unit of the budget; inf where the format was refused
    budget: float  # the most that it may be
    chosen: bool = False
    why: str = ""
    verified: bool = False  # timed on a machine that is the target
    p50_us: float | None = None  # of a call on one thread here
    ratio_to_float32: float | None = None  # float32's time over its own, paired: above 1 is quicker
    method: str = ""  # of calibration
    kept_float: tuple[str, ...] = ()  # weights that stayed in float32
    losses: tuple[search.Loss, ...] = ()  # what each layer alone costs, the worst first
    histogram: tuple[int, ...] = ()  # numbers of the first output whose error lies between two of `EDGES`

    @property
    def size(self) -> int:
        """Of the graph [bytes]."""
        return len(self.onnx)

    def told(self) -> dict[str, Any]:
        """A plain row, for a bundle's ``quality.trials`` and for the page; the graph is left out."""
        same = (
            "format",
            "budget",
            "size",
            "p50_us",
            "ratio_to_float32",
            "chosen",
            "why",
            "verified",
            "method",
        )
        return {
            **{name: getattr(self, name) for name in same},
            "error": self.error if np.isfinite(self.error) else None,
            "kept_float": list(self.kept_float),
            "losses": [{"weight": loss.layer.weight, "error": loss.error} for loss in self.losses[:WORST]],
            "histogram": {"from": EDGES[0], "to": EDGES[-1], "counts": list(self.histogram)},
        }


def weigh(
    graph: bytes,
    feeds: Sequence[Feed],
    error: Callable[[bytes], float],
    budget: float,
    target: str = "cpu-x86",
    calibration: Sequence[Feed] = (),
    keep_float: Sequence[str] = (),
    method: str = "percentile",
    samples: int = SAMPLES,
    formats: Sequence[str] | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> list[Trial]:
    """Try a float32 graph in every format of a target; exactly one is chosen.

    On a machine that is the target, it is the quickest of those within the budget; elsewhere the first within
    it in the target's order, unverified.

    Args:
        feeds: inputs to time and to compare on, one a call in turn.
        error: of a graph's final output against float32's, in the unit of the budget.
        calibration: inputs to calibrate ``int8-static`` on; without them it is not tried.
        keep_float: weights that ``int8-static`` leaves in float32 in any case; where the budget demands it,
            `search.mixed` adds to them.
        formats: to try beside float32; the target's where None.

    Raises:
        UsageError: the target is unknown, or lacks something that the float32 graph needs.
    """
    kind = targets.find(target)
    targets.check(graph, kind)

    def attempt(format: str) -> Trial:
        try:
            made = _made(graph, format, error, budget, kind, calibration, keep_float, method)
            targets.check(made.onnx, kind)
        except RmedgeError as refused:
            return Trial(format, b"", float("inf"), budget, why=f"refused: {refused}")
        if format == "float32":
            return made
        return replace(made, histogram=_histogram(graph, made.onnx, feeds))

    trials = []
    tried = kind.formats if formats is None else dict.fromkeys(("float32", *formats))
    for format in tried:
        if format != "int8-static" or calibration:
            trials.append(attempt(format))
        progress(len(trials) / (len(tried) + 1))
    if kind.here:  # all at last, one after the other: what else the machine does meanwhile falls on all
        trials = [_timed(trial, graph, feeds, samples) if trial.onnx else trial for trial in trials]
    progress(1.0)
    return _judged(trials, budget, kind)


def _made(
    graph: bytes, format: str, error: Callable[[bytes], float], budget: float, kind: targets.Target,
    calibration: Sequence[Feed], keep_float: Sequence[str], method: str,
) -> Trial:  # fmt: skip
    if format == "float32":
        return Trial(format, graph, 0.0, budget)
    if format != "int8-static":
        made = precision.convert(graph, format, calibration)
        return Trial(format, made, error(made), budget)
    found = search.mixed(graph, calibration, error, budget, method, kind.quantisation, keep_float)
    return Trial(
        format, found.onnx, found.error, budget, method=found.method, kept_float=found.kept_float,
        losses=found.losses,
    )  # fmt: skip


def _timed(trial: Trial, graph: bytes, feeds: Sequence[Feed], samples: int) -> Trial:
    """Each call beside one of float32, on the same inputs."""

    def caller(model: bytes) -> Callable[[], object]:
        session, turn = _session(model), cycle(feeds)
        return lambda: session.run(next(turn))

    reference, own = pair(caller(graph), caller(trial.onnx), samples)
    return replace(
        trial, verified=True, p50_us=float(np.median(own)) / 1e3,
        ratio_to_float32=1.0 if trial.format == "float32" else float(np.median(reference / own)),
    )  # fmt: skip


def _session(graph: bytes) -> Session:
    """As the robot opens it."""
    model = onnx.load_from_string(graph).graph
    inputs, outputs = (
        {value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim) for value in side}
        for side in (model.input, model.output)
    )
    return Session(graph, inputs, outputs)


def _histogram(graph: bytes, made: bytes, feeds: Sequence[Feed]) -> tuple[int, ...]:
    """How far single numbers of the first output are off."""
    first = [onnx.load_from_string(graph).graph.output[0].name]
    true, said = (np.array([row[0] for row in infer(one, feeds, first)]) for one in (graph, made))
    off = np.clip(np.abs(true - said), EDGES[0], EDGES[-1])
    return tuple(int(count) for count in np.histogram(off, EDGES)[0])


def _judged(trials: Sequence[Trial], budget: float, kind: targets.Target) -> list[Trial]:
    """Why each is chosen or not."""
    fit = [trial for trial in trials if trial.error <= budget]
    if kind.here:
        quickest = max(trial.ratio_to_float32 or 0.0 for trial in fit)
        best = min(
            (one for one in fit if (one.ratio_to_float32 or 0.0) >= quickest - TIE), key=lambda one: one.size
        )
    else:
        best = fit[0]
    return [replace(one, chosen=one is best, why=_why(one, best, budget, kind)) for one in trials]


def _why(trial: Trial, best: Trial, budget: float, kind: targets.Target) -> str:
    if not trial.onnx:
        return trial.why
    if trial.error > budget:
        return f"beyond the budget: an error of {trial.error:.3g}, allowed {budget:g}"
    if trial.ratio_to_float32 is None:
        first = (
            "the first of the target's formats within the budget" if trial is best else "within the budget"
        )
        return f"{first}; unverified: nobody has timed it on {kind.name}"
    pace = f"{trial.ratio_to_float32:.2f} times float32's pace here"
    if trial is best:
        return f"chosen: the quickest within the budget, {pace}"
    if trial.format != "float32" and trial.ratio_to_float32 < 1:
        return f"slower than float32 here: {pace}"
    if trial.ratio_to_float32 >= (best.ratio_to_float32 or 0.0) - TIE:
        return f"as quick as {best.format}, and larger: {pace}"
    return f"slower than {best.format}: {pace}"
