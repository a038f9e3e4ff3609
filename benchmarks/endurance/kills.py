"""Kills: processes of a walking robot die, freeze or are told to end, in real time, at seeded instants."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping
from unittest import mock

import numpy as np

from rmedge.benchmarks.endurance.projector import Projector
from rmedge.errors import RmedgeError
from rmedge.runtimes import Runtime
from rmedge.runtimes.boards import Board
from rmedge.states import State

__all__ = ["RUNS", "evaluate"]

FIRST_S, BETWEEN_S, FROZEN_S = (2.0, 3.0), (3.0, 4.5), (1.0, 2.0)
ORPHAN_S = 10.0  # so long an orphan may take to end; it stands for two seconds, and is damped for one
NO_ROOM = "No space left"


def evaluate(
    bundle: str, seconds: float, seed: int = 0, progress: Callable[[float], None] = lambda done: None
) -> dict[str, Any]:
    """A row for every run: what was done to which process how often, what became of the robot, and why."""
    rows = []
    for done, (kind, run) in enumerate(RUNS.items(), 1):
        rng = np.random.default_rng((seed, done))
        with tempfile.TemporaryDirectory(prefix="rmedge-", dir=_memory()) as folder:
            try:
                row = run(bundle, seconds, rng, Path(folder))
            except RmedgeError as error:  # the gate, on a machine that is too busy
                row = _row(0, None, "not armed", str(error), None, False)
        rows.append({"kind": kind, **row})
        progress(done / len(RUNS))
    claims = [{"claim": MUST[row["kind"]], "holds": row.pop("holds"), "got": _found(row)} for row in rows]
    return {"runs": rows, "claims": claims, "seconds": seconds}


def _row(
    injected: int,
    fell: bool | None,
    state: str,
    reason: str,
    took_s: float | None,
    holds: bool,
    walked_m: float | None = None,
) -> dict[str, Any]:
    return {
        "injected": injected,
        "fell": fell,
        "state": state,
        "reason": reason,
        "took_s": took_s,
        "holds": holds,
        "walked_m": walked_m,
    }


def _found(row: Mapping[str, Any]) -> str:
    fell = {None: "unknown", True: "fell", False: "no fall"}[row["fell"]]
    why = f" ({row['reason']})" if row["reason"] else ""
    walked = "" if row["walked_m"] is None else f", walked {row['walked_m']:.1f} m"
    return f"{row['injected']} times: {fell}{walked}, {row['state']}{why}"


def _instants(rng: np.random.Generator, seconds: float) -> Iterator[float]:
    """When to strike; once at least, however short a run is."""
    at_s = min(float(rng.uniform(*FIRST_S)), seconds / 2)
    while at_s < seconds:
        yield at_s
        at_s += float(rng.uniform(*BETWEEN_S))


def _kill_vision(bundle: str, seconds: float, rng: np.random.Generator, folder: Path) -> dict[str, Any]:
    struck = 0
    instants = _instants(rng, seconds - 1.0)
    next_s = next(instants)

    def strike(runtime: Runtime, now_s: float) -> None:
        nonlocal struck, next_s
        vision = runtime._vision
        if now_s >= next_s and vision is not None and vision.alive:
            vision.process.kill()
            struck += 1
            next_s = next(instants, np.inf)

    with Projector(folder / "frames") as projector:
        account = _walk(bundle, projector, seconds, folder, strike)
    fell = _fell(account)
    whole = not account.stopped and fell is False and len(account.vision_deaths) == struck
    return _row(struck, fell, account.state.name, account.reason, account.seconds, whole, _walked(account))


def _freeze_vision(bundle: str, seconds: float, rng: np.random.Generator, folder: Path) -> dict[str, Any]:
    struck, frozen, thaw_s = 0, 0, 0.0
    instants = _instants(rng, seconds - 1.0)
    next_s = next(instants)

    def strike(runtime: Runtime, now_s: float) -> None:
        nonlocal struck, next_s, frozen, thaw_s
        vision = runtime._vision
        if frozen and now_s >= thaw_s:
            os.kill(frozen, signal.SIGCONT)
            frozen = 0
        elif now_s >= next_s and vision is not None and vision.alive and not frozen:
            frozen, thaw_s = vision.process.pid, now_s + float(rng.uniform(*FROZEN_S))
            os.kill(frozen, signal.SIGSTOP)
            struck += 1
            next_s = max(next(instants, np.inf), thaw_s + 1.0)

    with Projector(folder / "frames") as projector:
        account = _walk(bundle, projector, seconds, folder, strike)
    fell = _fell(account)
    whole = not account.stopped and fell is False and not account.vision_deaths
    return _row(struck, fell, account.state.name, account.reason, account.seconds, whole, _walked(account))


def _strike_body(number: signal.Signals) -> Callable[..., dict[str, Any]]:
    """Once; the run must end by itself, soon."""

    def run(bundle: str, seconds: float, rng: np.random.Generator, folder: Path) -> dict[str, Any]:
        struck_s: float | None = None
        at_s = next(_instants(rng, seconds))

        def strike(runtime: Runtime, now_s: float) -> None:
            nonlocal struck_s
            if struck_s is None and now_s >= at_s and runtime._body is not None:
                os.kill(runtime._body.process.pid, number)
                struck_s = now_s

        with Projector(folder / "frames") as projector:
            account = _walk(bundle, projector, seconds, folder, strike)
        took_s = None if struck_s is None else account.seconds - struck_s
        why = f"killed by signal {number}" if number is signal.SIGKILL else number.name
        whole = account.stopped and why in account.reason and took_s is not None and took_s < 2.0
        struck = int(struck_s is not None)
        return _row(
            struck, _fell(account), account.state.name, account.reason, took_s, whole, _walked(account)
        )

    return run


def _orphan(bundle: str, seconds: float, rng: np.random.Generator, folder: Path) -> dict[str, Any]:
    """The process that runs the `Runtime` dies: a child of ours, made for it."""
    boards = folder / "boards"
    with Projector(folder / "frames") as projector:
        orders = json.dumps({"bundle": bundle, "camera": projector.name, "boards": str(boards)})
        command = [sys.executable, "-m", "rmedge.benchmarks.endurance.kills", orders]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        with child.stdout as lines:
            line = lines.readline()
        try:
            pids = json.loads(line or '"it ended without a word"')
            if isinstance(pids, str):
                return _row(0, None, "not armed", pids, None, False)
            time.sleep(next(_instants(rng, seconds)))
        finally:
            child.kill()
            child.wait()
        struck_s, damped_s = time.monotonic(), None
        with Board.open(boards, "status") as status:
            while time.monotonic() < struck_s + ORPHAN_S and any(map(_runs, pids)):
                record = status.read()
                if damped_s is None and record is not None and record["state"] == State.DAMP:
                    damped_s = time.monotonic() - struck_s
                time.sleep(0.005)
            record = status.read()
        ended = not any(map(_runs, pids))
        state, reason = State(int(record["state"])), bytes(record["reason"]).decode()
        whole = ended and state is State.DAMP and damped_s is not None
        return _row(1, None, state.name, reason if ended else f"{reason}; it still runs", damped_s, whole)


def _runs(pid: int) -> bool:
    """Whether that process does, and is more than its parent's memory of it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _full_disk(bundle: str, seconds: float, rng: np.random.Generator, folder: Path) -> dict[str, Any]:
    """No room for the boards: nothing starts, and the message says what to do."""

    def full(*args: object) -> None:
        raise OSError(28, NO_ROOM)

    start_s = time.monotonic()
    with mock.patch("os.posix_fallocate", full):
        try:
            with Runtime(bundle, "synthetic", "sim", boards=folder / "boards") as runtime:
                runtime.arm()
        except RmedgeError as error:
            told = str(error)
        else:
            told = "it started"
    return _row(1, False, "refused", told, time.monotonic() - start_s, NO_ROOM in told and ";" in told)


