"""Targets: the kinds of computer that a bundle is made for, and what suits each."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import onnx
import onnxruntime

from rmedge.errors import UsageError
from rmedge.runtimes.session import PROVIDERS

__all__ = ["TARGETS", "Target", "check", "find"]

_ONNX = ("", "ai.onnx")
_ON_CPU = ("int8-dynamic", "int8-static", "float32", "float16", "int8-weights")
# onnxruntime's CUDA provider has no kernel for these: each would go to the processor and back
_CUDA = ("ConvInteger", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "QLinearConv", "QLinearMatMul")
# answered with N in docs/operators.md of onnx-tensorrt, from release 8.4 on
_TENSORRT = (
    "BitShift", "BitwiseNot", "Compress", "ConcatFromSequence", "ConvInteger", "Det", "DynamicQuantizeLinear",
    "MatMulInteger", "MaxRoiPool", "QLinearConv", "QLinearMatMul", "SequenceAt", "SequenceConstruct",
    "SequenceInsert", "SplitToSequence", "StringNormalizer", "TfIdfVectorizer", "Unique",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A kind of computer: which engine runs there, and what to give it."""

    name: str
    machine: str  # what `platform.machine` answers there
    provider: str  # a key of `rmedge.runtimes.session.PROVIDERS`
    formats: tuple[str, ...]  # in the order in which they are expected to serve best
    quantisation: str = "U8S8"  # of int8-static, one of `precision.SCHEMES`
    opset: int = 20  # the newest that its engine reads
    static: bool = True  # whether shapes must be known beforehand
    domains: tuple[str, ...] = (*_ONNX, "com.microsoft")  # of operators that its engine knows
    lacks: frozenset[str] = frozenset()  # operators of those domains that it does not
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # of the provider

    @property
    def here(self) -> bool:
        """Whether this machine is one, so that what is measured on it is measured on the target."""
        offered = onnxruntime.get_available_providers()
        return platform.machine() == self.machine and PROVIDERS[self.provider] in offered


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        target.name: target
        for target in (
            Target("cpu-x86", "x86_64", "cpu", _ON_CPU),
            Target("cpu-arm64", "aarch64", "cpu", _ON_CPU, "S8S8"),
            # INT8 in QDQ falls back to float or to copies there
            Target(
                "orin-cuda", "aarch64", "cuda", ("float16", "float32"), lacks=frozenset(_CUDA),
                options=MappingProxyType({"use_tf32": "0"}),  # ten bits of mantissa are no float32
            ),
            # version 11 has no precision flags any more: graphs say their types themselves
            Target(
                "orin-tensorrt", "aarch64", "tensorrt", ("float16", "int8-static", "float32"),
                "S8S8-float-bias", domains=_ONNX, lacks=frozenset(_TENSORRT),
                options=MappingProxyType({"trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1"}),
            ),
        )
    }
)  # fmt: skip


def find(name: str) -> Target:
    """The target of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in TARGETS:
        raise UsageError(f"target: expected one of {', '.join(TARGETS)}, got {name!r}")
    return TARGETS[name]


def check(graph: bytes, target: Target | str) -> None:
    """Refuse a graph that the target's engine cannot read, or would read in part.

    Raises:
        UsageError: it names the operator, the opset or the input.
    """
    target = find(target) if isinstance(target, str) else target
    model = onnx.load_from_string(graph)
    for node in _nodes(model.graph):
        known = node.domain in target.domains and node.op_type not in target.lacks
        if not known:
            raise UsageError(
                f"target: expected operators that {target.name} has, got {node.op_type} ({node.name}); "
                "choose another format or target, or export the model without it"
            )
    opset = max((o.version for o in model.opset_import if o.domain in _ONNX), default=0)
    if opset > target.opset:
        raise UsageError(
            f"target: expected opset {target.opset} or older for {target.name}, got {opset}; export it again"
        )
    for value in model.graph.input:
        free = any(not axis.HasField("dim_value") for axis in value.type.tensor_type.shape.dim)
        if target.static and free:
            raise UsageError(
                f"target: expected static shapes for {target.name}, got free ones in input {value.name!r}; "
                "export it with them"
            )


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Of a graph and of the branches and loops within it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)
