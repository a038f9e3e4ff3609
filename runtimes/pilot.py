"""The pilot: policy and envelope behind one object; follows an intent, one command a write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rmedge import kernels
from rmedge.envelope import Envelope
from rmedge.errors import UsageError
from rmedge.runtimes.policy import Policy
from rmedge.specs import ActionChunk, Intent, JointTarget, RobotState
from rmedge.trace import Marks

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Pilot"]

# of ten words a blind guess is right with 0.1: what is likelier than any other by half is followed whole
SURE = 0.25
UNSURE = 0.12  # and what is hardly better than blind is not followed at all


class Pilot:
    """Gives joint targets, at the write rate, for the newest intent.

    ``act`` asks the policy when a policy period has passed since it last did, and in between walks
    along its chunk; every target leaves through the envelope. ``write_hz`` is how often ``act`` is called.

    A policy may answer late, with a chunk that it was asked for earlier, or not at all: with None, a chunk
    that is here already, one that is not finite, or an error. Rows are due by their own chunk's stamp, so a
    late one is taken up at the row that is due by now; without a newer one the old one plays on, and at its
    end its last row is held. From then on `idle_ns` counts; stopping the robot is for the caller to decide.

    Attributes:
        intent: what to follow; an old or an unsure one decays to standing.
        standing: nothing is followed, and the robot keeps its balance.
        resting: the last command was for standing, told to or because the intent had decayed.
        magnitude: the share of the way from the default pose that is gone, for a robot's first steps.
        slowdown: how many times slower than planned, for a robot that hangs from a gantry.
        failures: calls of the policy that raised, or gave what is not finite or not of its shape.
        fault: what was wrong with the last of them.
    """

    def __init__(
        self, bundle: Bundle, provider: str = "cpu", threads: int = 1, write_hz: float = 500.0
    ) -> None:
        rate_hz = bundle.policy.rate_hz
        if not (write_hz >= rate_hz and write_hz % rate_hz == 0):
            raise UsageError(
                f"write_hz: expected a multiple of the policy's {rate_hz:g} Hz, got {write_hz:g}"
            )
        self.bundle = bundle
        self.policy = Policy(bundle, provider, threads)
        self.envelope = Envelope(**vars(bundle.envelope))
        self.write_period_ns = round(1e9 / write_hz)
        self.standing = self.resting = False
        self.magnitude = self.slowdown = 1.0
        self._fresh_ns, self._stale_ns = bundle.budgets.intent_fresh_ns, bundle.budgets.intent_ns
        self._plan_ns = bundle.policy.outputs["action_chunk"][1] * bundle.policy.period_ns
        self._stand = bundle.intent.stand.astype(np.float32)
        self._commanded: np.ndarray | None = None
        self.reset()

    def reset(self, seed: int = 0) -> None:
        """A new episode; an intent that was commanded stays."""
        self.policy.reset(seed)
        self.envelope.reset()
        self.intent: Intent | None = None
        self.failures, self.fault = 0, ""
        self.idle_ns = 0
        self._began_ns: int | None = None
        self._asked_ns: int | None = None
        self._asked_of_ns = -1  # the stamp of the state that the policy saw last
        self._valid_ns = 0
        self._sent: np.ndarray | None = None  # what the motors were really told last
        self._chunk: ActionChunk | None = None
        self._from = self.bundle.default_pose  # where the chunk is approached from

    def follow(self, z: np.ndarray | None) -> None:
        """Follow this intent (Z,) whatever is seen, until told otherwise; None: follow what is seen again."""
        self._commanded = None if z is None else np.asarray(z, np.float32)

    def act(self, state: RobotState, trace: Marks | None = None, now_ns: int | None = None) -> JointTarget:
        """The command for this instant, which is the state's where none is given."""
        now_ns = state.stamp_ns if now_ns is None else now_ns
        z = self.wanted(now_ns)
        self.resting = z is self._stand
        if self._began_ns is None:
            self._began_ns = self._valid_ns = now_ns
        then_ns, self._step_ns = now_ns, self.write_period_ns  # in the plan's own time
        if self.slowdown != 1.0:
            then_ns, self._step_ns = self._slowed(now_ns), round(self.write_period_ns / self.slowdown)
            state = replace(state, stamp_ns=self._slowed(state.stamp_ns))
        asked_ns = self._asked_ns
        # half a write early: on a real clock the tenth write comes a little before or after its time
        if asked_ns is None or then_ns - asked_ns > self.policy.period_ns - self._step_ns // 2:
            self._asked_ns = then_ns
            if state.stamp_ns > self._asked_of_ns:  # of a state it has seen already it has nothing new to say
                self._asked_of_ns = state.stamp_ns
                self._plan(state, z, then_ns, trace)
        wanted = self._waypoint(then_ns)
        if self.magnitude != 1.0:
            wanted = self.bundle.default_pose + self.magnitude * (wanted - self.bundle.default_pose)
        target = JointTarget(wanted, self.bundle.kp, self.bundle.kd, now_ns)
        if trace:
            trace.mark("plan")
        sent = self.envelope.apply(target, state)
        self._sent = sent.joint_pos
        self._judge(then_ns)
        if trace:
            trace.mark("envelope")
        return sent

    def wanted(self, now_ns: int) -> np.ndarray:
        """(Z,) the intent as it is followed now: an old or an unsure one decays to standing."""
        if self._commanded is not None and not self.standing:
            return self._commanded
        if self.intent is None or self.standing:
            return self._stand
        age_ns = now_ns - self.intent.captured_ns
        fresh = (self._stale_ns - age_ns) / (self._stale_ns - self._fresh_ns)
        sure = (self.intent.certainty * self.intent.presence - UNSURE) / (SURE - UNSURE)
        if not (fresh > 0.0 and sure > 0.0):  # positive form: what is not a number is not followed
            return self._stand
        weight = min(fresh, sure)
        if weight >= 1.0:
            return self.intent.z
        return self._stand + np.float32(weight) * (self.intent.z - self._stand)

    def _slowed(self, instant_ns: int) -> int:
        """That instant in the plan's own time."""
        began_ns = self._began_ns or 0
        return began_ns + round((instant_ns - began_ns) / self.slowdown)

    def _plan(self, state: RobotState, z: np.ndarray, now_ns: int, trace: Marks | None) -> None:
        """Ask the policy, and take up what it answers if that is newer and sound."""
        try:
            chunk = self.policy.act(state, z, trace, self._sent)
            if chunk is None or (self._chunk is not None and chunk.stamp_ns <= self._chunk.stamp_ns):
                return
            rows = chunk.joint_pos
            if rows.shape[1:] == self._from.shape and kernels.finite(rows):
                self._join(chunk, now_ns)
                return
            self.fault = f"expected finite rows of {len(self._from)} joints, got some that are not"
        except (
            Exception
        ) as error:  # whatever an engine raises: the robot is in the air, and the chunk plays on
            self.fault = f"{type(error).__name__}: {error}"
        self.failures += 1

    def _judge(self, now_ns: int) -> None:
        """Count how long there has been no valid action: a plan played to its end, a refusal."""
        chunk = self._chunk
        if chunk is None:  # until the first plan comes, the default pose is one, as long as any
            ends_ns = (self._began_ns or 0) + self._plan_ns
        else:
            # a chunk that was over when it came is still on the way to its last row
            ends_ns = max(chunk.stamp_ns + len(chunk.joint_pos) * chunk.period_ns, self._met_ns)
        if now_ns < ends_ns and not self.envelope.refusals:
            self._valid_ns = now_ns
            self.idle_ns = 0
        else:
            self.idle_ns = now_ns - self._valid_ns

    def _join(self, chunk: ActionChunk, now_ns: int) -> None:
        """Leave the old plan where it is now, straight for the row of the new one whose tick begins now.

        That is the first row of a punctual chunk; of a late one it is the row whose tick begins nearest
        to now: it is reached at its time, half a period from now at the soonest, so without a jump.
        """
        self._from = self._waypoint(now_ns - self._step_ns)
        late = (now_ns - chunk.stamp_ns + chunk.period_ns // 2) // chunk.period_ns  # rows gone by
        self._chunk, self._joined_ns = chunk, now_ns
        self._first = chunk.joint_pos[min(late, len(chunk.joint_pos) - 1)]
        self._met_ns = chunk.stamp_ns + (late + 1) * chunk.period_ns

    def _waypoint(self, now_ns: int) -> np.ndarray:
        """Where the plan wants the joints one write period from now: linear between its rows."""
        chunk, due_ns = self._chunk, now_ns + self._step_ns
        if chunk is None:
            return self._from
        rows = chunk.joint_pos
        if due_ns < self._met_ns:
            before, after = self._from, self._first
            fraction = (due_ns - self._joined_ns) / (self._met_ns - self._joined_ns)
        else:
            along = (due_ns - chunk.stamp_ns) / chunk.period_ns
            if along >= len(rows):  # played to its end: hold the last row
                return rows[-1].copy()  # what the motors are told is nobody else's to change
            row = int(along)
            before, after, fraction = rows[row - 1], rows[row], along - row
        return kernels.between(before, after, fraction)
