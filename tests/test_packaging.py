"""What PyPI would get: every file of the tree, the right needs, commands that start."""

from __future__ import annotations

import configparser
import email.message
import email.parser
import importlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import rmedge

ROOT = Path(__file__).resolve().parents[1]
HOMES = {
    "rmedge": "rmedge",
    "runtimes": "rmedge/runtimes",
    "export": "rmedge/export",
    "benchmarks": "rmedge/benchmarks",
}
BESIDE = ("setup.py", "setup.cfg", "pyproject.toml", "MANIFEST.in", "LICENSE", "NOTICE", "README.md")
BUILD = """
import glob, os, shutil
from setuptools import build_meta
sdist = build_meta.build_sdist("dist")
shutil.unpack_archive(f"dist/{sdist}", "unpacked")
os.chdir(glob.glob("unpacked/*")[0])
print(os.path.abspath(build_meta.build_wheel("dist")))
"""


def files_of(room: Path) -> list[Path]:
    """A room's own files, relative to it: no caches, no hidden files, no linked rooms, nothing compiled."""
    found = []
    for folder, subfolders, names in os.walk(room):
        subfolders[:] = [name for name in subfolders if name != "__pycache__" and name[0] != "."]
        found += [
            Path(folder, name).relative_to(room)
            for name in names
            if name[0] != "." and not name.endswith(".so")
        ]
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from the sdist, built from a copy of the tree; offline."""
    try:
        setuptools = tuple(int(part) for part in version("setuptools").split(".")[:2])
    except PackageNotFoundError:
        setuptools = (0, 0)
    if setuptools < (70, 1):
        pytest.skip("setuptools builds a wheel by itself from 70.1 on")
    copy = tmp_path_factory.mktemp("tree")
    for name in BESIDE:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    for room in HOMES:
        shutil.copytree(
            ROOT / room, copy / room, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.so")
        )
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.splitlines()[-1])
    return zipfile.ZipFile(path.parent / "dist" / path.name)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    text = wheel.read(f"rmedge-{rmedge.__version__}.dist-info/METADATA").decode()
    return email.parser.Parser().parsestr(text)


def test_wheel_holds_every_file_of_the_tree(wheel: zipfile.ZipFile) -> None:
    tree = {f"{home}/{file.as_posix()}" for room, home in HOMES.items() for file in files_of(ROOT / room)}
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    compiled = {name for name in held if name.endswith(".so")}
    assert held - compiled == tree
    assert len(compiled) == (shutil.which("cc") is not None)  # who has no compiler gets numpy's loops


def test_wheel_carries_the_licences(wheel: zipfile.ZipFile) -> None:
    held = {Path(name).name for name in wheel.namelist() if ".dist-info/" in name}
    assert {"LICENSE", "NOTICE"} <= held


def test_bare_install_needs_three_libraries(metadata: email.message.Message) -> None:
    bare = [need for need in metadata.get_all("Requires-Dist") if "extra ==" not in need]
    assert {re.match(r"[\w-]+", need)[0].lower() for need in bare} == {"numpy", "pyyaml", "rich"}


def test_all_brings_one_onnxruntime(metadata: email.message.Message) -> None:
    (brought,) = [need for need in metadata.get_all("Requires-Dist") if 'extra == "all"' in need]
    assert set(re.search(r"\[(.*)\]", brought)[1].split(",")) == {"cpu", "camera", "sim", "export", "report"}


def test_commands_resolve(wheel: zipfile.ZipFile) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(wheel.read(f"rmedge-{rmedge.__version__}.dist-info/entry_points.txt").decode())
    commands = dict(parser["console_scripts"])
    assert set(commands) == {"rmedge", "rmedge-bench"}
    for target in commands.values():
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("room", ["runtimes", "export", "benchmarks"])
def test_rooms_are_linked_for_static_tools(room: str) -> None:
    # without the links mypy, import-linter and editors do not see the mapped rooms
    assert os.readlink(ROOT / "rmedge" / room) == f"../{room}"
