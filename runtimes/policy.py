"""The few-step policy: proprioceptive history, intent and noise in, a chunk of joint positions out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rmedge import kernels
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
        # what each number of a tick loses, is divided by and multiplied with, see `kernels.feel`
        self._names = tuple(term.name for term in terms)
        self._unit = np.zeros((3, sum(sizes)))
        self._unit[1], self._unit[2] = 1.0, np.repeat([term.scale for term in terms], sizes)
        for name, at in zip(self._names, np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])):
            if name == "joint_pos":
                self._unit[0, at] = self._default
            elif name == "actions":
                self._unit[:2, at] = self._default, self._scale
        self._most = np.repeat([term.clip for term in terms], sizes).astype(np.float32)
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
        self._sent = self._default
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
            self._sent = sent
        self._observe(state)
        self._intent[0] = z
        if trace:
            trace.mark("observe")
        actions = self._infer()[0][0]
        if trace:
            trace.mark("policy")
        rows = kernels.plan(actions, self._default, self._scale)
        self._sent = rows[0]
        return ActionChunk(rows, state.stamp_ns, self.period_ns)

    def _observe(self, state: RobotState) -> None:
        if self._fresh:
            self._start_ns = state.stamp_ns
        felt = {**vars(state), "actions": self._sent}
        if "clock" in self._names:
            # by the stamps, so that a call that was late or never came shifts no phase
            angle = self._turning * (state.stamp_ns - self._start_ns)
            felt["clock"] = math.cos(angle), math.sin(angle), math.cos(2 * angle), math.sin(2 * angle)
        terms = tuple([felt[name] for name in self._names])
        kernels.feel(self._history, terms, self._unit, self._most)
        if self._fresh:  # before the first tick the robot is taken to have stood as it stands now
            self._history[:] = self._history[-1]
            self._fresh = False
