"""Closed-loop motion of the teachers and of students under their eyes: labelled control ticks.

One rollout file is one seeded shard: a fleet of robots in MuJoCo, each following a schedule of
segments (a motion and the intent that says the same) for a few seconds. At every tick the troupe says
what that motion's teacher would do, seeing the truth; who *acts* is the teacher itself (with noise), or
the student (DAgger, Ross et al. 2011), who sees what late and noisy sensors say, acts on a late and
blurred intent, and whose inferences may be withheld while its last plan plays on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rmedge.export.motions import teachers
from rmedge.export.motions.teachers import ACTION_CLIP, ACTION_SCALE, TICK_HZ
from rmedge.export.motions.troupe import Motion, Senses, Troupe
from rmedge.robots import Robot
from rmedge.runtimes import physics
from rmedge.runtimes.perturbation import CALM, Perturbation

__all__ = ["Fleet", "Segment", "Ticks", "roll", "sample_command"]

# one tick's observation: terms and their scales, in order; `packing` writes the same table into the bundle
TERMS = (
    ("base_ang_vel", 0.25),
    ("projected_gravity", 1.0),
    ("joint_pos", 1.0),
    ("joint_vel", 0.05),
    ("actions", 1.0),
    ("clock", 1.0),
)
STEPS = 10  # physics steps a tick
SEGMENT_TICKS = (75, 150)
TRIAL_TICKS = 400
FRAME_TICKS = 5  # the encoder's period
MOST_LATE = 15  # ticks by which an intent may lag behind the world: 300 ms
# which inferences arrive, again and again; most trials lose none
WITHHELD = ((1,), (1,), (1,), (1, 0), (1, 0, 0, 0), (1, 1, 0))
Student = Callable[
    [np.ndarray, np.ndarray], np.ndarray
]  # history (B, To, Do), intent (B, Z) -> plan (B, Ta, Da)


@dataclass(frozen=True)
class Segment:
    """What is asked for a while, and the intent that says the same."""

    motion: Motion
    z: np.ndarray | None = None  # (Z,); None while there is no intent space yet


@dataclass
class Ticks:
    """Control ticks of many trials, one row each; trials follow one another."""

    proprio: np.ndarray  # (T, Do) scaled observation of one tick, see `proprio`
    label: np.ndarray  # (T, Da) what the segment's teacher would do
    motion: np.ndarray  # (T, 8 + Da) motion features, see `motion`
    trial: np.ndarray  # (T,) int32
    segment: np.ndarray  # (T,) int32, counts the segments of all trials
    gait: np.ndarray  # (T,) int8, index into `teachers.NAMES`
    gesture: np.ndarray  # (T,) int8, index into `Troupe.names`
    command: np.ndarray  # (T, 3)
    intent: np.ndarray  # (T, Z), Z = 0 without an intent space
    fell: np.ndarray  # (trials,) bool

    @classmethod
    def join(cls, parts: list[Ticks]) -> Ticks:
        """Many shards as one; trial and segment numbers stay apart."""
        trial = segment = 0
        renumbered = []
        for part in parts:
            fields = dict(vars(part))
            fields["trial"] = part.trial + trial
            fields["segment"] = part.segment + segment
            trial += len(part.fell)
            segment = int(fields["segment"].max()) + 1
            renumbered.append(fields)
        return cls(**{key: np.concatenate([part[key] for part in renumbered]) for key in renumbered[0]})


def sample_command(rng: np.random.Generator) -> np.ndarray:
    """A velocity command (3,), balanced over the kinds of motion rather than over the cube."""
    kind = rng.choice(8, p=[0.12, 0.2, 0.12, 0.14, 0.12, 0.14, 0.08, 0.08])
    vx, vy, yaw = 0.0, 0.0, 0.0
    side = rng.choice([-1.0, 1.0])
    if kind == 1:  # forward
        vx = rng.uniform(0.15, 1.0) if rng.random() < 0.6 else rng.uniform(0.85, 1.0)  # the fastest run
    elif kind == 2:  # backward
        vx = -rng.uniform(0.15, 1.0)
    elif kind == 3:  # side step
        vy = side * rng.uniform(0.25, 1.0)
    elif kind == 4:  # turn on the spot
        yaw = side * rng.uniform(0.25, 1.0)
    elif kind == 5:  # arc
        vx, yaw = rng.uniform(0.25, 1.0), side * rng.uniform(0.25, 1.0)
    elif kind == 6:  # arc backward, or a diagonal
        vx, vy, yaw = -rng.uniform(0.2, 0.7), rng.uniform(-0.3, 0.3), side * rng.uniform(0.2, 0.7)
    elif kind == 7:
        vx, vy, yaw = rng.uniform(-1, 1, 3)
    return np.array([vx, vy, yaw])


class Fleet:
    """Robots on floors of their own, each with its own perturbation, read and driven as arrays."""

    def __init__(self, robot: Robot, perturbations: Sequence[Perturbation], kp: np.ndarray, kd: np.ndarray):
        even = physics.build(robot)
        self.robot = robot
        self.worlds = [
            physics.World(robot, perturbation=p, model=None if p.roughness_m else even) for p in perturbations
        ]
        for world in self.worlds:
            world.set_gains(kp, kd)
        self._sent = np.tile(robot.default_pose, (len(self.worlds), 1))

    def reset(self, index: int, yaw: float) -> None:
        self.worlds[index].reset(yaw)
        self._sent[index] = self.robot.default_pose

    def senses(self) -> Senses:
        """What the sensors say, noise and delay included."""
        return _stacked([world.senses() for world in self.worlds])

    def truth(self) -> Senses:
        """What is so."""
        return _stacked([world.truth() for world in self.worlds])

    def drive(self, action: np.ndarray) -> None:
        """One policy tick towards actions (N, Da), with the runtime's linear interpolation."""
        target = self.robot.default_pose + ACTION_SCALE * action
        for world, start, end in zip(self.worlds, self._sent, target, strict=True):
            for step in range(1, STEPS + 1):
                world.step(start + (end - start) * (step / STEPS))
        self._sent = target


