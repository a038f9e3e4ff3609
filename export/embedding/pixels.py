"""Pixels to features within a graph: resized by area and standardised, as `Features` does with OpenCV."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from rmedge.errors import AbsentError, UsageError
from rmedge.manifest import ImageSpec
from rmedge.runtimes.features import FAINT, MIDDLE, SPREAD, Size, halved

__all__ = ["seeing", "size_of"]

# OpenCV's integers: grey = (9798 R + 19235 G + 3735 B + 2^14) / 2^15
GREY, HALF, WHOLE = (9798.0, 19235.0, 3735.0), 2.0**14, 2.0**15

START = """
see (uint8[1,H,W,3] pixels) => (float[1,C,h,w] seen)
{
    planes = Transpose <perm = [0, 3, 1, 2]> (pixels)
    picture = Cast <to = 1> (planes)
"""
RESIZED = """
    {after}_short = MatMul ({after}_rows, {before})
    {after}_exact = MatMul ({after}_short, {after}_columns)
    {after} = Round ({after}_exact)
"""
HALVED = """
    {after}_short = MatMul ({after}_rows, {before})
    {after}_exact = MatMul ({after}_short, {after}_columns)
    {after}_lifted = Add ({after}_exact, half_level)
    {after} = Floor ({after}_lifted)
"""
COLOURS = """
    shifted = Sub (sized, middle)
    seen = Mul (shifted, shrink)
}
"""
SINGLE = """
    weighed = Mul (small, weights)
    red = Slice (weighed, at_0, at_1, channel)
    green = Slice (weighed, at_1, at_2, channel)
    blue = Slice (weighed, at_2, at_3, channel)
    summed = Sum (red, green, blue, half)
    scaled = Div (summed, whole)
    grey = Floor (scaled)
"""
STANDARD = """
    mean = GlobalAveragePool (bright)
    apart = Sub (bright, mean)
    square = Mul (apart, apart)
    variance = GlobalAveragePool (square)
    deviation = Sqrt (variance)
    spread = Max (deviation, faint)
    seen = Div (apart, spread)
}
"""


def seeing(image: ImageSpec, camera: Size) -> tuple[str, dict[str, int], dict[str, np.ndarray]]:
    """The text of a graph from pixels (1, H, W, 3) uint8 to features, its extents and its constants.

    A resize is two products with constant matrices, rounded to grey levels as OpenCV rounds them: halves to
    the even level, but up where four pixels become one. OpenCV sums in another order, and enlarges with
    integers: a few pixels, of an enlarged picture one in eight, come out one level apart.

    Args:
        camera: rows and columns.

    Raises:
        UsageError: a picture that would shrink in one direction and grow in the other.
    """
    small, size = (image.height, image.width), (image.feature_height, image.feature_width)
    constants: dict[str, np.ndarray] = {}
    flow = START

    def resize(before: str, after: str, extents: Size, to: Size) -> str:
        steps = [extents, *(halved(extents, to) if before == "picture" else ()), to]
        names = [before, *(f"{after}_{n}" for n in range(len(steps) - 2)), after]
        return "".join(map(step, names, names[1:], steps, steps[1:]))

    def step(before: str, after: str, extents: Size, to: Size) -> str:
        rows, columns = resizing(extents, to)
        constants[f"{after}_rows"], constants[f"{after}_columns"] = rows, columns.T
        if extents != (2 * to[0], 2 * to[1]):
            return RESIZED.format(before=before, after=after)
        constants["half_level"] = np.array(0.5)
        return HALVED.format(before=before, after=after)

    if image.colour == "gray":
        flow += resize("picture", "small", camera, small) + SINGLE + resize("grey", "bright", small, size)
        constants |= {f"at_{at}": np.array([at]) for at in range(4)}
        constants |= {
            "channel": np.array([1]),
            "weights": np.array(GREY).reshape(1, 3, 1, 1),
            "half": np.array(HALF),
            "whole": np.array(WHOLE),
            "faint": np.array(FAINT),
        }
        flow += STANDARD
    else:
        finer = size[0] > small[0] or size[1] > small[1]  # as in Features: then not by way of the small one
        if not finer:
            flow += resize("picture", "small", camera, small)
        flow += resize("picture" if finer else "small", "sized", camera if finer else small, size) + COLOURS
        constants |= {"middle": np.array(MIDDLE), "shrink": np.array(1 / SPREAD)}
    shapes = {"H": camera[0], "W": camera[1], "C": image.channels, "h": size[0], "w": size[1]}
    kept = {
        name: value if value.dtype == int else value.astype(np.float32) for name, value in constants.items()
    }
    return flow, shapes, kept


def size_of(text: str) -> Size:
    """A camera's size from its name, as 640x480.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch("([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if not found:
        raise UsageError(f"camera: expected its width and height, as 640x480, got {text!r}")
    return int(found[2]), int(found[1])


def resizing(before: Size, after: Size) -> tuple[np.ndarray, np.ndarray]:
    """The matrices (after, before) of rows and of columns by which OpenCV resizes by area.

    They are what it makes of a picture with a single bright pixel: resizing is linear, and rows and columns
    do not mix.

    Raises:
        UsageError: a picture that would shrink in one direction and grow in the other.
        AbsentError: OpenCV is not here.
    """
    try:
        import cv2
    except ImportError as error:
        raise AbsentError('pixels: expected OpenCV, got none; pip install "rmedge[camera]"') from error

    if min(after[0] - before[0], after[1] - before[1]) < 0 < max(after[0] - before[0], after[1] - before[1]):
        raise UsageError(
            f"camera: expected one that is resized one way, got {before[1]}x{before[0]} for "
            f"{after[1]}x{after[0]}; crop it first"
        )
    area: Any = {"interpolation": cv2.INTER_AREA}
    rows, columns = (
        cv2.resize(np.eye(old, dtype=np.float32), (old, new), **area)
        for old, new in zip(before, after, strict=True)
    )
    return rows, columns
