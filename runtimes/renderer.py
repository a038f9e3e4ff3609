"""MuJoCo's own renderer, for machines with OpenGL."""

from __future__ import annotations

import warnings

import mujoco
import numpy as np

from rmedge.errors import AbsentError
from rmedge.robots import Robot
from rmedge.runtimes.film import PANEL
from rmedge.runtimes.stage import FOV_RAD, Chase

__all__ = ["Rendered"]


class Rendered:
    """The simulated world as OpenGL draws it; to be used on the thread that made it.

    Raises:
        AbsentError: there is no OpenGL.
    """

    def __init__(self, model: mujoco.MjModel, robot: Robot) -> None:
        width, height = PANEL
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # glfw warns before MuJoCo fails
                self._renderer = mujoco.Renderer(model, height, width)
        except Exception as error:  # MuJoCo, OpenGL and glfw share no error
            why = " ".join(str(error).split())
            raise AbsentError(
                f"renderer: expected OpenGL, got none ({why}); choose --renderer painter"
            ) from error
        self._model, self._data = model, mujoco.MjData(model)
        self._chase = Chase(robot)
        self._camera = mujoco.MjvCamera()
        self._model.vis.global_.fovy = np.degrees(FOV_RAD)

    def __call__(self, qpos: np.ndarray) -> np.ndarray:
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        eye, target = self._chase.follow(qpos[:3])
        ray = target - eye
        self._camera.lookat[:] = target
        self._camera.distance = np.linalg.norm(ray)
        self._camera.azimuth = np.degrees(np.arctan2(ray[1], ray[0]))
        self._camera.elevation = np.degrees(np.arcsin(ray[2] / self._camera.distance))
        self._renderer.update_scene(self._data, self._camera)
        return self._renderer.render()
