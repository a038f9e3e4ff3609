"""A camera on this machine's bus (USB, or anything else with a V4L2 driver), through OpenCV."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from rmedge.errors import AbsentError
from rmedge.runtimes.cameras.live import Picture

__all__ = ["Webcam"]

RETRY_S = 0.02  # between reads of a camera that gives nothing: a failing read returns at once
OLDEST_NS = 1_000_000_000  # a stamp that is older, or lies ahead, is of another clock
STABLE = Path("/dev/v4l/by-id")  # names that stay when the numbers change places


class Webcam:
    """The camera with that number, or at that path (``/dev/video0``, ``/dev/v4l/by-id/...``).

    A picture's age is counted from the driver's own stamp, which V4L2 takes from the monotonic clock;
    where a driver gives none, from the instant that OpenCV had it.

    Raises:
        AbsentError: it is not there, may not be used, or OpenCV is not here.
    """

    def __init__(self, device: str | int) -> None:
        try:
            import cv2
        except ImportError as error:
            raise AbsentError('webcam: expected OpenCV, got none; pip install "rmedge[camera]"') from error
        self._cv2 = cv2
        self._path = f"/dev/video{device}" if str(device).isdecimal() else str(device)
        self.name = f"webcam {device}"
        self._capture: Any = None
        if not os.path.exists(self._path):
            raise AbsentError(f"webcam: expected a camera {device}, got none; {_choices()}")
        if not os.access(self._path, os.R_OK | os.W_OK):
            raise AbsentError(
                f"webcam: expected leave to use {self._path}, got none; "
                "sudo usermod -aG video $USER, then log in again"
            )

    def open(self) -> None:
        cv2 = self._cv2
        # OpenCV has words of its own about a camera that will not open; older builds cannot be hushed
        hush = getattr(getattr(cv2.utils, "logging", None), "setLogLevel", lambda level: level)
        before = hush(0)
        try:
            self._capture = cv2.VideoCapture(self._path, cv2.CAP_V4L2)
        finally:
            hush(before)
        if not self._capture.isOpened():
            raise ConnectionError("a device that will not open; is another program using it?")
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the driver's queue holds old pictures otherwise

    def grab(self) -> Picture | None:
        seen, pixels = self._capture.read()
        if not seen or pixels is None or not pixels.size:  # pulled out, or not ready
            time.sleep(RETRY_S)
            return None
        rgb = self._cv2.cvtColor(pixels, self._cv2.COLOR_BGR2RGB)
        age_ns = time.monotonic_ns() - self._capture.get(self._cv2.CAP_PROP_POS_MSEC) * 1e6
        return Picture(rgb, round(age_ns) if 0 <= age_ns <= OLDEST_NS else 0)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def interrupt(self) -> None:
        """There is no way: OpenCV waits for a frozen camera for up to ten seconds."""


def _choices() -> str:
    stable = sorted(STABLE.glob("*")) if STABLE.is_dir() else []
    here = ", ".join(str(path) for path in stable or sorted(Path("/dev").glob("video*")))
    return f"here are {here}" if here else "list them with: ls /dev/video*"
