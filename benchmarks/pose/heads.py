"""Small heads that were trained on painted clips: landmarks to velocity and gesture, memory to velocity."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from rmedge.benchmarks.pose.landmarks import INDEX, Landmarks
from rmedge.benchmarks.pose.odometry import Odometer, ground, heading, turned
from rmedge.errors import AbsentError

__all__ = ["LandmarkHead", "MemoryHead", "Reader", "read"]

PARTS = np.array(list(INDEX.values()))
SIZE = 3 * len(PARTS) + 13  # of a frame's description


class Reader:
    """Streams landmarks into the numbers that a head is shown (SIZE,)."""

    def __init__(self) -> None:
        self._odometer = Odometer()
        self.reset()

    def reset(self) -> None:
        self._odometer.reset()
        self._before: tuple[float, np.ndarray, float] | None = None

    def push(self, seen: Landmarks | None) -> np.ndarray:
        """The person's own pose, where it is in the picture, how both changed, and the root motion."""
        row = np.zeros(SIZE, np.float32)
        if seen is None:
            self._before = None
            return row
        points = ground(seen.world)
        facing = heading(points)
        image = seen.image[:, :2] * [seen.aspect, 1.0] - [seen.aspect / 2, 0.5]  # in heights of the picture
        hips = (image[INDEX["left_hip"]] + image[INDEX["right_hip"]]) / 2
        size = _spread(image) / max(_spread(points[:, :2]) + _spread(points[:, 2:]), 1e-3)
        turn, moved, grown = 0.0, np.zeros(2), 0.0
        if self._before is not None:
            turn = math.remainder(facing - self._before[0], 2 * math.pi)
            moved = (hips - self._before[1]) / max(size, 1e-3)
            grown = math.log(max(size, 1e-3) / self._before[2])
        self._before = facing, hips, max(size, 1e-3)
        row[: 3 * len(PARTS)] = turned(points, -facing)[PARTS].ravel()
        row[3 * len(PARTS) :] = [
            1.0, math.cos(facing), math.sin(facing), *hips, size, turn, *moved, grown,
            *self._odometer.push(seen).velocity,
        ]  # fmt: skip
        return row


def _spread(points: np.ndarray) -> float:
    return float(np.sqrt(((points[PARTS] - points[PARTS].mean(0)) ** 2).sum(-1).mean()))


class LandmarkHead:
    """A recurrent network of one layer: velocity and gesture, frame by frame."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self._weights = {name: value for name, value in weights.items() if name != "gestures"}
        self._gestures = [str(name) for name in weights["gestures"]]
        self._reader = Reader()
        self.reset()

    def reset(self) -> None:
        self._reader.reset()
        self._state = np.zeros(self._weights["gru.weight_hh_l0"].shape[1], np.float32)

    def push(self, seen: Landmarks | None) -> tuple[np.ndarray, str]:
        """Velocity (3,) [m/s, m/s, rad/s] and the likeliest gesture."""
        w = self._weights
        row = (self._reader.push(seen) - w["mean"]) / w["std"]
        hidden = np.maximum(w["inlet.weight"] @ row + w["inlet.bias"], 0.0)
        given = w["gru.weight_ih_l0"] @ hidden + w["gru.bias_ih_l0"]
        kept = w["gru.weight_hh_l0"] @ self._state + w["gru.bias_hh_l0"]
        n = len(self._state)
        reset, update = _sigmoid(given[:n] + kept[:n]), _sigmoid(given[n : 2 * n] + kept[n : 2 * n])
        new = np.tanh(given[2 * n :] + reset * kept[2 * n :])
        self._state = ((1 - update) * new + update * self._state).astype(np.float32)
        out = w["outlet.weight"] @ self._state + w["outlet.bias"]
        return out[:3].astype(float), self._gestures[int(out[3:].argmax())]


class MemoryHead:
    """A hidden layer on the encoder's memory."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self._weights = weights

    def of(self, memory: np.ndarray) -> np.ndarray:
        """(3,) velocity [m/s, m/s, rad/s] for a memory (S,)."""
        w = self._weights
        hidden = np.maximum(w["inlet.weight"] @ ((memory - w["mean"]) / w["std"]) + w["inlet.bias"], 0.0)
        return (w["outlet.weight"] @ hidden + w["outlet.bias"]).astype(float)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def read(path: Path, remedy: str) -> dict[str, np.ndarray]:
    """A head's weights.

    Raises:
        AbsentError: it was never trained.
    """
    if not path.is_file():
        raise AbsentError(f"pose: expected a trained head at {path}, got none; {remedy}")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
