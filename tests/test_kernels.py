"""The kernels: in C and in numpy the same answers, to the bit, whatever they are given."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, Callable

import numpy as np
import pytest

from rmedge import Bundle, kernels
from rmedge.benchmarks.peers.tick import Tick
from rmedge.kernels import plain
from rmedge.runtimes.pilot import Pilot
from rmedge.specs import RobotState

compiled = pytest.importorskip("rmedge.kernels.compiled", reason="nothing was compiled: no compiler here")

JOINTS = 29
NAMES = [name for name in plain.__all__ if hasattr(compiled, name)]
STRANGE = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, 5e-324)


def spoilt(rng: np.random.Generator, numbers: np.ndarray) -> np.ndarray:
    """As they are, or with a number that is none, or of another type, order or length."""
    kind = rng.integers(8)
    if kind == 0 and numbers.size:
        numbers = numbers.copy()
        with np.errstate(over="ignore"):
            numbers.flat[rng.integers(numbers.size)] = numbers.dtype.type(rng.choice(STRANGE))
    elif kind == 1:
        with np.errstate(over="ignore"):
            numbers = numbers.astype(np.float32 if numbers.dtype == float else float)
    elif kind == 2:
        numbers = np.repeat(numbers, 2, axis=-1)[..., ::2]
    elif kind == 3:
        numbers = numbers[..., :-1]
    return numbers


def limits_of(rng: np.random.Generator) -> np.ndarray:
    """(rows, joints) limits that about half of the commands lie within."""
    limits = rng.normal(0.0, 0.1, (len(plain.LIMITS), JOINTS))
    limits[4:12] = np.abs(rng.normal(10.0, 1.0, (8, JOINTS)))
    limits[11] *= 1e9  # of the jerk
    limits[9] *= 100.0
    return limits


def arguments(name: str, rng: np.random.Generator) -> tuple[Any, ...]:
    """What a kernel is given."""
    row, other, third = rng.normal(0.0, 0.3, (3, JOINTS))
    down = np.array([0.0, 0.0, -1.0]) + rng.normal(0.0, 0.1) * np.array([1.0, 0.0, 0.0])
    if name == "finite":
        return tuple(spoilt(rng, each) for each in (row, other, down))
    if name == "constant":
        arrays = spoilt(rng, row.copy()), down
        for each in arrays:
            each.flags.writeable = rng.random() < 0.3
        return arrays
    if name == "steady":
        return (*(spoilt(rng, each) for each in (row, other, third[:3], down)), 0.9, rng.uniform(0.1, 2.0))
    if name == "feel":
        clock = tuple(rng.normal(size=4).tolist())
        actions = rng.normal(size=JOINTS).astype(np.float32)
        size = 2 * JOINTS + 4 + 3
        unit = rng.uniform(0.1, 3.0, (3, size))
        most = rng.uniform(0.1, 3.0, size).astype(np.float32)
        history = np.zeros((4, size), np.float32)
        return history, (spoilt(rng, row), spoilt(rng, actions), clock, down), unit, most
    if name == "plan":
        actions = rng.normal(size=(8, JOINTS)).astype(np.float32)
        return spoilt(rng, actions), spoilt(rng, row), spoilt(rng, other)
    if name == "between":
        return spoilt(rng, row), spoilt(rng, other), rng.choice([0, 0.25, rng.uniform(), 1.0])
    h, h1, h2 = rng.choice([0.0, 0.002, 0.0021, 0.02], 3).tolist()
    return (limits_of(rng), spoilt(rng, row), spoilt(rng, other), spoilt(rng, third), h, h1, h2)


def outcome(kernel: Callable[..., Any], given: tuple[Any, ...]) -> tuple[Any, ...]:
    """What came of it: the answer or the kind of error, and every array afterwards."""
    given = tuple(
        each.copy() if isinstance(each, np.ndarray) and each.flags.writeable else each for each in given
    )
    with np.errstate(all="ignore"):
        try:
            answer = kernel(*given)
        except Exception as error:
            answer = type(error)
    if isinstance(answer, np.ndarray):
        answer = (answer.dtype, answer.shape, answer.tobytes())
    kept = [each for each in given if isinstance(each, np.ndarray)][:1]
    if kept and kept[0].shape == (len(plain.LIMITS), JOINTS):
        kept[0] = kept[0][[2, 12, 13, 14]]  # the rows for `passes` itself are numpy's to write on
    return (answer, *(each.tobytes() for each in kept))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(200))
def test_c_and_numpy_agree_to_the_bit(name: str, seed: int) -> None:
    given = arguments(name, np.random.default_rng((seed, NAMES.index(name))))
    assert outcome(getattr(compiled, name), given) == outcome(getattr(plain, name), given)


def test_both_answers_are_asked_for() -> None:
    for name in ("steady", "passes", "finite", "constant"):
        said = {
            outcome(
                getattr(compiled, name), arguments(name, np.random.default_rng((seed, NAMES.index(name))))
            )[0]
            for seed in range(200)
        }
        assert {True, False} <= said, name


@pytest.mark.parametrize("name", NAMES)
def test_what_it_was_not_made_for_is_an_error_and_no_crash(name: str) -> None:
    for given in (
        (),
        (None,),
        (1.0, "two"),
        (np.zeros(3), None, object()),
        (np.zeros((2, 3), np.float32),) * 7,
    ):
        assert outcome(getattr(compiled, name), given)[0] == outcome(getattr(plain, name), given)[0]


def walked(bundle: Bundle) -> bytes:
    """What the motors are told by a pilot whose robot is shaken about, so that every limit is met."""
    rng, pilot = np.random.default_rng(7), Pilot(bundle)
    z = next(phrase.z for phrase in bundle.intent.phrases if "forward" in phrase.caption)
    pilot.follow(z)
    pos, sent = bundle.default_pose.copy(), b""
    for step in range(1, 600):
        vel = rng.normal(0.0, 3.0, len(pos))
        down = np.array([0.0, 0.0, -1.0])
        now_ns = 2_000_000 * step + int(rng.integers(500_000))
        target = pilot.act(RobotState(pos, vel, rng.normal(0.0, 0.5, 3), down, now_ns))
        pos = pos + 0.2 * (target.joint_pos - pos) + rng.normal(0.0, 0.01, len(pos))
        sent += target.joint_pos.tobytes()
    assert sum(int(joints.sum()) for joints in pilot.envelope.clamped.values()) > 100
    return sent


def test_a_robot_is_told_the_same_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.load("g1-mirror")
    assert kernels.COMPILED
    by_c = walked(bundle)
    for name in NAMES:
        monkeypatch.setattr(kernels, name, getattr(plain, name))
    assert walked(bundle) == by_c


def test_a_write_takes_less_than_two_thirds_of_what_it_takes_in_numpy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def quickest() -> int:
        tick = Tick(Bundle.load("g1-mirror"))
        for _ in range(60):
            tick.policy()
            tick.writes()
        return min(tick.writes_ns)

    in_c = quickest()
    for name in NAMES:
        monkeypatch.setattr(kernels, name, getattr(plain, name))
    assert in_c < quickest() * 2 / 3  # a quarter on the machine that it was written on


def test_numpy_can_be_asked_for() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "from rmedge import kernels as k; print(k.COMPILED, k.finite.__module__)"],
        env={**os.environ, "RMEDGE_KERNELS": "plain"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.split() == ["False", "rmedge.kernels.plain"]


def test_what_cannot_be_asked_for_is_said() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "from rmedge import kernels"], env={**os.environ, "RMEDGE_KERNELS": "numpy"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert said.returncode and "RMEDGE_KERNELS: expected plain" in said.stderr