def _stacked(rows: list[dict[str, np.ndarray]]) -> Senses:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def proprio(senses: Senses, last_action: np.ndarray, clock_s: float, robot: Robot) -> np.ndarray:
    """One tick's observation (N, Do): the bundle's terms, in the bundle's order and scales."""
    felt = {
        **senses,
        "joint_pos": senses["joint_pos"] - robot.default_pose,
        "actions": last_action,
        "clock": np.tile(teachers.clock(clock_s), (len(last_action), 1)),
    }
    return np.concatenate([felt[name] * scale for name, scale in TERMS], axis=1).astype(np.float32)


def motion(fleet: Fleet) -> np.ndarray:
    """What a tick's motion is (N, 8 + Da): vx, vy, yaw rate, gravity 3, joint positions, contacts 2."""
    default = fleet.robot.default_pose
    rows = [
        np.concatenate([w.velocity, w.projected_gravity, w.joint_pos - default, w.foot_contacts])
        for w in fleet.worlds
    ]
    return np.array(rows, dtype=np.float32)


class Glimpses:
    """Intents as a student has them: read from frames that are late, sometimes lost, and never exact."""

    def __init__(self, rng: np.random.Generator, size: int):
        self._rng = rng
        self._late = rng.integers(0, MOST_LATE + 1, size)
        self._lost = rng.choice([0.0, 0.3, 0.6], size)
        self._blur = rng.choice([0.0, 0.05, 0.15], size)
        self._asked: list[np.ndarray] = []

    def see(self, asked: np.ndarray) -> np.ndarray:
        """(B, Z) what is believed at this tick, where ``asked`` (B, Z) is true."""
        tick = len(self._asked)
        self._asked.append(asked)
        if tick == 0:
            self._seen = asked.copy()
        if tick % FRAME_TICKS == 0:
            for n in np.flatnonzero(self._rng.random(len(asked)) >= self._lost).tolist():
                blurred = self._blur[n] * self._rng.standard_normal(asked.shape[1])
                self._seen[n] = self._asked[max(0, tick - self._late[n])][n] + blurred
        return self._seen


class Plans:
    """Chunks as a robot plays them: a withheld inference lets the last one play on."""

    def __init__(self, rng: np.random.Generator, size: int):
        self._pattern = [WITHHELD[n] for n in rng.integers(len(WITHHELD), size=size)]
        self._age = np.zeros(size, dtype=int)
        self._plan = np.zeros(0)  # (B, Ta, Da) once there is one

    def play(self, tick: int, plan: np.ndarray) -> np.ndarray:
        """(B, Da) the actions of this tick, where ``plan`` (B, Ta, Da) has just been thought out."""
        arrives = np.array([bool(pattern[tick % len(pattern)]) for pattern in self._pattern]) | (tick == 0)
        self._plan = np.where(arrives[:, None, None], plan, self._plan) if tick else plan
        self._age = np.where(arrives, 0, self._age + 1)
        row = np.minimum(self._age, plan.shape[1] - 1)
        return self._plan[np.arange(len(plan)), row]


