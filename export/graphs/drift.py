"""Drift: how far one graph's outputs are from another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from rmedge.export.graphs import Feed, infer

__all__ = ["Drift", "compare", "drift", "noise"]


@dataclass(frozen=True)
class Drift:
    """How far one output is from the float32 graph's, over all feeds."""

    max_error: float
    relative: float  # L2 of the difference over L2 of what was said
    cosine: float


def compare(reference: bytes, graph: bytes, feeds: Sequence[Feed]) -> dict[str, Drift]:
    """How far each output of a graph is from the reference's, at the optimisation that is deployed."""
    names = [value.name for value in onnx.load_from_string(reference).graph.output]
    true, said = (list(zip(*infer(one, feeds, names), strict=True)) for one in (reference, graph))
    return {
        name: drift(*(np.concatenate([np.ravel(a) for a in arrays]).astype(float) for arrays in pair))
        for name, *pair in zip(names, true, said, strict=True)
    }


def drift(true: np.ndarray, said: np.ndarray) -> Drift:
    """How far what was said (N,) is from what is true (N,)."""
    off, size = said - true, float(np.linalg.norm(true))
    scale = size * float(np.linalg.norm(said))
    return Drift(
        max_error=float(np.abs(off).max()),
        relative=float(np.linalg.norm(off)) / max(size, 1e-9),
        cosine=float(true @ said) / scale if scale else float(not off.any()),
    )


def noise(graph: bytes) -> Feed:
    """Standard normal inputs, for want of real ones."""
    rng, feed = np.random.default_rng(0), {}
    for value in onnx.load_from_string(graph).graph.input:
        kind = value.type.tensor_type
        shape = [axis.dim_value or 1 for axis in kind.shape.dim]
        feed[value.name] = rng.standard_normal(shape).astype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return feed
