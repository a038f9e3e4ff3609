"""Budgets: what a bundle leaves out has its default, and no figure is taken that makes no sense."""

from __future__ import annotations

import dataclasses

import pytest

from rmedge.budgets import Budgets, read_budgets
from rmedge.errors import BundleError
from rmedge.fields import Fields

BUDGETS = "bundle.budgets: "
NAMES = [field.name for field in dataclasses.fields(Budgets)]
TIMES = [name for name in NAMES if name.endswith("_ms")]


def read(**says):
    return read_budgets(Fields(says, "bundle.budgets"))


def test_nothing_said_is_the_defaults():
    assert read() == Budgets()


def test_everything_said_is_taken():
    said = {name: value * 2 for name, value in dataclasses.asdict(Budgets()).items()}
    assert dataclasses.asdict(read(**said)) == said


@pytest.mark.parametrize("name", TIMES)
def test_every_time_is_given_in_nanoseconds_too(name):
    budgets = dataclasses.replace(Budgets(), **{name: 12.345678})
    assert getattr(budgets, name.replace("_ms", "_ns")) == 12_345_678


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "20", None, True, [20.0]])
def test_what_is_no_number_is_refused(name, value):
    with pytest.raises(BundleError, match=rf"^bundle\.budgets\.{name}: expected .*, got .*; correct"):
        read(**{name: value})


@pytest.mark.parametrize("name", [*TIMES, "tilt_rad", "flail_joints", "flail_rad_s"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_budget_is_above_zero(name, value):
    with pytest.raises(BundleError, match=rf"^bundle\.budgets\.{name}: expected "):
        read(**{name: value})


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ({"state_ms": 20.0}, BUDGETS + "expected state_warn_ms below state_ms, got [20.0, 20.0]"),
        ({"intent_ms": 100.0}, BUDGETS + "expected intent_fresh_ms below intent_ms, got [200.0, 100.0]"),
        ({"motor_clear_c": 90.0}, BUDGETS + "expected motor_clear_c below motor_stop_c, got [90.0, 90.0]"),
        ({"ramp_ms": 60_001.0}, "bundle.budgets.ramp_ms: expected at most 60000 ms, got 60001.0"),
        ({"tilt_rad": 4.0}, "bundle.budgets.tilt_rad: expected less than half a turn [rad], got 4.0"),
        ({"flail_joints": 2.5}, "bundle.budgets.flail_joints: expected a whole number"),
        ({"hold": 50.0}, BUDGETS + "expected no other keys, got 'hold'"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(says, message):
    with pytest.raises(BundleError) as caught:
        read(**says)
    assert str(caught.value).startswith(message)


def test_they_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Budgets().hold_ms = 1e9
