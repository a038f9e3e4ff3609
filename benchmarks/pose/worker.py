"""The pose estimator's own process: pictures in on one pipe, landmarks out on another.

Run by path with the interpreter of `environment`, which has MediaPipe and nothing of rmedge. Every
message starts with its kind and sizes; one answer follows each picture.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from typing import Any, BinaryIO, Iterator

import numpy as np

__all__ = ["ANSWER", "LANDMARKS", "PICTURE", "REQUEST", "RESET"]

LANDMARKS = 33
REQUEST = struct.Struct("<BIIq")  # kind, height, width, microseconds since the picture before
ANSWER = struct.Struct("<Bq")  # seen or not, nanoseconds of compute; then the landmarks as float32
PICTURE, RESET = 1, 2
# MediaPipe's own default is 0.5; on painted people that loses a tenth of the frames for nothing
FIND = 0.3
STEP_US = 33_333  # by which MediaPipe itself moves its clock on, as if every video had 30 frames a second


def estimator() -> Any:
    """MediaPipe Pose, the full model (the one that its wheel carries), tracking from frame to frame."""
    from mediapipe.python.solutions.pose import Pose

    return Pose(
        static_image_mode=False, model_complexity=1, smooth_landmarks=True, enable_segmentation=False,
        min_detection_confidence=FIND, min_tracking_confidence=FIND,
    )  # fmt: skip


def requests(pipe: BinaryIO) -> Iterator[tuple[int, int, np.ndarray]]:
    """Kind, microseconds since the picture before, picture (H, W, 3) uint8 RGB; until the pipe closes."""
    while True:
        head = pipe.read(REQUEST.size)
        if len(head) < REQUEST.size:
            return
        kind, height, width, step_us = REQUEST.unpack(head)
        pixels = np.frombuffer(pipe.read(height * width * 3), np.uint8)
        yield kind, step_us, pixels.reshape(height, width, 3)


def answer(pose: Any, pixels: np.ndarray, step_us: int) -> bytes:
    """What is seen in one picture; the time is that of the estimator alone."""
    # its smoothing goes by time: told the true step, it is as good at 10 frames a second as at 30
    pose._simulated_timestamp += step_us - STEP_US
    before_ns = time.monotonic_ns()
    seen = pose.process(pixels)
    spent_ns = time.monotonic_ns() - before_ns
    if seen.pose_landmarks is None or seen.pose_world_landmarks is None:
        return ANSWER.pack(0, spent_ns)
    world = [(p.x, p.y, p.z) for p in seen.pose_world_landmarks.landmark]
    image = [(p.x, p.y, p.z) for p in seen.pose_landmarks.landmark]
    visible = [(p.visibility,) for p in seen.pose_landmarks.landmark]
    rows = np.concatenate([world, image, visible], axis=1).astype("<f4")  # (33, 7)
    return ANSWER.pack(1, spent_ns) + rows.tobytes()


def main() -> int:
    """Serve until the other end goes away."""
    # what the libraries print must not come between the answers
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if len(sys.argv) > 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in sys.argv[1].split(",")})
    with estimator() as pose:
        out.write(b"ready\n")
        out.flush()
        for kind, step_us, pixels in requests(sys.stdin.buffer):
            if kind == RESET:
                pose.reset()
                continue
            out.write(answer(pose, pixels, step_us))
            out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
