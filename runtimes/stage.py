"""The stage: pictures of the robot in its world, by the software painter or by MuJoCo's renderer."""

from __future__ import annotations

import os
from typing import Any, Callable

import numpy as np

from rmedge.errors import AbsentError
from rmedge.robots import Robot, rotation_matrix
from rmedge.runtimes.film import PANEL
from rmedge.runtimes.painter import View, paint, robot_shapes, shadow
from rmedge.runtimes.scenery import floor

__all__ = ["RENDERERS", "Chase", "Painted", "Stage", "open_stage"]

RENDERERS = ("auto", "painter", "mujoco")

# from where the whole body of a robot of unit height fills the picture: ahead of it, to its left
FOV_RAD = np.radians(36.0)
EYE, AIM = (2.9, 1.9, 1.3), (0.0, 0.0, 0.8)  # per standing height of the root
LAG = 0.9  # share of its own place that the camera keeps from one picture to the next: it does not sway along

Stage = Callable[[np.ndarray], np.ndarray]  # qpos (7 + Da,) -> (H, W, 3) uint8


def open_stage(renderer: str, robot: Robot, model: Any = None) -> Stage:
    """A way to picture the robot: ``painter``, ``mujoco`` (OpenGL), or ``auto``: MuJoCo's where it works.

    Args:
        model: MuJoCo's, of the simulated world; without one the painter paints.

    Raises:
        AbsentError: MuJoCo's renderer was asked for and OpenGL is not there.
    """
    asked = os.environ.get("MUJOCO_GL", "").lower() in (
        "egl",
        "glfw",
        "osmesa",
    )  # without, MuJoCo only guesses
    if renderer == "mujoco" and model is None:
        raise AbsentError("renderer: expected MuJoCo's world to render, got none; choose --actuator sim")
    if renderer == "mujoco" or (renderer == "auto" and asked and model is not None):
        from rmedge.runtimes.renderer import Rendered

        try:
            return Rendered(model, robot)
        except AbsentError:
            if renderer == "mujoco":
                raise
    return Painted(robot)


class Chase:
    """A camera that goes along with the robot, and does not turn with it."""

    def __init__(self, robot: Robot) -> None:
        self._height = robot.standing_height
        self._centre: np.ndarray | None = None

    def follow(self, root_pos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Eye and target (3,) [m] for the root's place."""
        centre = np.array([root_pos[0], root_pos[1], 0.0])
        if self._centre is not None:
            centre = LAG * self._centre + (1 - LAG) * centre
        self._centre = centre
        return centre + self._height * np.array(EYE), centre + self._height * np.array(AIM)


class Painted:
    """Painted shapes on a chequered floor; needs no OpenGL."""

    def __init__(self, robot: Robot) -> None:
        self._robot, self._chase = robot, Chase(robot)
        names = [body.name for body in robot.bodies]
        self._feet = [names.index(foot) for foot in robot.feet]

    def __call__(self, qpos: np.ndarray) -> np.ndarray:
        root_pos, rotation, joint_pos = qpos[:3], rotation_matrix(qpos[3:7]), qpos[7:]
        eye, target = self._chase.follow(root_pos)
        view = View.look_at(eye, target, FOV_RAD, *PANEL)
        image = floor(view)
        feet = self._robot.forward_kinematics(joint_pos)[0][self._feet]  # (feet, 3) in the root's frame
        shadow(image, view, root_pos + feet @ rotation.T, radius=0.26)
        paint(image, view, robot_shapes(self._robot, joint_pos, root_pos, rotation), tones=8)
        return image
