"""The one software painter: views, and shaded shapes sorted by depth, without OpenGL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Sequence, Tuple, Union

import numpy as np

from rmedge.errors import AbsentError
from rmedge.robots import Robot

try:
    import cv2
except ImportError as error:
    raise AbsentError('painter: expected OpenCV, got none; pip install "rmedge[camera]"') from error

__all__ = ["LIGHT", "Box", "Capsule", "View", "paint", "robot_shapes", "shadow"]

LIGHT = (0.45, 0.35, 0.82)  # unit vector towards the lamp, in the world
NEAR = 0.05  # [m] nothing nearer than this is drawn
AMBIENT = 0.42  # brightness of a surface turned away from the lamp
SUBPIXEL = 4  # fractional bits of every drawn coordinate: 1/16 pixel
FAR_PIXEL = 1 << 17  # coordinates are held within what OpenCV's fixed point can carry

SHELL = (214, 217, 222)  # the light covers of a robot
GRAPHITE = (58, 61, 68)  # its joints
VISOR = (30, 33, 42)  # its face
LAMP = (92, 178, 255)  # the lit ring on it


@dataclass(frozen=True)
class View:
    """A pinhole camera: where it is, which way it looks and how large its picture is."""

    eye: np.ndarray  # (3,) [m] in the world
    rotation: np.ndarray  # (3, 3) world from camera; columns right, down, forward
    focal: tuple[float, float]  # (fx, fy) [pixel]
    width: int
    height: int

    @staticmethod
    def look_at(
        eye: Any,
        target: Any,
        fov_y_rad: float,
        width: int,
        height: int,
        roll: float = 0.0,
        stretch: float = 1.0,
    ) -> View:
        """The view from ``eye`` to ``target``, rolled clockwise by ``roll`` [rad]; ``stretch`` is fy / fx."""
        eye = np.asarray(eye, dtype=float)
        forward = np.asarray(target, dtype=float) - eye
        forward = _unit(forward, otherwise=(1.0, 0.0, 0.0))
        right = _unit(np.cross(forward, (0.0, 0.0, 1.0)), otherwise=(0.0, -1.0, 0.0))
        down = np.cross(forward, right)
        cosine, sine = np.cos(roll), np.sin(roll)
        rotation = np.stack([cosine * right + sine * down, cosine * down - sine * right, forward], axis=1)
        fy = 0.5 * height / np.tan(0.5 * fov_y_rad)
        return View(eye=eye, rotation=rotation, focal=(fy / stretch, fy), width=width, height=height)

    def camera(self, points: Any) -> np.ndarray:
        """World points (..., 3) in the camera's frame: right, down, forward [m]."""
        return (np.asarray(points) - self.eye) @ self.rotation

    def project(self, points: Any) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (N, 2) and depths (N,) [m] of world points (N, 3); no pixel nearer than ``NEAR``."""
        seen = self.camera(points)
        depth = seen[..., 2]
        return self._pixels(seen[..., :2] / np.maximum(depth, NEAR)[..., None]), depth

    def rays(self) -> np.ndarray:
        """(H, W, 3) float32 world directions of unit depth: ``eye + depth * ray`` is the point seen there."""
        return np.moveaxis(self._planes(), 0, -1)

    def _planes(self) -> np.ndarray:
        rays = self.rotation.astype(np.float32) @ lattice(self.focal, self.width, self.height)
        return rays.reshape(3, self.height, self.width)

    def _pixels(self, plane: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the plane at unit depth as pixels; (0, 0) is the middle of the first pixel."""
        return plane * self.focal + (0.5 * (self.width - 1), 0.5 * (self.height - 1))


def _unit(vector: np.ndarray, otherwise: tuple[float, float, float]) -> np.ndarray:
    """(3,) of length one; ``otherwise`` where the vector has no direction."""
    length = _norm(vector)
    return vector / length if length > 1e-6 else np.array(otherwise)


@lru_cache(maxsize=16)
def lattice(focal: tuple[float, float], width: int, height: int) -> np.ndarray:
    """(3, H * W) float32 directions in the camera's frame."""
    x = (np.arange(width) - 0.5 * (width - 1)) / focal[0]
    y = (np.arange(height) - 0.5 * (height - 1)) / focal[1]
    grid_x, grid_y = np.meshgrid(x, y)
    return np.stack([grid_x.ravel(), grid_y.ravel(), np.ones(width * height)]).astype(np.float32)


