"""Writers and readers of one board at full speed, in Python and C: ``python tests/tearing.py [SECONDS]``.

Everything in a record follows from its number, so that a reader knows a torn one when it sees it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from rmedge.runtimes import native
from rmedge.runtimes.boards import MAX_JOINTS, Board

HERE = Path(__file__).resolve()
ROWS = np.arange(MAX_JOINTS, dtype=float)
STRICT = ("-Wall", "-Wextra", "-Werror", "-std=c99", "-pedantic", "-O2")


def compiled(source: Path, to: Path, include: Path | None = None) -> Path | None:
    """The program of that C file, with the headers of a folder, ours if none is named; None: no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    done = subprocess.run(
        [compiler, *STRICT, f"-I{include or native.include_dir()}", str(source), "-o", str(to)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return to


def fill(record: Any, number: int) -> None:
    record["stamp_ns"], record["joints"] = number, number % MAX_JOINTS
    record["joint_pos"], record["joint_vel"] = number + ROWS, -number - ROWS
    record["motor_temp"] = 2 * number + ROWS


def consistent(record: Any, number: int) -> bool:
    return bool(
        record["stamp_ns"] == number
        and record["joints"] == number % MAX_JOINTS
        and (record["joint_pos"] == number + ROWS).all()
        and (record["joint_vel"] == -number - ROWS).all()
        and (record["motor_temp"] == 2 * number + ROWS).all()
    )


def write(path: str, seconds: float) -> dict[str, int]:
    end = time.monotonic() + seconds
    with Board.create(path, "state") as board:
        while time.monotonic() < end:
            fill(board.record, board.sequence + 1)
            board.publish()
        return {"wrote": board.sequence}


def read(path: str, seconds: float) -> dict[str, int]:
    counts = dict.fromkeys(("reads", "fresh", "none", "bad", "back"), 0)
    before = 0
    with Board.open(path, "state") as board:
        while board.newest == 0:  # its writer is on its way
            time.sleep(0.001)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            record = board.read()
            if record is None:
                counts["none"] += 1
                continue
            counts["reads"] += 1
            counts["bad"] += not consistent(record, board.sequence)
            counts["back"] += board.sequence < before
            counts["fresh"] += board.sequence > before
            before = board.sequence
        return {**counts, "torn": board.torn}


def stress(seconds: float, program: Path | None, folder: Path) -> dict[str, dict[str, int]]:
    """Each writer in turn, until it is killed, with two readers of each kind; who said what, by name."""
    python = [sys.executable, str(HERE)]
    kinds = {"python": python, **({"c": [str(program)]} if program else {})}
    said: dict[str, dict[str, int]] = {}
    for writer, command in kinds.items():
        place = folder / writer
        Board.create(place, "state").close()  # so that readers need not wait for it
        running = {}
        for reader, start in kinds.items():
            for number in (1, 2):
                running[f"{writer} writer, {reader} reader {number}"] = [
                    *start, "read", str(place), str(seconds),
                ]  # fmt: skip
        busy = subprocess.Popen([*command, "write", str(place), "3600"], stdout=subprocess.DEVNULL)
        started = {
            name: subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for name, argv in running.items()
        }
        try:
            for name, process in started.items():
                out, err = process.communicate(timeout=seconds + 60)
                assert process.returncode == 0, f"{name}: {out}{err}"
                said[name] = json.loads(out)
        finally:
            for process in (busy, *started.values()):
                process.kill()
                process.wait()
        with Board.create(place, "state") as heir:
            said[f"{writer} writer"] = {"wrote": heir.sequence}
    return said


def main(argv: list[str]) -> int:
    if argv[:1] in (["write"], ["read"]):
        print(json.dumps({"write": write, "read": read}[argv[0]](argv[1], float(argv[2]))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(HERE.parent / "native" / "boards.c", Path(folder) / "boards")
        said = stress(float(argv[0]) if argv else 60.0, program, Path(folder))
    for name, counts in said.items():
        print(f"{name}: {counts}")
    return int(any(counts.get("bad") or counts.get("back") for counts in said.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