def roll(
    robot: Robot,
    seed: int,
    trials: int,
    ask: Callable[[np.random.Generator], Segment],
    student: Student | None = None,
    perturb: Callable[[np.random.Generator], Perturbation] = lambda rng: CALM,
    restless: bool = True,
    history: int = 5,
    progress: Callable[[float], None] = lambda done: None,
) -> Ticks:
    """``trials`` trials of eight seconds, all at once, each under a schedule drawn with ``ask``.

    With a student, the teacher acts for a random while (at most two seconds), then the student does;
    a trial ends where the robot falls. Without one, the teacher acts with noise and is pushed; unless it
    is not to be ``restless``: what motions *mean* is learnt from how they go undisturbed.
    """
    rng = np.random.default_rng(seed)
    troupe = Troupe(robot, trials)
    fleet = Fleet(robot, [perturb(rng) for _ in range(trials)], troupe.kp, troupe.kd)
    for index in range(trials):
        fleet.reset(index, rng.uniform(-math.pi, math.pi))
    begin_s = rng.uniform(0, teachers.CLOCK_S)
    segments = [ask(rng) for _ in range(trials)]
    numbers = np.zeros(trials, dtype=int)
    until = rng.integers(*SEGMENT_TICKS, size=trials)
    noise = rng.choice([0.0, 0.1, 0.3], size=trials) * restless
    handover = rng.integers(0, 100, size=trials) if student else np.full(trials, TRIAL_TICKS)
    glimpses, plans = Glimpses(rng, trials), Plans(rng, trials)
    action = np.zeros((trials, len(robot.joints)))
    past: np.ndarray | None = None
    alive = np.ones(trials, dtype=bool)
    columns = ("proprio", "label", "motion", "segment", "gait", "gesture", "command", "intent", "alive")
    rows: dict[str, list[np.ndarray]] = {column: [] for column in columns}
    for tick in range(TRIAL_TICKS):
        for index in np.flatnonzero(until == tick).tolist():
            segments[index] = ask(rng)
            until[index] = tick + rng.integers(*SEGMENT_TICKS)
            numbers[index] += 1
        clock_s = begin_s + tick / TICK_HZ
        motions = [segment.motion for segment in segments]
        intent = np.array([[] if s.z is None else s.z for s in segments], dtype=np.float32)
        seen = proprio(fleet.senses(), action, clock_s, robot)
        past = (
            np.repeat(seen[:, None], history, 1)
            if past is None
            else np.concatenate([past[:, 1:], seen[:, None]], 1)
        )
        label = troupe.act(fleet.truth(), motions, clock_s, action)
        for column, value in (
            ("proprio", seen), ("label", label), ("motion", motion(fleet)), ("segment", numbers.copy()),
            ("gait", np.array([teachers.NAMES.index(m.gait) for m in motions])),
            ("gesture", np.array([troupe.names.index(m.gesture) for m in motions])),
            ("command", np.array([m.command for m in motions])), ("intent", intent), ("alive", alive.copy()),
        ):  # fmt: skip
            rows[column].append(value)
        action = label + noise[:, None] * rng.standard_normal(label.shape)
        if student is not None:
            played = plans.play(tick, student(past, glimpses.see(intent)))
            action = np.where((tick >= handover)[:, None], played, action)
        action = np.clip(action, -ACTION_CLIP, ACTION_CLIP)
        fleet.drive(action)
        for index in np.flatnonzero(rng.random(trials) < restless / 150).tolist():
            fleet.worlds[index].push(rng.uniform(0.1, 0.6), rng.uniform(0, 2 * math.pi))
        for index in np.flatnonzero(alive).tolist():
            if fleet.worlds[index].fell:
                alive[index] = False
                fleet.reset(index, 0.0)  # keeps the fleet in step; its rows are dropped
        progress((tick + 1) / TRIAL_TICKS)
    return _tidy(rows, ~alive)


def _tidy(rows: dict[str, list[np.ndarray]], fell: np.ndarray) -> Ticks:
    """Tick-major lists as trial-major arrays, without what came after a fall."""
    stacked = {key: np.swapaxes(np.array(value), 0, 1) for key, value in rows.items()}  # (trials, T, ...)
    keep = stacked.pop("alive")
    trials, ticks = keep.shape
    trial = np.broadcast_to(np.arange(trials)[:, None], (trials, ticks))
    number = trial * TRIAL_TICKS + stacked["segment"]  # the same number never comes back within a trial
    change = np.diff(number[keep], prepend=-1) != 0
    return Ticks(
        proprio=stacked["proprio"][keep],
        label=stacked["label"][keep].astype(np.float32),
        motion=stacked["motion"][keep],
        trial=trial[keep].astype(np.int32),
        segment=(np.cumsum(change) - 1).astype(np.int32),
        gait=stacked["gait"][keep].astype(np.int8),
        gesture=stacked["gesture"][keep].astype(np.int8),
        command=stacked["command"][keep].astype(np.float32),
        intent=stacked["intent"][keep],
        fell=fell,
    )
