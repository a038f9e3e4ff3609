"""Closed-loop evaluation of a policy: commands given as intents, in the simulator, beside its teachers."""

from __future__ import annotations

import math
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Callable

import numpy as np

from rmedge.bundle import Bundle
from rmedge.export.phrases import PHRASES
from rmedge.export.teachers import ACTION_SCALE, NAMES, Clock, Teacher
from rmedge.runtimes import Loop, load
from rmedge.runtimes.actuators.sim import SimActuator
from rmedge.runtimes.cameras.null import NullCamera
from rmedge.specs import ActionChunk, RobotState
from rmedge.trace import Trace

__all__ = ["COMMANDS", "Trial", "evaluate", "summary", "wilson"]

COMMANDS = {
    caption: PHRASES[caption]
    for caption in (
        "stand",
        "walk forward",
        "run forward",
        "walk backward",
        "side-step left",
        "side-step right",
        "turn left",
        "turn right",
        "walk forward, turning left",
        "walk forward, turning right",
        "run forward, turning left",
        "walk backward and to the left",
    )
}  # captions, and the velocity that each asks for [m/s, m/s, rad/s]
SETTLING_TICKS = 50  # contracts, section 2: the error counts after the first second
STUDENT = "student"


@dataclass(frozen=True)
class Trial:
    """One robot, one command, one seed."""

    who: str
    caption: str
    seed: int
    fell_at_s: float | None
    error: tuple[float, ...]  # (3,) mean |achieved - asked| [m/s, m/s, rad/s]
    achieved: tuple[float, ...]  # (3,) mean velocity


class TeacherPolicy:
    """A velocity teacher in the policy's place: the same loop, envelope and physics."""

    period_ns = 20_000_000

    def __init__(self, teacher: Teacher, command: np.ndarray) -> None:
        self._teacher, self._command = teacher, command[None]

    def reset(self, seed: int = 0) -> None:
        self._clock = Clock(np.full((1, 2), math.pi))
        self._action = np.zeros((1, len(self._teacher.robot.joints)))

    def act(self, state: RobotState, z: np.ndarray, trace: Trace | None = None) -> ActionChunk:
        phase = self._clock.advance(np.linalg.norm(self._command, axis=1) > 0.01)
        seen = self._teacher.observe(
            self._action, state.base_ang_vel[None], self._command, phase, state.joint_pos[None],
            state.joint_vel[None], state.projected_gravity[None],
        )  # fmt: skip
        self._action = self._teacher.act(seen)
        targets = self._teacher.robot.default_pose + ACTION_SCALE * self._action
        return ActionChunk(targets, state.stamp_ns, self.period_ns)


def walk(job: tuple[Bundle, str, str, int, float]) -> Trial:
    """Run one trial."""
    bundle, who, caption, seed, seconds = job
    mirror = load(bundle)
    asked = np.array(COMMANDS[caption])
    if who != STUDENT:
        mirror.policy = TeacherPolicy(Teacher(bundle.robot, who), asked)  # type: ignore[assignment]
    robot = SimActuator(bundle.robot)
    rng = np.random.default_rng(seed)  # the same start for whoever walks
    robot.world.joint_pos[:] += rng.uniform(-0.03, 0.03, len(bundle.joint_names))
    robot.world.data.qvel[:2] += rng.normal(0, 0.1, 2)
    z = next(phrase.z for phrase in bundle.intent.vocabulary if phrase.caption == caption)
    velocity: list[np.ndarray] = []

    def look(trace: Trace) -> bool:
        velocity.append(robot.world.velocity)
        return robot.fell_at_s is not None

    mirror.follow(z)
    Loop(NullCamera(), mirror, robot).run(seconds, seed=seed, on_tick=look)
    steady = np.array(velocity[SETTLING_TICKS:]) if len(velocity) > SETTLING_TICKS else np.array(velocity)
    error = np.abs(steady - asked).mean(0)
    return Trial(who, caption, seed, robot.fell_at_s, tuple(error.tolist()), tuple(steady.mean(0).tolist()))


def evaluate(
    bundle: Bundle,
    seeds: int = 3,
    seconds: float = 10.0,
    progress: Callable[[float], None] = lambda done: None,
) -> list[Trial]:
    """Every command and seed, walked by the bundle's policy and by each teacher, on all cores."""
    jobs = [
        (bundle, who, caption, seed, seconds)
        for who in (STUDENT, *NAMES)
        for caption in COMMANDS
        for seed in range(seeds)
    ]
    trials = []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for trial in pool.map(walk, jobs, chunksize=4):
            trials.append(trial)
            progress(len(trials) / len(jobs))
    return trials


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927)."""
    if not trials:
        return 0.0, 1.0
    p = successes / trials
    centre = p + z * z / (2 * trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def summary(trials: list[Trial]) -> dict[str, Any]:
    """Success and velocity error of each, and the student's error against the better teacher's."""
    rows: dict[str, Any] = {}
    for who in dict.fromkeys(trial.who for trial in trials):
        mine = [trial for trial in trials if trial.who == who]
        stood = sum(trial.fell_at_s is None for trial in mine)
        error = np.mean([trial.error for trial in mine], 0)
        rows[who] = {
            "success": stood / len(mine),
            "interval": wilson(stood, len(mine)),
            "trials": len(mine),
            "velocity_error": error.tolist(),
            "velocity_error_mean": float(error.mean()),
        }
    best = min((row["velocity_error_mean"], who) for who, row in rows.items() if who != STUDENT)
    rows[STUDENT]["reference"] = best[1]
    rows[STUDENT]["velocity_error_ratio"] = rows[STUDENT]["velocity_error_mean"] / best[0]
    return rows
