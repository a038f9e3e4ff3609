"""A bundle as one C99 header without dependencies: joints, gains, limits, tensors, intents, golden ticks."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx

from rmedge.bundle import Bundle
from rmedge.export.embedding.ticks import STATE, Ticks, memory_size

__all__ = ["header"]

GOLDEN = 5  # ticks in the header; the others are in the file beside it
TYPES = {
    onnx.TensorProto.FLOAT: "float",
    onnx.TensorProto.UINT8: "uint8_t",
    onnx.TensorProto.INT64: "int64_t",
    onnx.TensorProto.DOUBLE: "double",
}  # and their numbers are those of ONNXTensorElementDataType
HEAD = """\
/* The bundle {name} as C99, also good C++: written by `rmedge export embed`, not to be edited.
 *
 * SI units. Joints are in the order of rmedge_bundle_joint_names, which is the robot's own.
 * torque = kp (target - q) - kd dq. The policy's graph says in its metadata, as rmedge.bundle, which bundle
 * it was made of: RMEDGE_BUNDLE_SHA256, or it does not belong to this header.
 */
#ifndef RMEDGE_BUNDLE_H
#define RMEDGE_BUNDLE_H

#include <stdint.h>
"""
RECORDS = """
typedef struct {
    const char *name;
    int type; /* an ONNXTensorElementDataType */
    int rank;
    int64_t shape[4];
} rmedge_bundle_tensor;

typedef struct {
    const char *caption;
    double velocity[3]; /* forward, left [m/s], turning left [rad/s]: what the robot then does */
    float z[RMEDGE_BUNDLE_INTENT];
} rmedge_bundle_phrase;

typedef struct { /* a call of the policy */
    int64_t stamp_ns;
    double joint_pos[RMEDGE_BUNDLE_JOINTS]; /* [rad] */
    double joint_vel[RMEDGE_BUNDLE_JOINTS]; /* [rad/s] */
    double base_ang_vel[3]; /* [rad/s], body frame */
    double projected_gravity[3]; /* unit vector, body frame; (0, 0, -1) upright */
    double sent[RMEDGE_BUNDLE_JOINTS]; /* really commanded last [rad]; at first the default pose */
    float intent[RMEDGE_BUNDLE_INTENT];
    double joint_target[RMEDGE_BUNDLE_ROWS][RMEDGE_BUNDLE_JOINTS]; /* what rmedge's own policy said [rad] */
} rmedge_bundle_tick;
"""


def header(bundle: Bundle, graphs: Mapping[str, bytes], told: Ticks) -> str:
    """The text of ``rmedge_bundle.h``; ASCII, and safe whatever the bundle's words are."""
    return "\n".join(_lines(bundle, graphs, told)) + "\n"


def _lines(bundle: Bundle, graphs: Mapping[str, bytes], told: Ticks) -> Iterator[str]:
    tensors = dict(_tensors(graphs))
    golden = min(GOLDEN, len(told))
    yield HEAD.format(name=bundle.name)
    for name, value in _figures(bundle, told, tensors, golden).items():
        yield f"#define RMEDGE_BUNDLE_{name} {value}"
    yield RECORDS
    yield from _records("char *const", "joint_names[RMEDGE_BUNDLE_JOINTS]", map(_string, bundle.joint_names))
    limits = {name: value for name, value in vars(bundle.envelope).items() if isinstance(value, np.ndarray)}
    body = {name: getattr(bundle, name) for name in ("default_pose", "kp", "kd", "action_scale")}
    for name, values in {**body, **limits}.items():
        yield from _array("double", f"{name}[RMEDGE_BUNDLE_JOINTS]", values)
    for name, rows in tensors.items():
        yield from _records("rmedge_bundle_tensor", f"{name}[RMEDGE_BUNDLE_{name.upper()}]", rows)
    yield "\n/* One draw of standard normal noise, seed 0's; it is held for an episode. */"
    yield from _array("float", "noise[RMEDGE_BUNDLE_NOISE]", told.noise)
    yield "\n/* The intent of standing, which an old or an unsure one decays to; and those with a caption. */"
    yield from _array("float", "stand[RMEDGE_BUNDLE_INTENT]", bundle.intent.stand)
    phrases = (
        _braces(_string(phrase.caption), _braces(*_numbers(phrase.velocity)), _braces(*_numbers(phrase.z)))
        for phrase in bundle.intent.phrases
    )
    yield from _records("rmedge_bundle_phrase", "phrases[RMEDGE_BUNDLE_PHRASES]", phrases)
    yield "\n/* An episode with the noise above. */"
    ticks = (_tick(told, tick) for tick in range(golden))
    yield from _records("rmedge_bundle_tick", "ticks[RMEDGE_BUNDLE_TICKS]", ticks)
    yield "\n#endif"


