"""Closed-loop evaluation of policies: intents by their captions, in the simulator, beside the teachers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

import numpy as np

from rmedge import robots
from rmedge.benchmarks.policies import grid
from rmedge.benchmarks.policies.grid import Cell
from rmedge.benchmarks.policies.measures import measure
from rmedge.benchmarks.policies.recording import Recorder, Recording
from rmedge.benchmarks.policies.withholding import Withheld
from rmedge.benchmarks.pool import Pool, processes
from rmedge.bundle import Bundle
from rmedge.export.motions.teachers import ACTION_SCALE, NAMES
from rmedge.robots import Robot
from rmedge.runtimes import Loop, Mirror, load
from rmedge.runtimes.actuators.sim import SimActuator
from rmedge.runtimes.cameras.null import NullCamera
from rmedge.specs import ActionChunk, RobotState
from rmedge.trace import Trace

if TYPE_CHECKING:
    from rmedge.export.motions.troupe import Motion, Troupe

__all__ = [
    "STUDENT",
    "TEACHER",
    "TeacherPolicy",
    "Trial",
    "begin",
    "evaluate",
    "follow",
    "lead",
    "troupe_of",
    "walk",
]

STUDENT = "student"  # the bundle's own policy
TEACHER = "teacher"  # who shows the very motion that a caption asks for


@dataclass(frozen=True)
class Trial:
    """What one policy made of one cell."""

    policy: str
    cell: Cell
    fell_at_s: float | None
    measures: Mapping[str, Any]

    def told(self) -> dict[str, Any]:
        """All of it, flat."""
        return {"policy": self.policy, **asdict(self.cell), "fell_at_s": self.fell_at_s, **self.measures}


class TeacherPolicy:
    """A teacher in the policy's place: the same sensors, loop, envelope and physics; chunks of one row."""

    def __init__(self, troupe: Troupe, motion: Motion, period_ns: int) -> None:
        self.period_ns = period_ns
        self.motion = motion  # it may change while it is shown
        self._troupe = troupe

    def reset(self, seed: int = 0) -> None:
        self._troupe.reset(0)
        self._action = np.zeros((1, len(self._troupe.robot.joints)))
        self._start_ns: int | None = None

    def act(
        self, state: RobotState, z: np.ndarray, trace: Trace | None = None, sent: np.ndarray | None = None
    ) -> ActionChunk:
        if self._start_ns is None:
            self._start_ns = state.stamp_ns
        felt = {
            name: getattr(state, name)[None]
            for name in ("joint_pos", "joint_vel", "base_ang_vel", "projected_gravity")
        }
        clock_s = (state.stamp_ns - self._start_ns) / 1e9
        self._action = self._troupe.act(felt, [self.motion], clock_s, self._action)
        targets = self._troupe.robot.default_pose + ACTION_SCALE * self._action
        return ActionChunk(targets, state.stamp_ns, self.period_ns)


# what a process makes once, by what it depends on
_mirrors: dict[str, tuple[Mirror, Any]] = {}


def _mirror(bundle: Bundle) -> tuple[Mirror, Any]:
    """A bundle's mirror, and the policy that it came with."""
    if bundle.sha256 not in _mirrors:
        mirror = load(bundle)
        _mirrors[bundle.sha256] = mirror, mirror.pilot.policy
    return _mirrors[bundle.sha256]


@lru_cache(maxsize=None)
def troupe_of(robot: str) -> Troupe:
    from rmedge.export.motions.troupe import Troupe

    return Troupe(robots.load(robot), 1)


@lru_cache(maxsize=None)
def _model(robot: str, physics: str) -> Any:
    from rmedge.runtimes.physics import build, choose

    return build(robots.load(robot), choose(physics))


def follow(bundle: Bundle, cell: Cell, seconds: float) -> Recording:
    """A bundle's own policy on the intent of the cell's caption."""
    mirror, policy = _mirror(bundle)
    z = next(phrase.z for phrase in bundle.intent.vocabulary if phrase.caption == cell.caption)
    mirror.follow(z)
    return _run(mirror, policy, cell, seconds)


