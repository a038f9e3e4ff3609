"""The default eye: ImageNet features of each picture and of its optical flow, a few milliseconds a frame."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from rmedge.export.watchers import imagenet, moments

__all__ = ["Frames"]

PIXELS = 112
RATE_HZ = 5.0
FLOW_S = 0.1  # between the two pictures that a flow is taken from
GRID, FLOW_GRID = 4, 8  # cells a side of what is kept beside the pooled features
FASTEST = 8.0  # [pixels in FLOW_S] flow that is painted as bright as can be
FLOW_SCALE = 4.0  # [pixels in FLOW_S] flow that counts as one among the tokens
BATCH = 16  # pictures a call of the network: a few fit the cache


class Frames:
    """Pictures to tokens at 5 Hz, of the picture, its flow in colours, and the flow itself."""

    rate_hz = RATE_HZ
    features = 2 * (imagenet.POOLED + imagenet.CHANNELS * GRID**2) + 2 * FLOW_GRID**2

    def __init__(self) -> None:
        self._network = imagenet.load()
        self._dis = cv2.DISOpticalFlow_create(  # type: ignore[attr-defined]  # missing in OpenCV 5's stubs
            cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST
        )
        self._dis.setFinestScale(0)  # the preset stops at a quarter of the size, where legs are gone

    def look(self, pictures: np.ndarray, rate_hz: float) -> np.ndarray:
        """Tokens (n, F) float16 of the pictures (T, H, W, 3) that are looked at."""
        at = moments(len(pictures), rate_hz, RATE_HZ)
        back = max(1, round(rate_hz * FLOW_S))
        small = {t: _small(pictures[t]) for t in sorted({*at, *np.maximum(at - back, 0)})}
        flows = np.array([self._flow(small, int(t), back, rate_hz) for t in at])  # (n, 112, 112, 2)
        seen = np.concatenate([[small[t] for t in at], [colours(flow) for flow in flows]])
        rows = self._see(seen).reshape(2, len(at), -1)
        coarse = _cells(torch.from_numpy(flows).permute(0, 3, 1, 2), FLOW_GRID).numpy() / FLOW_SCALE
        return np.concatenate([*rows, np.clip(coarse, -4, 4)], 1).astype(np.float16)

    def _flow(self, small: dict[int, np.ndarray], t: int, back: int, rate_hz: float) -> np.ndarray:
        before = max(t - back, 0)
        if before == t:
            return np.zeros((PIXELS, PIXELS, 2), np.float32)
        grey = [cv2.cvtColor(small[n], cv2.COLOR_RGB2GRAY) for n in (before, t)]
        flow = self._dis.calc(*grey, None)
        return np.asarray(flow * (FLOW_S * rate_hz / (t - before)), np.float32)

    @torch.inference_mode()
    def _see(self, pictures: np.ndarray) -> np.ndarray:
        """Features (N, F) of pictures (N, 112, 112, 3)."""
        rows = []
        for first in range(0, len(pictures), BATCH):
            grey_levels = torch.from_numpy(pictures[first : first + BATCH]).permute(0, 3, 1, 2)
            middle, pooled = self._network(grey_levels.float())  # strides stay channels last
            rows.append(torch.cat([pooled, _cells(middle, GRID)], 1))
        return torch.cat(rows).numpy()


def _cells(maps: torch.Tensor, side: int) -> torch.Tensor:
    """Maps (N, C, H, W) as the means of side x side cells (N, C side side)."""
    return F.adaptive_avg_pool2d(maps, side).flatten(1)


def _small(picture: np.ndarray) -> np.ndarray:
    """The whole picture, squeezed to a square: what is at its edges moves most."""
    if picture.shape[:2] == (PIXELS, PIXELS):
        return picture
    return np.asarray(cv2.resize(picture, (PIXELS, PIXELS), interpolation=cv2.INTER_AREA))


def colours(flow: np.ndarray) -> np.ndarray:
    """Flow (H, W, 2) [pixels] as a picture (H, W, 3): the hue is where to, the brightness how fast."""
    speed, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1], angleInDegrees=True)
    bright = 255 * np.sqrt(np.minimum(speed / FASTEST, 1.0))  # slow motion is to be seen too
    full = np.full_like(bright, 255)
    return cv2.cvtColor(np.stack([angle / 2, full, bright], -1).astype(np.uint8), cv2.COLOR_HSV2RGB)
