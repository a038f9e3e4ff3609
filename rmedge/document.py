"""Documents: plain values as YAML, read from strangers and written in full precision."""

from __future__ import annotations

import json
from typing import Any, Mapping

import yaml

from rmedge.errors import BundleError
from rmedge.fields import refusal

__all__ = ["parse", "unparse"]

# PyYAML's C library where it was built with it: ten times as fast
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_MOST_BYTES = 1 << 20  # ten times a large vocabulary
_LONGEST = 2048  # characters in one scalar: a longer integer is slow to read and fails to print
_DEEPEST = 16  # collections within collections


def unparse(value: Mapping[str, Any], name: str) -> bytes:
    """A mapping of plain values as YAML, floats in full precision, one line to each innermost list.

    Raises:
        BundleError: a value that YAML and JSON do not share; ``name`` says whose.
    """
    try:
        plain = json.loads(json.dumps(value, allow_nan=False))  # shares no list, so no aliases are written
    except (TypeError, ValueError) as error:
        expected = "finite numbers, texts, lists and mappings"
        raise refusal(name, expected, str(error), "convert it first (arrays have .tolist())") from error
    layout: Any = {"default_flow_style": None, "sort_keys": False, "allow_unicode": True, "width": 110}
    return bytes(yaml.dump(plain, Dumper=_SafeDumper, **layout), "utf-8")


def parse(data: bytes, name: str) -> Any:
    """The one document in ``data``, without tags, anchors, aliases or a key given twice.

    Raises:
        BundleError: it is none; ``name`` says where.
    """
    if len(data) > _MOST_BYTES:
        raise refusal(name, f"at most {_MOST_BYTES} bytes", len(data))
    try:
        loader = _SafeLoader(data)
        loader.get_event()  # the stream's start
        if isinstance(loader.get_event(), yaml.StreamEndEvent):  # else the document's start
            return None
        value = _value(loader, name, depth=0)
        loader.get_event()  # the document's end
        if not loader.check_event(yaml.StreamEndEvent):
            raise refusal(name, "one document", "more")
        return value
    except BundleError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: dates and digits that are none
        raise refusal(name, "YAML", " ".join(str(error).split())) from error


def _value(loader: Any, name: str, depth: int) -> Any:
    event = loader.get_event()
    where = f"{name} line {event.start_mark.line + 1}"
    if isinstance(event, yaml.AliasEvent) or event.anchor or event.tag:
        raise refusal(where, "no anchors, aliases or tags", event.anchor or event.tag)
    if isinstance(event, yaml.ScalarEvent):
        if len(event.value) > _LONGEST:
            raise refusal(where, f"at most {_LONGEST} characters in one value", event.value)
        tag = loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        return loader.construct_object(yaml.ScalarNode(tag, event.value))
    if depth == _DEEPEST:
        raise refusal(where, f"at most {_DEEPEST} collections within collections", "more")
    if isinstance(event, yaml.SequenceStartEvent):
        values = []
        while not loader.check_event(yaml.SequenceEndEvent):
            values.append(_value(loader, name, depth + 1))
        loader.get_event()
        return values
    found: dict[str, Any] = {}
    while not loader.check_event(yaml.MappingEndEvent):
        where = f"{name} line {loader.peek_event().start_mark.line + 1}"
        key = _value(loader, name, depth + 1)
        if not isinstance(key, str):
            raise refusal(where, "keys that are text", key)
        if key in found:
            raise refusal(where, "every key once", key)
        found[key] = _value(loader, name, depth + 1)
    loader.get_event()
    return found
