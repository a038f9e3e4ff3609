"""Imports cost nothing, go one way, and every third-party library stays in its named files."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import rmedge

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("rmedge", "runtimes", "export", "benchmarks")
FILES = sorted(
    path.relative_to(ROOT)
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if not any(part.is_symlink() for part in path.parents)
)

# library -> the files and folders that may import it; numpy may go anywhere
FENCES = {
    "yaml": ("rmedge/document.py", "export/", "benchmarks/"),
    "rich": ("rmedge/cli/", "export/", "benchmarks/"),
    "onnxruntime": ("runtimes/session.py", "runtimes/doctor/probes.py", "export/", "benchmarks/"),
    "cv2": (
        "runtimes/cameras/video.py",
        "runtimes/cameras/webcam.py",
        "runtimes/features.py",
        "runtimes/film.py",
        "runtimes/filmstrip.py",
        "runtimes/painter.py",
        "runtimes/scenery.py",
        "benchmarks/pose/landmarks.py",
        "export/",
    ),
    "av": (
        "runtimes/cameras/jpeg.py",
        "runtimes/cameras/rtsp.py",
        "runtimes/cameras/video.py",
        "runtimes/film.py",
        "export/",
    ),
    "zmq": ("runtimes/cameras/teleimager.py",),
    "matplotlib": ("benchmarks/sheet.py",),
    "mujoco": ("runtimes/physics.py", "runtimes/renderer.py", "runtimes/actuators/sim.py", "export/"),
    "onnx": ("benchmarks/peers/roboghost.py", "export/"),
    "onnxscript": ("export/",),
    "ray": ("benchmarks/pool.py",),
    # in environments of their own
    "mediapipe": ("benchmarks/pose/worker.py",),
    "holosoma_inference": ("benchmarks/peers/holosoma_worker.py",),
    "unitree_sdk2py": ("benchmarks/peers/unitree_worker.py",),
    "mink": ("benchmarks/pose/retarget.py",),
    "torch": ("export/", "benchmarks/pose/schooling.py"),
    "safetensors": ("export/foreign/weights.py",),
    "transformers": ("export/watchers/", "export/foreign/hugging_face.py"),
}


def imported(path: Path) -> set[str]:
    """The top-level names that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    dotted = ".".join(parts if parts[0] == "rmedge" else ("rmedge", *parts))
    return dotted[: -len(".__init__")] if path.name == "__init__.py" else dotted


def behind(path: Path, library: str) -> bool:
    return any(path.as_posix().startswith(home) for home in FENCES[library])


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    where = Path(rmedge.__file__).parents[1]  # the same rmedge as this test's, tree or wheel
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=where, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["rmedge", "rmedge.runtimes"])
def test_importing_loads_numpy_and_the_standard_library_alone(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert "rmedge" in loaded
    assert not loaded & set(FENCES)


def test_importing_costs_little_more_than_numpy() -> None:
    # a count instead of a time, which would depend on the machine: modules beyond numpy's own
    count = "\nimport sys\nprint(len(sys.modules))"
    where = Path(rmedge.__file__).parents[1]
    numpy, ours = (
        int(subprocess.check_output([sys.executable, "-c", f"import {name}{count}"], cwd=where))
        for name in ("numpy", "rmedge")
    )
    assert ours <= 1.3 * numpy


@pytest.mark.parametrize("path", FILES, ids=str)
def test_libraries_stay_behind_their_fences(path: Path) -> None:
    strays = [name for name in FENCES if name in imported(path) and not behind(path, name)]
    assert strays == []


@pytest.mark.skipif(sys.version_info < (3, 10), reason="sys.stdlib_module_names came with 3.10")
def test_every_library_has_a_fence() -> None:
    known = {"numpy", "rmedge", *FENCES, *sys.stdlib_module_names}
    assert {str(path): imported(path) - known for path in FILES if imported(path) - known} == {}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_all_names_exist(path: Path) -> None:
    for library in ("mujoco", "torch"):
        if behind(path, library) and find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    module = importlib.import_module(module_name(path))
    names = getattr(module, "__all__", [])
    assert [name for name in names if not hasattr(module, name)] == []
    assert len(set(names)) == len(names)
