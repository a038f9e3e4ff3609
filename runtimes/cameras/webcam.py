"""A webcam: a thread keeps only its newest frame, so that nobody ever waits for it."""

from __future__ import annotations

import threading
from typing import Any

from rmedge.clock import Clock
from rmedge.errors import AbsentError
from rmedge.specs import Frame

__all__ = ["Webcam"]

RETRY_S = 0.02  # between reads of a camera that gives nothing


class Webcam:
    """The camera with that number, through OpenCV.

    Raises:
        AbsentError: it is not there.
    """

    def __init__(self, number: int) -> None:
        try:
            import cv2
        except ImportError as error:
            raise AbsentError('webcam: expected OpenCV, got none; pip install "rmedge[camera]"') from error
        self._cv2 = cv2
        # OpenCV has words of its own about a camera that is not there; older builds cannot be hushed
        hush = getattr(getattr(cv2.utils, "logging", None), "setLogLevel", lambda level: level)
        before = hush(0)
        self._capture = cv2.VideoCapture(number)
        hush(before)
        if not self._capture.isOpened():
            raise AbsentError(f"webcam: expected a camera {number}, got none; list them with: ls /dev/video*")
        self._newest: Frame | None = None
        self._clock = Clock()
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._grab, name=f"webcam-{number}", daemon=True)
        self._thread.start()

    def attach(self, clock: Clock) -> None:
        self._clock, self._newest = clock, None  # older frames were stamped by another clock

    def read(self, max_age_ns: int) -> Frame | None:
        frame = self._newest
        if frame is None or self._clock.now_ns() - frame.captured_ns > max_age_ns:
            return None
        return frame

    def __enter__(self) -> Webcam:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._leave.set()
        self._thread.join(timeout=2.0)
        self._capture.release()

    def _grab(self) -> None:
        sequence = 0
        while not self._leave.is_set():
            seen, pixels = self._capture.read()
            if not seen:  # pulled out, or not ready: a failing read returns at once, so wait here
                self._leave.wait(RETRY_S)
                continue
            clock = self._clock
            now_ns = clock.now_ns()  # OpenCV does not say when the light fell: this is its upper bound
            frame = Frame(
                self._cv2.cvtColor(pixels, self._cv2.COLOR_BGR2RGB), now_ns, clock.now_ns(), sequence
            )
            sequence += 1
            if clock is self._clock:
                self._newest = frame