def _figures(
    bundle: Bundle, told: Ticks, tensors: Mapping[str, list[str]], golden: int
) -> dict[str, str | int | float]:
    """What is said by macros."""
    budgets = bundle.budgets
    return {
        "NAME": _string(bundle.name),
        "SHA256": _string(bundle.sha256),
        "LICENCE": _string(bundle.licence),
        "ROBOT": _string(bundle.robot.name),
        "JOINTS": len(bundle.joint_names),
        "INTENT": bundle.intent.size,
        "ROWS": told.joint_target.shape[1],
        "NOISE": told.noise.size,
        "MEMORY": memory_size(bundle),
        "POLICY_PERIOD_NS": bundle.policy.period_ns,
        "ENCODER_PERIOD_NS": bundle.encoder.period_ns,
        "STATE_NS": f"{budgets.state_ns} /* an older state is none: hold, then damp */",
        "HOLD_NS": f"{budgets.hold_ns} /* without a valid target for so long: damp */",
        "INTENT_FRESH_NS": f"{budgets.intent_fresh_ns} /* an intent this old is still followed whole */",
        "INTENT_STALE_NS": f"{budgets.intent_ns} /* and from here on it is told to stand */",
        "TOLERANCE": f"{_tolerance(bundle)!r} /* [rad] of a joint target on another engine */",
        "PHRASES": len(bundle.intent.phrases),
        "TICKS": golden,
        **{name.upper(): len(rows) for name, rows in tensors.items()},
    }


def _tolerance(bundle: Bundle) -> float:
    """How far another engine's joint target may lie from rmedge's own [rad]: the bundle's own tolerance."""
    return float(bundle.tolerance["policy"] * bundle.action_scale.max())


def _tensors(graphs: Mapping[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """The inputs and the outputs of each graph, as C."""
    for name, data in graphs.items():
        graph = onnx.load_from_string(data).graph
        for side, values in (("inputs", graph.input), ("outputs", graph.output)):
            yield f"{name}_{side}", [_tensor(value) for value in values]


def _tensor(value: Any) -> str:
    kind = value.type.tensor_type
    shape = [extent.dim_value for extent in kind.shape.dim]
    told = f"{_string(value.name)}, {kind.elem_type} /* {TYPES[kind.elem_type]} */, {len(shape)}"
    return _braces(told, _braces(*map(str, shape)))


def _tick(told: Ticks, tick: int) -> str:
    return _braces(
        f"INT64_C({told.stamp_ns[tick]})",
        *(_braces(*_numbers(getattr(told, name)[tick])) for name in (*STATE, "intent")),
        _braces(*(_braces(*_numbers(row)) for row in told.joint_target[tick])),
    )


def _records(kind: str, name: str, items: Iterable[str]) -> Iterator[str]:
    """An array, a line to each item: a text must not be broken."""
    yield f"static const {kind} rmedge_bundle_{name} = {{"
    yield from (f"    {item}," for item in items)
    yield "};"


def _array(kind: str, name: str, values: np.ndarray) -> Iterator[str]:
    """An array of numbers, wrapped."""
    yield f"static const {kind} rmedge_bundle_{name} = {{"
    yield textwrap.indent(textwrap.fill(", ".join(_numbers(values)), 106), "    ")
    yield "};"


def _braces(*items: str) -> str:
    return "{" + ", ".join(items) + "}"


def _numbers(values: np.ndarray) -> list[str]:
    """Numbers that are read back as they are: in full, with the suffix of what they are."""
    values = np.ravel(values)
    suffix = "f" if values.dtype == np.float32 else ""
    return [f"{value!r}{suffix}" for value in values.tolist()]


def _string(text: str) -> str:
    """A C string; what is not a plain letter, digit or mark is an octal escape, which ends by itself."""
    return '"' + "".join(_plain(byte) for byte in text.encode()) + '"'


def _plain(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
