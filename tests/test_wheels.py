"""Wheels are read as archives, and only when they are the pinned files."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile

import pytest

from rmedge.errors import AbsentError, IntegrityError
from rmedge.export import wheels
from rmedge.export.world.photographs import HELD_OUT, PHOTOGRAPHS


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RMEDGE_CACHE", str(tmp_path))
    return tmp_path


def packed(folder, text=b"hello"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing/data.txt", text)
    return wheels.Wheel("thing==1.0", path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def test_what_is_in_the_cache_is_read_without_a_network(home, monkeypatch):
    wheel = packed(home / "wheels")
    monkeypatch.setattr(subprocess, "run", None)  # nothing is downloaded
    assert wheel.fetch() == home / "wheels" / wheel.file
    assert wheel.read("thing/data.txt") == b"hello"


def test_another_file_under_that_name_is_refused(home):
    wheel = packed(home / "wheels")
    packed(home / "wheels", b"tampered with")
    with pytest.raises(IntegrityError, match=r"thing==1.0: expected sha256 .*; delete .* and fetch again"):
        wheel.read("thing/data.txt")


def test_what_pip_cannot_fetch_is_absent_with_a_remedy(home, monkeypatch):
    asked = []

    def refuse(command, **_):
        asked.extend(command)
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no such thing")

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(AbsentError, match=r"no such thing; check the network, or put thing.whl into"):
        wheels.Wheel("thing==1.0", "thing.whl", "0" * 64).fetch()
    assert "--no-deps" in asked and "--only-binary" in asked  # nothing of it is built or run


def test_every_held_out_photograph_is_one_of_them():
    names = [
        member.rsplit("/", 1)[-1].split(".")[0] for members in PHOTOGRAPHS.values() for member in members
    ]
    assert len(set(names)) == len(names)
    assert set(HELD_OUT) < set(names)
    assert len({wheel.sha256 for wheel in PHOTOGRAPHS}) == len(PHOTOGRAPHS)
