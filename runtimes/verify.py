"""Verification: does this machine's engine compute what the bundle promises?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Sequence

import numpy as np

from rmedge.runtimes.session import Session, options_of

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Row", "verify"]


@dataclass(frozen=True)
class Row:
    """One output of one graph against its golden vectors."""

    graph: str
    output: str
    cases: int
    max_error: float  # greatest absolute error
    tolerance: float
    ok: bool


def verify(bundle: Bundle, provider: str = "cpu", threads: int = 1, graphs: Sequence[str] = ()) -> list[Row]:
    """Run every golden input through its graph, one case a call, as the robot will.

    Args:
        graphs: which; all of them where none is named.

    Raises:
        AbsentError: onnxruntime or the provider is not on this machine.
        BundleError: a graph is not what the bundle declares.
    """
    rows: list[Row] = []
    vectors = bundle.golden()
    for graph in graphs or vectors:
        spec, golden = getattr(bundle, graph), vectors[graph]
        session = Session(
            bundle.graph(graph), spec.inputs, spec.outputs, provider, threads, options_of(bundle, provider)
        )
        cases = len(next(iter(golden.values())))
        feeds = ({name: golden[name][k : k + 1] for name in spec.inputs} for k in range(cases))
        answers = [session.run(feed) for feed in feeds]
        for column, output in enumerate(spec.outputs):
            answer = np.concatenate([outputs[column] for outputs in answers])
            error = float(np.abs(answer - golden[output]).max())
            tolerance = bundle.tolerance[graph]
            rows.append(Row(graph, output, cases, error, tolerance, error <= tolerance))  # false for a NaN
    return rows
