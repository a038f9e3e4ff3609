"""Closed-loop motion of the teachers and of students under their eyes: labelled control ticks.

One rollout file is one seeded shard: a fleet of robots in MuJoCo, each following a schedule of
segments (a teacher, a velocity command, an intent) for a few seconds. At every tick the segment's
teacher says what it would do; who *acts* is the teacher itself (with noise), or the student (DAgger,
Ross et al. 2011).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rmedge.export.teachers import ACTION_SCALE, Clock, Teacher
from rmedge.robots import Robot
from rmedge.runtimes import physics

__all__ = ["Fleet", "Segment", "Ticks", "roll", "sample_command"]

TICK_HZ = 50
# one tick's observation: terms and their scales, in order; `packing` writes the same table into the bundle
TERMS = (
    ("base_ang_vel", 0.25),
    ("projected_gravity", 1.0),
    ("joint_pos", 1.0),
    ("joint_vel", 0.05),
    ("actions", 1.0),
)
STEPS = 10  # physics steps a tick
SEGMENT_TICKS = (75, 150)
TRIAL_TICKS = 400
Student = Callable[
    [np.ndarray, np.ndarray], np.ndarray
]  # history (B, To, Do), intent (B, Z) -> action (B, Da)


@dataclass(frozen=True)
class Segment:
    """What is asked for a while: a teacher, its velocity command, and the intent that says the same."""

    teacher: int
    command: np.ndarray  # (3,) in [-1, 1]
    z: np.ndarray | None = None  # (Z,); None while there is no intent space yet


@dataclass
class Ticks:
    """Control ticks of many trials, one row each; trials follow one another."""

    proprio: np.ndarray  # (T, Do) scaled observation of one tick, see `proprio`
    label: np.ndarray  # (T, Da) what the segment's teacher would do
    motion: np.ndarray  # (T, 37) motion features, see `motion`
    trial: np.ndarray  # (T,) int32
    segment: np.ndarray  # (T,) int32, counts the segments of all trials
    teacher: np.ndarray  # (T,) int8
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
    """N robots on N floors, read and driven as arrays."""

    def __init__(self, robot: Robot, size: int, kp: np.ndarray, kd: np.ndarray):
        model = physics.build(robot)
        self.robot = robot
        self.worlds = [physics.World(robot, model=model) for _ in range(size)]
        self.worlds[0].set_gains(kp, kd)  # one model serves them all
        self._sent = np.tile(robot.default_pose, (size, 1))

    def reset(self, index: int, yaw: float) -> None:
        self.worlds[index].reset(yaw)
        self._sent[index] = self.robot.default_pose

    def read(self) -> dict[str, np.ndarray]:
        """joint_pos, joint_vel (N, Da); base_ang_vel, projected_gravity (N, 3)."""
        worlds = self.worlds
        return {
            "joint_pos": np.array([w.joint_pos for w in worlds]),
            "joint_vel": np.array([w.joint_vel for w in worlds]),
            "base_ang_vel": np.array([w.data.qvel[3:6] for w in worlds]),
            "projected_gravity": np.array([w.projected_gravity for w in worlds]),
        }

    def drive(self, action: np.ndarray) -> None:
        """One policy tick towards actions (N, Da), with the runtime's linear interpolation."""
        target = self.robot.default_pose + ACTION_SCALE * action
        for world, start, end in zip(self.worlds, self._sent, target):
            for step in range(1, STEPS + 1):
                world.step(start + (end - start) * (step / STEPS))
        self._sent = target

    def push(self, index: int, rng: np.random.Generator, speed: float) -> None:
        """Change a robot's planar velocity by ``speed`` [m/s] in a random direction."""
        angle = rng.uniform(0, 2 * math.pi)
        self.worlds[index].data.qvel[:2] += speed * np.array([math.cos(angle), math.sin(angle)])


def proprio(state: dict[str, np.ndarray], last_action: np.ndarray, robot: Robot) -> np.ndarray:
    """One tick's observation (N, Do): the bundle's terms, in the bundle's order and scales."""
    relative = {**state, "joint_pos": state["joint_pos"] - robot.default_pose, "actions": last_action}
    return np.concatenate([relative[name] * scale for name, scale in TERMS], axis=1).astype(np.float32)


