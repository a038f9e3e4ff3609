"""The kernels in numpy: what they mean, and what runs where nothing was compiled."""

from __future__ import annotations

from typing import Sequence

import numpy as np

__all__ = [
    *("FARTHEST", "LIMITS", "LONGEST", "SHORTEST"),
    *("between", "constant", "feel", "finite", "parabola", "passes", "plan", "steady"),
]

# The rows of what `passes` holds a command to. First where it should lie, by position, torque, rate and jerk;
# then how far from there it may; then what these follow from; then the commands that the jerk follows from,
# the newest first. Starred ones are for `passes` itself.
LIMITS = (
    "middle", "coast*", "sent", "straight*",
    "reach", "push", "step*", "leap*",
    "lead", "rate", "speed", "jerk",
    "past", "past1", "past2",
)  # fmt: skip
FARTHEST = 1e150  # no joint angle, speed or gain is larger, and no product of two of them overflows
# squared length of gravity's direction: float32 rounds by a millionth, a broken attitude by far more
SHORTEST, LONGEST = 0.98, 1.02


def constant(*arrays: np.ndarray) -> bool:
    """Whether nobody can change any of them, not even through other memory."""
    return all(array.flags.owndata and not array.flags.writeable for array in arrays)


def finite(*arrays: np.ndarray) -> bool:
    """Whether all numbers of all arrays are; to count them takes half the time of asking ``all``."""
    return all(np.count_nonzero(np.isfinite(array)) == array.size for array in arrays)


def steady(
    joint_pos: np.ndarray,
    joint_vel: np.ndarray,
    base_ang_vel: np.ndarray,
    projected_gravity: np.ndarray,
    upright: float,
    calm: float,
) -> bool:
    """Whether a robot's state is sound, and it stands upright, and no joint is fast.

    Args:
        upright: the least cosine of its tilt.
        calm: what is not fast yet [rad/s].
    """
    x, y, z = projected_gravity.tolist()
    return (
        finite(joint_pos, joint_vel, base_ang_vel)
        and SHORTEST <= x * x + y * y + z * z <= LONGEST
        and -z >= upright
        and np.count_nonzero(np.abs(joint_vel) <= calm) == joint_vel.size
    )


def feel(
    history: np.ndarray, terms: Sequence[np.ndarray | Sequence[float]], unit: np.ndarray, most: np.ndarray
) -> None:
    """Push one tick into a history (To, D) float32: its oldest row goes, the terms become its newest.

    Args:
        terms: D numbers in all.
        unit: (3, D) what is taken from every number, what it is then divided by, and multiplied with.
        most: (D,) float32, how far from zero the result may be.
    """
    felt = np.concatenate(terms)
    np.subtract(felt, unit[0], out=felt)
    np.divide(felt, unit[1], out=felt)
    history[:-1] = history[1:]
    row = history[-1]
    np.multiply(felt, unit[2], out=row)
    np.maximum(row, -most, out=row)
    np.minimum(row, most, out=row)


def plan(actions: np.ndarray, default: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(Ta, Da) the joint positions [rad] that a policy's actions (Ta, Da) float32 mean."""
    return default + scale * actions


def between(before: np.ndarray, after: np.ndarray, fraction: float) -> np.ndarray:
    """(Da,) so far on the way from the one to the other."""
    return before + fraction * (after - before)


def parabola(h: float, h1: float, h2: float) -> tuple[float, float, float, float]:
    """Where the next command would be without any jerk, and how far from there it may be.

    Args:
        h, h1, h2: between commands [s], the newest first; no time before the first counts as the one after.

    Returns:
        What the last three commands weigh in it, the newest first, and what to multiply the jerk's limit
        with [s^3].
    """
    if not h > 0.0:
        return 1.0, 0.0, 0.0, 0.0
    h1 = h1 or h
    h2 = h2 or h1
    two, three = h + h1, h + h1 + h2
    weights = two * three / (h1 * (h1 + h2)), -h * three / (h1 * h2), h * two / (h2 * (h1 + h2))
    return (*weights, h * two * three / 6)


def passes(
    limits: np.ndarray,
    wanted: np.ndarray,
    joint_pos: np.ndarray,
    joint_vel: np.ndarray,
    h: float,
    h1: float,
    h2: float,
) -> bool:
    """Whether a command (Da,) lies within all limits as it is; one that does is kept as the last.

    Args:
        limits: (len(LIMITS), Da), very large where there is none.
        h, h1, h2: see `parabola`.
    """
    middle, coast, sent, straight, _, _, step, leap, lead, rate, speed, jerk, past, _, _ = limits
    if not wanted.shape == joint_pos.shape == joint_vel.shape == middle.shape:
        return False
    # positively: what is not a number is not within
    calm = np.count_nonzero(np.abs(joint_vel) <= speed) == speed.size
    if not (calm and np.count_nonzero(np.abs(joint_pos) <= FARTHEST) == speed.size):
        return False
    np.multiply(lead, joint_vel, out=coast)
    np.add(coast, joint_pos, out=coast)
    way = parabola(h, h1, h2)
    np.add(way[0] * past + way[1] * limits[13], way[2] * limits[14], out=straight)
    np.multiply(rate, h, out=step)
    np.multiply(jerk, way[3], out=leap)
    apart = np.abs(wanted - limits[:4])
    if np.count_nonzero(apart <= limits[4:8]) < apart.size:
        return False
    if h > 0.0:
        limits[13:15] = limits[12:14]
    past[:] = sent[:] = wanted
    return True
