"""The tick: rmedge's own policy tick as its process for the body runs it, one call at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from rmedge.clock import ManualClock
from rmedge.errors import CheckError
from rmedge.monitor import Monitor
from rmedge.runtimes.actuators.null import NullActuator
from rmedge.runtimes.body import Body
from rmedge.runtimes.pilot import Pilot
from rmedge.specs import Intent
from rmedge.states import State
from rmedge.trace import STAGES, Trace

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["PARTS", "Tick"]

PARTS = ("read", "observe", "policy", "plan", "envelope", "write")
START_NS = 1_000_000_000  # nobody may take a clock to start at zero


class Tick:
    """A body in RUN that is told to stand: watched, traced, on the null robot and a clock turned by hand.

    A policy tick is one step of it: read the robot, observe, ask the policy, plan, envelope, write. It stands
    because the null robot does: whoever walks while nothing moves runs into the envelope's limits, which
    a robot that does move never comes near.

    Attributes:
        writes_ns: what each step between two policy calls took [ns].
    """

    def __init__(self, bundle: Bundle, provider: str = "cpu", threads: int = 1, ticks: int = 1000) -> None:
        pilot = Pilot(bundle, provider, threads)
        self.writes_ns: list[int] = []
        self._period_ns, self._write_ns = pilot.policy.period_ns, pilot.write_period_ns
        self._watch_ns = bundle.encoder.period_ns
        self._clock, self._due_ns = ManualClock(START_NS), START_NS
        self._z = bundle.intent.stand.astype(np.float32)
        self._see()
        self._trace, self._between = Trace(self._period_ns, ticks), Trace(self._period_ns, ticks)
        actuator = NullActuator(bundle.robot)
        actuator.attach(self._clock)
        monitor = Monitor(bundle.budgets, bundle.joint_names)
        self._body = Body(pilot, actuator, self._clock, lambda: self._intent, monitor, State.RUN)

    def policy(self) -> None:
        """The next step at which the policy is asked."""
        self._due_ns += self._period_ns
        self._clock.sleep_until_ns(self._due_ns)
        self._trace.begin(self._due_ns)
        self._body.step(self._trace)

    def writes(self, *_: Any) -> None:
        """The steps from there to the next policy call; a frame is seen where one is due."""
        self._between.begin(self._due_ns)
        for write_ns in range(self._write_ns, self._period_ns, self._write_ns):
            self._clock.sleep_until_ns(self._due_ns + write_ns)
            start_ns = time.monotonic_ns()
            self._body.step(self._between)
            self.writes_ns.append(time.monotonic_ns() - start_ns)
        if self._clock.now_ns() - self._intent.captured_ns >= self._watch_ns - self._period_ns:
            self._see()

    @property
    def clamped(self) -> int:
        """Joints that the envelope held back, all steps together; each costs time that none else does."""
        return sum(int(joints.sum()) for joints in self._body.pilot.envelope.clamped.values())

    def stages_ns(self, last: int) -> dict[str, np.ndarray]:
        """(last,) of each stage of so many policy ticks, the newest ones [ns].

        Raises:
            CheckError: the body did not run through all of them, or the policy was not asked in each.
        """
        body, spent = self._body, self._trace.spent_ns[-last:]
        stages = {stage: spent[:, STAGES.index(stage)] for stage in PARTS}
        if body.state is not State.RUN or body.pilot.failures or not stages["policy"].all():
            why = body.reason or body.pilot.fault or "steps without a policy call"
            raise CheckError(
                f"tick: expected a body that runs, got {body.state.name}: {why}; run rmedge verify"
            )
        return stages

    def _see(self) -> None:
        self._intent = Intent(self._z, 1.0, 1.0, self._clock.now_ns())
