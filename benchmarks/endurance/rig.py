"""The rig: eyes, boards, body and a simulated robot, in lock-step, with faults around any of them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Sequence

import numpy as np

import rmedge
from rmedge.benchmarks.endurance.witness import Overheard, Witness
from rmedge.benchmarks.policies.closed_loop import begin
from rmedge.bundle import Bundle
from rmedge.clock import Clock, ManualClock
from rmedge.monitor import Monitor
from rmedge.rate import Rate
from rmedge.runtimes.boards import Board
from rmedge.runtimes.body import Body
from rmedge.runtimes.cameras.video import VideoCamera
from rmedge.runtimes.encoder import Encoder
from rmedge.runtimes.pilot import Pilot
from rmedge.runtimes.processes.vision import Sight, Vision
from rmedge.specs import Frame, Intent
from rmedge.states import State
from rmedge.testing import Fault, faulty
from rmedge.trace import Marks

__all__ = ["WALK", "Endless", "Rig", "pictures"]

WALK = Path(rmedge.__file__).parent / "samples" / "walk.mp4"
RATE_HZ = 30.0  # of that clip
WALKS = (50, 276)  # its pictures in which the person walks: ahead, then in an arc to the left
START_NS = 7_000_000_000  # nobody may take a clock to start at zero
DESK_NS = 20_000_000  # between two signs of life of the operator


@lru_cache(maxsize=None)
def pictures() -> tuple[np.ndarray, ...]:
    """(H, W, 3) each: the walking person of the sample clip."""
    camera, clock = VideoCamera(WALK), ManualClock()
    camera.attach(clock)
    found = []
    with camera:
        for number in range(WALKS[1]):
            clock.sleep_until_ns(round((number + 0.5) * 1e9 / RATE_HZ))
            frame = camera.read(10**9)
            if number >= WALKS[0] and frame is not None:
                found.append(frame.pixels)
    return tuple(found)


class Endless:
    """Pictures as a camera, from the first again after the last."""

    def __init__(self, shown: Sequence[np.ndarray], rate_hz: float = RATE_HZ) -> None:
        self._shown, self._period_ns = shown, round(1e9 / rate_hz)
        self._clock, self._start_ns = Clock(), 0

    def attach(self, clock: Clock) -> None:
        self._clock, self._start_ns = clock, clock.now_ns()

    def read(self, max_age_ns: int) -> Frame | None:
        now_ns = self._clock.now_ns()
        number, age_ns = divmod(now_ns - self._start_ns, self._period_ns)
        if age_ns > max_age_ns:
            return None
        return Frame(self._shown[number % len(self._shown)], now_ns - age_ns, now_ns, number)

    def __enter__(self) -> Endless:
        return self

    def __exit__(self, *exc: Any) -> None:
        pass


class Post:
    """A board's writer whose records leave when vision is done with them, not before.

    Vision has its own clock, which is ahead while it is busy: what it posts then is not there yet.
    """

    def __init__(self, board: Board, clock: Clock) -> None:
        self.board, self.record = board, board.record.copy()
        self.sent: set[tuple[Any, ...]] = set()  # what was ever said, to the bit
        self._clock = clock
        self._waiting: list[tuple[int, Any]] = []

    def publish(self) -> None:
        self._waiting.append((self._clock.now_ns(), self.record.copy()))

    def deliver(self, now_ns: int) -> bool:
        """Publish what is due; whether there was any."""
        due = bool(self._waiting and self._waiting[0][0] <= now_ns)
        while self._waiting and self._waiting[0][0] <= now_ns:
            record = self._waiting.pop(0)[1]
            for name in record.dtype.names:
                self.board.record[name] = record[name]
            self.board.publish()
            self.sent.add(_key(record["captured_ns"], record["z"][: record["size"]], record["certainty"]))
        return due


def _key(captured_ns: Any, z: np.ndarray, certainty: Any) -> tuple[Any, ...]:
    return int(captured_ns), z.tobytes(), float(certainty)


@lru_cache(maxsize=2)
def _pilot(bundle: Bundle) -> tuple[Pilot, Any]:
    """A process's one pilot, and the policy that it came with."""
    pilot = Pilot(bundle)
    return pilot, pilot.policy


@lru_cache(maxsize=2)
def _encoder(bundle: Bundle) -> Encoder:
    return Encoder(bundle)


