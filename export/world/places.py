"""Places to film in: textures, photographs on the walls, furniture, and what a camera does to a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from rmedge.runtimes.scenery import Furniture, Room

__all__ = ["develop", "room", "texture"]

KINDS = ("plain", "bricks", "planks", "blobs", "windows")
HELD_OUT_KINDS = ("stripes", "checks")  # textures that training never sees
SIDE = 128  # [texel]


def texture(rng: np.random.Generator, held_out: bool = False) -> np.ndarray:
    """(128, 128, 3) something like a wall, a floor, a lawn or a facade: mostly calm, seldom loud."""

    def near(colour: np.ndarray, spread: float) -> list[int]:
        return [int(c) for c in np.clip(colour + rng.normal(0, spread, 3), 0, 255)]

    colour = rng.uniform(40, 225) + rng.normal(0, 18, 3)
    picture = np.tile(colour.astype(np.float32), (SIDE, SIDE, 1))
    rough = rng.choice([2.0, 6.0, 14.0], p=[0.5, 0.35, 0.15])
    for cells in (2, 8, 32):
        coarse = rng.standard_normal((cells, cells, 1)).astype(np.float32) * rng.uniform(0, rough)
        picture += cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]
    kinds, share = (HELD_OUT_KINDS, None) if held_out else (KINDS, [0.4, 0.15, 0.15, 0.1, 0.2])
    kind = rng.choice(kinds, p=share)
    shade = float(rng.normal(0, 22))
    if kind == "bricks":
        for row in range(8):
            picture[row * 16] += shade
            picture[row * 16 : row * 16 + 16, (row % 2) * 16 :: 32] += shade
    elif kind == "planks":
        picture[:, :: int(rng.choice([16, 32]))] += shade
    elif kind == "blobs":
        for _ in range(rng.integers(5, 30)):
            centre = tuple(int(c) for c in rng.integers(0, SIDE, 2))
            cv2.circle(picture, centre, int(rng.integers(2, 22)), near(colour, 40), -1)
    elif kind == "windows":
        for _ in range(rng.integers(2, 12)):
            x, y, w, h = (int(v) for v in (*rng.integers(0, 110, 2), *rng.integers(6, 50, 2)))
            cv2.rectangle(picture, (x, y), (x + w, y + h), near(colour, 50), -1)
    elif kind == "stripes":
        width = int(rng.choice([8, 16, 32]))
        for first in range(0, SIDE, 2 * width):
            picture[first : first + width] += shade
    elif kind == "checks":
        width = int(rng.choice([16, 32]))
        rows, columns = np.indices((SIDE, SIDE)) // width
        picture[(rows + columns) % 2 == 0] += shade
    return cv2.GaussianBlur(np.clip(picture, 0, 255).astype(np.uint8), (3, 3), 0)


def _crop(rng: np.random.Generator, photograph: np.ndarray) -> np.ndarray:
    """(128, 128, 3) a part of a photograph, perhaps flipped, perhaps in other light."""
    side = int(rng.integers(photograph.shape[0] // 3, photograph.shape[0] + 1))
    top, left = (int(rng.integers(length - side + 1)) for length in photograph.shape[:2])
    part = photograph[top : top + side, left : left + side]
    part = part[:, ::-1] if rng.random() < 0.5 else part
    lit = part.astype(np.float32) * rng.uniform(0.6, 1.2, 3) + rng.uniform(-20, 20)
    return cv2.resize(np.clip(lit, 0, 255).astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def room(rng: np.random.Generator, photographs: Sequence[np.ndarray], held_out: bool = False) -> Room:
    """A hall, a street or a small room; a third of its surfaces are photographs where there are any."""

    def surface() -> np.ndarray:
        if len(photographs) and rng.random() < 0.3:
            return _crop(rng, photographs[int(rng.integers(len(photographs)))])
        return texture(rng, held_out)

    half = rng.uniform(4, 25, 2) if rng.random() < 0.6 else rng.uniform(3, 6, 2)
    height = rng.uniform(2.4, 9.0)
    textures = [surface() for _ in range(6)]
    if rng.random() < 0.4:  # the open sky
        textures[5] = np.full((SIDE, SIDE, 3), rng.integers(150, 255), np.uint8)
    furniture = []
    for _ in range(rng.integers(0, 6)):
        size = rng.uniform(0.15, 1.0, 3)
        angle, far = rng.uniform(-math.pi, math.pi), rng.uniform(2.0, float(half.min()))
        place = np.array([far * math.cos(angle), far * math.sin(angle), size[2]])
        furniture.append(Furniture(place, size, surface(), rng.uniform(0.5, 2.0)))
    return Room([-half[0], -half[1], 0], [*half, height], textures, rng.uniform(0.8, 6.0, 6), furniture)


def develop(
    rng: np.random.Generator,
) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """What one camera does to all its pictures (H, W, 3) uint8: exposure, blur, noise, compression, bars.

    Returns:
        What develops a picture, and where the bars move its points (..., 2) [share of width and height].
    """
    gain, lift = rng.uniform(0.6, 1.25), rng.uniform(-25, 35)
    drift = rng.normal(0, 0.006) if rng.random() < 0.3 else 0.0  # an exposure that is still settling
    noise = rng.choice([0.0, 2.0, 6.0], p=[0.5, 0.35, 0.15])
    blur = rng.random() < 0.3
    smear = rng.random() < 0.15  # a slow shutter
    quality = int(rng.integers(35, 95)) if rng.random() < 0.6 else 0
    share = rng.uniform(0.04, 0.26, 2) * (rng.random(2) < 0.1)  # black above and below, or left and right
    count = 0
    before: np.ndarray = np.zeros(0)

    def shoot(picture: np.ndarray) -> np.ndarray:
        nonlocal count, before
        light = picture.astype(np.float32) * (gain * (1 + drift * count)) + lift
        count += 1
        if smear:
            light, before = (0.65 * light + 0.35 * before, light) if before.size else (light, light)
        picture = cv2.convertScaleAbs(np.maximum(light, 0.0))
        if blur:
            picture = cv2.GaussianBlur(picture, (3, 3), 0.8)
        if noise:
            picture = cv2.add(picture, rng.normal(0, noise, picture.shape), dtype=cv2.CV_8U)
        if quality:
            coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
        if share.any():
            height, width = picture.shape[:2]
            bars = (share * (height, width)).astype(int)
            inside = (width - 2 * int(bars[1]), height - 2 * int(bars[0]))
            inner = cv2.resize(picture, inside, interpolation=cv2.INTER_AREA)
            picture = np.pad(inner, ((bars[0],) * 2, (bars[1],) * 2, (0, 0)))
        return picture

    def moved(points: np.ndarray) -> np.ndarray:
        return share[::-1] + points * (1 - 2 * share[::-1])

    return shoot, moved
