"""Jerk: the third difference of the commands over time, and how to keep it within a limit."""

from __future__ import annotations

import numpy as np

__all__ = ["JerkLimit"]

# shares of what braking in continuous time would allow; what is left over is for steps that are not equal
_SPEED, _EFFORT, _STEP = 0.6, 0.6, 0.5
_LEAP = 2.0  # times the rate limit: a command that leapt further could not be stopped where it is wanted


class JerkLimit:
    """Knows how the commands have moved, and where the next may lie.

    With steps h, h1, h2 (the newest first) the commands' velocity is v = (s - s1) / h, their
    acceleration a = 2 (v - v1) / (h + h1) and their jerk 3 (a - a1) / (h + h1 + h2): divided differences,
    which for equal steps are the plain ones, and which steps of unequal length do not blow up.

    To go to the nearest command that obeys, every time, would never end: a speed that was built up within
    the limit takes as long to lose, so it overshoots, and swings for ever. Where a command had to be held
    back, it therefore pursues what is wanted, no faster than it can come to rest there. A leap of more than
    twice the rate limit could not be stopped either, and is pursued like a jerk.

    Args:
        limit: (Da,) [rad/s^3].
        rate_limit: (Da,) [rad/s], which no pursuit exceeds.

    Attributes:
        centre: (Da,) the next command without any jerk.
        reach: (Da,) how far from there it may lie.
        behind: the last command was not what was wanted.
    """

    def __init__(self, limit: np.ndarray, rate_limit: np.ndarray) -> None:
        self._limit, self._rate_limit = limit, rate_limit
        self._past = np.zeros((3, len(limit)))  # the last commands, the newest first
        self._weights = np.zeros(3)
        self._nothing = np.zeros_like(limit)
        self.centre, self.reach = np.zeros_like(limit), np.zeros_like(limit)
        self.reset()

    def reset(self) -> None:
        """The next command is the first, and may be anywhere."""
        self._steps: tuple[float, ...] = ()
        self.stand(self._nothing)

    def stand(self, joint_pos: np.ndarray) -> None:
        """The commands stand still here (Da,) [rad]."""
        self._past[:] = joint_pos
        self._h = self._h1 = self._h2 = 0.0
        self._short, self.behind = self._nothing, False

    def open(self, h: float) -> None:
        """The next command comes h [s] after the last."""
        h1 = self._h1 or h  # before the first, they stood still for as long
        h2 = self._h2 or h1
        self._h, self._steps = h, (h1, h2)
        if h > 0.0:  # the parabola through the last three
            two, three = h + h1, h + h1 + h2
            self._weights[:] = (
                two * three / (h1 * (h1 + h2)),
                -h * three / (h1 * h2),
                h * two / (h2 * (h1 + h2)),
            )
            np.dot(self._weights, self._past, out=self.centre)
            np.multiply(self._limit, h * two * three / 6, out=self.reach)
        else:
            self.centre[:], self.reach[:] = self._past[0], 0.0

    def follow(self, wanted: np.ndarray) -> np.ndarray:
        """(Da,) the command on the way to ``wanted``: itself where it may be gone to and stayed at."""
        h, limit, short, reach = self._h, self._limit, self._short, self.reach
        free = (np.abs(wanted - self.centre) <= reach) & (np.abs(short) <= _STEP * reach)
        free &= np.abs(wanted - self._past[0]) <= _LEAP * h * self._rate_limit
        if not self._steps or np.count_nonzero(free) == free.size:
            self.sent(wanted)
            return wanted
        pos, pos1, _ = self._past
        if h > 0.0:
            h1 = self._steps[0]
            pair, vel = (h + h1) / 2, (pos - pos1) / h1
            # as fast as it can still brake for what it is short of, on top of the speed of what is wanted
            speed = np.maximum(_SPEED * np.cbrt(limit * short * short), _STEP * reach / h)
            speed = np.copysign(np.minimum(speed, np.abs(short) / h), short) + (wanted - pos - short) / h
            speed = np.minimum(np.maximum(speed, -self._rate_limit), self._rate_limit)
            # and accelerated no more than it can end with that speed
            change = speed - vel
            effort = np.minimum(_EFFORT * np.sqrt(limit * np.abs(change)), np.abs(change) / pair)
            pursued = pos + h * (vel + pair * np.copysign(effort, change))
            pursued = np.minimum(np.maximum(pursued, self.centre - reach), self.centre + reach)
            command = np.where(free, wanted, pursued)
        else:
            command = pos.copy()
        self.sent(command)
        self._short = wanted - command
        self.behind = bool(np.count_nonzero(self._short))
        return command

    def sent(self, joint_pos: np.ndarray) -> None:
        """This was commanded (Da,), and wanted."""
        if not self._steps:
            self.stand(joint_pos)
        elif self._h > 0.0:
            self._past[1:] = self._past[:-1]
            self._h1, self._h2 = self._h, self._steps[0]
        self._past[0] = joint_pos
        self._short, self.behind = self._nothing, False