@dataclass(frozen=True)
class Capsule:
    """Two balls and the cone that wraps them; a ball when both ends are one."""

    start: Any  # (3,) [m]
    end: Any  # (3,) [m]
    radius_start: float  # [m]
    radius_end: float  # [m]
    colour: tuple[int, int, int]  # RGB

    def moved(self, position: np.ndarray, rotation: np.ndarray) -> Capsule:
        """The same capsule carried by a frame."""
        start, end = position + rotation @ self.start, position + rotation @ self.end
        return Capsule(start, end, self.radius_start, self.radius_end, self.colour)


@dataclass(frozen=True)
class Box:
    """Six flat faces; ``taper`` shrinks or widens the top's x and y, ``bevel`` rounds the edges."""

    centre: Any  # (3,) [m]
    rotation: np.ndarray  # (3, 3) world from box
    half: Any  # (3,) [m]
    colour: tuple[int, int, int]  # RGB
    taper: tuple[float, float] = (1.0, 1.0)
    bevel: float = 0.0  # [m]

    def moved(self, position: np.ndarray, rotation: np.ndarray) -> Box:
        """The same box carried by a frame."""
        centre, turned = position + rotation @ self.centre, rotation @ self.rotation
        return Box(centre, turned, self.half, self.colour, self.taper, self.bevel)


Shape = Union[Capsule, Box]
_Stroke = Tuple[float, np.ndarray, Tuple[float, float, float]]  # depth [m], polygon (P, 2) pixels, colour


def paint(image: np.ndarray, view: View, shapes: Sequence[Shape], light: Any = LIGHT, tones: int = 3) -> None:
    """Draw shapes into ``image`` (H, W, 3) uint8 RGB, farthest first.

    Args:
        light: unit vector towards the lamp, in the world.
        tones: steps of brightness across a capsule; 2 is quick, 6 is smooth.
    """
    light = view.rotation.T @ np.asarray(light, dtype=float)  # camera frame
    capsules = [shape for shape in shapes if isinstance(shape, Capsule)]
    strokes = _capsule_strokes(view, capsules, light, tones) if capsules else []
    for shape in shapes:
        if isinstance(shape, Box):
            strokes += _box_strokes(view, shape, light)
    strokes.sort(key=_depth, reverse=True)  # stable: the tones of one shape stay in their order
    for _, polygon, colour in strokes:
        cv2.fillConvexPoly(image, polygon, colour, cv2.LINE_AA, SUBPIXEL)


def _depth(stroke: _Stroke) -> float:
    return stroke[0]


def _fixed_point(pixels: np.ndarray) -> np.ndarray:
    held = np.clip(pixels, -FAR_PIXEL, FAR_PIXEL)
    return np.rint(held * (1 << SUBPIXEL)).astype(np.int32)


