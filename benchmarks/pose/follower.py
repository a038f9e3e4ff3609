"""A follower: an eye and a body behind the mirror's interface, so that the loop drives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rmedge.benchmarks.pose.wish import STAND, Wish
from rmedge.envelope import Envelope
from rmedge.specs import Frame, Intent, JointTarget, RobotState
from rmedge.trace import Trace

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Body", "Eye", "Follower"]

STALE_NS = 800_000_000  # longer than our own intents are followed: poses are missed more often
FRAME_NS = 100_000_000


class Eye(Protocol):
    """Turns frames into wishes."""

    @property
    def detection_rate(self) -> float: ...

    def reset(self) -> None: ...

    def watch(self, frame: Frame, trace: Trace | None = None) -> Wish: ...

    def close(self) -> None: ...


class Body(Protocol):
    """Turns a wish into joint positions (Da,) for one tick from now."""

    walks: bool  # it goes at the wished velocity; otherwise that is not asked of the robot

    def reset(self) -> None: ...

    def act(self, state: RobotState, wish: Wish) -> np.ndarray: ...


@dataclass(frozen=True)
class Beat:
    """How often something is asked."""

    period_ns: int


class Follower:
    """Watches frames at one rate, gives joint targets at another, through the bundle's own envelope.

    Its intents are velocities: what was wished for [m/s, m/s, rad/s], certain where somebody was seen.
    Where nobody is found the last wish is held, and given up after 0.8 s.
    """

    def __init__(self, name: str, eye: Eye, body: Body, bundle: Bundle, write_hz: float = 500.0) -> None:
        self.name, self.bundle = name, bundle
        self.eye, self._body = eye, body
        self.envelope = Envelope(**vars(bundle.envelope))
        self.policy, self.encoder = Beat(bundle.policy.period_ns), Beat(FRAME_NS)
        self.write_period_ns = round(1e9 / write_hz)
        self.reset()

    def reset(self, seed: int = 0) -> None:
        """A new video, a new episode; nothing here is drawn, so the seed makes no difference."""
        self.eye.reset()
        self._body.reset()
        self.envelope.reset()
        self.intent: Intent | None = None
        self._wish, self._wished_ns = STAND, 0
        self.failures, self.fault, self.standing, self.resting = 0, "", False, False  # a body asks
        self._asked_ns: int | None = None
        self._from = self._to = self.bundle.default_pose

    @property
    def detection_rate(self) -> float:
        """Share of the frames since the reset in which somebody was found; 1 for who looks for nobody."""
        return self.eye.detection_rate

    def watch(self, frame: Frame, trace: Trace | None = None) -> Intent:
        """See one frame; from now on the robot does as the person in it."""
        wish = self.eye.watch(frame, trace)
        if wish.seen:
            self._wish, self._wished_ns = wish, frame.captured_ns
        seen = float(wish.seen)
        self.intent = Intent(wish.velocity.astype(np.float32), seen, seen, frame.captured_ns)
        return self.intent

    def wanted(self, now_ns: int) -> Wish:
        """What is followed now."""
        return STAND if now_ns - self._wished_ns > STALE_NS else self._wish

    def velocity(self, now_ns: int) -> np.ndarray:
        """(3,) [m/s, m/s, rad/s] that is asked of the robot now; NaN where none is."""
        return self.wanted(now_ns).velocity if self._body.walks else np.full(3, np.nan)

    @property
    def pilot(self) -> Follower:
        """What the loop's body steers by: itself."""
        return self

    @property
    def idle_ns(self) -> int:
        """How long no command has been valid [ns]."""
        return self.envelope.refusals * self.write_period_ns

    def act(self, state: RobotState, trace: Trace | None = None, now_ns: int | None = None) -> JointTarget:
        """The command for this instant: straight to where the body should be at the next tick."""
        now_ns = state.stamp_ns if now_ns is None else now_ns
        if (
            self._asked_ns is None
            or now_ns - self._asked_ns > self.policy.period_ns - self.write_period_ns // 2
        ):
            self._asked_ns = now_ns
            self._from, self._to = self._to, self._body.act(state, self.wanted(now_ns))
            if trace:
                trace.mark("policy")
        share = min(1.0, (now_ns - self._asked_ns + self.write_period_ns) / self.policy.period_ns)
        wanted = self._from + share * (self._to - self._from)
        target = JointTarget(wanted, self.bundle.kp, self.bundle.kd, now_ns)
        if trace:
            trace.mark("plan")
        sent = self.envelope.apply(target, state)
        if trace:
            trace.mark("envelope")
        return sent

    def close(self) -> None:
        """End what it started."""
        self.eye.close()

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()
