"""What passes between the rooms: five frozen records, and the one alphabet of their shapes.

===== ==============================================
``B`` batch
``To`` observation ticks (history), oldest first
``Ta`` action ticks (chunk)
``Do`` size of one tick's observation
``Da`` driven joints, in the robot's order
``H W C`` image rows, columns, channels (RGB)
``Z`` intent
===== ==============================================

SI units; quaternions are w x y z; the body frame is x forward, y left, z up; instants are
``time.monotonic_ns`` values [ns] of the clock that the loop runs on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmedge import kernels
from rmedge.errors import UsageError

__all__ = ["ActionChunk", "Frame", "Intent", "JointTarget", "RobotState"]


@dataclass(frozen=True)
class Frame:
    """One picture: what a camera saw, and when."""

    pixels: np.ndarray  # (H, W, 3) uint8, RGB
    captured_ns: int  # when the light fell
    received_ns: int  # when this process had it
    sequence: int  # counts the camera's frames, dropped ones too


@dataclass(frozen=True)
class Intent:
    """What the person in the video does, as a point of the motion latent space."""

    z: np.ndarray  # (Z,) float32
    certainty: float  # 0 (a guess) .. 1 (sure)
    presence: float  # probability that a moving viewpoint or a person is seen at all
    captured_ns: int  # capture instant of the frame it was read from
    name: str = ""  # of the taught motion that was recognised, if one was


@dataclass(frozen=True)
class RobotState:
    """What the robot's own sensors say at one instant."""

    joint_pos: np.ndarray  # (Da,) [rad]
    joint_vel: np.ndarray  # (Da,) [rad/s]
    base_ang_vel: np.ndarray  # (3,) [rad/s], body frame
    projected_gravity: np.ndarray  # (3,) unit vector, body frame; (0, 0, -1) upright
    stamp_ns: int
    motor_temp: np.ndarray | None = None  # (Da,) [deg C], NaN where unknown


@dataclass(frozen=True)
class ActionChunk:
    """Joint positions for the next ``Ta`` policy ticks; the first row is due at ``stamp_ns``."""

    joint_pos: np.ndarray  # (Ta, Da) [rad]
    stamp_ns: int
    period_ns: int  # between rows


@dataclass(frozen=True)
class JointTarget:
    """One command to the motors: torque = kp (joint_pos - q) - kd dq."""

    joint_pos: np.ndarray  # (Da,) [rad]
    kp: np.ndarray  # (Da,) [N m/rad]
    kd: np.ndarray  # (Da,) [N m s/rad]
    stamp_ns: int

    def check(self, joints: int) -> None:
        """Refuse what no motor may be told; for actuators, before they send it.

        Raises:
            UsageError: not so many positions, stiffnesses and dampings, or one that is not finite.
        """
        for name in ("joint_pos", "kp", "kd"):
            numbers = getattr(self, name)
            if numbers.shape != (joints,):
                raise UsageError(f"target: expected {joints} numbers in {name}, got {numbers.shape}")
            if not kernels.finite(numbers):
                raise UsageError(f"target: expected finite numbers in {name}, got {numbers}")
