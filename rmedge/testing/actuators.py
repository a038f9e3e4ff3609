"""What must hold of an actuator, rule by rule; the list and the checks made of it."""

from __future__ import annotations

from typing import Callable

import numpy as np

from rmedge.protocols import Actuator
from rmedge.robots import Robot
from rmedge.specs import JointTarget
from rmedge.testing.bench import TICKS, Bench, arrays, check_state
from rmedge.testing.trials import TRIALS
from rmedge.testing.verdict import Rule, Unchecked, Verdict, judge, require, rule

__all__ = ["ACTUATOR_RULES", "check_actuator", "conformance"]

OLD_NS = 100_000_000  # `Budgets.state_ms`: a robot with no newer state is damped
QUICK_S = 0.002  # half a write period would be better still

ACTUATOR_RULES: list[Rule] = []


@rule(
    ACTUATOR_RULES,
    "seam",
    "attach, read, write, damp, __enter__ and __exit__",
    "give your class the methods of rmedge.protocols.Actuator; nothing needs to be inherited",
)
def _seam(bench: Bench) -> str:
    with bench.open():
        return "simulated" if bench.simulated else "all of them"


@rule(
    ACTUATOR_RULES,
    "state",
    "finite floats of the right sizes, and projected_gravity a unit vector",
    "map joints by name into the robot's order, in radians; divide gravity by its length",
)
def _state(bench: Bench) -> str:
    with bench.open() as (actuator, _):
        check_state(actuator.read(), bench.joints)
    for state, _ in bench.driven().states:
        check_state(state, bench.joints)
    return f"{TICKS} states"


@rule(
    ACTUATOR_RULES,
    "stamps",
    "whole nanoseconds of the clock that was attached, later in every period",
    "stamp a state with clock.now_ns() when its message arrives; a state that did not arrive keeps its stamp",
)
def _stamps(bench: Bench) -> str:
    drive = bench.driven()
    before_ns: int | None = None
    for state, now_ns in drive.states:
        stamp_ns = state.stamp_ns
        require(isinstance(stamp_ns, int), "stamp_ns", "whole nanoseconds (int)", type(stamp_ns).__name__)
        of_clock = drive.start_ns - OLD_NS <= stamp_ns <= now_ns
        require(of_clock, "stamp_ns", f"an instant of the clock, {now_ns} now", stamp_ns)
        require(before_ns is None or stamp_ns > before_ns, "stamp_ns", f"later than {before_ns}", stamp_ns)
        before_ns = stamp_ns
    return f"{len(drive.states)} in order"


@rule(
    ACTUATOR_RULES,
    "fresh",
    f"a state at most {OLD_NS / 1e6:g} ms old",
    "hand out the newest state alone; do not queue them",
)
def _fresh(bench: Bench) -> str:
    age_ns = max(now_ns - state.stamp_ns for state, now_ns in bench.driven().states)
    require(age_ns <= OLD_NS, "read", f"a state at most {OLD_NS} ns old", f"{age_ns} ns")
    return f"at most {age_ns / 1e6:.1f} ms"


@rule(
    ACTUATOR_RULES,
    "own arrays",
    "a state stays as it was read, and writing into it changes nothing else",
    "copy the arrays in read(), or hand out read-only ones that you never write to again",
)
def _ownarrays(bench: Bench) -> str:
    drive = bench.driven()
    for name, value in arrays(drive.written[0]).items():
        moved = float(np.nanmax(np.abs(value - drive.kept[name]), initial=0.0))
        require(moved < 0.5, name, "an array of the reader's own", f"a shared one, written to by {moved}")
    for name, value in arrays(drive.states[0][0]).items():
        same = np.array_equal(value, drive.kept[name], equal_nan=True)
        require(same, name, "a kept one that stays", f"{value}, was {drive.kept[name]}")
    return "both"


@rule(
    ACTUATOR_RULES,
    "sent",
    "write returns what was sent: between the pose and what was asked, no stiffer, with its stamp",
    "return the JointTarget that went out after your own limits; limits may only hold back",
)
def _sent(bench: Bench) -> str:
    drive = bench.driven()
    for sent, asked, state in drive.sent:
        require(isinstance(sent, JointTarget), "write", "the JointTarget that was sent", type(sent).__name__)
        low = np.minimum(asked.joint_pos, state.joint_pos) - 1e-9
        high = np.maximum(asked.joint_pos, state.joint_pos) + 1e-9
        between = bool(((sent.joint_pos >= low) & (sent.joint_pos <= high)).all())
        require(between, "write", "a target between the pose and what was asked", sent.joint_pos)
        gentle = bool(((sent.kp >= 0) & (sent.kp <= asked.kp)).all())
        require(gentle, "write", "no more stiffness than was asked", sent.kp)
        require(sent.stamp_ns == asked.stamp_ns, "write", f"the stamp {asked.stamp_ns}", sent.stamp_ns)
    return f"{len(drive.sent)} commands"


@rule(
    ACTUATOR_RULES,
    "prompt",
    "read and write return at once",
    "talk to the bus in a thread or process of its own; read and write only exchange the newest record",
)
def _prompt(bench: Bench) -> str:
    drive = bench.driven()
    for name, took_s in (("read", min(drive.read_s)), ("write", min(drive.write_s))):
        # the quickest: a busy machine delays some, an actuator that waits delays all
        require(took_s < QUICK_S, name, "an answer at once", f"{took_s * 1e3:.1f} ms at best")
    require(drive.waits == 0, "read and write", "no waiting on the clock", f"{drive.waits} waits")
    return f"{min(drive.read_s) * 1e6:.0f} and {min(drive.write_s) * 1e6:.0f} µs at best"


def conformance(make: Callable[[], Actuator], robot: Robot, real: bool = False) -> list[Verdict]:
    """The pass/fail list of an actuator; hang a real robot up first: some rules send what must be refused.

    Args:
        make: opens a new one; it is called about a dozen times, and every one is damped and left.
        robot: whose joints it has.
        real: in real time, which takes seconds; else on a clock that is turned by hand.

    Raises:
        AbsentError: the robot is not there.
    """
    return judge((*ACTUATOR_RULES, *TRIALS), Bench(make, robot, real))


def check_actuator(make: Callable[[], Actuator], robot: Robot) -> None:
    """An actuator says what its sensors say, sends no more than it is asked, and damps when told to.

    The robot stands in its default pose and is asked for small steps; hang a real one up.

    Raises:
        AssertionError: it does not; the message says what must hold and what was found.
    """
    bench = Bench(make, robot, real=False)
    for each in (*ACTUATOR_RULES, *TRIALS):
        try:
            each.check(bench)
        except Unchecked:
            continue
