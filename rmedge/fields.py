"""Reads mappings that a stranger wrote, field by field, each by its kind.

A *kind* is a function of a value and its path: it gives back what the value means,
or refuses it by that path.
"""

from __future__ import annotations

import math
import re
import sys
from types import MappingProxyType
from typing import Any, Callable, Mapping, TypeVar

import numpy as np

from rmedge.archive import is_simple
from rmedge.errors import BundleError

__all__ = [
    "MANIFEST",
    "Fields",
    "Kind",
    "amount",
    "choice",
    "count",
    "digest",
    "each",
    "free",
    "items",
    "mapping",
    "number",
    "positive",
    "refusal",
    "simple_name",
    "tensors",
    "text",
    "vector",
]

T = TypeVar("T")
Kind = Callable[[Any, str], T]

MANIFEST = "bundle.yaml"
_SEALED = MANIFEST.partition(".")[0]  # how paths into a bundle begin; others lead into what is not sealed

_MOST_NUMBERS = 1 << 24  # in one tensor, 64 MiB of float32: a shape is memory that the robot will give


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


_MISSING = _Missing()  # no kind accepts it


def refusal(path: str, expected: str, got: object, remedy: str = "") -> BundleError:
    """The error for a field that is not what it must be; ``got`` is shown as Python writes it, in short."""
    if not remedy:
        remedy = f"correct {MANIFEST} and seal the bundle again" if path.startswith(_SEALED) else "correct it"
    shown = repr(got)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return BundleError(f"{path}: expected {expected}, got {shown}; {remedy}")


class Fields:
    """A mapping, taken key by key; leaving the ``with`` block refuses what nobody took."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise refusal(path, "a mapping", value)
        self._rest = dict(value)
        self.path = path

    def take(self, key: str, kind: Kind[T]) -> T:
        """The value of that key, read by its kind."""
        return kind(self._rest.pop(key, _MISSING), f"{self.path}.{key}")

    def take_or(self, key: str, kind: Kind[T], otherwise: T) -> T:
        """The same of a key that may be left out."""
        return self.take(key, kind) if key in self._rest else otherwise

    def __enter__(self) -> Fields:
        return self

    def __exit__(self, failed: Any, error: Any, traceback: Any) -> None:
        if not failed and self._rest:
            sealed = f" from {MANIFEST} and seal again" if self.path.startswith(_SEALED) else ""
            raise refusal(self.path, "no other keys", next(iter(self._rest)), f"remove it{sealed}")


# Kinds of single values


def text(value: Any, path: str) -> str:
    """One printable line that is not empty."""
    if not (isinstance(value, str) and value.strip() and value.isprintable()):
        raise refusal(path, "a line of text", value)
    return value


def simple_name(value: Any, path: str) -> str:
    """A name that is safe as a file's."""
    if not is_simple(value):
        raise refusal(path, "a simple name (letters, digits, '.', '_', '-')", value)
    return str(value)


def digest(value: Any, path: str) -> str:
    """A SHA-256 in hexadecimal."""
    if not (isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)):
        raise refusal(path, "a sha256 (64 hexadecimal digits)", value)
    return value


def number(value: Any, path: str) -> float:
    """A finite number; true and false are none."""
    if not (_is_number(value) and abs(value) <= sys.float_info.max):
        raise refusal(path, "a finite number", value)
    return float(value)


def positive(value: Any, path: str) -> float:
    """A finite number above zero."""
    if not (_is_number(value) and 0 < value <= sys.float_info.max):
        raise refusal(path, "a number above 0", value)
    return float(value)


def amount(value: Any, path: str) -> float:
    """A finite number, zero or above."""
    if not (_is_number(value) and 0 <= value <= sys.float_info.max):
        raise refusal(path, "a number from 0 up", value)
    return float(value)


def count(value: Any, path: str) -> int:
    """A whole number from 1 to the most that a tensor holds."""
    if not (isinstance(value, int) and _is_number(value) and 1 <= value <= _MOST_NUMBERS):
        raise refusal(path, f"a whole number from 1 to {_MOST_NUMBERS}", value)
    return value


