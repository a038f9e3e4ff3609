"""What normal motion asks of the joints, and the limits that leave it alone: measured in the simulator.

``python -m rmedge.benchmarks.policies.limits g1-mirror`` prints them; with ``--amend``, for a bundle's
directory, it writes them into the bundle, with the budgets as they are.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from rmedge.bundle import Bundle, amend
from rmedge.cli import terminal
from rmedge.runtimes import Loop, load
from rmedge.runtimes.actuators.sim import SimActuator
from rmedge.runtimes.cameras.null import NullCamera
from rmedge.runtimes.perturbation import CALM, Perturbation
from rmedge.specs import JointTarget, RobotState
from rmedge.trace import Trace

__all__ = ["Extremes", "main", "measure", "proposed"]

MARGIN = 1.5  # between what was seen and what is allowed
SWITCH_TICKS = 100  # 2 s on one caption, then the next
CAPTION_S, SWITCHED_S, SWITCHED = 8.0, 20.0, 24


class Extremes:
    """The most that any run asked of each joint; runs that ended in a fall do not count."""

    def __init__(self, bundle: Bundle) -> None:
        self.speed = np.zeros(len(bundle.joint_names))  # (Da,) [rad/s]
        self.jerk = np.zeros_like(self.speed)  # (Da,) [rad/s^3] of what was commanded
        self.third = 0.0  # the third fastest joint of an instant [rad/s]
        self.tilt = 0.0  # [rad]
        self.ticks = self.runs = self.falls = 0
        self._lower, self._upper = bundle.envelope.lower, bundle.envelope.upper

    def add(self, wanted: list[np.ndarray], states: list[RobotState], step_s: float, fell: bool) -> None:
        """One run's commands, as they came to the envelope, and the states that they were for."""
        self.runs += 1
        if fell:
            self.falls += 1
            return
        commands = np.clip(wanted, self._lower, self._upper)
        speed = np.abs([state.joint_vel for state in states])
        self.speed = np.maximum(self.speed, speed.max(0))
        self.jerk = np.maximum(self.jerk, np.abs(np.diff(commands, 3, axis=0)).max(0) / step_s**3)
        self.third = max(self.third, float(np.sort(speed)[:, -3].max()))
        self.tilt = max(self.tilt, *(math.acos(min(1.0, -state.projected_gravity[2])) for state in states))
        self.ticks += len(wanted)


def measure(bundle: Bundle, seconds: float = CAPTION_S, switched: int = SWITCHED) -> Extremes:
    """Every caption alone, calm and under `Perturbation.drawn`; then captions that change every 2 s.

    These also under `Perturbation.wild`, which pushes harder than a policy is judged under.
    """
    mirror = load(bundle)
    envelope, extremes, rng = mirror.pilot.envelope, Extremes(bundle), np.random.default_rng(5)
    vocabulary, passing = bundle.intent.vocabulary, envelope.apply
    wanted: list[np.ndarray] = []
    states: list[RobotState] = []

    def listen(target: JointTarget, state: RobotState) -> JointTarget:
        wanted.append(target.joint_pos.copy())
        states.append(state)
        return passing(target, state)

    def run(caption: int | None, seconds: float, perturbation: Perturbation, seed: int) -> None:
        wanted.clear()
        states.clear()
        order = np.random.default_rng(seed)

        def switch(trace: Trace) -> None:
            if caption is None and trace.ticks % SWITCH_TICKS == 0:
                mirror.follow(vocabulary[order.integers(len(vocabulary))].z)

        mirror.follow(vocabulary[order.integers(len(vocabulary)) if caption is None else caption].z)
        robot = SimActuator(bundle.robot, perturbation=perturbation)
        Loop(NullCamera(), mirror, robot).run(seconds, seed, switch)
        step_s = (states[1].stamp_ns - states[0].stamp_ns) * 1e-9
        extremes.add(wanted, states, step_s, robot.fell_at_s is not None)

    envelope.apply = listen  # type: ignore[method-assign]
    for caption in range(len(vocabulary)):
        for perturbation in (CALM, Perturbation.drawn(rng)):
            run(caption, seconds, perturbation, caption)
    for kind in (lambda rng: CALM, Perturbation.drawn, Perturbation.wild):
        for seed in range(switched):
            run(None, SWITCHED_S, kind(rng), seed)
    return extremes


def proposed(bundle: Bundle, extremes: Extremes) -> dict[str, dict[str, Any]]:
    """The sections of the manifest: `MARGIN` above what was seen, and the same for left and right.

    No joint's speed is held below half its published one, and one jerk holds for all joints: a motion that
    nobody has shown yet may ask one joint for what today another does.
    """
    names = [re.sub("(?i)left|right", "*", name) for name in bundle.joint_names]
    sides = np.array([max(s for n, s in zip(names, extremes.speed) if n == name) for name in names])
    speed = np.ceil(np.maximum(MARGIN * sides, bundle.robot.velocity_limit / 2))
    jerk = np.ceil(MARGIN * extremes.jerk.max() / 1e6) * 1e6
    flail = math.ceil(MARGIN * extremes.third)
    return {
        "envelope": {"velocity_limit": speed.tolist(), "jerk_limit": [float(jerk)] * len(speed)},
        "budgets": asdict(replace(bundle.budgets, flail_rad_s=float(flail))),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure, show, and write if asked to."""
    parser = argparse.ArgumentParser("python -m rmedge.benchmarks.policies.limits", description=__doc__)
    parser.add_argument("bundle", help="a shipped name, or a directory")
    parser.add_argument("--amend", action="store_true", help="write the limits into the directory's bundle")
    args = parser.parse_args(argv)
    bundle = Bundle.load(args.bundle)
    extremes = measure(bundle)
    told = proposed(bundle, extremes)
    shown = zip(bundle.joint_names, extremes.speed, *told["envelope"].values(), extremes.jerk)
    terminal.table(
        "asked for, and allowed",
        ("joint", ">rad/s", ">allowed", ">Mrad/s^3", ">allowed"),
        [(joint, f"{v:.1f}", f"{vl:g}", f"{j / 1e6:.2f}", f"{jl / 1e6:g}") for joint, v, vl, jl, j in shown],
    )
    facts = {"runs": f"{extremes.runs}, {extremes.falls} of them fell and do not count"}
    facts["writes"] = f"{extremes.ticks}"
    facts["third fastest joint"] = f"{extremes.third:.1f} rad/s, allowed {told['budgets']['flail_rad_s']:g}"
    facts["tilt"] = f"{extremes.tilt:.2f} rad, allowed {told['budgets']['tilt_rad']:g}"
    terminal.facts(bundle.name, facts)
    if args.amend:
        amend(args.bundle, {}, **told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
