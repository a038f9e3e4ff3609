"""The doctor finds what was planted, nothing else, and says what mends it; `docs/doctor.md` says the same."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import patients
import pytest
from patients import FAULTS, HEALTHY, Fault, Patient

from rmedge.cli import main
from rmedge.runtimes import doctor
from rmedge.runtimes.doctor import (
    CHECKS,
    FAILURE,
    NOT_HERE,
    UNKNOWN,
    WARNING,
    Answer,
    Finding,
    ThisSystem,
    examine,
    probes,
    system,
)  # fmt: skip

PAGE = Path(__file__).resolve().parents[1] / "docs" / "doctor.md"


def examined(patient: Patient) -> dict[str, Finding]:
    return dict(examine(patient, **patient.asked))


def faults() -> Any:
    return pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


# Simulated systems


@pytest.mark.parametrize("patient", HEALTHY, ids=lambda patient: patient.name)
def test_a_healthy_system_is_left_alone(patient: Patient) -> None:
    findings = examined(patient)
    assert list(findings) == list(CHECKS)
    assert {
        name: each for name, each in findings.items() if each.verdict in (WARNING, FAILURE, UNKNOWN)
    } == {}
    assert all(each.found and not each.remedy for each in findings.values())


@faults()
def test_a_planted_fault_is_told_apart(fault: Fault) -> None:
    healthy, ill = examined(fault.patient), examined(fault.plant(fault.patient))
    assert ill[fault.check].verdict in (WARNING, FAILURE)
    assert ill[fault.check].remedy
    changed = {name for name in CHECKS if ill[name].verdict != healthy[name].verdict}
    assert changed == {fault.check, *fault.hides}
    # what lies behind the fault is not guessed at, and not complained about a second time
    assert {ill[name].verdict for name in changed - {fault.check}} <= {UNKNOWN, NOT_HERE}


def test_every_check_has_a_fault() -> None:
    assert {fault.check for fault in FAULTS} == set(CHECKS)
    told = [examined(fault.plant(fault.patient))[fault.check] for fault in FAULTS]
    assert len({(each.found, each.remedy) for each in told}) == len(FAULTS)


EMPTY = Patient("nothing to be known", (3, 11, 0), "x86_64", {}, {}, {}, {}, {})


def test_what_cannot_be_known_is_unknown() -> None:
    findings = examined(EMPTY)
    unknown = {name for name, each in findings.items() if each.verdict == UNKNOWN}
    assert unknown == {
        *("numpy", "own kernels", "bundles", "golden vectors", "providers"),
        *("governor", "cores", "swap", "rtprio", "memlock", "disk"),
    }
    assert findings["onnxruntime"].verdict == FAILURE  # nothing is installed, and that much is known


@pytest.mark.parametrize("patient", HEALTHY, ids=lambda patient: patient.name)
def test_programs_that_hang_or_are_not_there_are_no_errors(patient: Patient) -> None:
    for answer in (None, Answer(None)):
        silent = dataclasses.replace(patient, answers=dict.fromkeys(patient.answers, answer))
        findings = examined(silent)
        # no answer is no onnxruntime; a driver that does not answer is broken
        ours = {"onnxruntime"} if answer is None else {"gpu"}
        complaints = {name for name, each in findings.items() if each.verdict in (WARNING, FAILURE)}
        assert complaints <= ours
        assert not any("the check itself" in each.found for each in findings.values())


@pytest.mark.parametrize("seed", range(40))
def test_garbage_breaks_no_check(seed: int) -> None:
    rng = random.Random(seed)
    patient = HEALTHY[seed % len(HEALTHY)]

    def spoil(text: str) -> str:
        pieces = [
            text[: rng.randint(0, len(text))],
            *rng.choices(["\0", "9" * 400, "-", "\n", "[", "é", " "], k=5),
        ]
        rng.shuffle(pieces)
        return "".join(pieces)

    spoilt = dataclasses.replace(
        patient,
        files={path: spoil(text) for path, text in patient.files.items()},
        packages={name: spoil(version) for name, version in patient.packages.items()},
        answers={
            argv: Answer(rng.choice([0, 0, 1, -9]), spoil(each.out), spoil(each.err))
            for argv, each in patient.answers.items()
        },
    )
    findings = examined(spoilt)
    assert list(findings) == list(CHECKS)
    assert [each.found for each in findings.values() if "the check itself" in each.found] == []


def test_a_check_that_breaks_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(patient: Patient) -> Finding:
        raise ZeroDivisionError("boom")

    monkeypatch.setitem(CHECKS, "swap", broken)
    findings = examined(patients.LAPTOP)
    assert list(findings) == list(CHECKS)
    assert findings["swap"].verdict == UNKNOWN
    assert "ZeroDivisionError: boom" in findings["swap"].found


CAMERAS = {
    "synthetic": "ok",
    "0": "ok",
    "/dev/video0": "ok",
    "7": FAILURE,
    "csi:0": FAILURE,  # no GStreamer to ask
    "rtsp://10.0.0.2/live": FAILURE,  # no av
    "boards:/dev/shm": "ok",
    "boards:/dev/shm/nobody": FAILURE,
    "walk.mp4": FAILURE,
    "my_robot:MyCamera": UNKNOWN,
}


@pytest.mark.parametrize("name", CAMERAS)
def test_a_camera_is_looked_for_by_its_kind(name: str) -> None:
    assert examined(patients.LAPTOP.but(asked={"camera": name}))["camera"].verdict == CAMERAS[name]


def test_a_simulators_network_needs_no_address() -> None:
    lo = patients.LAPTOP.but(asked={"network": "lo"})
    assert examined(lo)["network"].remedy == "sudo ip link set lo multicast on"
    assert examined(lo.but(files={"/sys/class/net/lo/flags": "0x1009"}))["network"].verdict == "ok"


# This system


def test_a_program_is_asked_once_and_never_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, mark = ThisSystem(), tmp_path / "asked"
    for _ in range(3):
        assert here.run("sh", "-c", f"echo x >> {mark}; echo said; exit 3") == Answer(3, "said")
    assert mark.read_text() == "x\n"
    assert here.run("rmedge-no-such-program") is None
    monkeypatch.setattr(system, "PROMPT_S", 0.3)
    start = time.monotonic()
    # a child that holds the pipe open must not hold us
    assert here.run("sh", "-c", "sleep 60 & sleep 60") == Answer(None)
    assert time.monotonic() - start < 20


def test_facts_of_this_system(tmp_path: Path) -> None:
    here = ThisSystem()
    assert here.python == sys.version_info[:3]
    assert here.packages["numpy"]
    (tmp_path / "fact").write_bytes(b"caf\xe9 \0")
    assert here.read(str(tmp_path / "fact")) == "caf\ufffd"
    assert here.read(str(tmp_path)) is here.read(f"{tmp_path}/none") is here.read("a\0b") is None
    assert here.glob(f"{tmp_path}/f*") == [str(tmp_path / "fact")]
    assert here.usable(str(tmp_path)) and not here.usable(f"{tmp_path}/none")
    assert (here.room(str(tmp_path)) or 0) > 0 and here.room(f"{tmp_path}/none") is None


def container(*entries: tuple[int, int]) -> bytes:
    """NVIDIA's container of kernels, each of a kind (1: PTX, 2: machine code) and an architecture."""
    body = b"".join(
        struct.pack("<HHIQIIHHI", kind, 0x101, 64, 24, 0, 0, 0, 0, number) + bytes(32 + 24)
        for kind, number in entries
    )
    return struct.pack("<4sHHQ", b"\x50\xed\x55\xba", 1, 16, len(body)) + body


