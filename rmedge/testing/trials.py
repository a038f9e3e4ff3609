"""Trials: what an actuator must do with commands that are bad, with damping, silence and rivals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rmedge.errors import RmedgeError
from rmedge.specs import JointTarget
from rmedge.testing.bench import STEP_NS, Bench, check_state
from rmedge.testing.verdict import Rule, Unchecked, require, rule

__all__ = ["TRIALS"]

MOVED = 1e-3  # [rad] less is nothing

TRIALS: list[Rule] = []


def _try(bench: Bench, bad: dict[str, JointTarget], fits: Any, expected: str) -> str:
    """Write each between good commands; it is refused, or something that fits goes out instead."""
    refused = 0
    with bench.open() as (actuator, clock):
        for what, wrong in bad.items():
            actuator.write(bench.target(0.0, clock))
            try:
                sent = actuator.write(replace(wrong, stamp_ns=clock.now_ns()))
            except (ValueError, RmedgeError):
                refused += 1
            except Exception as error:
                raise AssertionError(f"write: expected {expected}, got {error!r} for {what}") from error
            else:
                require(isinstance(sent, JointTarget) and fits(sent), "write", expected, f"{what} sent")
            bench.turn(actuator, clock)
            check_state(actuator.read(), bench.joints)
        actuator.write(bench.target(0.0, clock))  # and it goes on
    return f"{refused} of {len(bad)} refused" + (", the others mended" if refused < len(bad) else "")


def _with(target: JointTarget, name: str, numbers: Any) -> JointTarget:
    changed: dict[str, Any] = {name: numbers}
    return replace(target, **changed)


@rule(
    TRIALS,
    "finite",
    "no command with NaN or infinity in it reaches the motors",
    "call target.check(joints) first thing in write(): it raises, and the last good command stands",
)
def _finite(bench: Bench) -> str:
    bad: dict[str, JointTarget] = {}
    with bench.open() as (_, clock):
        good = bench.target(0.0, clock)
    for name in ("joint_pos", "kp", "kd"):
        for value in (np.nan, np.inf, -np.inf):
            numbers = getattr(good, name).copy()
            numbers[bench.joints // 2] = value
            bad[f"{value} in {name}"] = _with(good, name, numbers)

    def fits(sent: JointTarget) -> bool:
        return bool(all(np.isfinite(numbers).all() for numbers in (sent.joint_pos, sent.kp, sent.kd)))

    return _try(bench, bad, fits, "what is not finite refused with a ValueError")


@rule(
    TRIALS,
    "sizes",
    "no command of another size than the robot's joints reaches the motors",
    "call target.check(joints) first thing in write(): a shorter array may otherwise be stretched silently",
)
def _sizes(bench: Bench) -> str:
    with bench.open() as (_, clock):
        good = bench.target(0.0, clock)
    joints = bench.joints
    bad: dict[str, JointTarget] = {}
    for name in ("joint_pos", "kp", "kd"):
        numbers = getattr(good, name)
        for wrong in (numbers[:-1], np.append(numbers, 0.0), numbers[:1], numbers[None], numbers[:0]):
            bad[f"{wrong.shape} in {name}"] = _with(good, name, wrong)

    def fits(sent: JointTarget) -> bool:
        return all(numbers.shape == (joints,) for numbers in (sent.joint_pos, sent.kp, sent.kd))

    return _try(bench, bad, fits, "a wrong size refused with a ValueError")


@rule(
    TRIALS,
    "damp any time",
    "damping before the first command, after it, and again and again, never raises",
    "send damping from damp() itself, without looking at what was sent before",
)
def _any_time(bench: Bench) -> str:
    with bench.open() as (actuator, clock):
        try:
            for _ in range(2):
                actuator.damp()
                actuator.damp()
                bench.turn(actuator, clock)
                actuator.write(bench.target(0.0, clock))
        except Exception as error:
            raise AssertionError(f"damp: expected it to work at any time, got {error!r}") from error
    return "it does"


def _left(bench: Bench, offset: float, damps: int) -> np.ndarray:
    """(Da,) where the joints are, a while after a target was written and the robot was damped so often."""
    with bench.open() as (actuator, clock):
        actuator.write(bench.target(offset, clock))
        for tick in range(20):
            if tick < damps:
                actuator.damp()
            bench.turn(actuator, clock)
        return np.array(actuator.read().joint_pos)


def _limp(bench: Bench, damps: int) -> str:
    """Damped robots go the same way, whatever they were told last."""
    if not bench.simulated:
        raise Unchecked(
            "only a simulated robot can be tried twice alike; move its joints by hand: do they give?"
        )
    difference = float(np.abs(_left(bench, -0.3, damps) - _left(bench, 0.3, damps)).max())
    require(difference == 0.0, "damp", "no stiffness towards the last target", f"{difference} rad of it")
    return "no stiffness left"


@rule(
    TRIALS,
    "damp",
    "no stiffness, only damping, until the next write",
    "send kp = 0 and a kd of 3 to 8 N m s/rad; not zero torque, and not the last position",
)
def _damp(bench: Bench) -> str:
    return _limp(bench, 1)


@rule(
    TRIALS,
    "damp streamed",
    "damping that is sent again in every period keeps damping",
    "let damp() set the state, never toggle it: a stop is streamed, a single frame may be lost",
)
def _streamed(bench: Bench) -> str:
    return _limp(bench, 20)


@rule(
    TRIALS,
    "time-out",
    "an actuator that declares timeout_ns damps itself when nobody writes for so long",
    "compare the last write with the clock where the motors are owned, in firmware at best; stream damping",
)
def _time_out(bench: Bench) -> str:
    with bench.open() as (actuator, _):
        timeout_ns = getattr(actuator, "timeout_ns", None)
        if timeout_ns is None:
            raise Unchecked("it declares no timeout_ns: who answers when the writer dies?")
        if not bench.simulated:
            raise Unchecked(
                "only a simulated robot can be tried twice alike; stop the writer: do its joints give?"
            )
    silent, damped, driven = (_way(bench, timeout_ns, then) for then in ("silent", "damped", "driven"))
    stiff = float(np.abs(driven - damped).max())
    if stiff < MOVED:
        raise Unchecked("its joints do not move")
    share = float(np.abs(silent - damped).max()) / stiff
    require(
        share < 0.25,
        "timeout_ns",
        f"damping after {timeout_ns / 1e6:g} ms without a write",
        f"{100 * share:.0f} % of the way to the last target",
    )
    return f"after {timeout_ns / 1e6:g} ms"


def _way(bench: Bench, timeout_ns: int, then: str) -> np.ndarray:
    """(Da,) how far the joints go after the time-out, when from the first command on this is done."""
    steps = -(-timeout_ns // STEP_NS)
    with bench.open() as (actuator, clock):
        # so slow that the target is far away all the time
        kp = bench.robot.torque_limit / 2
        asked = replace(bench.target(0.3, clock), kp=kp, kd=kp)
        actuator.write(asked)
        for tick in range(2 * steps + 100):
            if tick == steps:
                begin = np.array(actuator.read().joint_pos)
            if tick >= steps and then == "damped":
                actuator.damp()
            if then == "driven":
                actuator.write(replace(asked, stamp_ns=clock.now_ns()))
            bench.turn(actuator, clock)
        return np.array(actuator.read().joint_pos - begin)


@rule(
    TRIALS,
    "one writer",
    "an actuator that declares exclusive refuses a second writer while the first is open",
    "take a lock that the kernel drops at death; ask the robot's own services to let go before",
)
def _one_writer(bench: Bench) -> str:
    with bench.open() as (actuator, clock):
        if not getattr(actuator, "exclusive", False):
            raise Unchecked("it does not declare exclusive: who keeps a second writer away?")
        try:
            with bench.make():
                pass
        except (RmedgeError, OSError) as error:
            refusal = str(error)
        else:
            raise AssertionError("exclusive: expected the second writer refused, got two")
        actuator.write(bench.target(0.0, clock))
    return refusal
