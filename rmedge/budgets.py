"""Budgets: how long the robot half bears with what is old, late or missing, and what it calls a fall."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rmedge.fields import Fields, Kind, count, number, positive, refusal

__all__ = ["Budgets", "read_budgets"]


@dataclass(frozen=True)
class Budgets:
    """The figures of the ladder, the watchdogs and the falls, as a bundle states them [ms, rad, rad/s, C].

    ``docs/realtime.md`` says which rung each belongs to.
    """

    state_warn_ms: float = 20.0  # an older robot state is counted
    state_ms: float = 100.0  # and one older than this is none: hold, then damp
    image_ms: float = 500.0  # an older picture says nothing about now
    intent_fresh_ms: float = 200.0  # an intent this old is still followed whole: a picture may be lost
    intent_ms: float = 300.0  # and from here on it is told to stand, which takes another second
    hold_ms: float = 50.0  # without a valid command for so long: damp
    operator_ms: float = 1000.0  # an operator silent for so long has let go: stand
    heartbeat_ms: float = 80.0  # a body silent for so long is dead: whoever owns the motors damps
    ramp_ms: float = 2000.0  # from the pose and gains that were found to those that are wanted
    tilt_rad: float = 1.0  # from upright, for
    tilt_ms: float = 20.0  # so long: a fall
    flail_joints: int = 3  # as many joints at once, either way faster than
    flail_rad_s: float = 25.0
    motor_stop_c: float = 90.0  # a motor this hot stops the robot
    motor_clear_c: float = 85.0  # and is hot until it is this cool again

    @property
    def state_warn_ns(self) -> int:
        """[ns]."""
        return round(self.state_warn_ms * 1e6)

    @property
    def state_ns(self) -> int:
        """[ns]."""
        return round(self.state_ms * 1e6)

    @property
    def image_ns(self) -> int:
        """[ns]."""
        return round(self.image_ms * 1e6)

    @property
    def intent_fresh_ns(self) -> int:
        """[ns]."""
        return round(self.intent_fresh_ms * 1e6)

    @property
    def intent_ns(self) -> int:
        """[ns]."""
        return round(self.intent_ms * 1e6)

    @property
    def hold_ns(self) -> int:
        """[ns]."""
        return round(self.hold_ms * 1e6)

    @property
    def operator_ns(self) -> int:
        """[ns]."""
        return round(self.operator_ms * 1e6)

    @property
    def heartbeat_ns(self) -> int:
        """[ns]."""
        return round(self.heartbeat_ms * 1e6)

    @property
    def ramp_ns(self) -> int:
        """[ns]."""
        return round(self.ramp_ms * 1e6)

    @property
    def tilt_ns(self) -> int:
        """[ns]."""
        return round(self.tilt_ms * 1e6)


_ORDERED = (  # the first below the second: between them lies what the one has no time to do
    ("state_warn_ms", "state_ms"),
    ("intent_fresh_ms", "intent_ms"),
    ("motor_clear_c", "motor_stop_c"),
)
_LONGEST_MS = 60_000.0  # a budget of more than a minute is a slip of the pen


def read_budgets(fields: Fields) -> Budgets:
    """The budgets that a bundle states; what it leaves out has its default.

    Raises:
        BundleError: one is not a number that can be kept, or two contradict each other.
    """
    kinds: dict[str, Kind[Any]] = {
        "flail_joints": count,
        "motor_stop_c": number,
        "motor_clear_c": number,
        "tilt_rad": _tilt,
        "flail_rad_s": positive,
    }
    with fields:
        said: dict[str, Any] = {
            name: fields.take_or(name, kinds.get(name, _milliseconds), default)
            for name, default in vars(Budgets()).items()
        }
    told = Budgets(**said)
    for low, high in _ORDERED:
        if not getattr(told, low) < getattr(told, high):
            got = [getattr(told, low), getattr(told, high)]
            raise refusal(fields.path, f"{low} below {high}", got)
    return told


def _milliseconds(value: Any, path: str) -> float:
    budget = positive(value, path)
    if not budget <= _LONGEST_MS:
        raise refusal(path, f"at most {_LONGEST_MS:g} ms", value)
    return budget


def _tilt(value: Any, path: str) -> float:
    tilt = positive(value, path)
    if not tilt < math.pi:
        raise refusal(path, "less than half a turn [rad]", value)
    return tilt
