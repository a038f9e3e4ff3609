"""Measures: how well a robot moved, as numbers of arrays that were recorded once a policy tick."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmedge.benchmarks.policies.recording import Recording
from rmedge.robots import Robot

__all__ = [
    "MEASURES",
    "action_rate",
    "foot_slip",
    "heading_error",
    "jerk",
    "key_points",
    "measure",
    "mpjpe_mm",
    "mpjpe_rad",
    "places",
    "power",
    "settled",
    "torque_share",
    "upper_body",
    "velocity_error",
]

SETTLING_S = 1.0  # contracts, section 2: errors count after the first second
MEASURES = {  # name -> unit
    "velocity": "m/s, m/s, rad/s",
    "velocity_error": "m/s, m/s, rad/s",
    "heading_error": "rad",
    "mpjpe_mm": "mm",
    "upper_mpjpe_mm": "mm",
    "foot_slip": "m/s",
    "action_rate": "rad/s",
    "jerk": "rad/s^3",
    "torque": "of its limit",
    "power": "W",
}


def measure(robot: Robot, done: Recording, own: Recording, asked: np.ndarray) -> dict[str, Any]:
    """All `MEASURES` of what was done where a velocity (3,) was asked; ``own``: the caption's own teacher."""
    period_s = done.period_s
    late = settled(len(done.velocity), period_s)
    here, there = places(robot, done.joint_pos), places(robot, own.joint_pos)
    upper = upper_body(robot)
    return {
        "velocity": tuple(done.velocity[late].mean(0).tolist()),
        "velocity_error": tuple(velocity_error(done.velocity[late], asked).tolist()),
        "heading_error": heading_error(done.heading[late], asked[2], period_s),
        "mpjpe_mm": mpjpe_mm(here, there),
        "upper_mpjpe_mm": mpjpe_mm(here[:, upper], there[:, upper]),
        "foot_slip": foot_slip(done.slip),
        "action_rate": action_rate(done.command, period_s),
        "jerk": jerk(done.command, period_s),
        "torque": torque_share(done.torque, robot.torque_limit),
        "power": power(done.torque, done.joint_vel),
    }


def settled(ticks: int, period_s: float) -> slice:
    """The ticks after the first second; all of them where a motion did not last as long."""
    return slice(round(SETTLING_S / period_s) if ticks * period_s > SETTLING_S else 0, None)


def velocity_error(velocity: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(3,) mean distance of velocities (T, 3) from the one that was asked (3,) [m/s, m/s, rad/s]."""
    return np.abs(velocity - asked).mean(0)


def heading_error(heading: np.ndarray, yaw_rate: float, period_s: float) -> float:
    """Mean distance of headings (T,) from turning at the asked rate [rad/s] ever since the first [rad]."""
    wanted = heading[0] + yaw_rate * period_s * np.arange(len(heading))
    return float(np.abs(heading - wanted).mean())


def places(robot: Robot, joint_pos: np.ndarray) -> np.ndarray:
    """(T, bodies, 3) where every body is in the root's frame [m], for joints (T, Da) [rad]."""
    return robot.forward_kinematics(joint_pos)[0]


def upper_body(robot: Robot) -> np.ndarray:
    """(bodies,) True for what is neither the root, nor between it and a foot, nor hangs on those."""
    parents = [body.parent for body in robot.bodies]
    legs = set()
    for index, body in enumerate(robot.bodies):
        while body.name in robot.feet and parents[index] >= 0:
            legs.add(index)
            index = parents[index]
    upper = np.zeros(len(parents), dtype=bool)
    for index, parent in enumerate(parents):  # parents come before their children
        upper[index] = parent >= 0 and index not in legs and (upper[parent] or parents[parent] < 0)
    return upper


def mpjpe_mm(first: np.ndarray, second: np.ndarray) -> float:
    """Mean distance between the bodies (T, bodies, 3) [m] of two motions, while both last [mm]."""
    ticks = min(len(first), len(second))
    return 1e3 * float(np.linalg.norm(first[:ticks] - second[:ticks], axis=-1).mean())


def key_points(robot: Robot) -> np.ndarray:
    """(bodies,) True for whatever nothing hangs on: hands, feet, and a head that moves."""
    carries = {body.parent for body in robot.bodies}
    return np.array([index not in carries for index in range(len(robot.bodies))])


def mpjpe_rad(first: np.ndarray, second: np.ndarray) -> float:
    """Mean distance between the joint positions (T, Da) [rad] of two motions, while both last [rad]."""
    ticks = min(len(first), len(second))
    return float(np.abs(first[:ticks] - second[:ticks]).mean())


def foot_slip(slip: np.ndarray) -> float:
    """Mean speed of feet (T, feet) where they touch the floor [m/s]; NaN: in the air."""
    return _mean(slip[~np.isnan(slip)])


def action_rate(command: np.ndarray, period_s: float) -> float:
    """Mean speed of commanded joint positions (T, Da) [rad/s]."""
    return _mean(np.abs(np.diff(command, axis=0))) / period_s


def jerk(command: np.ndarray, period_s: float) -> float:
    """Mean third derivative of commanded joint positions (T, Da) [rad/s^3]."""
    return _mean(np.abs(np.diff(command, n=3, axis=0))) / period_s**3


def torque_share(torque: np.ndarray, limit: np.ndarray) -> float:
    """Mean torque (T, Da), as a share of what each motor can (Da,)."""
    return _mean(np.abs(torque) / limit)


def power(torque: np.ndarray, joint_vel: np.ndarray) -> float:
    """Mean mechanical power of all motors together (T, Da), braking counted as driving [W]."""
    return _mean(np.abs(torque * joint_vel).sum(1))


def _mean(values: np.ndarray) -> float:
    """NaN of nothing: a robot that fell at once has no jerk."""
    return float(values.mean()) if values.size else float("nan")