class Rig:
    """All of it on one clock; ``tick`` is one write period, in which every part has its turn.

    Vision runs on a clock of its own, so that what takes it long delays nobody else.

    Args:
        faults: put around camera, encoder, policy and actuator; their time counts from now on.
        boards: an empty directory.

    Attributes:
        torn_accepted: intents that were taken up though nobody had posted them so.
        moved: what the robot really did, a row a policy tick: time [s], planar speed [m/s], yaw rate
            [rad/s], place x, y [m], heading [rad].
        operator, alive, looking: whether the operator, the body and vision do anything at all.
    """

    def __init__(self, bundle: Bundle, boards: Path, faults: Sequence[Fault] = (), seed: int = 0) -> None:
        self.bundle, self.boards = bundle, boards
        self.clock, self.eyes = ManualClock(START_NS), ManualClock(START_NS)
        self.pilot, policy = _pilot(bundle)
        joints = len(bundle.joint_names)
        plan_ns = bundle.policy.outputs["action_chunk"][1] * bundle.policy.period_ns
        broken = {fault.part for fault in faults}

        def wrap(name: str, part: Any, clock: Clock) -> Any:  # what nothing is the matter with stays as it is
            return faulty(part, faults, clock) if name in broken else part

        self.policy: Any = wrap("policy", policy, self.clock)
        self.overheard = Overheard(self.policy, joints, START_NS + plan_ns)
        self.pilot.policy = self.overheard  # type: ignore[assignment]
        self.pilot.follow(None)
        self.pilot.reset(seed)
        self.robot = begin(bundle.robot, seed)
        self.actuator: Any = wrap("actuator", self.robot, self.clock)
        self.witness = Witness(self.actuator, bundle, self.clock)
        self.witness.attach(self.clock)
        self.camera: Any = wrap("camera", Endless(pictures()), self.eyes)
        self.camera.attach(self.eyes)
        self.encoder: Any = wrap("encoder", _encoder(bundle), self.eyes)
        self.post: Post | None = None
        self.wake()
        self._sight = Sight(boards)
        monitor = Monitor(bundle.budgets, bundle.joint_names)
        self.body = Body(self.pilot, self.witness, self.clock, self._see, monitor, State.RUN)
        self.rate = Rate(self.clock, self.pilot.write_period_ns)
        self._looks_ns = START_NS  # when vision looks next
        self._every = round(bundle.policy.period_ns / self.pilot.write_period_ns)
        self.ticks = self.torn_accepted = 0
        self.moved: list[tuple[float, ...]] = []
        self._seen: Intent | None = None
        self.operator = self.alive = self.looking = True
        self._sent: set[tuple[Any, ...]] = self.post.sent if self.post else set()

    @property
    def now_s(self) -> float:
        """Since the beginning [s]."""
        return (self.clock.now_ns() - START_NS) / 1e9

    @property
    def torn(self) -> int:
        """Records that the reader rejected."""
        board = self._sight._board
        return 0 if board is None else board.torn

    def wake(self) -> None:
        """A new vision process: it remembers nothing, and takes over the board."""
        sent = self.post.sent if self.post else set()
        board = Board.create(self.boards, "intent")
        self.post = Post(board, self.eyes)
        self.post.sent = sent
        self.encoder.reset()
        image_ns = self.bundle.budgets.image_ns
        self.vision: Vision | None = Vision(self.encoder, self.camera, self.post, self.eyes, image_ns)  # type: ignore[arg-type]

    def kill(self) -> None:
        """The vision process dies: its board has no writer any more."""
        if self.post is not None:
            self.post.board.close()
            sent, self.post, self.vision = self.post.sent, None, None
            self._sent = sent

    def tick(self, trace: Marks | None = None) -> None:
        """One write period."""
        self.watch()
        self.act(trace)
        self.advance()

    def watch(self) -> bool:
        """Vision's part, when it has one; whether a new record is there."""
        now_ns = self.clock.now_ns()
        if self.vision is not None and self.looking and max(self._looks_ns, self.eyes.now_ns()) <= now_ns:
            self.eyes.sleep_until_ns(now_ns)
            period_ns = self.bundle.encoder.period_ns
            self._looks_ns += max(1, (now_ns - self._looks_ns) // period_ns + 1) * period_ns
            self.vision.step()
        return self.post is not None and self.looking and self.post.deliver(now_ns)

    def act(self, trace: Marks | None = None) -> None:
        """The body's part."""
        if self.operator and self.ticks * self.rate.period_ns % DESK_NS == 0:
            self.body.hear(self.clock.now_ns())
        if self.alive:
            self.body.step(trace)

    def advance(self) -> None:
        """The world's part."""
        self.rate.wait()
        self.robot.advance()
        self.ticks += 1
        if self.ticks % self._every == 0:
            world = self.robot.world
            vx, vy, yaw_rate = world.velocity
            self.moved.append(
                (self.now_s, np.hypot(vx, vy), yaw_rate, *world.pose[:2], self.robot.heading_change)
            )

    @property
    def idle_ns(self) -> int:
        """How long there has been no valid action that the robot took, at most 0 while there is one."""
        now_ns, witness = self.clock.now_ns(), self.witness
        oldest_ns = witness.state_ns + self.bundle.budgets.state_ns
        return now_ns - min(self.overheard.until_ns, oldest_ns, witness.wrote_ns + self.rate.period_ns)

    def forget(self) -> None:
        """Drop what only grows: what the robot did, and what vision said."""
        self.moved.clear()
        if self.post is not None:
            self.post.sent.clear()

    def close(self) -> None:
        """Leave the boards."""
        if self.post is not None:
            self.post.board.close()
        if self._sight._board is not None:
            self._sight._board.close()

    def _see(self) -> Intent | None:
        """What the body sees, compared with what vision said."""
        intent = self._sight()
        if intent is not self._seen and intent is not None:
            self._seen = intent
            said = self.post.sent if self.post is not None else self._sent
            if _key(intent.captured_ns, intent.z, intent.certainty) not in said:
                self.torn_accepted += 1
        return intent
