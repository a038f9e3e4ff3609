"""Kinds of facts that foreign policies have and bundles have not, for `rmedge.fields`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rmedge.errors import UsageError
from rmedge.export.importers.foreign import SENSES, Term, unmeasured
from rmedge.fields import Fields, Kind, choice, count, items, number, positive, refusal, text, vector

__all__ = ["flag", "interval", "limits", "names", "one_or_each", "settings", "term"]

names = items(text)
flag = choice(True, False)


def interval(value: Any, path: str) -> tuple[float, float]:
    """A least and a greater number."""
    low, high = vector(2)(value, path).tolist()
    if not low < high:
        raise refusal(path, "the least number first, then a greater one", value)
    return low, high


def limits(value: Any, path: str) -> np.ndarray:
    """(3, 2) the least and the most of vx, vy [m/s] and yaw rate [rad/s]; zero is within."""
    if not (isinstance(value, list) and len(value) == 3):
        raise refusal(path, "three pairs [least, most] of vx, vy and yaw rate", value)
    table = np.array([vector(2)(row, f"{path}[{axis}]") for axis, row in enumerate(value)])
    if not ((table[:, 0] <= 0) & (table[:, 1] >= 0)).all():  # both zero: it cannot go that way
        raise refusal(path, "zero within each range", value)
    return table


def one_or_each(joints: int) -> Kind[np.ndarray]:
    """(joints,) positive numbers, of which a file may write one for all."""

    def read(value: Any, path: str) -> np.ndarray:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return vector(joints, positive)(value if isinstance(value, list) else [value] * joints, path)

    return read


def settings(value: Any, path: str) -> Mapping[str, Any]:
    """Terms by name, each with what is not as it comes: ``scale``, ``clip``, ``history``."""
    if not (isinstance(value, dict) and all(isinstance(name, str) for name in value)):
        raise refusal(path, "a mapping of terms, as {base_ang_vel: {scale: 0.25}}", value)
    return value


def term(name: str, known: Mapping[str, str], says: Any, joints: int, file: str, history: int = 1) -> Term:
    """A term of an observation, by its name in a format's table ``known`` and its settings.

    Raises:
        UsageError: no robot measures it, or a setting is not what it must be.
    """
    if name not in known:
        raise unmeasured(name, file, known)
    sense = known[name]
    size = SENSES[sense] or joints

    def scales(value: Any, path: str) -> np.ndarray:
        return vector(size, number)(value if isinstance(value, list) else [value] * size, path)

    try:
        with Fields({} if says is None else says, f"{file}: {name}") as fields:
            return Term(
                name,
                sense,
                fields.take_or("scale", scales, np.ones(size)),
                fields.take_or("clip", _clip, None),
                fields.take_or("history", count, history),
            )
    except UsageError as error:
        raise UsageError(f"{str(error).rpartition('; ')[0]}; correct the file, or what was told") from error


def _clip(value: Any, path: str) -> tuple[float, float] | None:
    return None if value is None else interval(value, path)