def lead(bundle: Bundle, cell: Cell, seconds: float, **other: str) -> Recording:
    """The teacher of the cell's caption in the place of a bundle's policy; ``other``: gait or gesture."""
    from rmedge.export.motions.troupe import Motion

    phrase = grid.asked(cell.caption)
    asked = {"gait": phrase.gait, "gesture": phrase.gesture, **other}
    mirror, policy = _mirror(bundle)
    motion = Motion(command=np.array(phrase.velocity), **asked)
    teacher = TeacherPolicy(troupe_of(bundle.robot.name), motion, policy.period_ns)
    return _run(mirror, teacher, cell, seconds)


def begin(body: Robot, seed: int | None) -> SimActuator:
    """A robot in the reference physics at the start of this seed; None: it stands as it is."""
    robot = SimActuator(body, model=_model(body.name, grid.REFERENCE))
    return robot if seed is None else _started(robot, seed)


def _started(robot: SimActuator, seed: int) -> SimActuator:
    """The same start for whoever walks."""
    rng = np.random.default_rng(seed)
    robot.world.joint_pos[:] += rng.uniform(-0.03, 0.03, len(robot.robot.joints))
    robot.world.data.qvel[:2] += rng.normal(0, 0.1, 2)
    return robot


def _run(mirror: Mirror, policy: Any, cell: Cell, seconds: float) -> Recording:
    """One policy in one cell, through the public loop."""
    from rmedge.runtimes.physics import choose

    body, perturbation = mirror.bundle.robot, cell.perturbation
    model = None if perturbation.roughness_m else _model(body.name, cell.physics)
    robot = _started(SimActuator(body, choose(cell.physics), perturbation, model), cell.seed)
    mirror.pilot.policy = Withheld(policy, cell.withholding, cell.seed)  # type: ignore[assignment]
    recorder = Recorder(robot)
    trace = Loop(NullCamera(), mirror, robot).run(seconds, seed=cell.seed, on_tick=recorder)
    if trace.stop_reason == "interrupted":
        raise KeyboardInterrupt
    return recorder.of(trace)


def walk(bundles: Mapping[str, Bundle], job: tuple[Cell, float]) -> list[Trial]:
    """One cell, for every policy: the bundles', the caption's own teacher, and each teacher of walking.

    The teachers of walking are the references of velocity: the same command, without a gesture.
    """
    cell, seconds = job
    recordings = {name: follow(bundle, cell, seconds) for name, bundle in bundles.items()}
    student, phrase = bundles[STUDENT], grid.asked(cell.caption)
    own = recordings[TEACHER] = lead(student, cell, seconds)
    for gait in NAMES:
        same = (phrase.gait, phrase.gesture) == (gait, "none")
        recordings[gait] = own if same else lead(student, cell, seconds, gait=gait, gesture="none")
    asked = np.array(phrase.velocity)
    return [
        Trial(name, cell, done.fell_at_s, measure(student.robot, done, own, asked))
        for name, done in recordings.items()
    ]


def evaluate(
    bundles: Mapping[str, Bundle],
    cells: Sequence[Cell],
    seconds: float = 10.0,
    pool: Pool = processes,
    progress: Callable[[float], None] = lambda done: None,
) -> list[Trial]:
    """Every cell for every policy; ``bundles``: by the name of their policy, `STUDENT` among them.

    Interrupted by Ctrl-C, it returns the trials of the cells that are done.
    """
    trials: list[Trial] = []
    try:
        jobs = [(cell, seconds) for cell in cells]
        for done, cell_trials in enumerate(pool(walk, dict(bundles), jobs), 1):
            trials += cell_trials
            progress(done / len(cells))
    except KeyboardInterrupt:
        if not trials:
            raise
    return trials
