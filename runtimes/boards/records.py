"""What the boards hold: every record's fields, defined once, for Python, C and the documents alike."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Tuple

import numpy as np

__all__ = [
    "CAPACITY",
    "INTENT",
    "MAX_JOINTS",
    "RECORDS",
    "TEXT",
    "VERSION",
    "Mode",
    "Verb",
    "fingerprint",
    "offset_of",
    "record_of",
]

VERSION = 1  # of the layout: of these records, and of the header and the slots in `board`
MAX_JOINTS = 64
INTENT = 256
TEXT = 256  # [byte] UTF-8, ended by a zero where shorter
CAPACITY = 64 * 1024 * 1024  # [byte] of a frame at most: a header that asks for more is hostile


class Mode(IntEnum):
    """How a target is meant."""

    DAMP = 0  # no stiffness, only damping
    POSITION = 1


class Verb(IntEnum):
    """What an operator asks for."""

    NONE = 0
    STAND = 1
    RUN = 2
    STOP = 3
    ESTOP = 4
    RESET = 5


# name, format, shape (-1: as much as the board was created for), meaning
Field = Tuple[str, str, Tuple[int, ...], str]
RECORDS: dict[str, tuple[Field, ...]] = {
    "state": (
        ("stamp_ns", "i8", (), "when the sensors were read"),
        ("joints", "u4", (), "that the robot has; the first so many of each row count"),
        ("joint_pos", "f8", (MAX_JOINTS,), "[rad]"),
        ("joint_vel", "f8", (MAX_JOINTS,), "[rad/s]"),
        ("motor_temp", "f8", (MAX_JOINTS,), "[deg C], NaN where unknown"),
        ("base_ang_vel", "f8", (3,), "[rad/s], body frame: x forward, y left, z up"),
        ("projected_gravity", "f8", (3,), "unit vector, body frame; (0, 0, -1) upright"),
    ),
    "target": (
        ("stamp_ns", "i8", (), "when it was written: the body's heartbeat"),
        ("joints", "u4", (), "as in the state"),
        ("mode", "u4", (), "0 DAMP, 1 POSITION"),
        ("state", "u4", (), "of the body's state machine; 0 PASSIVE where its writer has none"),
        ("joint_pos", "f8", (MAX_JOINTS,), "[rad]; torque = kp (joint_pos - q) - kd dq"),
        ("kp", "f8", (MAX_JOINTS,), "[N m/rad]"),
        ("kd", "f8", (MAX_JOINTS,), "[N m s/rad]"),
    ),
    "intent": (
        ("stamp_ns", "i8", (), "when it was written: vision's heartbeat"),
        ("captured_ns", "i8", (), "when the light of its frame fell; 0: no frame yet"),
        ("size", "u4", (), "of the intent; the first so many of z count"),
        ("camera", "u4", (), "0 waiting, 1 live, 2 lost"),
        ("frames", "u8", (), "that were seen"),
        ("z", "f4", (INTENT,), "the intent"),
        ("certainty", "f4", (), "0 (a guess) .. 1 (sure)"),
        ("presence", "f4", (), "probability that a moving viewpoint or a person is seen at all"),
        ("name", "S64", (), "of the taught motion that was recognised, or empty"),
    ),
    "frame": (
        ("captured_ns", "i8", (), "when the light fell"),
        ("number", "u8", (), "of the camera's frame"),
        ("width", "u4", (), "[pixel]"),
        ("height", "u4", (), "[pixel]"),
        ("pixels", "u1", (-1,), "rows of RGB, top first, without gaps"),
    ),
    "status": (
        ("stamp_ns", "i8", (), "when it was written"),
        ("state", "u4", (), "of the body's state machine"),
        ("ticks", "u8", (), "of the body's loop"),
        ("missed", "u8", (), "deadlines"),
        ("counts", "u8", (32,), "of what happened, by index; those beyond the last are zero"),
        ("reason", f"S{TEXT}", (), "why the body stopped, or refused to start"),
    ),
    "request": (
        ("stamp_ns", "i8", (), "when it was written: the operator's heartbeat"),
        ("count", "u8", (), "of requests: a new number is a new request"),
        ("verb", "u4", (), "0 NONE, 1 STAND, 2 RUN, 3 STOP, 4 ESTOP, 5 RESET"),
        ("magnitude", "f8", (), "of the motion, 0 .. 1"),
        ("slowdown", "f8", (), "of the motion, 1 or more"),
        ("reason", f"S{TEXT}", (), "why"),
    ),
}


def record_of(name: str, capacity: int = 0) -> np.dtype:
    """A record's dtype, laid out as a C compiler does; ``capacity`` [byte] of pixels for a frame."""
    return np.dtype(
        [
            (field, f"<{kind}" if kind[0] != "S" else kind, tuple(capacity if n < 0 else n for n in shape))
            for field, kind, shape, _ in RECORDS[name]
        ],
        align=True,
    )


def offset_of(record: np.dtype, field: str) -> int:
    """Where a field begins [byte]."""
    return int(record.fields[field][1])  # type: ignore[index]


def fingerprint(name: str) -> int:
    """64 bits of a hash of the record's layout: whoever laid it out otherwise has another."""
    record = record_of(name)
    told = [f"{VERSION} {name} {record.itemsize}"]
    told += [f"{field} {kind} {shape} {offset_of(record, field)}" for field, kind, shape, _ in RECORDS[name]]
    return int.from_bytes(hashlib.sha256("\n".join(told).encode()).digest()[:8], "little")
