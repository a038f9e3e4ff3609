"""Jerk: the third difference of the commands over time, and how to keep it within a limit."""

from __future__ import annotations

import numpy as np

from rmedge import kernels

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
        past: (3, Da) where it keeps the last commands, the newest first.

    Attributes:
        h, h1, h2: between the last commands [s], the newest first: the one that is being asked for, and
            those before; 0 where there was none.
        behind: the last command was not what was wanted.
    """

    def __init__(self, limit: np.ndarray, rate_limit: np.ndarray, past: np.ndarray) -> None:
        self._limit, self._rate_limit, self._past = limit, rate_limit, past
        self._nothing = np.zeros_like(limit)
        self.reset()

    def reset(self) -> None:
        """The next command is the first, and may be anywhere."""
        self._opened = False
        self.stand(self._nothing)

    def stand(self, joint_pos: np.ndarray) -> None:
        """The commands stand still here (Da,) [rad]."""
        self._past[:] = joint_pos
        self.h = self.h1 = self.h2 = 0.0
        self._short, self.behind = self._nothing, False

    def open(self, h: float) -> None:
        """The next command comes h [s] after the last."""
        self.h, self._opened = h, True

    def follow(self, wanted: np.ndarray) -> np.ndarray:
        """(Da,) the command on the way to ``wanted``: itself where it may be gone to and stayed at."""
        h, limit, short = self.h, self._limit, self._short
        pos, pos1, pos2 = self._past
        way = kernels.parabola(h, self.h1, self.h2)
        centre, reach = way[0] * pos + way[1] * pos1 + way[2] * pos2, limit * way[3]
        free = (np.abs(wanted - centre) <= reach) & (np.abs(short) <= _STEP * reach)
        free &= np.abs(wanted - self._past[0]) <= _LEAP * h * self._rate_limit
        if not self._opened or np.count_nonzero(free) == free.size:
            self.sent(wanted)
            return wanted
        if h > 0.0:
            h1 = self.h1 or h  # before the first they stood still for as long
            pair, vel = (h + h1) / 2, (pos - pos1) / h1
            # as fast as it can still brake for what it is short of, on top of the speed of what is wanted
            speed = np.maximum(_SPEED * np.cbrt(limit * short * short), _STEP * reach / h)
            speed = np.copysign(np.minimum(speed, np.abs(short) / h), short) + (wanted - pos - short) / h
            speed = np.minimum(np.maximum(speed, -self._rate_limit), self._rate_limit)
            # and accelerated no more than it can end with that speed
            change = speed - vel
            effort = np.minimum(_EFFORT * np.sqrt(limit * np.abs(change)), np.abs(change) / pair)
            pursued = pos + h * (vel + pair * np.copysign(effort, change))
            pursued = np.minimum(np.maximum(pursued, centre - reach), centre + reach)
            command = np.where(free, wanted, pursued)
        else:
            command = pos.copy()
        self.sent(command)
        self._short = wanted - command
        self.behind = bool(np.count_nonzero(self._short))
        return command

    def sent(self, joint_pos: np.ndarray) -> None:
        """This was commanded (Da,), and wanted."""
        if not self._opened:
            self.stand(joint_pos)
        elif self.h > 0.0:
            self._past[1:] = self._past[:-1]
        self._past[0] = joint_pos
        self.passed()

    def passed(self) -> None:
        """What is kept in the past was commanded last, and wanted."""
        if self.h > 0.0:
            self.h1, self.h2 = self.h, self.h1 or self.h
        self._short, self.behind = self._nothing, False
