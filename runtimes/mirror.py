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

    ``act`` runs the policy when a policy period has passed since it last did, and in between walks
    along its chunk; every target leaves through the envelope. ``write_hz`` is how often ``act`` is called.
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
        self._chunk: ActionChunk | None = None
        self._from = self.bundle.default_pose  # where the chunk's first row is approached from

    def watch(self, frame: Frame, trace: Trace | None = None) -> Intent:
        """See one frame; from now on the robot follows the intent that this returns."""
        self.intent = self.encoder.watch(frame, trace)
        return self.intent

    def follow(self, z: np.ndarray | None) -> None:
        """Follow this intent (Z,) whatever is seen, until told otherwise; None: follow what is seen again."""
        self._commanded = None if z is None else np.asarray(z, np.float32)

    def act(self, state: RobotState, trace: Trace | None = None) -> JointTarget:
        """The command for this instant."""
        chunk = self._chunk
        # half a write early: on a real clock the tenth write comes a little before or after its time
        if chunk is None or state.stamp_ns - chunk.stamp_ns > chunk.period_ns - self.write_period_ns // 2:
            if chunk is not None:
                self._from = self._waypoint(chunk, state.stamp_ns - self.write_period_ns)
            chunk = self._chunk = self.policy.act(state, self.wanted(state.stamp_ns), trace)
        wanted = self._waypoint(chunk, state.stamp_ns)
        target = JointTarget(wanted, self.bundle.kp, self.bundle.kd, state.stamp_ns)
        if trace:
            trace.mark("plan")
        sent = self.envelope.apply(target, state)
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

    def _waypoint(self, chunk: ActionChunk, now_ns: int) -> np.ndarray:
        """Where the chunk wants the joints one write period from now: linear between its rows."""
        rows = chunk.joint_pos
        along = (now_ns - chunk.stamp_ns + self.write_period_ns) / chunk.period_ns
        if along >= len(rows):  # played to its end: hold the last row
            return rows[-1]
        row = int(along)
        fraction = along - row
        before = self._from if row == 0 else rows[row - 1]
        if fraction == 0.0:
            return before
        with np.errstate(invalid="ignore"):  # infinities are the envelope's to refuse
            return before + fraction * (rows[row] - before)
