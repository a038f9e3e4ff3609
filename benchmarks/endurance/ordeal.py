"""The ordeal: one fault while the robot walks after a clip, in lock-step, and what became of it."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping, Sequence

import numpy as np

from rmedge.benchmarks.endurance.faults import BLIND, EYES, SENSED, Blow
from rmedge.benchmarks.endurance.rig import Rig
from rmedge.benchmarks.pool import Pool, processes
from rmedge.bundle import Bundle
from rmedge.runtimes.boards.files import HEADER, SLOTS
from rmedge.testing import KINDS, Fault, corrupt

__all__ = ["STANDS", "STAND_S", "Outcome", "attempt", "evaluate"]

STAND_S = 1.5  # so long after vision died it must stand:
STANDS = (0.1, 0.15)  # [m/s, rad/s]: a motion that is slower, on average over a second, has the label stand
SECOND_S = 1.0  # the window that motion is labelled on; a fault that leaves no such window is not asked
RESUME_S, WALKS = 2.2, 0.3  # so long after vision came back it walks, at this speed [m/s], on average
AFTER_S, STREAM_S = 1.0, 0.3  # watched after a fault, and after a stop
LATEST_NS = 100_000_000  # without a valid action for so long: damped


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    blow: Blow
    hits: int  # calls, records or steps that were changed; 0: nothing was injected
    fell_at_s: float | None  # while it still had commands; what collapses when it is damped is not counted
    damped_at_s: float | None
    reason: str
    damping_ms: float | None  # from the last instant at which there was a valid action
    late: int  # steps without damping though there had been no valid action for longer than is allowed
    unbroken: bool  # once it damped, it damped at every step
    commands: int
    unsafe: Mapping[str, int]
    torn: int  # records refused
    torn_accepted: int
    speed: float  # before the fault [m/s]
    stood: bool | None  # None: not asked of this fault
    drift_m_s: float | None  # the most of any window from then on
    drift_rad_s: float | None
    still_s: float | None  # since when it did not even sway: no instant was faster
    resumed: bool | None


def evaluate(
    bundle: Bundle,
    blows: Sequence[Blow],
    pool: Pool = processes,
    progress: Callable[[float], None] = lambda done: None,
    work: Path | None = None,
) -> list[Outcome]:
    """Every trial; interrupted by Ctrl-C, those that are done.

    Args:
        work: where the boards are made while a trial runs; the system's place for what is temporary
            where None.
    """
    outcomes: list[Outcome] = []
    try:
        for done, outcome in enumerate(pool(attempt, (bundle, work), blows), 1):
            outcomes.append(outcome)
            progress(done / len(blows))
    except KeyboardInterrupt:
        if not outcomes:
            raise
    return outcomes


def attempt(given: tuple[Bundle, Path | None], blow: Blow) -> Outcome:
    """One trial, in lock-step."""
    bundle, work = given
    with tempfile.TemporaryDirectory(prefix="rmedge-", dir=work) as boards:
        return Ordeal(bundle, Path(boards), blow).run()


class Ordeal:
    """One fault, from a standing start to a while after it is over."""

    def __init__(self, bundle: Bundle, boards: Path, blow: Blow) -> None:
        self.blow = blow
        faults = []
        if blow.kind in KINDS:
            at_ns, for_ns = round(blow.at_s * 1e9), round(blow.for_s * 1e9)
            faults = [Fault(blow.kind, at_ns, for_ns, blow.amount, blow.share, blow.joint, blow.seed)]
        self.rig = Rig(bundle, boards, faults, blow.seed)
        self.rng = np.random.default_rng((blow.seed, 1))
        self.hits = self.late = 0
        self.damping_ms: float | None = None
        self.damped_at_s: float | None = None
        self.fell_at_s: float | None = None
        self.unbroken = True

    def run(self) -> Outcome:
        """Until it is over, or the robot has been damped or has fallen for a moment."""
        rig, blow = self.rig, self.blow
        until_s = blow.sees_s + RESUME_S if blow.kind in EYES else blow.end_s + AFTER_S
        try:
            while rig.now_s < until_s:
                self._tick()
                ends_s = [at for at in (self.damped_at_s, self.fell_at_s) if at is not None]
                if ends_s and rig.now_s > min(ends_s) + STREAM_S:
                    break
        finally:
            rig.close()
        return self._told()

    def _tick(self) -> None:
        rig, blow = self.rig, self.blow
        on = blow.at_s <= rig.now_s < blow.end_s
        OWNED.get(blow.kind, _nothing)(self, on)
        fresh = rig.watch()
        if on and blow.kind.startswith("intent."):
            self._spoil(fresh)
        damped, stopped, timeouts = rig.witness.damped, rig.witness.stopped_ns, rig.robot.timeouts
        rig.act()
        if stopped is not None and rig.witness.damped == damped:
            self.unbroken = False
        if self.damped_at_s is None and rig.witness.stopped_ns is not None:
            self._damped()
        elif rig.alive and rig.witness.stopped_ns is None and rig.idle_ns > LATEST_NS:
            self.late += 1
        if blow.kind == "body.stall" and on and self.rng.random() < 0.05:
            self.hits += 1
            rig.clock.sleep_until_ns(rig.clock.now_ns() + round(blow.amount * 1e9))
        now_s = rig.now_s
        rig.advance()
        if rig.robot.timeouts > timeouts and self.damped_at_s is None:  # it did before this step of the world
            self.damped_at_s, self.damping_ms = now_s, (now_s - blow.at_s) * 1e3
        if self.fell_at_s is None and self.damped_at_s is None and rig.robot.world.fell:
            self.fell_at_s = rig.now_s

    def _damped(self) -> None:
        rig = self.rig
        self.damped_at_s = rig.now_s
        if self.blow.kind in SENSED:
            self.damping_ms = (rig.now_s - self.blow.at_s) * 1e3
        elif rig.idle_ns > 0:
            self.damping_ms = rig.idle_ns / 1e6

    def _spoil(self, fresh: bool) -> None:
        """What is on the board, before anybody can read it."""
        path = self.rig.boards / "intent"
        if self.blow.kind == "intent.corrupt":
            corrupt(path, int(self.rng.integers(2**31)), 8, HEADER.itemsize)
            self.hits += 1
        elif fresh:
            self.hits += 1
            _tear(path, self.rig.post.board.sequence if self.rig.post else 0, self.rng)

    def _told(self) -> Outcome:
        rig, blow = self.rig, self.blow
        parts = (rig.camera, rig.encoder, rig.policy, rig.actuator)
        moved = np.array(rig.moved)
        before = moved[(moved[:, 0] > blow.at_s - 0.5) & (moved[:, 0] <= blow.at_s)]
        still_s = resumed = drift_m_s = drift_rad_s = stood = None
        over = self.fell_at_s is not None or self.damped_at_s is not None
        if blow.kind in BLIND and blow.for_s >= STAND_S + SECOND_S + 0.1:
            drift_m_s, drift_rad_s = _drift(moved, blow)
            stood = not over and drift_m_s < STANDS[0] and drift_rad_s < STANDS[1]
            still_s = None if over else _still_after(moved, blow)
        if blow.kind in EYES:
            back = moved[moved[:, 0] > blow.sees_s + RESUME_S - 0.8]
            resumed = not over and len(back) > 0 and float(back[:, 1].mean()) > WALKS
        return Outcome(
            blow=blow,
            hits=self.hits + sum(sum(getattr(part, "hits", {}).values()) for part in parts),
            fell_at_s=self.fell_at_s,
            damped_at_s=self.damped_at_s,
            reason=rig.body.reason,
            damping_ms=self.damping_ms,
            late=self.late,
            unbroken=self.unbroken,
            commands=rig.witness.commands,
            unsafe=dict(rig.witness.unsafe),
            torn=rig.torn,
            torn_accepted=rig.torn_accepted,
            speed=float(before[:, 1].mean()) if len(before) else 0.0,
            stood=stood,
            drift_m_s=drift_m_s,
            drift_rad_s=drift_rad_s,
            still_s=still_s,
            resumed=resumed,
        )


def _nothing(ordeal: Ordeal, on: bool) -> None:
    pass


def _kill_vision(ordeal: Ordeal, on: bool) -> None:
    rig = ordeal.rig
    if on and rig.vision is not None:
        ordeal.hits += 1
        rig.kill()
    elif not on and rig.vision is None:
        rig.wake()


def _freeze_vision(ordeal: Ordeal, on: bool) -> None:
    ordeal.hits += on
    ordeal.rig.looking = not on


def _silence(ordeal: Ordeal, on: bool) -> None:
    ordeal.hits += on
    ordeal.rig.operator = not on
    if not on and ordeal.rig.now_s > ordeal.blow.at_s:
        ordeal.rig.body.run()  # the operator is back, and says so


def _kill_body(ordeal: Ordeal, on: bool) -> None:
    if ordeal.rig.now_s >= ordeal.blow.at_s:
        ordeal.hits += 1
        ordeal.rig.alive = False


OWNED: Mapping[str, Callable[[Ordeal, bool], None]] = {
    "vision.killed": _kill_vision,
    "vision.frozen": _freeze_vision,
    "operator.silent": _silence,
    "body.killed": _kill_body,
}


def _tear(path: Path, sequence: int, rng: np.random.Generator) -> None:
    """Put a part of the record before into the newest one, behind its writer's back."""
    with open(path, "r+b") as file:
        slot = (os.fstat(file.fileno()).st_size - HEADER.itemsize) // SLOTS
        new, old = (HEADER.itemsize + (n % SLOTS) * slot for n in (sequence, sequence - 1))
        size = int(rng.integers(24, slot - 8))  # at least its stamps, at most all but the checksum
        file.seek(old + 8)
        part = file.read(size - 8)
        file.seek(new + 8)
        file.write(part)


def _drift(moved: np.ndarray, blow: Blow) -> tuple[float, float]:
    """The fastest mean motion [m/s, rad/s] of any second from `STAND_S` after vision died to its end."""
    since = moved[(moved[:, 0] > blow.at_s + STAND_S) & (moved[:, 0] <= blow.end_s)]
    if len(since) < 2 or since[-1, 0] - since[0, 0] < SECOND_S:  # it had fallen before
        return math.inf, math.inf
    window = round(SECOND_S / (since[1, 0] - since[0, 0]))
    went = since[window:] - since[:-window]
    speed = np.hypot(went[:, 3], went[:, 4]) / went[:, 0]
    return float(speed.max()), float((np.abs(went[:, 5]) / went[:, 0]).max())


def _still_after(moved: np.ndarray, blow: Blow) -> float | None:
    """When an instant was last faster than `STANDS`, if none was just before vision came back."""
    blind = moved[(moved[:, 0] > blow.at_s) & (moved[:, 0] <= blow.end_s)]
    fast = (blind[:, 1] >= STANDS[0]) | (np.abs(blind[:, 2]) >= STANDS[1])
    if not len(blind) or fast[-1]:
        return None
    return float(blind[fast, 0].max(initial=blow.at_s) - blow.at_s)
