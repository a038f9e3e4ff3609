"""What every test runs under: no OpenGL, and only the files whose libraries are installed."""

from __future__ import annotations

import ast
import os
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "disable")  # a half-installed OpenGL crashes `import mujoco`

# what a test file may import at its top, and the library that must then be there
NEEDS = {
    "mujoco": "mujoco",
    "rmedge.runtimes.actuators.sim": "mujoco",
    "rmedge.runtimes.physics": "mujoco",
    "onnx": "onnx",
    "torch": "torch",
    "rmedge.export": "torch",
}


def absent(test_file: Path) -> list[str]:
    """The libraries that a test file's top-level imports need and this environment has not."""
    names = []
    for node in ast.parse(test_file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    needed = {NEEDS[room] for room in NEEDS for name in names if f"{name}.".startswith(f"{room}.")}
    return sorted(library for library in needed if find_spec(library) is None)


left_out = {str(path): absent(path) for path in sorted(Path(__file__).parent.rglob("test_*.py"))}
collect_ignore = [path for path, libraries in left_out.items() if libraries]


def pytest_report_header() -> list[str]:
    """Nothing is left out silently."""
    return [f"left out: {Path(path).name} needs {', '.join(left_out[path])}" for path in collect_ignore]
