"""Importers: policies that people already have, from the files that their own tools write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmedge.errors import InputError, UsageError
from rmedge.export.importers import holosoma, kinfer, mjlab, unitree_rl_lab
from rmedge.export.importers.foreign import Foreign
from rmedge.export.importers.network import Network, read_file
from rmedge.export.importers.whole import whole

__all__ = ["FORMATS", "Foreign", "read", "whole"]

FORMATS = {
    "holosoma": holosoma.read,
    "mjlab": mjlab.read,
    "unitree_rl_lab": unitree_rl_lab.read,
    "kinfer": kinfer.read,
}
AUTO = "auto"


def read(path: str | Path, format: str = AUTO, told: Mapping[str, Any] | None = None) -> Foreign:
    """A foreign policy, and all that its file says of it.

    Args:
        path: an ONNX file, a kinfer archive, or unitree_rl_lab's folder or ``deploy.yaml``.
        format: one of ``FORMATS``, or auto: by the file's own marks.
        told: facts that the file leaves open, by name; see docs/importers.md.

    Raises:
        InputError: there is no such file, or it is not of the format.
        UsageError: a fact is missing or wrong, or the policy needs what no robot here measures.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"import: expected a file or folder, got {str(path)!r}, which is not there")
    if format not in (AUTO, *FORMATS):
        raise UsageError(f"format: expected {AUTO} or one of {', '.join(FORMATS)}, got {format!r}")
    return FORMATS[_format(path) if format == AUTO else format](path, told or {})


def _format(path: Path) -> str:
    if path.is_dir() or path.suffix in (".yaml", ".yml"):
        return "unitree_rl_lab"
    data = read_file(path)
    if kinfer.recognises(data):
        return "kinfer"
    metadata = Network(data, path.name).metadata
    for name, importer in (("holosoma", holosoma), ("mjlab", mjlab)):
        if importer.recognises(metadata):
            return name
    if unitree_rl_lab.find(path):
        return "unitree_rl_lab"
    raise InputError(
        f"{path.name}: expected the notes of {', '.join(FORMATS)}, got none of them; name it with --format, "
        "or build a bundle with rmedge export"
    )
