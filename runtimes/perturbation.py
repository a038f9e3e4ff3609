"""Perturbations: how a simulated robot, its motors, its sensors and its floor differ from the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

import numpy as np

__all__ = ["CALM", "SENSOR_NOISE", "Perturbation"]

# standard deviations of one reading at `sensor_noise` 1: joint encoders, and a MEMS gyroscope with its
# attitude filter; several times what good ones have
SENSOR_NOISE: Mapping[str, float] = {
    "joint_pos": 0.005,  # [rad]
    "joint_vel": 0.1,  # [rad/s]
    "base_ang_vel": 0.05,  # [rad/s]
    "projected_gravity": 0.01,
}


@dataclass(frozen=True)
class Perturbation:
    """One way in which the world is not as modelled; the default is the model itself."""

    friction: float | None = None  # of feet, and of what else meets the floor; None: as published
    mass: float = 1.0  # scales every body
    com: tuple[float, ...] = (0.0, 0.0, 0.0)  # (3,) [m] by which the trunk's centre of mass is off
    stiffness: float = 1.0  # scales kp
    damping: float = 1.0  # scales kd
    strength: float = 1.0  # scales the torque limits
    push_m_s: float = 0.0  # the pelvis is pushed to be so much faster [m/s], in a random direction
    push_every_s: float = 3.0
    action_delay_s: float = 0.0  # from command to motor
    sensor_delay_s: float = 0.0  # from joint to reading
    sensor_noise: float = 0.0  # scales `SENSOR_NOISE`
    roughness_m: float = 0.0  # height of the floor's bumps
    seed: int = 0  # of pushes, noise and bumps

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Perturbation:
        """What a policy is judged under: pushes, friction, mass, gains, action delay and sensor noise."""
        return cls(
            friction=rng.uniform(0.4, 1.2), mass=rng.uniform(0.85, 1.15), stiffness=rng.uniform(0.85, 1.15),
            damping=rng.uniform(0.85, 1.15), push_m_s=0.5, push_every_s=3.0,
            action_delay_s=rng.uniform(0.0, 0.02), sensor_noise=1.0, seed=int(rng.integers(2**31)),
        )  # fmt: skip

    @classmethod
    def wild(cls, rng: np.random.Generator) -> Perturbation:
        """What a policy is trained under: everything, a little wider; three times in ten the model itself."""
        if rng.random() < 0.3:
            return CALM
        return cls(
            friction=rng.uniform(0.35, 1.3), mass=rng.uniform(0.82, 1.18),
            com=tuple(rng.uniform(-0.03, 0.03, 3).tolist()), stiffness=rng.uniform(0.82, 1.18),
            damping=rng.uniform(0.82, 1.18), strength=rng.uniform(0.85, 1.05),
            push_m_s=rng.choice([0.0, rng.uniform(0.2, 0.7)]), push_every_s=rng.uniform(1.5, 4.0),
            action_delay_s=rng.uniform(0.0, 0.024), sensor_delay_s=rng.choice([0.0, rng.uniform(0.0, 0.01)]),
            sensor_noise=rng.uniform(0.0, 1.3), roughness_m=rng.choice([0.0, 0.0, rng.uniform(0.0, 0.02)]),
            seed=int(rng.integers(2**31)),
        )  # fmt: skip


CALM = Perturbation()
