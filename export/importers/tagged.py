"""YAML with Python tags, as other programs write it, read as data: nothing named in it is ever made."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import yaml

from rmedge.errors import InputError

__all__ = ["Tagged", "load"]

_PYTHON = "tag:yaml.org,2002:python/"
_MOST_BYTES = 1 << 20  # hundreds of times a deploy.yaml


@dataclass(frozen=True)
class Tagged:
    """A value that its writer's program would have made an object of."""

    tag: str  # as "object/apply:builtins.slice"
    value: Any


class _Loader(yaml.SafeLoader):
    """Plain YAML, and Python's tags as `Tagged`; a key given twice or merged from elsewhere is refused."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):  # grows without bound
            raise yaml.constructor.ConstructorError(None, None, "merge keys are not read", node.start_mark)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        found = super().construct_mapping(node, deep)
        if len(found) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key is given twice", node.start_mark)
        return found


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        value: Any = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_scalar(node)  # type: ignore[arg-type]
    return value if suffix in ("tuple", "list", "dict") else Tagged(suffix, value)


_Loader.add_multi_constructor(_PYTHON, _tagged)


def load(data: bytes, file: str) -> Any:
    """The one document of a file.

    Raises:
        InputError: it is too large, or no such YAML.
    """
    if len(data) > _MOST_BYTES:
        raise InputError(f"{file}: expected at most {_MOST_BYTES >> 20} MiB, got {len(data)} bytes")
    try:
        return yaml.load(data, Loader=_Loader)  # a safe loader: plain data alone
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError) as error:
        raise InputError(f"{file}: expected YAML, got: {' '.join(str(error).split())[:200]}") from error