def choice(*options: Any) -> Kind[Any]:
    """One of these."""

    def read(value: Any, path: str) -> Any:
        for option in options:
            if type(value) is type(option) and value == option:  # 1 is neither true nor 1.0
                return option
        expected = str(options[0]) if len(options) == 1 else f"one of {', '.join(map(str, options))}"
        raise refusal(path, expected, value)

    return read


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# Kinds of many values


def items(kind: Kind[T], key: Callable[[T], Any] = lambda item: item) -> Kind[tuple[T, ...]]:
    """One or more of a kind, of which no two have the same ``key``."""

    def read(value: Any, path: str) -> tuple[T, ...]:
        if not (isinstance(value, list) and value):
            raise refusal(path, "a list that is not empty", value)
        found: dict[Any, T] = {}
        for index, raw in enumerate(value):
            item = kind(raw, f"{path}[{index}]")
            if key(item) in found:
                raise refusal(f"{path}[{index}]", "something not listed before", key(item))
            found[key(item)] = item
        return tuple(found.values())

    return read


def vector(size: int, kind: Kind[float] = number, dtype: Any = np.float64) -> Kind[np.ndarray]:
    """(size,) numbers of a kind, as an array that cannot be written."""

    def read(value: Any, path: str) -> np.ndarray:
        if not (isinstance(value, list) and len(value) == size):
            raise refusal(
                path, f"a list of {size} numbers", value if not isinstance(value, list) else len(value)
            )
        with np.errstate(over="ignore"):
            array = np.array([kind(item, f"{path}[{index}]") for index, item in enumerate(value)], dtype)
        if not np.isfinite(array).all():
            raise refusal(path, f"numbers that {array.dtype} can hold", value)
        array.setflags(write=False)
        return array

    return read


def mapping(kind: Kind[T], empty: bool = False) -> Kind[Mapping[str, T]]:
    """Simple names, each with a value of a kind; none at all only where it may be ``empty``."""

    def read(value: Any, path: str) -> Mapping[str, T]:
        if not (isinstance(value, dict) and (value or empty)):
            raise refusal(path, "a mapping" if empty else "a mapping that is not empty", value)
        return MappingProxyType(
            {simple_name(key, path): kind(item, f"{path}.{key}") for key, item in value.items()}
        )

    return read


def each(names: tuple[str, ...], kind: Kind[T]) -> Kind[Mapping[str, T]]:
    """These names and no others, each with a value of a kind."""

    def read(value: Any, path: str) -> Mapping[str, T]:
        with Fields(value, path) as fields:
            return MappingProxyType({name: fields.take(name, kind) for name in names})

    return read


def tensors(**shapes: tuple[int | None, ...]) -> Kind[Mapping[str, tuple[int, ...]]]:
    """The shapes of these tensors and no others; None is a length that the bundle chooses."""

    def read(value: Any, path: str) -> Mapping[str, tuple[int, ...]]:
        with Fields(value, path) as fields:
            return MappingProxyType(
                {name: fields.take(name, _shape(shape)) for name, shape in shapes.items()}
            )

    return read


def _shape(wanted: tuple[int | None, ...]) -> Kind[tuple[int, ...]]:
    def read(value: Any, path: str) -> tuple[int, ...]:
        expected = f"[{', '.join('n' if length is None else str(length) for length in wanted)}]"
        if not (isinstance(value, list) and len(value) == len(wanted)):
            raise refusal(path, expected, value)
        shape = tuple(count(length, f"{path}[{axis}]") for axis, length in enumerate(value))
        if any(want not in (None, length) for want, length in zip(wanted, shape)):
            raise refusal(path, expected, value)
        if math.prod(shape) > _MOST_NUMBERS:
            raise refusal(path, f"at most {_MOST_NUMBERS} numbers", value)
        return shape

    return read


def free(value: Any, path: str) -> Mapping[str, Any]:
    """A mapping of whatever a JSON document can say; its lists and mappings are the reader's to keep."""
    if not isinstance(value, dict):
        raise refusal(path, "a mapping", value)
    _check_plain(value, path)
    return MappingProxyType(value)


def _check_plain(value: Any, path: str) -> None:
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _check_plain(item, path)
    elif _is_number(value):
        number(value, path)
    elif not (value is None or isinstance(value, (str, bool))):
        raise refusal(
            path, "texts, finite numbers, true, false, null, lists and mappings (quote a date)", value
        )
