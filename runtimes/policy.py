"""The few-step policy: proprioceptive history, intent and noise in, a chunk of joint positions out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rmedge.runtimes.session import Session, options_of
from rmedge.specs import ActionChunk, RobotState
from rmedge.trace import Marks

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Policy"]


class Policy:
    """Plans a chunk at every tick; the same seed, states and intents give the same chunks."""

    def __init__(self, bundle: Bundle, provider: str = "cpu", threads: int = 1) -> None:
        spec = bundle.policy
        self.period_ns = spec.period_ns
        self._default, self._scale = bundle.default_pose, bundle.action_scale
        terms = spec.observation.terms
        sizes = [term.size for term in terms]
        self._history = np.zeros((spec.observation.history, sum(sizes)), np.float32)
        self._proprio = self._history.reshape(spec.inputs["proprio"])  # a view: time major, oldest first
        # one tick as it is felt, its terms as views of it; what all of it is multiplied by and kept within
        self._felt = np.zeros(sum(sizes))
        self._terms = tuple(zip((term.name for term in terms), np.split(self._felt, np.cumsum(sizes)[:-1])))
        self._factor = np.repeat([term.scale for term in terms], sizes)
        self._most = np.repeat([term.clip for term in terms], sizes).astype(np.float32)
        self._least = -self._most
        self._turning = 2e-9 * math.pi / spec.observation.clock_s  # [rad/ns]
        self._noise, self._intent = (np.zeros(spec.inputs[name], np.float32) for name in ("noise", "intent"))
        session = Session(
            bundle.graph("policy"), spec.inputs, spec.outputs, provider, threads, options_of(bundle, provider)
        )
        self._infer = session.bind({"proprio": self._proprio, "intent": self._intent, "noise": self._noise})
        self.reset()

    def reset(self, seed: int = 0) -> None:
        """A new episode: no history, the clock from its start, and the noise of this seed.

        One draw is held for the episode: what the intent leaves open is decided once, not at every tick.
        """
        np.random.default_rng(seed).standard_normal(dtype=np.float32, out=self._noise)
        self._action = np.zeros_like(self._default)
        self._fresh = True

    def act(
        self,
        state: RobotState,
        z: np.ndarray,
        trace: Marks | None = None,
        sent: np.ndarray | None = None,
    ) -> ActionChunk:
        """The next ``Ta`` ticks for intent ``z`` (Z,), the first of them due now.

        ``sent``: (Da,) the joint positions that were really commanded last [rad]; where None, the first
        row of the last plan is taken to have been.
        """
        if sent is not None:
            self._action = (sent - self._default) / self._scale
        self._observe(state)
        self._intent[0] = z
        if trace:
            trace.mark("observe")
        actions = self._infer()[0][0]
        if trace:
            trace.mark("policy")
        self._action = actions[0]  # there until the next call, which reads it first
        return ActionChunk(self._default + self._scale * actions, state.stamp_ns, self.period_ns)

    def _observe(self, state: RobotState) -> None:
        if self._fresh:
            self._start_ns = state.stamp_ns
        for name, felt in self._terms:
            self._read(name, state, felt)
        history = self._history
        history[:-1] = history[1:]
        row = history[-1]
        np.multiply(self._felt, self._factor, out=row)
        np.maximum(row, self._least, out=row)
        np.minimum(row, self._most, out=row)
        if self._fresh:  # before the first tick the robot is taken to have stood as it stands now
            history[:] = row
            self._fresh = False

    def _read(self, name: str, state: RobotState, felt: np.ndarray) -> None:
        """Write one term, as it is felt now, into its place."""
        if name == "joint_pos":
            np.subtract(state.joint_pos, self._default, out=felt)
        elif name == "actions":
            felt[:] = self._action
        elif name == "clock":  # by the stamps, so that a call that was late or never came shifts no phase
            angle = self._turning * (state.stamp_ns - self._start_ns)
            felt[:] = math.cos(angle), math.sin(angle), math.cos(2 * angle), math.sin(2 * angle)
        else:
            felt[:] = getattr(state, name)
