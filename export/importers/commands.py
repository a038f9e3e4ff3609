"""From the velocity that an intent means to the command that a policy must be given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["AXES", "STANDS", "CommandMap"]

AXES = ("vx", "vy", "yaw_rate")  # [m/s, m/s, rad/s]
# below both it is standing, for an intent as for a label (docs: what `stand` means) [m/s, rad/s]; a readout
# is never quite zero, and a policy that steps on the spot is not standing
STANDS = (0.1, 0.15)
_APART = 1e-3  # [m/s, rad/s] two velocities closer than this are one


@dataclass(frozen=True)
class CommandMap:
    """For each axis a line of knots: a velocity that was achieved, and the command that achieved it.

    Between knots it is linear; beyond the last one it stays, so nothing outside a policy's range is asked.
    Where what it can do of a velocity is standing, it is told to stand.
    """

    achieved: tuple[tuple[float, ...], ...]  # 3 times, increasing
    command: tuple[tuple[float, ...], ...]
    measured: bool = False

    @classmethod
    def clipped(cls, limits: np.ndarray) -> CommandMap:
        """What an intent means is what is commanded, within limits (3, 2): as most teleoperation does."""
        rows = tuple(tuple(sorted({float(low), float(high)})) for low, high in limits)
        return cls(rows, rows)

    @classmethod
    def of(cls, achieved: list[np.ndarray], command: list[np.ndarray]) -> CommandMap:
        """The inverse of what was measured on each axis; where more command gave no more speed, the least
        command that gave it."""
        rows: list[tuple[tuple[float, ...], tuple[float, ...]]] = []
        for got, asked in zip(achieved, command, strict=True):
            order = np.argsort(asked)
            got, asked = got[order], asked[order]
            zero = int(np.argmin(np.abs(asked)))
            keep = [zero]
            for side in (range(zero + 1, len(asked)), range(zero - 1, -1, -1)):
                last = got[zero]
                for knot in side:
                    if (got[knot] - last) * np.sign(asked[knot]) > _APART:
                        keep.append(knot)
                        last = got[knot]
            keep.sort()
            rows.append((tuple(got[keep].tolist()), tuple(asked[keep].tolist())))
        return cls(tuple(row[0] for row in rows), tuple(row[1] for row in rows), True)

    def __call__(self, velocity: np.ndarray) -> np.ndarray:
        """The command (3,) for a velocity (3,)."""
        velocity = np.clip(velocity, [x[0] for x in self.achieved], [x[-1] for x in self.achieved])
        if np.hypot(*velocity[:2]) < STANDS[0] and abs(velocity[2]) < STANDS[1]:
            return np.zeros(3)
        return np.array(
            [np.interp(v, x, y) for v, x, y in zip(velocity, self.achieved, self.command, strict=True)]
        )

    def told(self) -> dict[str, Any]:
        """For a bundle's provenance."""
        return {
            "how": "inverse of what was measured in the simulator"
            if self.measured
            else "clipped to the range",
            "stands_below": list(STANDS),
            "achieved": {axis: list(row) for axis, row in zip(AXES, self.achieved, strict=True)},
            "command": {axis: list(row) for axis, row in zip(AXES, self.command, strict=True)},
        }