def _capsule_strokes(view: View, capsules: list[Capsule], light: np.ndarray, tones: int) -> list[_Stroke]:
    """Nested outlines from the dark rim to the lit crest, as Lambert's law has them on a round limb."""
    ends = view.camera(np.array([[c.start, c.end] for c in capsules], dtype=float))  # (N, 2, 3)
    radius = np.array([[c.radius_start, c.radius_end] for c in capsules], dtype=float)  # (N, 2)
    colour = np.array([c.colour for c in capsules], dtype=float)  # (N, 3)
    shown = ends[:, :, 2].max(axis=1) > NEAR
    shown &= np.isfinite(ends).all(axis=(1, 2)) & np.isfinite(radius).all(axis=1)
    ends, radius, colour = ends[shown], radius[shown], colour[shown]
    if not len(ends):
        return []
    depth = ends[:, :, 2].mean(axis=1)
    _cut_at_near(ends, radius)

    z = ends[:, :, 2]
    centre = ends[:, :, :2] / z[:, :, None]  # (N, 2, 2) in the plane at unit depth
    radius = radius / z
    axis = centre[:, 1] - centre[:, 0]
    length = np.sqrt((axis * axis).sum(axis=1))
    _swallow(centre, radius, length)

    # The lamp across the limb: its part along a long axis does not move the crest sideways.
    axis = axis / np.maximum(length, 1e-9)[:, None]
    lean = length / (length + radius.mean(axis=1) + 1e-9)
    across = light[:2] - axis * (lean * (axis @ light[:2]))[:, None]  # (N, 2)
    sideways = np.sqrt((across * across).sum(axis=1)) + 1e-9
    facing = max(-float(light[2]), 0.35)  # a fill lamp at the eye: no limb is lit from behind only
    crest = np.arctan2(sideways, facing)  # angle of the brightest line from the middle
    peak = np.minimum(np.hypot(sideways, facing), 1.0)

    width = np.linspace(1.45, 0.35, tones)[:, None]  # half-angles [rad] of the lit bands
    first, last = np.sin(np.maximum(crest - width, -np.pi / 2)), np.sin(np.minimum(crest + width, np.pi / 2))
    middle, share = 0.5 * (last + first), 0.5 * (last - first)  # (T, N) of the radius
    middle[0], share[0] = 0.0, 1.0  # the rim is the whole outline
    towards = (across / sideways[:, None])[:, None]  # (N, 1, 2)
    centres = centre + middle[:, :, None, None] * radius[:, :, None] * towards  # (T, N, 2, 2)
    arc = int(np.clip(3.0 * np.sqrt(radius.max() * view.focal[1]), 7, 25))  # rounder where larger
    outlines = _fixed_point(view._pixels(_outlines(centres, share[:, :, None] * radius, arc)))  # (T, N, P, 2)
    gain = AMBIENT + (1.2 - AMBIENT) * peak * np.cos(width)  # (T, N)
    colours = np.minimum(gain[:, :, None] * colour, 255.0).tolist()
    depths = depth.tolist()
    return [
        (depths[n], outlines[t, n], colours[t][n])
        for n in range(len(depths))
        for t in range(tones)
        if t == 0 or share[t, n] > 0.02
    ]


def _cut_at_near(ends: np.ndarray, radius: np.ndarray) -> None:
    """Move an end that lies behind the near plane onto it, in place."""
    for here, there in ((0, 1), (1, 0)):
        behind = ends[:, here, 2] < NEAR
        if behind.any():
            a, b = ends[behind, here], ends[behind, there]
            part = ((NEAR - a[:, 2]) / np.maximum(b[:, 2] - a[:, 2], 1e-9))[:, None]
            ends[behind, here] = a + part * (b - a)
            ends[behind, here, 2] = NEAR
            radius[behind, here] += part[:, 0] * (radius[behind, there] - radius[behind, here])


def _swallow(centre: np.ndarray, radius: np.ndarray, length: np.ndarray) -> None:
    """A disc that lies inside the other becomes the other, in place, so that every outline is convex."""
    for small, large in ((0, 1), (1, 0)):
        inside = length <= radius[:, large] - radius[:, small]
        centre[inside, small], radius[inside, small] = centre[inside, large], radius[inside, large]


def _outlines(centre: np.ndarray, radius: np.ndarray, arc: int) -> np.ndarray:
    """(..., 2 * arc, 2) convex outlines of pairs of discs: centre (..., 2, 2), radius (..., 2)."""
    axis = centre[..., 1, :] - centre[..., 0, :]
    length = np.maximum(np.sqrt((axis * axis).sum(axis=-1)), 1e-9)
    heading = np.arctan2(axis[..., 1], axis[..., 0])[..., None]
    tangent = np.arccos(np.clip((radius[..., 0] - radius[..., 1]) / length, -1.0, 1.0))[..., None]
    sweep = np.linspace(-1.0, 1.0, arc)
    end = heading + sweep * tangent  # (..., arc): from one tangent to the other round the end
    start = heading + np.pi + sweep * (np.pi - tangent)
    angle = np.stack([end, start], axis=-2)  # (..., 2, arc)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)  # (..., 2, arc, 2)
    ring *= radius[..., (1, 0), None, None]
    ring += centre[..., (1, 0), None, :]
    return ring.reshape(*ring.shape[:-3], 2 * arc, 2)


CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)  # (8, 3)
_FACES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])


