"""The published schema, and whether a document is of it: the part of JSON Schema that it is written in."""

from __future__ import annotations

import json
import math
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, Iterator, Mapping

from rmedge.errors import InputError

__all__ = ["check", "published"]

TYPES: Mapping[str, Any] = {
    "null": type(None),
    "boolean": bool,
    "number": (int, float),
    "string": str,
    "array": list,
    "object": dict,
}
_REMEDY = "take the file as rmedge-bench run wrote it"


@lru_cache(maxsize=None)
def published() -> dict[str, Any]:
    """``report.schema.json``."""
    text = Path(__file__).with_name("report.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def check(value: Any, schema: Mapping[str, Any] | None = None, path: str = "report") -> None:
    """Refuse what the schema does not allow; beyond it, every number is finite and every text printable.

    Raises:
        InputError: it names the first place that is wrong.
    """
    schema = published() if schema is None else schema
    if "$ref" in schema:  # of this document only: "#/$defs/NAME"
        check(value, published()["$defs"][schema["$ref"].rpartition("/")[2]], path)
    if "const" in schema or "enum" in schema:
        allowed = schema.get("enum", [schema.get("const")])
        _demand(any(_same(value, one) for one in allowed), path, " or ".join(map(repr, allowed)), value)
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        _demand(any(_is(value, name) for name in names), path, " or ".join(names), value)
    if isinstance(value, str):
        _demand(value.isprintable(), path, "printable text", value)
        pattern = schema.get("pattern", "")
        _demand(re.search(pattern, value) is not None, path, f"text like {pattern}", value)
    elif isinstance(value, dict):
        _check_members(value, schema, path)
    elif isinstance(value, list):
        _check_items(value, schema, path)
    elif _is(value, "number"):
        _check_number(value, schema, path)


def _check_members(value: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> None:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        _demand(name in value, path, f"{name} in it", sorted(value))
    for name, member in value.items():
        _demand(name.isprintable(), path, "printable names", name)
        if name not in known:
            _demand(others is not False, path, "no other members", name)
        allowed = known.get(name, others)
        check(member, allowed if isinstance(allowed, dict) else {}, f"{path}.{name}")


def _check_items(value: list[Any], schema: Mapping[str, Any], path: str) -> None:
    count, least, most = len(value), schema.get("minItems", 0), schema.get("maxItems", math.inf)
    _demand(count >= least, path, f"at least {least} items", count)
    _demand(count <= most, path, f"at most {most} items", count)
    for index, item in _telling(value):
        check(item, schema.get("items", {}), f"{path}[{index}]")


def _telling(value: list[Any]) -> Iterator[tuple[int, Any]]:
    """The items that stand for all: of many thousand ticks these are few, and as good as each of them."""
    if not set(map(type, value)) <= {int, float, type(None)}:
        yield from enumerate(value)
        return
    numbers = [item for item in value if item is not None]
    telling = [None] if len(numbers) < len(value) else []
    if numbers:
        telling += [min(numbers), max(numbers)]
    telling += [item for item in numbers if item % 1][:1]  # not whole; infinite ones are least or greatest
    for item in telling:
        yield value.index(item), item


def _check_number(value: float, schema: Mapping[str, Any], path: str) -> None:
    _demand(abs(value) <= sys.float_info.max, path, "a finite number", value)
    for limit, holds, word in (
        ("minimum", float.__ge__, "at least"),
        ("exclusiveMinimum", float.__gt__, "above"),
        ("maximum", float.__le__, "at most"),
        ("exclusiveMaximum", float.__lt__, "below"),
    ):
        if limit in schema:
            _demand(
                holds(float(value), float(schema[limit])), path, f"a number {word} {schema[limit]}", value
            )


def _is(value: Any, name: str) -> bool:
    if name == "integer":
        return _is(value, "number") and value % 1 == 0
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _same(value: Any, other: Any) -> bool:
    """Equal as JSON has it: 1 is not true."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _demand(holds: bool, path: str, expected: str, got: Any) -> None:
    if not holds:
        shown = repr(got)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        raise InputError(f"{path}: expected {expected}, got {shown}; {_REMEDY}")
