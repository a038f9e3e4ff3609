"""The few-step policy: proprioceptive history, intent and noise in, a chunk of joint positions out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rmedge.runtimes.session import Session
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
        self._session = Session(bundle.graph("policy"), spec.inputs, spec.outputs, provider, threads)
        self._default, self._scale = bundle.default_pose, bundle.action_scale
        self._terms = spec.observation.terms
        self._limit = np.repeat([t.clip for t in self._terms], [t.size for t in self._terms]).astype(
            np.float32
        )
        self._history = np.zeros((spec.observation.history, sum(t.size for t in self._terms)), np.float32)
        self._proprio = self._history.reshape(spec.inputs["proprio"])  # a view: time major, oldest first
        self._turning = 2e-9 * math.pi / spec.observation.clock_s  # [rad/ns]
        self._noise_shape = spec.inputs["noise"]
        self._intent = np.zeros(spec.inputs["intent"], np.float32)
        self.reset()

    def reset(self, seed: int = 0) -> None:
        """A new episode: no history, the clock from its start, and the noise of this seed.

        One draw is held for the episode: what the intent leaves open is decided once, not at every tick.
        """
        self._noise = np.random.default_rng(seed).standard_normal(self._noise_shape, np.float32)
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
        feed = {"proprio": self._proprio, "intent": self._intent, "noise": self._noise}
        if trace:
            trace.mark("observe")
        actions = self._session.run(feed)[0][0]
        if trace:
            trace.mark("policy")
        self._action = actions[0]
        return ActionChunk(self._default + self._scale * actions, state.stamp_ns, self.period_ns)

    def _observe(self, state: RobotState) -> None:
        if self._fresh:
            self._start_ns = state.stamp_ns
        history = self._history
        history[:-1] = history[1:]
        row, start = history[-1], 0
        for term in self._terms:
            end = start + term.size
            np.multiply(self._read(term.name, state), term.scale, out=row[start:end])
            start = end
        np.clip(row, -self._limit, self._limit, out=row)
        if self._fresh:  # before the first tick the robot is taken to have stood as it stands now
            history[:] = row
            self._fresh = False

    def _read(self, name: str, state: RobotState) -> np.ndarray | tuple[float, ...]:
        if name == "joint_pos":
            return state.joint_pos - self._default
        if name == "actions":
            return self._action
        if name == "clock":  # by the stamps, so that a call that was late or never came shifts no phase
            angle = self._turning * (state.stamp_ns - self._start_ns)
            return math.cos(angle), math.sin(angle), math.cos(2 * angle), math.sin(2 * angle)
        return getattr(state, name)
