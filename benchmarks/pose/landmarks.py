"""Landmarks of a person: what MediaPipe Pose sees in one frame after another."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from rmedge.benchmarks.environment import end
from rmedge.benchmarks.pose import environment, worker
from rmedge.errors import AbsentError
from rmedge.specs import Frame

__all__ = ["INDEX", "Landmarker", "Landmarks", "one_core"]

# the person's own left and right, by MediaPipe's numbers
INDEX = {
    "nose": 0, "left_shoulder": 11, "right_shoulder": 12, "left_elbow": 13, "right_elbow": 14,
    "left_wrist": 15, "right_wrist": 16, "left_hip": 23, "right_hip": 24, "left_knee": 25,
    "right_knee": 26, "left_ankle": 27, "right_ankle": 28, "left_heel": 29, "right_heel": 30,
    "left_toe": 31, "right_toe": 32,
}  # fmt: skip
PIXELS = 256  # [pixel] the estimator's own size: what is smaller is enlarged before it is searched
FIRST_US = 33_333
SHORTEST_US = 1_000  # the estimator's clock must go on


@dataclass(frozen=True, eq=False)
class Landmarks:
    """One person in one frame. The camera's axes: x right, y down, z away from the camera."""

    world: np.ndarray  # (33, 3) [m], from the middle of the hips
    image: np.ndarray  # (33, 3) x and y in widths and heights of the picture, z in widths
    visible: np.ndarray  # (33,) 0 .. 1
    aspect: float  # width of the picture by its height
    captured_ns: int


class Landmarker:
    """Streams frames through MediaPipe Pose, in a process of its own.

    Attributes:
        spent_ns: the estimator's own time for each frame, without the pipe [ns].
        frames, seen: how many frames went in, and in how many of them there was a person.
    """

    def __init__(self, pixels: int = PIXELS, cores: str = "", python: Path | None = None) -> None:
        """``cores``: those that the worker may use, as in "0" or "0,1"; any, if empty."""
        command = [str(python or environment.interpreter()), worker.__file__, *([cores] if cores else [])]
        self._pixels = pixels
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if self._out.readline() != b"ready\n":
            self.close()
            raise AbsentError(
                "pose: expected MediaPipe to start, got nothing; delete its folder in "
                f"{environment.folder()}, then {environment.COMMAND}"
            )
        self.reset()

    def reset(self) -> None:
        """Another video: nothing is tracked from before, and the counts start anew."""
        self.spent_ns: list[int] = []
        self.frames = self.seen = 0
        self._before_ns: int | None = None
        self._ask(worker.RESET, np.empty((0, 0, 3), np.uint8), 0)

    @property
    def detection_rate(self) -> float:
        """Share of frames with a person in them; of no frames, 0."""
        return self.seen / max(self.frames, 1)

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """A picture as large as the estimator likes it (h, w, 3)."""
        short = min(pixels.shape[:2])
        if short >= self._pixels:
            return np.ascontiguousarray(pixels)
        return enlarged(pixels, self._pixels / short)

    def watch(self, frame: Frame, picture: np.ndarray | None = None) -> Landmarks | None:
        """The person in this frame; None where none is found. ``picture``: the frame, already prepared."""
        if picture is None:
            picture = self.prepare(frame.pixels)
        step_us = FIRST_US
        if self._before_ns is not None:
            step_us = max(SHORTEST_US, (frame.captured_ns - self._before_ns) // 1000)
        self._before_ns = frame.captured_ns
        self._ask(worker.PICTURE, picture, step_us)
        seen, spent_ns = worker.ANSWER.unpack(self._read(worker.ANSWER.size))
        self.spent_ns.append(spent_ns)
        self.frames += 1
        if not seen:
            return None
        self.seen += 1
        rows = np.frombuffer(self._read(4 * 7 * worker.LANDMARKS), "<f4").reshape(-1, 7).astype(float)
        height, width = picture.shape[:2]
        return Landmarks(rows[:, :3], rows[:, 3:6], rows[:, 6], width / height, frame.captured_ns)

    def close(self) -> None:
        """End the worker."""
        end(self._process)

    def __enter__(self) -> Landmarker:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _ask(self, kind: int, picture: np.ndarray, step_us: int) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        height, width = picture.shape[:2]
        pipe.write(worker.REQUEST.pack(kind, height, width, step_us) + picture.tobytes())
        pipe.flush()

    def _read(self, count: int) -> bytes:
        data = self._out.read(count)
        if len(data) < count:
            raise AbsentError(
                f"pose: expected {count} bytes of MediaPipe, got {len(data)}: its process ended"
            )
        return data


def one_core() -> str:
    """The last of those that this process may use: to hold a worker to, as ours is to one thread."""
    return str(max(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ""


def enlarged(pixels: np.ndarray, scale: float) -> np.ndarray:
    """A picture so many times as large, smoothly."""
    try:
        import cv2
    except ImportError as error:
        raise AbsentError('pose: expected OpenCV, got none; pip install "rmedge[camera]"') from error
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC))
