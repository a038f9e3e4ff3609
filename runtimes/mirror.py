"""The mirror: encoder, policy and envelope behind one object; what a vendor embeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmedge.envelope import Envelope
from rmedge.errors import UsageError
from rmedge.runtimes.encoder import Encoder
from rmedge.runtimes.policy import Policy
from rmedge.runtimes.reading import Reading
from rmedge.specs import ActionChunk, Frame, Intent, JointTarget, RobotState
from rmedge.trace import Trace

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Mirror"]

FRESH_NS = 300_000_000  # an intent this old is still followed whole
STALE_NS = 800_000_000  # and from here on the robot stands
# of ten words a blind guess is right with 0.1: what is likelier than any other by half is followed whole
SURE = 0.25
UNSURE = 0.12  # and what is hardly better than blind is not followed at all


class Mirror:
    """Watches frames at one rate, gives joint targets at another.

    ``act`` asks the policy when a policy period has passed since it last did, and in between walks
    along its chunk; every target leaves through the envelope. ``write_hz`` is how often ``act`` is called.

    A policy may answer late, with a chunk that it was asked for earlier, or not at all, with None or a
    chunk that is here already. Rows are due by their own chunk's stamp, so a late one is taken up at the
    row that is due by now; without a newer one the old one plays on, and at its end its last row is held.
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
        self.encoder = Encoder(bundle, provider, threads)
        self.policy = Policy(bundle, provider, threads)
        self.reading = Reading(bundle, provider, threads)
        limits = bundle.envelope
        self.envelope = Envelope(limits.lower, limits.upper, limits.rate_limit, limits.torque_limit)
        self.write_period_ns = round(1e9 / write_hz)
        self._stand = bundle.intent.stand.astype(np.float32)
        self._commanded: np.ndarray | None = None
        self.reset()

    def reset(self, seed: int = 0) -> None:
        """A new episode; an intent that was commanded stays."""
        self.encoder.reset()
        self.policy.reset(seed)
        self.envelope.reset()
        self.intent: Intent | None = None
        self._asked_ns: int | None = None
        self._sent: np.ndarray | None = None  # what the motors were really told last
        self._chunk: ActionChunk | None = None
        self._from = self.bundle.default_pose  # where the chunk is approached from

    def watch(self, frame: Frame, trace: Trace | None = None) -> Intent:
        """See one frame; from now on the robot follows the intent that this returns."""
        self.intent = self.encoder.watch(frame, trace)
        return self.intent

    def follow(self, z: np.ndarray | None) -> None:
        """Follow this intent (Z,) whatever is seen, until told otherwise; None: follow what is seen again."""
        self._commanded = None if z is None else np.asarray(z, np.float32)

    def act(self, state: RobotState, trace: Trace | None = None) -> JointTarget:
        """The command for this instant."""
        now_ns, asked_ns = state.stamp_ns, self._asked_ns
        # half a write early: on a real clock the tenth write comes a little before or after its time
        if asked_ns is None or now_ns - asked_ns > self.policy.period_ns - self.write_period_ns // 2:
            self._asked_ns = now_ns
            chunk = self.policy.act(state, self.wanted(now_ns), trace, self._sent)
            if chunk is not None and (self._chunk is None or chunk.stamp_ns > self._chunk.stamp_ns):
                self._join(chunk, now_ns)
        wanted = self._waypoint(now_ns)
        target = JointTarget(wanted, self.bundle.kp, self.bundle.kd, now_ns)
        if trace:
            trace.mark("plan")
        sent = self.envelope.apply(target, state)
        self._sent = sent.joint_pos
        if trace:
            trace.mark("envelope")
        return sent

    def wanted(self, now_ns: int) -> np.ndarray:
        """(Z,) the intent as it is followed now: an old or an unsure one decays to standing."""
        if self._commanded is not None:
            return self._commanded
        if self.intent is None:
            return self._stand
        age_ns = now_ns - self.intent.captured_ns
        fresh = (STALE_NS - age_ns) / (STALE_NS - FRESH_NS)
        sure = (self.intent.certainty * self.intent.presence - UNSURE) / (SURE - UNSURE)
        weight = min(fresh, sure)
        if weight >= 1.0:
            return self.intent.z
        if not weight > 0.0:  # positive form: what is not a number is not followed
            return self._stand
        return self._stand + np.float32(weight) * (self.intent.z - self._stand)

    def _join(self, chunk: ActionChunk, now_ns: int) -> None:
        """Leave the old plan where it is now, straight for the row of the new one whose tick begins now.

        That is the first row of a punctual chunk; of a late one it is the row whose tick begins nearest
        to now: it is reached at its time, half a period from now at the soonest, so without a jump.
        """
        self._from = self._waypoint(now_ns - self.write_period_ns)
        late = (now_ns - chunk.stamp_ns + chunk.period_ns // 2) // chunk.period_ns  # rows gone by
        self._chunk, self._joined_ns = chunk, now_ns
        self._first = chunk.joint_pos[min(late, len(chunk.joint_pos) - 1)]
        self._met_ns = chunk.stamp_ns + (late + 1) * chunk.period_ns

    def _waypoint(self, now_ns: int) -> np.ndarray:
        """Where the plan wants the joints one write period from now: linear between its rows."""
        chunk, due_ns = self._chunk, now_ns + self.write_period_ns
        if chunk is None:
            return self._from
        rows = chunk.joint_pos
        if due_ns < self._met_ns:
            before, after = self._from, self._first
            fraction = (due_ns - self._joined_ns) / (self._met_ns - self._joined_ns)
        else:
            along = (due_ns - chunk.stamp_ns) / chunk.period_ns
            if along >= len(rows):  # played to its end: hold the last row
                return rows[-1]
            row = int(along)
            before, after, fraction = rows[row - 1], rows[row], along - row
        if fraction == 0.0:
            return before
        with np.errstate(invalid="ignore"):  # infinities are the envelope's to refuse
            return before + fraction * (after - before)