def motion(fleet: Fleet) -> np.ndarray:
    """What a tick's motion is (N, 37): vx, vy, yaw rate, gravity 3, joint positions 29, contacts 2."""
    default = fleet.robot.default_pose
    rows = [
        np.concatenate([w.velocity, w.projected_gravity, w.joint_pos - default, w.foot_contacts])
        for w in fleet.worlds
    ]
    return np.array(rows, dtype=np.float32)


def roll(
    robot: Robot,
    seed: int,
    trials: int,
    ask: Callable[[np.random.Generator], Segment],
    student: Student | None = None,
    history: int = 5,
    progress: Callable[[float], None] = lambda done: None,
) -> Ticks:
    """``trials`` trials of eight seconds, all at once, each under a schedule drawn with ``ask``.

    With a student, the teacher acts for a random while (at most two seconds), then the student does;
    a trial ends where the robot falls. Without one, the teacher acts with noise and pushes.
    """
    rng = np.random.default_rng(seed)
    teachers = [Teacher(robot, name) for name in ("fastsac", "ppo")]
    fleet = Fleet(robot, trials, teachers[0].kp, teachers[0].kd)
    for index in range(trials):
        fleet.reset(index, rng.uniform(-math.pi, math.pi))
    clock = Clock(np.full((trials, 2), math.pi))
    segments = [ask(rng) for _ in range(trials)]
    numbers = np.zeros(trials, dtype=int)
    until = rng.integers(*SEGMENT_TICKS, size=trials)
    noise = rng.choice([0.0, 0.1, 0.3], size=trials)
    handover = rng.integers(0, 100, size=trials) if student else np.full(trials, TRIAL_TICKS)
    action = np.zeros((trials, len(robot.joints)))
    past: np.ndarray | None = None
    alive = np.ones(trials, dtype=bool)
    rows: dict[str, list[np.ndarray]] = {
        k: [] for k in ("proprio", "label", "motion", "segment", "teacher", "command", "intent", "alive")
    }
    for tick in range(TRIAL_TICKS):
        for index in np.flatnonzero(until == tick).tolist():
            segments[index] = ask(rng)
            until[index] = tick + rng.integers(*SEGMENT_TICKS)
            numbers[index] += 1
        command = np.array([s.command for s in segments])
        who = np.array([s.teacher for s in segments])
        intent = np.array([[] if s.z is None else s.z for s in segments], dtype=np.float32)
        state = fleet.read()
        seen = proprio(state, action, robot)
        past = (
            np.repeat(seen[:, None], history, 1)
            if past is None
            else np.concatenate([past[:, 1:], seen[:, None]], 1)
        )
        phase = clock.advance(np.linalg.norm(command, axis=1) > 0.01)
        label = np.zeros_like(action)
        for number, teacher in enumerate(teachers):
            mine = np.flatnonzero((who == number) & alive)
            observed = teacher.observe(
                action[mine], state["base_ang_vel"][mine], command[mine], phase[mine],
                state["joint_pos"][mine], state["joint_vel"][mine], state["projected_gravity"][mine],
            )  # fmt: skip
            if len(mine):
                label[mine] = teacher.act(observed)
        for key, value in (
            ("proprio", seen), ("label", label), ("motion", motion(fleet)), ("segment", numbers.copy()),
            ("teacher", who), ("command", command), ("intent", intent), ("alive", alive.copy()),
        ):  # fmt: skip
            rows[key].append(value)
        action = label + noise[:, None] * rng.standard_normal(label.shape)
        if student is not None:
            taken = student(past, intent)
            action = np.where((tick >= handover)[:, None], taken, action)
        action = np.clip(action, -100.0, 100.0)
        fleet.drive(action)
        for index in np.flatnonzero(rng.random(trials) < 1 / 150).tolist():
            fleet.push(index, rng, rng.uniform(0.1, 0.6))
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
        teacher=stacked["teacher"][keep].astype(np.int8),
        command=stacked["command"][keep].astype(np.float32),
        intent=stacked["intent"][keep],
        fell=fell,
    )
