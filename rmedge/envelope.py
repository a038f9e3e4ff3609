"""The envelope: the last thing between a policy and the motors, and it lets nothing unsafe through."""

from __future__ import annotations

import math
from typing import Callable, Mapping

import numpy as np

from rmedge import kernels
from rmedge.jerk import JerkLimit
from rmedge.specs import JointTarget, RobotState

__all__ = ["LIMITS", "Envelope"]

LIMITS = ("jerk", "rate", "velocity", "torque", "position")  # in this order; who comes later wins

_SOFTEST = 1e-6  # [N m/rad] below it a stiffness can push nobody
# a longer silence counts as this: the motors held still, and it must not add up to a leap
_LONGEST_S = 0.02
_NEARLY, _HAIR = 1 - 1e-9, 1e-12  # what is this near to a limit is measured exactly


class Envelope:
    """Holds every command to its limits, and refuses what is not a number; counts it all by joint.

    In this order, in which who comes later wins where two contradict each other:

    - ``jerk``: the third difference of the commands over time, of what this limit lets through (those
      after it may yet change it). One that was held back comes to rest where it is wanted.
    - ``rate``: how fast the commands may move.
    - ``velocity``: a joint that is faster than this is not pushed further that way: its predicted torque
      may only brake it.
    - ``torque``: the predicted torque ``kp (q* - q) - kd dq``.
    - ``position``.

    A limit that a command exceeds is clamped to the nearest command that obeys, or, where ``on_violation``
    says ``reject``, refuses the whole command. So does any number that is not finite, any array of another
    shape, and a gain below zero. A refused command is replaced by the last one that passed, which stands
    still. What is sent is always finite and within the position limits.

    A stamp that goes back or stands still leaves no time to move; a silence of over 20 ms counts as 20 ms.

    Args:
        lower, upper: (Da,) [rad].
        rate_limit: (Da,) [rad/s].
        torque_limit: (Da,) [N m].
        velocity_limit: (Da,) [rad/s], or None: joints may be as fast as they like.
        jerk_limit: (Da,) [rad/s^3], or None.
        on_violation: limit -> ``clamp`` or ``reject``; what it does not name is clamped.

    Attributes:
        clamped: limit -> (Da,) how often it changed a command.
        rejected: limit -> (Da,) how often it refused one; of those that do.
        refused: (Da,) how often a joint was the reason that a command was refused.
        refusals: commands refused in a row.
    """

    def __init__(
        self,
        lower: np.ndarray,
        upper: np.ndarray,
        rate_limit: np.ndarray,
        torque_limit: np.ndarray,
        velocity_limit: np.ndarray | None = None,
        jerk_limit: np.ndarray | None = None,
        on_violation: Mapping[str, str] | None = None,
    ) -> None:
        self.lower, self.upper = np.asarray(lower, float), np.asarray(upper, float)
        self.rate_limit, self.torque_limit = np.asarray(rate_limit, float), np.asarray(torque_limit, float)
        joints = len(self.lower)
        # all of it as `kernels.passes` wants it, a row each; what is given to `_hold`, and how large it is
        self._limits = np.zeros((len(kernels.LIMITS), joints))
        self._row = row = dict(zip(kernels.LIMITS, self._limits))
        self._given, self._size = np.zeros((3, joints)), np.zeros((3, joints))
        row["middle"][:] = (self.lower + self.upper) / 2
        row["reach"][:] = (self.upper - self.lower) / 2 * _NEARLY - _HAIR
        row["rate"][:] = self.rate_limit * _NEARLY
        row["speed"][:] = kernels.FARTHEST if velocity_limit is None else velocity_limit
        row["jerk"][:] = kernels.FARTHEST if jerk_limit is None else jerk_limit
        self._holds: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
        self._jerk: JerkLimit | None = None
        if jerk_limit is not None:
            self._jerk = JerkLimit(row["jerk"], self.rate_limit, self._limits[-3:])
            self._holds["jerk"] = self._hold_jerk
        self._holds["rate"] = self._hold_rate
        if velocity_limit is not None:
            self._holds["velocity"] = self._hold_velocity
        self._holds.update(torque=self._hold_torque, position=self._hold_position)
        self._on_violation = dict(on_violation or {})
        self._kp = self._kd = np.zeros(0)
        self.reset()

    def reset(self) -> None:
        """A new episode: no last command, and every count from zero."""
        joints = len(self.lower)
        counts = {name: np.zeros(joints, np.int64) for name in self._holds}
        rejects = {name for name in counts if self._on_violation.get(name) == "reject"}
        self.clamped = {name: count for name, count in counts.items() if name not in rejects}
        self.rejected = {name: count for name, count in counts.items() if name in rejects}
        self.refused = np.zeros(joints, np.int64)
        self._last: JointTarget | None = None
        if self._jerk is not None:
            self._jerk.reset()
        self.refusals = 0  # in a row

    def apply(self, target: JointTarget, state: RobotState) -> JointTarget:
        """The nearest safe command to ``target``, seen from ``state``; ``target`` itself where it is safe."""
        self._know(target.kp, target.kd)
        safe = target if self._passes(target, state) else self._hold(target, state)
        self._last = safe
        return safe

    def _passes(self, target: JointTarget, state: RobotState) -> bool:
        """Whether the command is safe as it is: so is nearly every one."""
        if self._last is None or not math.isfinite(target.stamp_ns):
            return False
        h = min(max((target.stamp_ns - self._last.stamp_ns) * 1e-9, 0.0), _LONGEST_S)
        self._step_s, h1, h2, jerk = h, h, h, self._jerk
        if jerk is not None:
            jerk.open(h)
            h1, h2 = jerk.h1, jerk.h2
            if jerk.behind:
                return False
        if not self._all_gains_sane or not kernels.passes(
            self._limits, target.joint_pos, state.joint_pos, state.joint_vel, h, h1, h2
        ):
            return False
        if jerk is not None:
            jerk.passed()
        self.refusals = 0
        return True

    def _hold(self, target: JointTarget, state: RobotState) -> JointTarget:
        """The command, held to one limit after the other, or what is sent in the place of a refused one."""
        self._take(target, state)
        sane = np.logical_and.reduce(self._size <= kernels.FARTHEST) & self._gains_sane
        if np.count_nonzero(sane) < sane.size:
            return self._refuse(target, ~sane)
        safe = self._given[0]
        for name, hold in self._holds.items():
            held = hold(safe)
            changed = held != safe
            if np.count_nonzero(changed):
                if name in self.rejected:
                    self.rejected[name] += changed
                    return self._refuse(target, changed)
                self.clamped[name] += changed
            safe = held
        self.refusals = 0
        self._row["sent"][:] = safe
        return JointTarget(self._row["sent"].copy(), target.kp, target.kd, target.stamp_ns)

    def _take(self, target: JointTarget, state: RobotState) -> None:
        """What is given, as numbers of the right count or none at all, and how large they are."""
        given, shape = self._given, self.lower.shape
        for row, array in enumerate((target.joint_pos, state.joint_pos, state.joint_vel)):
            given[row] = array if array.shape == shape else np.nan
        if not math.isfinite(target.stamp_ns):
            given[0] = np.nan
        np.abs(given, out=self._size)  # positively: what is not a number is not within

    def _know(self, kp: np.ndarray, kd: np.ndarray) -> None:
        """What follows from the gains, where they may be others than before."""
        if kp is self._kp and kd is self._kd and kernels.constant(kp, kd):
            return
        self._kp, self._kd = kp, kd
        gains = np.full((2, len(self.lower)), np.nan)
        for row, array in enumerate((kp, kd)):
            if array.shape == self.lower.shape:
                gains[row] = array
        self._gains_sane = ((gains >= 0.0) & (gains <= kernels.FARTHEST)).all(0)
        self._all_gains_sane = bool(self._gains_sane.all())
        if self._all_gains_sane:
            self._stiffness = np.maximum(gains[0], _SOFTEST)
            self._row["lead"][:] = gains[1] / self._stiffness
            self._row["push"][:] = self.torque_limit / self._stiffness * _NEARLY - _HAIR

    def _hold_rate(self, safe: np.ndarray) -> np.ndarray:
        if self._last is None:
            return safe
        sent, step = self._row["sent"], self.rate_limit * self._step_s
        return np.minimum(np.maximum(safe, sent - step), sent + step)

    def _hold_jerk(self, safe: np.ndarray) -> np.ndarray:
        if self._jerk is None:
            return safe
        wanted = self._hold_position(safe)  # what lies beyond is theirs to count, and no way to go
        command = self._jerk.follow(wanted)
        return np.where(command == wanted, safe, command)

    def _hold_velocity(self, safe: np.ndarray) -> np.ndarray:
        _, pos, vel = self._given
        coast = self._kd * vel / self._stiffness + pos  # no torque is predicted here
        fastest = self._row["speed"]
        safe = np.where(vel <= fastest, safe, np.minimum(safe, coast))
        return np.where(vel >= -fastest, safe, np.maximum(safe, coast))

    def _hold_torque(self, safe: np.ndarray) -> np.ndarray:
        # kp (q* - q) - kd dq within +-limit  <=>  q* within q + (kd dq +- limit) / kp
        _, pos, vel = self._given
        damping = self._kd * vel
        low = (damping - self.torque_limit) / self._stiffness + pos
        high = (damping + self.torque_limit) / self._stiffness + pos
        return np.minimum(np.maximum(safe, low), high)

    def _hold_position(self, safe: np.ndarray) -> np.ndarray:
        return np.minimum(np.maximum(safe, self.lower), self.upper)

    def _refuse(self, target: JointTarget, broken: np.ndarray) -> JointTarget:
        self.refused += broken
        self.refusals += 1
        last, pos = self._last, self._given[1]
        if last is not None:
            hold = self._row["sent"]
        else:  # nothing was ever sent: stay where the robot is, or in the middle of what it may do
            hold = np.where(np.abs(pos) <= kernels.FARTHEST, pos, self._row["middle"])
        if self._all_gains_sane:
            kp, kd = target.kp, target.kd
        else:  # the last good gains, or none at all
            kp, kd = (last.kp, last.kd) if last is not None else np.zeros((2, len(pos)))
        stamp_ns = target.stamp_ns if math.isfinite(target.stamp_ns) else (last.stamp_ns if last else 0)
        hold = self._hold_position(hold)
        # it is sent, so the next command's rate counts from here: a gap must not add up to a leap
        self._row["sent"][:] = hold
        if self._jerk is not None:
            self._jerk.stand(hold)
        return JointTarget(hold, kp, kd, stamp_ns)