def _box_strokes(view: View, box: Box, light: np.ndarray) -> list[_Stroke]:
    """The faces turned to the eye, each with its own brightness; with a bevel, on a rounded silhouette."""
    half = np.maximum(np.asarray(box.half, dtype=float) - box.bevel, 1e-4)
    corners = CORNERS * half  # (8, 3)
    corners[CORNERS[:, 2] > 0, :2] *= box.taper
    seen = view.camera(corners @ box.rotation.T + box.centre)
    if not (np.isfinite(seen).all() and (seen[:, 2] > NEAR).all()):
        return []
    quads = seen[_FACES]  # (6, 4, 3)
    normal = np.cross(quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    quads = quads + box.bevel * normal[:, None]  # out to the true surface
    middle = quads.mean(axis=1)
    gain = AMBIENT + (1.05 - AMBIENT) * np.clip(normal @ light, 0.0, 1.0)
    gain += 0.1 * np.clip(-normal[:, 2], 0.0, 1.0)  # the fill lamp at the eye
    colours = np.minimum(gain[:, None] * np.asarray(box.colour, dtype=float), 255.0).tolist()
    turned = np.flatnonzero((normal * middle).sum(axis=1) < 0.0)
    if not len(turned) or (quads[turned, :, 2] <= NEAR).any():
        return []
    polygons = _fixed_point(view._pixels(quads[..., :2] / np.maximum(quads[..., 2:], NEAR)))
    if box.bevel <= 0.0:
        return [(float(middle[f, 2]), polygons[f], colours[f]) for f in turned]
    # A rounded box is one solid: silhouette, edges and faces share one depth and keep this order.
    depth = float(seen[:, 2].mean())
    discs = seen[:, None, :2] + box.bevel * _RING  # (8, P, 2)
    silhouette = cv2.convexHull((discs / seen[:, None, 2:]).reshape(-1, 2).astype(np.float32))[:, 0]
    rim = tuple((0.86 * gain[turned].mean() * np.asarray(box.colour)).clip(0, 255).tolist())
    strokes: list[_Stroke] = [(depth, _fixed_point(view._pixels(silhouette)), rim)]
    for a in turned:
        for b in turned[turned > a]:
            shared = np.isin(_FACES[a], _FACES[b])
            if shared.sum() == 2:
                strip = np.concatenate([polygons[a][shared], polygons[b][np.isin(_FACES[b], _FACES[a])]])
                blend = tuple(np.mean([colours[a], colours[b]], axis=0).tolist())
                strokes.append((depth, cv2.convexHull(strip)[:, 0], blend))
    return strokes + [(depth, polygons[f], colours[f]) for f in turned]


_RING = np.stack([np.cos(np.arange(12) * np.pi / 6), np.sin(np.arange(12) * np.pi / 6)], axis=1)  # (12, 2)


def robot_shapes(robot: Robot, joint_pos: Any, root_pos: Any, root_rotation: Any) -> list[Shape]:
    """A robot of ``rmedge.robots`` in one pose, dressed from its table: light covers over dark joints.

    Args:
        joint_pos: (Da,) [rad].
        root_pos: (3,) [m] of the root in the world.
        root_rotation: (3, 3) world from root.
    """
    position, rotation = robot.forward_kinematics(np.asarray(joint_pos, dtype=float))
    root_rotation = np.asarray(root_rotation, dtype=float)
    position, rotation = np.asarray(root_pos) + position @ root_rotation.T, root_rotation @ rotation
    return [shape.moved(position[body], rotation[body]) for body, shape in _dressed(robot)]


def _dressed(robot: Robot) -> list[tuple[int, Shape]]:
    """Shapes in their bodies' frames; what a body is follows from its joint's role and its place."""
    children: dict[int, list[int]] = {index: [] for index in range(len(robot.bodies))}
    for index, body in enumerate(robot.bodies):
        if body.box and body.parent >= 0:
            children[body.parent].append(index)
    shoulders, hips = _hung(robot, "shoulder"), _hung(robot, "hip")
    limbs = set(shoulders + hips)
    for index, body in enumerate(robot.bodies):
        if body.parent in limbs:
            limbs.add(index)
    trunk, pelvis = ({robot.bodies[index].parent for index in tops} for tops in (shoulders, hips))
    dressed: list[tuple[int, Shape]] = []
    for index, body in enumerate(robot.bodies):
        if not body.box:
            continue
        low, high = np.array(body.box[0]), np.array(body.box[1])
        if (high - low).max() < 0.05:  # [m] an inner part that its neighbours hide
            continue
        ends = [np.array(robot.bodies[child].pos) for child in children[index]]
        if index in trunk:
            shapes = _trunk(low, high, np.array([robot.bodies[arm].pos for arm in shoulders]))
        elif index in pelvis:
            shapes = _pelvis(low, high)
        elif body.name in robot.feet:
            shapes = _foot(low, high)
        elif ends and index not in limbs:  # a waist or a neck
            radius = 0.5 * float((high - low)[:2].min())
            shapes = [Capsule(np.zeros(3), ends[0], radius, radius, GRAPHITE)]
        elif ends:
            shapes = _link(low, high, ends[0], _hinge(robot, index), _hinge(robot, children[index][0]))
        elif index in limbs:
            shapes = _hand(low, high)
        else:
            shapes = _head(0.5 * (low + high)[0], 0.0, low[2], high[2], 0.55 * (high - low)[1])
        dressed += [(index, shape) for shape in shapes]
    return dressed


def _hung(robot: Robot, role: str) -> list[int]:
    """The bodies that joints of this role move."""
    played = [joint.role is not None and joint.role.name == role for joint in robot.joints]
    return [index for index, body in enumerate(robot.bodies) if body.joint >= 0 and played[body.joint]]


def _hinge(robot: Robot, index: int) -> np.ndarray:
    """(3,) axis of a body's joint; zero when it is fixed."""
    joint = robot.bodies[index].joint
    return np.array(robot.joints[joint].axis) if joint >= 0 else np.zeros(3)


def _norm(vector: np.ndarray) -> float:
    """Length of a vector (3,)."""
    return float(np.sqrt(vector @ vector))


def _pelvis(low: np.ndarray, high: np.ndarray) -> list[Shape]:
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    bevel = 0.5 * float(half.min())
    return [Box(middle, np.eye(3), half * (0.95, 1.0, 0.9), GRAPHITE, taper=(1.1, 1.15), bevel=bevel)]


def _trunk(low: np.ndarray, high: np.ndarray, shoulders: np.ndarray) -> list[Shape]:
    """Abdomen, chest and yoke up to the shoulders; what the table has above them is a head."""
    depth, width = 0.5 * (high - low)[:2]  # half extents [m]
    x = 0.5 * (low + high)[0]
    back, _, yoke = shoulders.mean(axis=0)
    reach = np.abs(shoulders[:, 1]).mean()
    thick = 0.5 * depth
    chest_low = 0.24 * yoke
    chest = np.array([0.88 * depth, 0.84 * width, 0.5 * (yoke + 0.8 * thick - chest_low)])
    shapes: list[Shape] = [
        Capsule((x, 0, 0.0), (x, 0, chest_low), 0.75 * depth, 0.85 * depth, GRAPHITE),
        Box((x, 0, chest_low + chest[2]), np.eye(3), chest, SHELL, taper=(1.15, 1.4), bevel=0.5 * depth),
        Capsule((back, -reach, yoke), (back, reach, yoke), 0.9 * thick, 0.9 * thick, SHELL),
    ]
    top = high[2] - yoke - thick  # left for neck and head [m]
    if top < depth:
        return shapes
    return shapes + _head(back, yoke + thick, high[2] - top, high[2], 0.42 * top)


def _head(x: float, neck: float, low: float, high: float, radius: float) -> list[Shape]:
    """A neck from where it begins, a skull between two heights, and a lit face on it."""
    crown, chin = high - radius, low + 1.05 * radius
    brow = crown - 0.1 * radius
    ring, face = x + 0.30 * radius, x + 0.36 * radius  # how far before the skull
    return [
        Capsule((x, 0, neck), (x, 0, chin), 0.55 * radius, 0.55 * radius, GRAPHITE),
        Capsule((x, 0, chin), (x, 0, crown), 0.9 * radius, radius, SHELL),
        Capsule((ring, 0, chin), (ring, 0, brow), 0.84 * radius, 0.91 * radius, LAMP),
        Capsule((face, 0, chin), (face, 0, brow), 0.77 * radius, 0.84 * radius, VISOR),
    ]


def _foot(low: np.ndarray, high: np.ndarray) -> list[Shape]:
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    sole = 0.38 * half[2]  # half thickness [m]
    toe = (high[0] - 1.4 * half[1], 0, low[2] + 1.6 * sole)
    return [
        Box((middle[0], 0, low[2] + sole), np.eye(3), (half[0], half[1], sole), GRAPHITE, bevel=0.8 * sole),
        Capsule((0, 0, 0.2 * low[2]), toe, 0.8 * half[1], 0.55 * half[1], SHELL),
    ]


def _link(
    low: np.ndarray, high: np.ndarray, end: np.ndarray, hinge: np.ndarray, after: np.ndarray
) -> list[Shape]:
    """A cover from this hinge to the next one, and the motor's drum where the hinge bends it."""
    span = _norm(end)
    along = end / max(span, 1e-9)
    extent = high - low
    radius = 0.5 * float(np.min(extent[np.arange(3) != np.abs(along).argmax()]))
    if span < 0.065:  # too short for a cover: the joint itself
        colour = SHELL if abs(hinge @ along) > 0.9 else GRAPHITE  # a roll only lengthens the cover before it
        return [Capsule(np.zeros(3), end, radius, radius, colour)]
    taper = 0.8 if abs(after @ along) < 0.7 else 1.0  # thinner towards a hinge that bends, not one that rolls
    shapes: list[Shape] = [Capsule(np.zeros(3), end, radius, taper * radius, SHELL)]
    if abs(hinge @ along) < 0.5:
        reach = 0.5 * float(np.abs(hinge) @ extent)
        for side in (-reach, reach):  # two caps, so that each is sorted by its own depth
            shapes.append(Capsule(0.3 * side * hinge, 0.5 * side * hinge, radius, 0.92 * radius, GRAPHITE))
    return shapes


def _hand(low: np.ndarray, high: np.ndarray) -> list[Shape]:
    """A palm, folded fingers and a thumb, along the longest side."""
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    flat, broad, long = np.argsort(half)
    thick = 0.8 * half[flat]
    ahead, aside = np.eye(3)[long], np.eye(3)[broad]
    near, far = sorted((low[long], high[long]), key=abs)  # a hand reaches away from its hinge
    inward = thick if far < near else -thick
    wrist, knuckles = (near - inward) * ahead, middle[long] * ahead
    tip = (far + 1.6 * inward) * ahead + 0.25 * half[broad] * aside
    thumb = knuckles + 0.7 * half[broad] * aside
    return [
        Capsule(wrist, knuckles, 0.8 * thick, 1.1 * thick, GRAPHITE),
        Capsule(knuckles, tip, thick, 0.75 * thick, GRAPHITE),
        Capsule(0.5 * (wrist + knuckles), thumb, 0.5 * thick, 0.4 * thick, GRAPHITE),
    ]


def shadow(image: np.ndarray, view: View, points: Any, radius: float, strength: float = 0.5) -> None:
    """Darken the ground z = 0 softly below points (N, 3), in place."""
    points = np.asarray(points, dtype=float) * (1.0, 1.0, 0.0)
    ring = radius * np.pad(_RING, ((0, 0), (0, 1)))  # (12, 3)
    spots = points[:, None] + np.linspace(1.0, 0.25, 4)[:, None, None, None] * ring  # (4, N, 12, 3)
    pixels, depth = view.project(spots)
    if not (depth > NEAR).all():
        return
    blur = max(0.25 * float(np.ptp(pixels[0, 0, :, 1])), 0.3)  # [pixel]
    frame, margin = (view.width, view.height), 3.0 * blur + 2.0
    low = np.clip(pixels.min(axis=(0, 1, 2)) - margin, 0, frame).astype(int)
    high = np.clip(pixels.max(axis=(0, 1, 2)) + margin, 0, frame).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    if not part.size:
        return
    polygons = _fixed_point(pixels - low)
    dark: np.ndarray = np.zeros(part.shape[:2], dtype=np.uint8)
    for layer in polygons:
        lit = np.zeros_like(dark)
        for polygon in layer:
            cv2.fillConvexPoly(lit, polygon, (255 // len(polygons),), cv2.LINE_AA, SUBPIXEL)
        dark += lit
    dark = cv2.GaussianBlur(dark, (0, 0), blur)
    part[:] = cv2.multiply(part, cv2.merge([255 - (strength * dark).astype(np.uint8)] * 3), scale=1.0 / 255.0)