def test_kernels_are_read_from_a_library(tmp_path: Path) -> None:
    library = tmp_path / "provider.so"
    chance = b"\x50\xed\x55\xba" + b"\xff" * 40
    library.write_bytes(b"ELF" + container((2, 87), (1, 90)) + chance + container((2, 120)) + chance[:6])
    assert sorted(probes.kernels(str(library))) == ["ptx_90", "sm_120", "sm_87"]
    answer = ThisSystem().run("python", "-m", "rmedge.runtimes.doctor.probes", "kernels", str(library))
    assert answer == Answer(0, "ptx_90 sm_120 sm_87")


@pytest.mark.parametrize("seed", range(20))
def test_hostile_libraries_end(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(container(*((2, 87),) * 20) * 3)
    for _ in range(40):
        data[rng.randrange(len(data))] = rng.randrange(256)
    (tmp_path / "provider.so").write_bytes(data)
    assert len(list(probes.kernels(str(tmp_path / "provider.so")))) <= 200


# The command


def test_the_command_examines_this_computer(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert out.count("\n") == 1
    assert list(told["findings"]) == list(CHECKS)
    assert told["ok"] == (code == 0)
    assert sum(told["counts"].values()) == len(CHECKS)
    assert told["findings"]["bundles"]["verdict"] == "ok"
    assert (err == "") == told["ok"]


@pytest.mark.parametrize(("planted", "code"), [("a disk that is full", 1), ("a disk that is nearly full", 0)])
def test_one_failure_is_exit_code_1_and_warnings_are_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, planted: str, code: int
) -> None:
    fault = next(each for each in FAULTS if each.name == planted)
    patient = fault.plant(fault.patient)
    monkeypatch.setattr(doctor, "ThisSystem", lambda: patient)
    assert main(["doctor", "--network", "eth0"]) == code
    out, err = capsys.readouterr()
    finding = examined(patient)["disk"]
    assert f"{finding.verdict:<7}  {finding.found}" in out and f"to do: {finding.remedy}" in out
    assert err.count("\n") == code
    assert err == "" or "rmedge: doctor: disk: 0.0 GiB free (1 of 29 checks failed)" in err


@pytest.mark.skipif(not Path("/proc").is_dir() or os.name != "posix", reason="for Linux")
def test_the_command_ends_on_a_system_without_programs(tmp_path: Path) -> None:
    env = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "rmedge", "doctor", "--json"],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    told = json.loads(done.stdout)["findings"]
    assert done.returncode in (0, 1)
    assert not any("the check itself" in each["found"] for each in told.values())


# The page


def rows(title: str) -> list[list[str]]:
    """The table under a heading of the page."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines
    ]


def test_the_page_lists_every_check() -> None:
    assert [row[:2] for row in rows("Checks")] == [
        [f"`{name}`", (check.__doc__ or "").strip().rstrip(".")] for name, check in CHECKS.items()
    ]


def test_the_page_lists_every_fault_and_its_remedy() -> None:
    expected = []
    for fault in FAULTS:
        finding = examined(fault.plant(fault.patient))[fault.check]
        expected.append(
            [fault.name, f"`{fault.check}`", finding.verdict, finding.found, f"`{finding.remedy}`"]
        )
    assert rows("Faults") == expected