def _filled_disk(bundle: str, seconds: float, rng: np.random.Generator, folder: Path) -> dict[str, Any]:
    """The room runs out while it walks: the boards have theirs already. Needs the right to mount."""
    disk = folder / "disk"
    disk.mkdir(0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return _row(0, None, "not tried", "mounting is not permitted here", None, True)
    struck = 0

    def strike(runtime: Runtime, now_s: float) -> None:
        nonlocal struck
        if not struck and now_s >= seconds / 3:
            with open(disk / "ballast", "wb", buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError:
                    struck = 1

    try:
        with Projector(folder / "frames") as projector:
            account = _walk(bundle, projector, seconds, disk, strike)
    finally:
        subprocess.run(["umount", str(disk)], capture_output=True, check=False)
    fell = _fell(account)
    whole = bool(struck) and not account.stopped and fell is False
    return _row(struck, fell, account.state.name, account.reason, account.seconds, whole, _walked(account))


def _walk(
    bundle: str,
    projector: Projector,
    seconds: float,
    folder: Path,
    strike: Callable[[Runtime, float], None],
) -> Any:
    """An account of a simulated robot that follows the clip."""
    with Runtime(bundle, projector.name, "sim", boards=folder / "boards") as runtime:
        runtime.arm()
        start_s = time.monotonic()
        return runtime.run(seconds, on_poll=lambda status: strike(runtime, time.monotonic() - start_s))


def _fell(account: Any) -> bool | None:
    """What the body's report says; a body that was killed has none."""
    robot = account.body.get("robot")
    return None if not robot else robot["fell_at_s"] is not None


def _walked(account: Any) -> float | None:
    """[m], by the same report."""
    robot = account.body.get("robot")
    return float(robot["distance"]) if robot else None


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


RUNS: Mapping[str, Callable[[str, float, np.random.Generator, Path], dict[str, Any]]] = {
    "vision SIGKILL": _kill_vision,
    "vision SIGSTOP, SIGCONT": _freeze_vision,
    "body SIGTERM": _strike_body(signal.SIGTERM),
    "body SIGKILL": _strike_body(signal.SIGKILL),
    "parent SIGKILL": _orphan,
    "full disk": _full_disk,
    "disk fills up": _filled_disk,
}
MUST = {
    "vision SIGKILL": "vision is killed and started again: no fall, no stop",
    "vision SIGSTOP, SIGCONT": "vision is frozen and goes on: no fall, no stop",
    "body SIGTERM": "a body that is told to end damps, and the run ends with that reason",
    "body SIGKILL": "a body that is killed ends the run with that reason",
    "parent SIGKILL": "an orphaned body stands, damps, and both processes end",
    "full disk": "without room for the boards nothing starts, and the message says what to do",
    "disk fills up": "a disk that fills up later hurts nobody",
}


def main(orders: str) -> None:
    """The parent that is to be killed: it walks for ever, and says whom it started, or why it could not."""
    told = json.loads(orders)
    with Runtime(told["bundle"], told["camera"], "sim", boards=told["boards"]) as runtime:
        try:
            runtime.arm()
        except RmedgeError as error:
            print(json.dumps(str(error)), flush=True)
            return
        assert runtime._body is not None and runtime._vision is not None
        print(json.dumps([runtime._body.process.pid, runtime._vision.process.pid]), flush=True)
        runtime.run()


if __name__ == "__main__":
    main(sys.argv[1])
