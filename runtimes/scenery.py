"""What stands behind the painted shapes: a chequered floor under the sky, and textured rooms."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Sequence

import numpy as np

from rmedge.errors import AbsentError, UsageError
from rmedge.runtimes.painter import CORNERS, NEAR, View, lattice

try:
    import cv2
except ImportError as error:
    raise AbsentError('scenery: expected OpenCV, got none; pip install "rmedge[camera]"') from error

__all__ = ["Furniture", "Room", "floor"]

SKY = ((52, 64, 86), (176, 188, 204))  # overhead and horizon
GROUND = ((104, 110, 119), (122, 128, 137), (160, 167, 176))  # dark tile, light tile, line
HAZE_M = 9.0  # [m] where the ground is half lost in the sky's colour


@lru_cache(maxsize=16)
def _shortening(focal: tuple[float, float], width: int, height: int) -> np.ndarray:
    """(H, W) float32: one over the length of a ray of unit depth, whichever way the camera looks."""
    length = np.linalg.norm(lattice(focal, width, height), axis=0)
    return (1.0 / length).reshape(height, width)


def floor(view: View, tile: float = 0.5) -> np.ndarray:
    """(H, W, 3) uint8: a chequered ground z = 0 with ``tile`` [m] squares, lost in haze under a sky."""
    rays = view._planes()
    level = rays[2] * _shortening(view.focal, view.width, view.height)  # sine of the elevation
    image = cv2.LUT(cv2.merge([cv2.convertScaleAbs(np.maximum(level, 0.0), alpha=255.0)] * 3), _sky())
    below = np.flatnonzero((level < -1e-3).any(axis=1))
    if not len(below) or view.eye[2] <= 0.0:
        return image
    rows = slice(int(below[0]), int(below[-1]) + 1)
    reach = np.float32(-view.eye[2]) / np.minimum(rays[2, rows], -1e-4)
    ground = _chequers()
    x, y = (np.float32(view.eye[k]) + reach * rays[k, rows] for k in (0, 1))
    footprint = reach / np.sqrt(np.clip(-level[rows], 1e-3, 1.0)) * np.float32(1.0 / view.focal[1])
    metres = np.float32(2.0 * tile)
    seen = ground.look(x / metres, y / metres, np.float32(0.0), footprint / metres)
    haze = np.exp2(reach * np.float32(-1.0 / HAZE_M)) * (level[rows] < -1e-3)
    image[rows] = cv2.blendLinear(seen, image[rows], haze, 1.0 - haze)
    return image


@lru_cache(maxsize=None)
def _sky() -> np.ndarray:
    """(1, 256, 3) colours by the sine of the elevation."""
    share = 1.0 - np.exp(-3.0 * np.linspace(0.0, 1.0, 256))[:, None]
    overhead, horizon = np.array(SKY[0]), np.array(SKY[1])
    return np.rint(horizon + share * (overhead - horizon)).astype(np.uint8)[None]


@lru_cache(maxsize=None)
def _chequers() -> _Atlas:
    dark, light, line = np.array(GROUND, dtype=np.uint8)
    texture = np.empty((256, 256, 3), dtype=np.uint8)
    texture[:], texture[:128, :128], texture[128:, 128:] = dark, light, light
    for at in (0, 128):
        texture[at : at + 2], texture[:, at : at + 2] = line, line
    return _Atlas([texture])


class _Atlas:
    """Square textures that repeat for ever, each with ever softer copies beside it, in one picture."""

    LEVELS = 6
    OCTAVES = 0.7  # from one level to the next
    RIM = 2  # [texel] wrapped round every tile for the bilinear look-up

    def __init__(self, tiles: Sequence[np.ndarray]) -> None:
        self.size = len(tiles[0])
        wrap = 24  # [texel] three sigma of the softest level, and the rim
        rows = []
        for tile in tiles:
            wide = cv2.copyMakeBorder(tile, wrap, wrap, wrap, wrap, cv2.BORDER_WRAP)
            low, high = wrap - self.RIM, wrap + self.size + self.RIM
            row = []
            for level in range(self.LEVELS):
                sigma = 0.5 * np.sqrt(4.0 ** (1.0 + self.OCTAVES * level) - 1.0) / 2.0  # [texel]
                row.append(cv2.GaussianBlur(wide, (0, 0), sigma)[low:high, low:high])
            rows.append(np.hstack(row))
        self.picture = np.ascontiguousarray(np.vstack(rows))

    def look(self, u: np.ndarray, v: np.ndarray, tile: Any, footprint: np.ndarray) -> np.ndarray:
        """Colours (H, W, 3) at (u, v) of tile number ``tile``; lengths, ``footprint`` too, in tiles."""
        level = np.log2(np.maximum(footprint, 1e-6)) + np.float32(np.log2(self.size))
        level = np.rint(np.clip(level * np.float32(1.0 / self.OCTAVES), 0.0, self.LEVELS - 1.0))
        pitch, rim = np.float32(self.size + 2 * self.RIM), np.float32(self.RIM - 0.5)
        x = (u - np.floor(u)) * np.float32(self.size) + (level * pitch + rim)
        y = (v - np.floor(v)) * np.float32(self.size) + (tile * pitch + rim)
        return cv2.remap(self.picture, x, y, cv2.INTER_LINEAR)


@dataclass(frozen=True)
class Furniture:
    """An upright box in a room, square to its walls."""

    centre: Any  # (3,) [m]
    half: Any  # (3,) [m]
    texture: np.ndarray  # (h, w, 3) uint8
    scale: float = 1.0  # [m] that the texture's width covers


class Room:
    """A box seen from within: textured floor, ceiling and walls, with furniture."""

    TILE = 128  # [texel] every texture is kept at this size
    SHADES = (0.80, 0.92, 0.86, 0.74, 1.0, 0.95)  # brightness of the sides -x, +x, -y, +y, floor, ceiling
    FURNITURE_SHADES = (0.78, 0.90, 1.08)  # of sides across x, across y, and the top

    def __init__(
        self,
        low: Any,
        high: Any,
        textures: Sequence[np.ndarray],
        scale: Any = 2.0,
        furniture: Sequence[Furniture] = (),
    ) -> None:
        """A room from corner ``low`` to corner ``high`` (3,) [m].

        Args:
            textures: six pictures (h, w, 3) uint8 for -x, +x, -y, +y, floor, ceiling, each repeated.
            scale: [m] that one picture covers; a number, or six of them.
        """
        if len(textures) != 6:
            raise UsageError(
                f"room textures: expected 6 pictures, got {len(textures)}; give -x, +x, -y, +y, floor, top"
            )
        self.low, self.high = np.asarray(low, dtype=np.float32), np.asarray(high, dtype=np.float32)
        if not (self.low < self.high).all():
            raise UsageError(f"room: expected low < high on every axis, got low {low}, high {high}")
        self.furniture = tuple(furniture)
        lit = list(zip(textures, self.SHADES))
        lit += [(piece.texture, shade) for piece in furniture for shade in self.FURNITURE_SHADES]
        size = (self.TILE, self.TILE)
        self._atlas = _Atlas(
            [cv2.convertScaleAbs(cv2.resize(t, size, interpolation=cv2.INTER_AREA), alpha=s) for t, s in lit]
        )
        scales = [*np.broadcast_to(scale, 6), *(piece.scale for piece in furniture for _ in range(3))]
        self._per_metre = 1.0 / np.array(scales, dtype=np.float32)

    def between(self, low: Any, high: Any) -> Room:
        """The same room with its walls elsewhere; what stands beyond them is not seen."""
        moved = copy.copy(self)
        moved.low, moved.high = np.asarray(low, dtype=np.float32), np.asarray(high, dtype=np.float32)
        return moved

    def draw(self, view: View) -> np.ndarray:
        """(H, W, 3) uint8: what ``view`` sees; an eye outside is held just within the walls."""
        rays = view._planes()
        low, high = self.low[:, None, None], self.high[:, None, None]
        eye = np.clip(view.eye.astype(np.float32)[:, None, None], low + 1e-3, high - 1e-3)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            slope = 1.0 / rays  # infinite along a wall: never the nearest
            reach = np.maximum((low - eye) * slope, (high - eye) * slope)
            depth = np.minimum(reach[0], reach[1])
            across_x = reach[0] <= reach[1]
            across_z = reach[2] < depth
            np.minimum(depth, reach[2], out=depth)
            tile = np.where(across_x, rays[0] > 0, 2 + (rays[1] > 0).view(np.int8)).astype(np.int32)
            np.copyto(tile, 4 + (rays[2] > 0).view(np.int8), where=across_z)
            across = np.where(across_x, slope[0], slope[1])
            np.copyto(across, slope[2], where=across_z)
            across_x &= ~across_z
        for number, piece in enumerate(self.furniture):
            part = _window(view, piece)
            enter, leave = _slab(piece, eye, slope[part])
            near = np.maximum(np.maximum(enter[0], enter[1]), enter[2])
            hit = (near > NEAR) & (near < leave) & (near < depth[part[1:]])
            is_x, is_z = enter[0] == near, enter[2] == near
            slant = np.where(is_x, slope[part][0], np.where(is_z, slope[part][2], slope[part][1]))
            side = 6 + 3 * number + np.where(is_x, 0, np.where(is_z, 2, 1))
            found = ((depth, near), (across_x, is_x), (across_z, is_z), (across, slant), (tile, side))
            for whole, new in found:
                np.copyto(whole[part[1:]], new, where=hit)
        hit_x, hit_y, hit_z = eye + depth * rays
        per_metre = self._per_metre[tile]
        u = np.where(across_x, hit_y, hit_x) * per_metre
        v = np.where(across_z, hit_y, -hit_z) * per_metre
        slant = np.sqrt(np.minimum(np.abs(across), 50.0))  # a pixel covers more of a wall seen along it
        footprint = depth * slant * per_metre * np.float32(1.0 / view.focal[1])
        return self._atlas.look(u, v, tile.astype(np.float32), footprint)


def _slab(piece: Furniture, eye: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays enter a box, axis by axis (3, H, W), and where they leave it (H, W)."""
    low, high = (np.asarray(piece.centre) + sign * np.asarray(piece.half) for sign in (-1.0, 1.0))
    with np.errstate(invalid="ignore"):
        first = (low[:, None, None] - eye).astype(np.float32) * slope
        second = (high[:, None, None] - eye).astype(np.float32) * slope
    return np.minimum(first, second), np.maximum(first, second).min(axis=0)


def _window(view: View, piece: Furniture) -> tuple[slice, slice, slice]:
    """The part of (3, H, W) in which a box can be seen."""
    pixels, depth = view.project(CORNERS * piece.half + piece.centre)
    if (depth <= NEAR).all():
        return slice(None), slice(0), slice(0)
    if (depth <= NEAR).any():
        return slice(None), slice(None), slice(None)
    frame = (view.width, view.height)
    left, top = np.clip(np.floor(pixels.min(axis=0)), 0, frame).astype(int).tolist()
    right, bottom = np.clip(np.ceil(pixels.max(axis=0)) + 1, 0, frame).astype(int).tolist()
    return slice(None), slice(top, bottom), slice(left, right)
