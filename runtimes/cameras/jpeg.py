"""JPEG pictures from the network: measured and checked for completeness before they are decoded."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmedge.errors import AbsentError
from rmedge.runtimes.cameras.live import MAX_PIXELS, Unreadable

__all__ = ["MAX_BYTES", "Jpeg"]

MAX_BYTES = 1 << 24  # of one picture; 4K at the best quality takes half of it
MAX_SEGMENTS = 512  # before the picture itself; a colour profile alone may take 255
END = b"\xff\xd9"
SCAN = 0xDA
SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # the markers that announce a picture's size


class Jpeg:
    """Decodes one picture after another.

    PyAV's decoder, not OpenCV's: half the cost here, and OpenCV's lets libjpeg write to the terminal.
    """

    def __init__(self) -> None:
        try:
            import av
        except ImportError as error:
            raise AbsentError('camera: expected PyAV, got none; pip install "rmedge[camera]"') from error
        self._av = av
        self._decoder: Any = None

    def decode(self, data: bytes) -> np.ndarray:
        """(H, W, 3) uint8 RGB.

        Raises:
            Unreadable: it is cut off, damaged or absurdly large.
        """
        width, height, scan = _survey(data)
        if not 0 < width * height <= MAX_PIXELS:
            raise Unreadable(f"JPEG: expected 1 to {MAX_PIXELS} pixels, got {width} x {height}")
        if data.rfind(END, scan) < 0:
            raise Unreadable(f"JPEG: expected a whole picture, got {len(data)} bytes without an end")
        if self._decoder is None:
            self._decoder = self._av.CodecContext.create("mjpeg", "r")
            self._decoder.thread_count = 1  # more threads would hold pictures back
            self._decoder.options = {"err_detect": "explode"}  # else damage is painted grey
        try:
            pictures = self._decoder.decode(self._av.Packet(data))
            if pictures and pictures[0].width * pictures[0].height <= MAX_PIXELS:
                return pictures[0].to_ndarray(format="rgb24")
        except (self._av.error.FFmpegError, ValueError) as error:
            self._decoder = None  # what it is left in after an error is nobody's promise
            why = getattr(error, "strerror", None) or str(error)
            raise Unreadable(f"JPEG: expected one that can be decoded, got: {why}") from error
        raise Unreadable("JPEG: expected a picture, got none")


def _survey(data: bytes) -> tuple[int, int, int]:
    """The width, the height, and where the picture itself begins, from the segments before it."""
    width = height = 0
    at = 2
    if data[:2] == b"\xff\xd8":
        for _ in range(MAX_SEGMENTS):
            if len(data) < at + 9 or data[at] != 0xFF:
                break
            marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
            if marker == 0xFF:  # filling
                at += 1
                continue
            if marker in SIZES:
                height = int.from_bytes(data[at + 5 : at + 7], "big")
                width = int.from_bytes(data[at + 7 : at + 9], "big")
            at += 2 + length
            if marker == SCAN:
                return width, height, at
    raise Unreadable(f"JPEG: expected a picture's headers, got {len(data)} other bytes")
