"""`rmedge conform`: what a vendor runs on his own robot and camera."""

from __future__ import annotations

import json

import pytest

from rmedge.cli import main

OURS = """
from rmedge.robots import load
from rmedge.testing import FakeCamera, FakeRobot

class Stiff(FakeRobot):
    def damp(self):
        pass

def camera():
    return FakeCamera()

number = 3
"""


@pytest.fixture(autouse=True)
def ours(tmp_path, monkeypatch):
    (tmp_path / "vendor_devices.py").write_text(OURS, encoding="utf-8")
    (tmp_path / "vendor_broken.py").write_text("import no_such_driver\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


def complaint(capsys, code, *argv):
    assert main(["conform", *argv]) == code
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    return captured.err


def told(capsys, code, *argv):
    assert main(["conform", *argv, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_ours_pass_without_being_asked_twice(capsys):
    assert main(["conform", "--actuator", "null", "--camera", "synthetic"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "actuator null" in out and "camera synthetic" in out
    assert "FAIL" not in out and "  pass  " in out and "  -  " in out


def test_a_robot_that_may_hurt_is_asked_for(capsys):
    line = complaint(capsys, 2, "--actuator", "vendor_devices:Stiff")
    assert "hang the robot up" in line and "add --yes" in line


def test_a_vendors_robot_that_keeps_all_rules_passes(capsys):
    account = told(capsys, 0, "--actuator", "rmedge.testing:FakeRobot", "--robot", "g1", "--yes")
    assert account["ok"] is True
    assert {row["passed"] for row in account["actuator"]} == {True, None}
    assert all(set(row) == {"name", "passed", "expected", "got", "remedy"} for row in account["actuator"])


def test_a_vendors_robot_that_does_not_damp_fails(capsys):
    account = told(capsys, 1, "--actuator", "vendor_devices:Stiff", "--yes")
    assert account["ok"] is False
    failed = [row["name"] for row in account["actuator"] if row["passed"] is False]
    assert failed == ["damp", "damp streamed"]
    line = complaint(capsys, 1, "--actuator", "vendor_devices:Stiff", "--yes")
    assert line.startswith("rmedge: conform: actuator: damp: damp: expected no stiffness")
    assert "2 of 14 rules failed" in line and "send kp = 0" in line


def test_the_table_says_what_to_do(capsys):
    main(["conform", "--actuator", "vendor_devices:Stiff", "--yes"])
    out = capsys.readouterr().out
    assert "FAIL" in out and "to do:    send kp = 0" in out and "expected: no stiffness" in out


def test_a_camera_that_shows_nothing_is_the_null_cameras_right_alone(capsys):
    assert told(capsys, 0, "--camera", "null", "--seconds", "0.2")["ok"] is True


def test_a_vendors_camera_is_watched_in_real_time(capsys):
    account = told(capsys, 0, "--camera", "vendor_devices:camera", "--seconds", "0.2")
    assert {row["passed"] for row in account["camera"]} == {True}


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        ([], 2, "expected --actuator or --camera, got neither"),
        (["--actuator", "null", "--robot", "hal"], 2, "hal"),
        (["--actuator", "hydraulic", "--yes"], 2, "actuator: expected one of sim, null"),
        (["--actuator", "no_such_module:Robot", "--yes"], 3, "expected a module 'no_such_module'"),
        (["--actuator", "vendor_broken:Robot", "--yes"], 3, "no_such_driver"),
        (["--actuator", "vendor_devices:nothing", "--yes"], 2, "got no 'nothing'"),
        (["--actuator", "vendor_devices:number", "--yes"], 2, "got no 'number'"),
        (["--camera", "synthetic", "--seconds", "0"], 2, "expected a number above 0"),
    ],
)
def test_mistakes_are_one_line(capsys, argv, code, words):
    assert words in complaint(capsys, code, *argv)
