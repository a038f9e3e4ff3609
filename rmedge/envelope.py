"""The envelope: the last thing between a policy and the motors, and it lets nothing unsafe through."""

from __future__ import annotations

import numpy as np

from rmedge.specs import JointTarget, RobotState

__all__ = ["Envelope"]


class Envelope:
    """Clamps every command to position, rate and torque limits; refuses what is not finite.

    In this order: the target's rate of change, its predicted torque ``kp (q* - q) - kd dq``, its
    position. A refused command is replaced by the last one that passed. Everything is counted by joint.

    Args:
        lower, upper: (Da,) [rad].
        rate_limit: (Da,) [rad/s].
        torque_limit: (Da,) [N m].
    """

    def __init__(
        self, lower: np.ndarray, upper: np.ndarray, rate_limit: np.ndarray, torque_limit: np.ndarray
    ) -> None:
        self.lower, self.upper = np.asarray(lower, float), np.asarray(upper, float)
        self.rate_limit, self.torque_limit = np.asarray(rate_limit, float), np.asarray(torque_limit, float)
        self.reset()

    def reset(self) -> None:
        """A new episode: no last command, and every count from zero."""
        joints = len(self.lower)
        self.clamped = {name: np.zeros(joints, np.int64) for name in ("rate", "torque", "position")}
        self.refused = np.zeros(joints, np.int64)  # a target or a state that is not finite
        self._last: JointTarget | None = None
        self.refusals = 0  # in a row

    def apply(self, target: JointTarget, state: RobotState) -> JointTarget:
        """The nearest safe command to ``target``, seen from ``state``; its gains, checked before, pass."""
        finite = np.isfinite(target.joint_pos) & np.isfinite(state.joint_pos) & np.isfinite(state.joint_vel)
        if np.count_nonzero(finite) < len(finite):
            return self._refuse(target, state, ~finite)
        safe = target.joint_pos
        if self._last is not None:
            step = self.rate_limit * ((target.stamp_ns - self._last.stamp_ns) * 1e-9)
            safe = self._clamp("rate", safe, self._last.joint_pos - step, self._last.joint_pos + step)
        # kp (q* - q) - kd dq within +-limit  <=>  q* within q + (kd dq +- limit) / kp
        damping = target.kd * state.joint_vel
        low = (damping - self.torque_limit) / target.kp + state.joint_pos
        high = (damping + self.torque_limit) / target.kp + state.joint_pos
        safe = self._clamp("torque", safe, low, high)
        safe = self._clamp("position", safe, self.lower, self.upper)
        sent = JointTarget(safe, target.kp, target.kd, target.stamp_ns)
        self._last = sent
        self.refusals = 0
        return sent

    def _clamp(self, name: str, wanted: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        safe = np.minimum(np.maximum(wanted, low), high)
        changed = safe != wanted
        if np.count_nonzero(changed):  # for so few joints a quarter of what any() costs
            self.clamped[name] += changed
        return safe

    def _refuse(self, target: JointTarget, state: RobotState, broken: np.ndarray) -> JointTarget:
        self.refused += broken
        self.refusals += 1
        if self._last is not None:
            hold = self._last.joint_pos
        else:  # nothing was ever sent: stay where the robot is, or in the middle of what it may do
            middle = (self.lower + self.upper) / 2
            hold = np.where(np.isfinite(state.joint_pos), state.joint_pos, middle)
        hold = np.clip(hold, self.lower, self.upper)
        # it is sent, so the next command's rate counts from here: a gap must not add up to a leap
        self._last = JointTarget(hold, target.kp, target.kd, target.stamp_ns)
        return self._last
