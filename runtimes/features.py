"""From a picture and the one before it to the encoder's input: colours or greys, and optical flow."""

from __future__ import annotations

import contextlib
from typing import Tuple

import numpy as np

from rmedge.errors import AbsentError, InputError
from rmedge.manifest import ImageSpec

__all__ = ["Features", "Size", "halved", "use_threads"]

MIDDLE, SPREAD = 127.0, 128.0  # grey levels to -1 .. 1, as the published image networks take them
FAINT = 12.0  # [grey levels] contrast below this is not amplified further
Size = Tuple[int, int]


class Features:
    """Streams pictures into (1, C, h, w) float32: standardised grey, or red, green, blue; flow x, flow y.

    Flow is DIS (Kroeger et al. 2016, OpenCV's ultrafast preset), scaled to pixels a frame period, so a
    dropped frame does not look like a faster motion. Where the bundle asks for no motion there is none.
    """

    def __init__(self, image: ImageSpec, period_ns: int) -> None:
        try:
            import cv2
        except ImportError as error:
            raise AbsentError('features: expected OpenCV, got none; pip install "rmedge[camera]"') from error
        self._cv2 = cv2
        self._image = image
        self._period_ns = period_ns
        if image.motion != "none":
            self._dis = cv2.DISOpticalFlow_create(  # type: ignore[attr-defined]  # missing in OpenCV 5's stubs
                cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST
            )
            self._dis.setFinestScale(0)  # the preset stops at a quarter of the size, where legs are gone
        self._out = np.zeros((1, image.channels, image.feature_height, image.feature_width), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the picture before."""
        self._before: np.ndarray | None = None
        self._before_ns = 0

    def push(self, pixels: np.ndarray, captured_ns: int) -> np.ndarray:
        """The features of this picture (H, W, 3) uint8; the array is reused by the next call.

        Raises:
            InputError: it is none: a network of eight bits rounds what is not a number to one that is.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise InputError(
                f"picture: expected (height, width, 3) uint8, got {pixels.shape} {pixels.dtype}; "
                "convert it before it is watched"
            )
        cv2, image, out = self._cv2, self._image, self._out
        size, flow_size = (image.feature_width, image.feature_height), (image.width, image.height)
        finer = image.colour == "rgb" and (size[0] > flow_size[0] or size[1] > flow_size[1])
        # the picture is read once, to the larger of the two; the smaller one is made from that. Greys are
        # the flow's, however large they are wanted
        larger = size if finer else flow_size
        large = pixels
        for step in (*halved((pixels.shape[1], pixels.shape[0]), larger), larger):
            large = cv2.resize(large, step, interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(large, cv2.COLOR_RGB2GRAY)
        if finer:  # one channel is made smaller in a third of the time of three
            gray = cv2.resize(gray, flow_size, interpolation=cv2.INTER_AREA)
        if image.colour == "gray":
            bright = cv2.resize(gray, size, interpolation=cv2.INTER_AREA).astype(np.float32)
            out[0, 0] = (bright - bright.mean()) / max(float(bright.std()), FAINT)
        else:
            seen = large if finer else cv2.resize(large, size, interpolation=cv2.INTER_AREA)
            np.multiply(seen.transpose(2, 0, 1) - np.float32(MIDDLE), np.float32(1 / SPREAD), out=out[0, :3])
        if image.motion == "none":
            return out
        if self._before is None or captured_ns <= self._before_ns:
            out[0, -2:] = 0.0
        else:
            flow = self._dis.calc(self._before, gray, None)
            per_period = image.flow_scale * self._period_ns / (captured_ns - self._before_ns)
            for plane, seen in zip(cv2.split(np.clip(flow * per_period, -4.0, 4.0)), out[0, -2:]):
                cv2.resize(plane, size, dst=seen, interpolation=cv2.INTER_AREA)  # linear where it is enlarged
        self._before, self._before_ns = gray, captured_ns
        return out


def halved(before: Size, after: Size) -> list[Size]:
    """The sizes by way of which a picture is made smaller: halving by area is what OpenCV is quick at.

    Sizes are width and height, or rows and columns, as both are given.
    """
    sizes = []
    while before[0] > 2 * after[0] and before[1] > 2 * after[1] and not (before[0] % 2 or before[1] % 2):
        before = before[0] // 2, before[1] // 2
        sizes.append(before)
    return sizes


def use_threads(count: int) -> None:
    """Let OpenCV use so many threads in this process, which must be our own: it would take every core's."""
    with contextlib.suppress(ImportError):  # who needs it says so
        import cv2

        cv2.setNumThreads(count)
