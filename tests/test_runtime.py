"""Eyes and body as real processes: they arm, run, die, come back, and end; nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import bundles
import numpy as np
import pytest

from rmedge.bundle import Bundle
from rmedge.errors import AbsentError, ArmingError, IntegrityError, UsageError
from rmedge.runtimes import Runtime
from rmedge.states import State

pytest.importorskip("onnxruntime")
pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The shipped bundle, with a short ramp, and time enough for a busy machine."""
    if bundles.SHIPPED not in Bundle.names():
        pytest.skip(f"{bundles.SHIPPED} is not in this checkout")
    return bundles.patient(tmp_path_factory.mktemp("bundles") / "quick")


def children():
    """Processes of ours that still run."""
    found = subprocess.run(
        ["ps", "-o", "pid=,stat=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return [
        line for line in found.stdout.splitlines() if "rmedge.runtimes.processes" in line and " Z" not in line
    ]


def wait(until, seconds=20.0):
    """Until it holds, for so long at most; whether it does."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_it_arms_runs_ends_and_leaves_nothing_behind(quick, capfd, tmp_path):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    states = set()
    with Runtime(quick, "synthetic", "null", boards=tmp_path / "boards") as runtime:
        checks = runtime.arm()
        assert runtime.status.state is State.READY
        account = runtime.run(1.0, on_poll=lambda status: states.add(status.state) and None)
    assert all(check.passed for check in checks)
    assert {check.name for check in checks} == {
        "golden policy", "policy time", "state", "joints", "posture", "golden encoder", "encode time",
        "camera",
    }  # fmt: skip
    assert (account.stopped, account.reason, account.vision_deaths) == (False, "", ())
    assert State.RUN in states and account.camera == "live"
    counts, timing = account.body["counts"], account.body["timing"]
    assert counts["intents"] >= 5 and counts["holds"] == counts["policy_failures"] == 0
    assert timing["own"]["count"] > 100 and timing["capture_to_write"]["count"] > 100
    assert capfd.readouterr() == ("", "")
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert children() == []


def test_vision_may_die_and_is_started_again(quick):
    with Runtime(quick, "synthetic", "null") as runtime:
        runtime.arm()
        killed = []

        def kill(status):
            if not killed and status.counts["intents"] > 2:
                killed.append(status.counts["intents"])
                runtime._vision.process.kill()
            return killed and status.counts["intents"] > killed[0] + 3

        account = runtime.run(60.0, kill)
    assert account.vision_deaths == ("killed by signal 9",)
    assert not account.stopped and account.body["counts"]["holds"] == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_body_that_dies_ends_the_run(quick, number):
    with Runtime(quick, "synthetic", "null") as runtime:
        runtime.arm()
        account = runtime.run(60.0, lambda status: runtime._body.process.send_signal(number))
    assert account.stopped
    if number == signal.SIGKILL:
        assert account.reason == "the body's process is gone: killed by signal 9" and account.body == {}
    else:
        assert account.reason == "SIGTERM" and account.body["counts"]["damped"] > 0


def test_stop_works_from_any_thread(quick):
    with Runtime(quick, "null", "null", follow=Bundle.load(quick).intent.stand) as runtime:
        runtime.arm()
        threading.Timer(0.3, runtime.stop, ["the operator let go"]).start()
        account = runtime.run(60.0)
    assert account.reason == "the operator let go"
    assert account.body["state"] == "ESTOP" and account.body["counts"]["damped"] > 0


def test_the_parents_death_ends_both_processes(quick, tmp_path):
    program = (
        "import sys\nfrom rmedge.runtimes import Runtime\n"
        f"runtime = Runtime({str(quick)!r}, 'synthetic', 'null', boards={str(tmp_path / 'b')!r})\n"
        "runtime.arm()\n"
        "print(runtime._body.process.pid, runtime._vision.process.pid, flush=True)\n"
        "runtime.run(60.0)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait(lambda: not any(Path(f"/proc/{pid}/stat").exists() and zombie(pid) is False for pid in pids))


def zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def spoil(folder):
    """Golden vectors that no engine gives."""
    with np.load(folder / "golden.npz") as golden:
        arrays = dict(golden)
    name = next(name for name in arrays if "policy" in name and "action_chunk" in name)
    arrays[name] = arrays[name] + 1
    np.savez(folder / "golden.npz", **arrays)
    bundles.restate(folder)


TIGHT = {"encode": 1e3, "policy": 1e-3}
REFUSED = {
    "camera": ({"camera": "null"}, {}, "camera: expected a picture, got none in 5 s"),
    "time": ({}, {"latency_budget_ms": {"cpu-x86": TIGHT, "cpu-arm64": TIGHT}}, "policy time"),
    "golden": ({}, {}, "golden policy: expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_gate_stays_shut_and_says_why(quick, tmp_path, monkeypatch, case):
    given, says, complaint = REFUSED[case]
    monkeypatch.setattr("rmedge.runtimes.processes.runtime.CAMERA_S", 5.0 if case != "camera" else 0.5)
    folder = bundles.patient(tmp_path / "other", **says)
    if case == "golden":
        spoil(folder)
    with Runtime(folder, **{"camera": "synthetic", "actuator": "null", **given}) as runtime:
        with pytest.raises(ArmingError) as refusal:
            runtime.arm()
        assert runtime.status.counts.get("steps", 0) == runtime.status.counts.get("damped", 0)  # never stiff
    assert complaint.partition(" in ")[0] in str(refusal.value)
    assert ";" in str(refusal.value)  # and what to do
    assert children() == []


def test_what_is_absent_or_wrong_is_said_as_such(quick, tmp_path):
    with Runtime(quick, "synthetic", "hydraulic") as runtime, pytest.raises(
        UsageError, match="actuator: exp"
    ):
        runtime.arm()
    with Runtime(quick, str(tmp_path / "no.mp4"), "null") as runtime, pytest.raises(
        UsageError, match=r"no\.mp4"
    ):
        runtime.arm()
    nobody = f"boards:{tmp_path}"
    with Runtime(quick, "synthetic", nobody) as runtime, pytest.raises(AbsentError, match="state: expected"):
        runtime.arm()
    with pytest.raises(UsageError, match="magnitude"):
        Runtime(quick, "null", "null", magnitude=float("nan"))


def test_a_bundle_that_changes_between_two_loads_is_refused(quick, tmp_path):
    folder = bundles.patient(tmp_path / "other")
    with Runtime(folder, "synthetic", "null") as runtime:
        bundles.restate(folder, robustness={"delay_ms": 1.0})
        with pytest.raises((ArmingError, IntegrityError, ValueError), match="somebody is writing"):
            runtime.arm()


def test_the_command_runs_in_real_time(quick):
    from rmedge.cli import main

    assert main(["run", "--realtime", "--bundle", str(quick), "--camera", "synthetic", "--actuator", "null",
                 "--seconds", "0.5"]) == 0  # fmt: skip


def test_the_shadow_writes_nothing_and_compares(quick, capsys):
    from rmedge.cli import main

    assert main(["shadow", "--bundle", str(quick), "--intent", "walk forward", "--actuator", "null",
                 "--seconds", "0.5", "--json"]) == 0  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert told["shadow"] and told["body"]["robot"]["compared"] > 100
    assert max(told["body"]["robot"]["most_rad"]) > 0.01  # a robot that stands is not one that walks
