"""The arming gate: what must hold before the motors get stiff, each a check with a name and a remedy."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterable

import numpy as np

from rmedge.errors import ArmingError, RmedgeError
from rmedge.protocols import Actuator
from rmedge.runtimes import verified
from rmedge.runtimes.encoder import Encoder
from rmedge.runtimes.pilot import Pilot
from rmedge.runtimes.verify import verify
from rmedge.specs import Frame, RobotState

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["TARGETS", "Check", "body_checks", "camera_check", "demand", "vision_checks"]

TARGETS = {"x86_64": "cpu-x86", "aarch64": "cpu-arm64"}  # whose latency budget holds on which processor
WARM, TIMED = 20, 200  # calls before, and under the stopwatch: a p99 of fewer says nothing


@dataclass(frozen=True)
class Check:
    """One thing that must hold, and what was found."""

    name: str
    passed: bool
    expected: str
    got: str
    remedy: str

    def told(self) -> dict[str, Any]:
        """For the process that asked."""
        return asdict(self)


def demand(checks: Iterable[Check]) -> None:
    """Let nobody pass who failed one.

    Raises:
        ArmingError: it names each check that failed, and its remedy.
    """
    failed = [check for check in checks if not check.passed]
    if failed:
        told = "; ".join(f"{c.name}: expected {c.expected}, got {c.got}; {c.remedy}" for c in failed)
        raise ArmingError(f"arming refused by {len(failed)} of its checks: {told}")


def body_checks(
    bundle: Bundle, pilot: Pilot, actuator: Actuator, now_ns: Callable[[], int], provider: str, threads: int
) -> list[Check]:
    """What the body answers for: its engine, and the robot before it."""
    checks = [*_verified(bundle, provider), _golden(bundle, provider, threads, "policy")]
    state = RobotState(
        bundle.default_pose, np.zeros_like(bundle.default_pose), np.zeros(3), np.array([0.0, 0.0, -1.0]), 0
    )
    z = bundle.intent.stand.astype(np.float32)
    checks.append(_quick(bundle, "policy", pilot.policy.period_ns, lambda: pilot.policy.act(state, z)))
    pilot.reset()
    return checks + _robot(bundle, actuator, now_ns)


def vision_checks(bundle: Bundle, encoder: Encoder, provider: str, threads: int) -> list[Check]:
    """What vision answers for, but for the camera, which must be live when the robot is armed."""
    checks = [*_verified(bundle, provider), _golden(bundle, provider, threads, "encoder")]
    rng = np.random.default_rng(0)
    image = bundle.encoder.image
    pictures = rng.integers(0, 256, (4, image.height * 2, image.width * 2, 3), np.uint8)
    frames = (Frame(pictures[n % 4], n * encoder.period_ns, n * encoder.period_ns, n) for n in range(10**6))
    checks.append(_quick(bundle, "encode", encoder.period_ns, lambda: encoder.watch(next(frames))))
    encoder.reset()
    return checks


def camera_check(live: bool, waited_s: float, trouble: str = "") -> Check:
    """Whether pictures come."""
    return Check(
        "camera",
        live,
        "a picture",
        "one" if live else f"none in {waited_s:.0f} s{trouble and f' ({trouble})'}",
        "look at its cable and its name; rmedge run --help lists the kinds",
    )


def _verified(bundle: Bundle, provider: str) -> list[Check]:
    """Where something was never tried on the bundle's target: whether `rmedge verify` has met it here."""
    target = bundle.target
    if target is None or not target.unverified:
        return []
    expected = (
        f"a note that rmedge verify left here: on {target.name} nobody tried {', '.join(target.unverified)}"
    )
    remedy = f"rmedge verify BUNDLE --provider {provider}"
    try:
        noted = verified.known(bundle, provider)
    except RmedgeError as error:
        return [Check("verified", False, expected, str(error), remedy)]
    return [Check("verified", noted, expected, "one" if noted else "none of this bundle and engine", remedy)]


def _golden(bundle: Bundle, provider: str, threads: int, graph: str) -> Check:
    remedy = "do not arm on this engine; rmedge verify says more"
    name, expected = f"golden {graph}", "the golden vectors within tolerance"
    try:
        rows = verify(bundle, provider, threads, (graph,))
    except RmedgeError as error:
        return Check(name, False, f"{graph} on {provider}", str(error), remedy)
    worst = max(rows, key=lambda row: row.max_error / row.tolerance)
    got = f"an error of {worst.max_error:.3g} in {worst.output} (allowed {worst.tolerance:g})"
    return Check(name, all(bool(row.ok) for row in rows), expected, got, remedy)


def _quick(bundle: Bundle, stage: str, period_ns: int, call: Callable[[], object]) -> Check:
    """Warm up, then time: the 99th percentile against the budget for this machine."""
    target = TARGETS.get(platform.machine(), platform.machine())
    budget_ms = bundle.latency_budget_ms.get(target, {}).get(stage)
    source = f"declared for {target}"
    if budget_ms is None:
        budget_ms, source = period_ns / 2e6, f"half its period; the bundle declares none for {target}"
    took = np.empty(TIMED)
    for _ in range(WARM):
        call()
    for n in range(TIMED):
        start_ns = time.monotonic_ns()
        call()
        took[n] = time.monotonic_ns() - start_ns
    p99_ms = float(np.percentile(took, 99)) / 1e6
    return Check(
        f"{stage} time",
        p99_ms <= budget_ms,
        f"p99 of at most {budget_ms:g} ms ({source})",
        f"{p99_ms:.2f} ms over {TIMED} calls",
        "end what else runs, lock the clocks, raise the power mode; rmedge-bench run says more",
    )


def _robot(bundle: Bundle, actuator: Actuator, now_ns: Callable[[], int]) -> list[Check]:
    """Whether the robot answers, is the right one, and is not lying down."""
    joints, limit_ms = len(bundle.joint_names), bundle.budgets.state_warn_ms
    link = "look at the robot's link, power and mode"
    try:
        state = actuator.read()
    except Exception as error:  # whatever a driver raises
        return [Check("state", False, "a state", f"{type(error).__name__}: {error}", link)]
    age_ms = (now_ns() - state.stamp_ns) / 1e6
    fresh = Check(
        "state", 0 <= age_ms <= limit_ms, f"one younger than {limit_ms:g} ms", f"{age_ms:.1f} ms", link
    )
    got = state.joint_pos.size
    whole = Check(
        "joints", got == joints, f"the {joints} joints of {bundle.robot.name}", str(got), "choose its bundle"
    )
    upright = -float(state.projected_gravity[2])
    tilt = Check(
        "posture",
        bool(upright >= np.cos(bundle.budgets.tilt_rad)),
        f"a tilt below {bundle.budgets.tilt_rad:g} rad",
        f"{np.arccos(np.clip(upright, -1, 1)):.2f} rad",
        "set it on its feet, or hang it up",
    )
    return [fresh, whole, tilt]
