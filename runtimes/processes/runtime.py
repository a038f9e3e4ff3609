"""The runtime: arms a robot, starts eyes and body as processes of their own, and watches over both."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

from rmedge.errors import AbsentError, ArmingError, CheckError, RmedgeError, SafetyStop, UsageError
from rmedge.runtimes.boards import Board
from rmedge.runtimes.boards.files import memory
from rmedge.runtimes.boards.records import TEXT, Verb
from rmedge.runtimes.gate import Check, camera_check, demand
from rmedge.runtimes.processes.child import Child
from rmedge.states import Count, State

__all__ = ["Account", "Runtime", "Status"]

BODY, VISION = "rmedge.runtimes.processes.body", "rmedge.runtimes.processes.vision"
POLL_S = 0.02  # between two looks; also the operator's heartbeat
START_S = 60.0  # for a process to load its engine and check it; a TensorRT engine is built beforehand
CAMERA_S = 5.0  # for the first picture
REVIVE_S = 0.5  # before vision is started again, so that one that dies at once is not started without pause
_ERRORS = {1: CheckError, 2: UsageError, 3: AbsentError, 4: SafetyStop}


@dataclass(frozen=True)
class Status:
    """What the body said last."""

    state: State
    reason: str
    ticks: int
    missed: int
    counts: dict[str, int]
    stamp_ns: int


@dataclass(frozen=True)
class Account:
    """How a run went."""

    state: State  # that the body ended in
    reason: str
    stopped: bool  # for safety, not because the time was over or somebody asked
    seconds: float
    vision_deaths: tuple[str, ...]
    camera: str
    refused: tuple[str, ...]  # what the kernel refused to a real-time process, with remedies
    body: dict[str, Any]  # the body's own report; empty when it was killed


class Runtime:
    """Runs a bundle in real time between a camera and an actuator, which are named, not given.

    It never prints, exits, or installs a handler; `stop` may be called from any thread or signal handler.

    ::

        with Runtime("g1-mirror", camera="0", actuator="boards:/dev/shm/robot") as runtime:
            runtime.arm()                # PASSIVE, the gate, STAND, READY
            account = runtime.run(60.0)  # RUN, until the time is over or something stops it

    Args:
        bundle: a shipped name, directory or .rmedge file, which the processes load too.
        follow: (Z,) an intent to follow instead of what is seen.
        boards: a directory for the shared memory, to let others read it; a private one where None.
        cores: for the body and for vision; None: wherever the kernel likes.
        priority: of SCHED_FIFO for the body.
        shadow: write nothing; compare with the controller that drives the robot.
        magnitude, slowdown: for a robot's first steps, see `Pilot`.
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str],
        camera: str,
        actuator: str,
        provider: str = "cpu",
        threads: int = 1,
        follow: np.ndarray | None = None,
        boards: str | os.PathLike[str] | None = None,
        cores: tuple[int | None, int | None] = (None, None),
        priority: int | None = None,
        shadow: bool = False,
        magnitude: float = 1.0,
        slowdown: float = 1.0,
    ) -> None:
        if not (0.0 <= magnitude <= 1.0 and 1.0 <= slowdown <= 100.0):
            got = f"magnitude {magnitude}, slowdown {slowdown}"
            raise UsageError(f"runtime: expected magnitude in 0 .. 1 and slowdown in 1 .. 100, got {got}")
        from rmedge.bundle import Bundle  # here, for it needs PyYAML, and `import rmedge.runtimes` does not

        self.bundle = Bundle.load(bundle)
        self._own = boards is None
        self._folder = (
            Path(tempfile.mkdtemp(prefix="rmedge-", dir=memory())) if boards is None else Path(boards)
        )
        self._requests = Board.create(self._folder, "request")
        self._requests.record["magnitude"], self._requests.record["slowdown"] = magnitude, slowdown
        common = {"bundle": str(bundle), "sha256": self.bundle.sha256, "boards": str(self._folder)}
        self._body_orders = {
            **common, "actuator": actuator, "core": cores[0], "priority": priority, "shadow": shadow,
            "follow": None if follow is None else np.asarray(follow, float).tolist(),
        }  # fmt: skip
        self._vision_orders = {
            **common, "camera": camera, "provider": provider, "threads": threads, "core": cores[1],
        }  # fmt: skip
        self._blind = follow is not None and camera == "null"
        self._body: Child | None = None
        self._vision: Child | None = None
        self._status: Board | None = None
        self._died_s = 0.0
        self._deaths: list[str] = []
        self._refused: list[str] = []
        self._report: dict[str, Any] = {}
        self._camera = "none" if self._blind else "waiting"
        self._stop = ""
        self._lock = threading.Lock()

    def arm(self) -> list[Check]:
        """Start both processes, let the gate judge, rise, and keep the balance: READY.

        Raises:
            ArmingError: a check failed; the robot was not touched.
            AbsentError: a camera, an actuator, an engine or a library is not here.
            SafetyStop: the body stopped itself while it rose.
        """
        self._body = Child(BODY, self._body_orders)
        checks = self._ready(self._body, "body")
        if not self._blind:  # one after the other: each is timed alone
            self._vision = Child(VISION, self._vision_orders)
            checks += self._ready(self._vision, "vision")
            checks.append(self._first_picture())
        demand(checks)
        self._status = Board.open(self._folder, "status")
        self._ask(Verb.STAND)
        self._until(lambda status: status.state is State.READY, self.bundle.budgets.ramp_ms / 1e3 + 5.0)
        return checks

    def run(self, seconds: float | None = None, on_poll: Callable[[Status], Any] | None = None) -> Account:
        """Follow what is seen, for so long or until something stops it; then damp, and say how it went.

        ``on_poll`` is called some fifty times a second; a true answer ends the run. Ctrl-C ends it too.
        """
        start_s = time.monotonic()
        reason, stopped = "", False
        try:
            self._ask(Verb.RUN)
            while not self._stop:
                status = self._poll()
                if self._body is None or not self._body.alive:
                    fate = "was never armed" if self._body is None else self._body.fate
                    reason, stopped = f"the body's process is gone: {fate}", True
                    break
                if status.state.stopped:
                    reason, stopped = status.reason, True
                    break
                if status.state is State.READY and status.reason:
                    reason, stopped = status.reason, True
                    break
                if on_poll is not None and on_poll(status):
                    break
                if seconds is not None and time.monotonic() - start_s >= seconds:
                    break
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            reason = "interrupted"
        reason = reason or self._stop
        elapsed_s = time.monotonic() - start_s
        state = self._end(reason or "the time is over")
        return Account(
            state=state, reason=reason, stopped=stopped, seconds=elapsed_s, vision_deaths=tuple(self._deaths),
            camera=self._camera, refused=tuple(self._refused), body=self._report,
        )  # fmt: skip

    def stop(self, reason: str) -> None:
        """End the run from any thread: the motors are damped at once."""
        self._stop = reason or "asked to"
        self._ask(Verb.ESTOP, self._stop)

    @property
    def status(self) -> Status:
        """What the body says of itself now."""
        record = None if self._status is None else self._status.read()
        if record is None:
            return Status(State.PASSIVE, "", 0, 0, {}, 0)
        counts = {count.name.lower(): int(record["counts"][count]) for count in Count}
        return Status(
            State(int(record["state"])), bytes(record["reason"]).decode(errors="replace"),
            int(record["ticks"]), int(record["missed"]), counts, int(record["stamp_ns"]),
        )  # fmt: skip

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._end("closed")
        for board in (self._requests, self._status):
            if board is not None:
                board.close()
        if self._own:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _ready(self, child: Child, who: str) -> list[Check]:
        """Wait for a process to be ready; returns its checks."""
        until_s = time.monotonic() + START_S
        while time.monotonic() < until_s:
            gone = not child.alive  # asked first: what it told before it died is still to be heard
            told = child.hear(POLL_S)
            self._beat()
            if told is None and gone:
                raise ArmingError(f"{who}: expected a process that gets ready, got none: {child.fate}")
            if told is not None and told["kind"] == "ready":
                self._refused += told["refused"]
                return [Check(**check) for check in told["checks"]]
            if told is not None and told["kind"] == "failed":
                raise _ERRORS.get(told["exit_code"], RmedgeError)(told["error"])
        raise ArmingError(f"{who}: expected it ready within {START_S:.0f} s, got nothing; rmedge verify")

    def _first_picture(self) -> Check:
        until_s = time.monotonic() + CAMERA_S
        while self._camera != "live" and time.monotonic() < until_s:
            self._beat()
            self._listen(POLL_S)
        return camera_check(self._camera == "live", CAMERA_S, self._camera.partition(": ")[2])

    def _until(self, reached: Callable[[Status], bool], seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while True:
            status = self._poll()
            if reached(status):
                return
            if status.state.stopped:
                raise SafetyStop(f"arming: expected the body to rise, got a stop: {status.reason}")
            if time.monotonic() > until_s or self._body is None or not self._body.alive:
                fate = "nobody" if self._body is None else self._body.fate
                raise SafetyStop(
                    f"arming: expected READY within {seconds:.1f} s, got {status.state.name}; {fate}"
                )
            time.sleep(POLL_S)

    def _poll(self) -> Status:
        """Be alive, hear what the processes say, and start vision again when it died."""
        self._beat()
        self._listen(0.0)
        vision, now_s = self._vision, time.monotonic()
        if vision is not None and not vision.alive and not self._died_s:
            self._died_s = now_s
            self._deaths.append(vision.fate)
        if self._died_s and now_s - self._died_s > REVIVE_S:
            self._died_s = 0.0
            self._vision = Child(VISION, self._vision_orders)
        return self.status

    def _listen(self, timeout_s: float) -> None:
        for child in (self._vision, self._body):
            if child is not None:
                self._heed(child.hear(timeout_s if child is self._vision else 0.0))

    def _heed(self, told: dict[str, Any] | None) -> bool:
        """Keep what a process told; whether it told anything."""
        if told is None:
            return False
        if told["kind"] == "camera":
            trouble = told["trouble"] and f": {told['trouble']}"
            self._camera = ("waiting", "live", "lost")[told["state"]] + trouble
        elif told["kind"] == "report":
            self._report = {key: value for key, value in told.items() if key != "kind"}
        return True

    def _beat(self) -> None:
        """The operator's heartbeat."""
        with self._lock:
            self._requests.record["stamp_ns"] = time.monotonic_ns()
            self._requests.publish()

    def _ask(self, verb: Verb, reason: str = "") -> None:
        with self._lock:
            record = self._requests.record
            record["stamp_ns"] = time.monotonic_ns()
            record["count"] += 1
            record["verb"], record["reason"] = verb, reason.encode()[:TEXT]
            self._requests.publish()

    def _end(self, reason: str) -> State:
        """Damp, let both processes go, and gather what the body has to say."""
        state = self.status.state
        if self._body is not None:
            if self._body.alive:
                self._ask(Verb.ESTOP if self._stop else Verb.STOP, reason)
                self._body.process.terminate()
            self._body.end(5.0)
            while self._heed(self._body.hear(0.2)):
                pass
            self._body = None
        if self._vision is not None:
            self._vision.process.kill()
            self._vision.end(1.0)
            self._vision = None
        return state
