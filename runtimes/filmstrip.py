"""The filmstrip: a video's description as one picture, along its time, below pictures of it."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from rmedge.errors import AbsentError
from rmedge.labels import NONE
from rmedge.runtimes.description import LIKELY, Description
from rmedge.specs import Frame

try:
    import cv2
except ImportError as error:
    raise AbsentError('filmstrip: expected OpenCV, got none; pip install "rmedge[camera]"') from error

__all__ = ["WIDTH", "Album", "draw"]

WIDTH = 1400  # [pixel] of the picture; its height follows from what is there to tell
FINE = 2  # drawn so many times as large, then shrunk: text and curves stay smooth
LEFT, RIGHT, GAP = 168, 64, 12  # [pixel] margins: names stand at the left, scales at the right
TITLE, THUMB, VERDICT, BAND, CURVES, LINE, AXIS = 56, 96, 30, 34, 118, 64, 44  # [pixel] heights of rows
TOLD = 0.15  # a label is drawn that is, over a window, at least once as probable as that
MOST_BANDS = 8
SMOOTH = 5  # frames
MOST_PICTURES = 96

BACK, CARD, FAINT, TEXT, MUTED = (
    (255, 255, 255), (246, 247, 249), (222, 226, 232), (28, 33, 42), (104, 113, 128),
)  # fmt: skip
# told apart with any eyes (Okabe and Ito 2008), each of them one path; left and right share a hue
COLOURS = {
    "stand": (120, 128, 140), "walk_forward": (0, 114, 178), "run_forward": (86, 160, 233),
    "walk_backward": (213, 94, 0), "side_step_left": (0, 138, 100), "side_step_right": (96, 190, 160),
    "turn_left": (170, 84, 140), "turn_right": (214, 140, 184), "arc_left": (196, 132, 0),
    "arc_right": (230, 176, 60), NONE: (188, 194, 203),
}  # fmt: skip
TAUGHT, GESTURE = (128, 60, 190), (190, 60, 60)
VELOCITY = (("vx m/s", (0, 114, 178)), ("vy m/s", (0, 138, 100)), ("yaw rad/s", (213, 94, 0)))


class Album:
    """Keeps small pictures of a video, spread over its time however long it is."""

    def __init__(self) -> None:
        self.pictures: list[tuple[float, np.ndarray]] = []
        self._seen, self._every = 0, 1

    def __call__(self, time_s: float, frame: Frame) -> None:
        if self._seen % self._every == 0:
            height, width = frame.pixels.shape[:2]
            size = (max(1, round(width * THUMB * FINE / height)), THUMB * FINE)
            self.pictures.append((time_s, cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)))
        self._seen += 1
        if len(self.pictures) > MOST_PICTURES:
            self.pictures, self._every = self.pictures[::2], 2 * self._every


def draw(title: str, told: Description, album: Album) -> np.ndarray:
    """The picture (H, WIDTH, 3) uint8 RGB of a description."""
    sheet = _Sheet(told)
    bands = _bands(told)
    sheet.open(TITLE + THUMB + VERDICT + len(bands) * (BAND + 4) + CURVES + LINE + 6 * GAP + AXIS)
    sheet.write(title, (LEFT, 34), 0.62, TEXT)
    top = TITLE
    _thumbnails(sheet, top, album)
    top += THUMB + GAP
    _verdicts(sheet, top, told)
    top += VERDICT + GAP
    for name, colour, values in bands:
        sheet.band(top, name, colour, values)
        top += BAND + 4
    top += 2 * GAP
    velocity = np.array([glance.meaning.velocity for glance in told.glances])
    sheet.curves(top, CURVES, "velocity", [(*VELOCITY[n], velocity[:, n]) for n in range(3)], signed=True)
    top += CURVES + 2 * GAP
    certainty = np.array([glance.intent.certainty for glance in told.glances])
    presence = np.array([glance.intent.presence for glance in told.glances])
    lines = [("certainty", TEXT, certainty), ("presence", COLOURS[NONE], presence)]
    sheet.curves(top, LINE, "sure", lines, signed=False)
    sheet.axis(top + LINE)
    return sheet.close()


def _bands(told: Description) -> list[tuple[str, Any, np.ndarray]]:
    """(name, colour, (N,) probability) of what is worth a band: labels, taught motions, gestures."""
    rows = _smoothed(np.array([glance.meaning.labels for glance in told.glances]))
    peak = rows.max(0)
    kept = [n for n in np.argsort(-peak, kind="stable") if peak[n] >= TOLD][:MOST_BANDS]
    bands = [
        ("nobody" if told.labels[n] == NONE else _plain(told.labels[n]), COLOURS[told.labels[n]], rows[:, n])
        for n in sorted(kept)
    ]
    for name in sorted({glance.intent.name for glance in told.glances} - {""}):
        seen = [g.intent.certainty * g.intent.presence * (g.intent.name == name) for g in told.glances]
        bands.append((name, TAUGHT, np.array(seen)))
    gestures = sorted({passage.gesture for passage in told.passages} - {NONE})
    for gesture in gestures:
        values = np.zeros(len(told.glances))
        for passage in told.passages:
            times = np.array([glance.time_s for glance in told.glances])
            within = (times >= passage.start_s) & (times < passage.end_s)
            values[within] = passage.gestures[gesture] * (passage.gestures[gesture] > LIKELY)
        bands.append((_plain(gesture), GESTURE, values))
    return bands


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _smoothed(rows: np.ndarray) -> np.ndarray:
    """(N, L) running mean over `SMOOTH` frames, shorter at the ends."""
    total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    index = np.arange(len(rows))
    first, last = np.maximum(index - SMOOTH // 2, 0), np.minimum(index + SMOOTH // 2 + 1, len(rows))
    return (total[last] - total[first]) / (last - first)[:, None]


def _thumbnails(sheet: _Sheet, top: int, album: Album) -> None:
    if not album.pictures:
        return
    width = album.pictures[0][1].shape[1] / FINE
    count = max(1, int((WIDTH - LEFT - RIGHT) / width))
    for slot in range(count):
        time_s = sheet.end_s * (slot + 0.5) / count
        picture = min(album.pictures, key=lambda shot: abs(shot[0] - time_s))[1]
        sheet.paste(picture, sheet.x(time_s), top)


def _verdicts(sheet: _Sheet, top: int, told: Description) -> None:
    for passage in told.passages:
        said = passage.name or ("nobody" if passage.label == NONE else _plain(passage.label))
        if passage.gesture != NONE and not passage.name:
            said = f"{said}, {_plain(passage.gesture)}"
        colour = TAUGHT if passage.name else COLOURS[passage.label]
        sheet.block(top, passage.start_s, passage.end_s, colour, said, f"{passage.probability:.2f}")


class _Sheet:
    """A white page whose horizontal axis is the video's time."""

    def __init__(self, told: Description) -> None:
        self.end_s = max(told.duration_s, 1e-3)
        self._times = np.array([glance.time_s for glance in told.glances])

    def open(self, height: int) -> None:
        self._page = np.full((height * FINE, WIDTH * FINE, 3), BACK, np.uint8)

    def close(self) -> np.ndarray:
        height, width = self._page.shape[:2]
        return cv2.resize(self._page, (width // FINE, height // FINE), interpolation=cv2.INTER_AREA)

    def x(self, time_s: Any) -> Any:
        """Where an instant lies [pixel]."""
        return LEFT + np.clip(np.asarray(time_s, float) / self.end_s, 0.0, 1.0) * (WIDTH - LEFT - RIGHT)

    def write(
        self, text: str, at: tuple[float, float], size: float, colour: Any, align: str = "left"
    ) -> None:
        """Text on a baseline that starts, is centred or ends at ``at``."""
        plain = text.encode("ascii", "replace").decode()  # what OpenCV's letters can draw
        width = self.width(plain, size)
        x = at[0] - {"left": 0.0, "centre": width / 2, "right": width}[align]
        place = (round(x * FINE), round(at[1] * FINE))
        cv2.putText(self._page, plain, place, FONT, size * FINE, colour, FINE, cv2.LINE_AA)

    def width(self, text: str, size: float) -> float:
        return float(cv2.getTextSize(text, FONT, size * FINE, FINE)[0][0]) / FINE

    def box(self, left: float, top: float, right: float, bottom: float, colour: Any) -> None:
        corners = [round(value * FINE) for value in (left, top, right, bottom)]
        cv2.rectangle(self._page, tuple(corners[:2]), (corners[2] - 1, corners[3] - 1), colour, -1)

    def paste(self, picture: np.ndarray, centre: float, top: float) -> None:
        left = round(centre * FINE - picture.shape[1] / 2)
        first = max(left, LEFT * FINE)
        last = min(left + picture.shape[1], (WIDTH - RIGHT) * FINE)
        row = round(top * FINE)
        self._page[row : row + picture.shape[0], first:last] = picture[:, first - left : last - left]

    def block(self, top: float, start_s: float, end_s: float, colour: Any, said: str, beside: str) -> None:
        left, right = float(self.x(start_s)), float(self.x(end_s))
        self.box(left + 1, top, right - 1, top + VERDICT, colour)
        light = np.dot(colour, (0.3, 0.6, 0.1)) > 150
        ink = TEXT if light else BACK
        for text, size in ((f"{said}  {beside}", 0.46), (said, 0.46), (said, 0.36)):
            if self.width(text, size) < right - left - 6:
                self.write(text, ((left + right) / 2, top + 20), size, ink, "centre")
                return

    def band(self, top: float, name: str, colour: Any, values: np.ndarray) -> None:
        """One probability as the height of a filled curve."""
        bottom = top + BAND
        self.box(LEFT, top, WIDTH - RIGHT, bottom, CARD)
        self._fill(bottom, bottom - np.clip(values, 0, 1) * BAND, colour)
        self.write(name, (LEFT - 12, top + BAND / 2 + 5), 0.46, TEXT, "right")
        self.write(f"{values.max():.2f}", (WIDTH - RIGHT + 8, top + BAND / 2 + 5), 0.42, MUTED)

    def curves(
        self, top: float, height: float, name: str, lines: Sequence[tuple[str, Any, np.ndarray]], signed: bool
    ) -> None:
        """Curves on one scale: -reach to reach, or 0 to 1."""
        reach = max(0.5, *(float(np.abs(values).max()) for _, _, values in lines)) if signed else 1.0
        low = -reach if signed else 0.0
        self.box(LEFT, top, WIDTH - RIGHT, top + height, CARD)

        def row(value: Any) -> Any:
            return top + height * (reach - value) / (reach - low)

        for mark in (-reach, 0.0, reach) if signed else (0.0, 0.5, 1.0):
            y = float(row(mark))
            self.box(LEFT, y - 0.5, WIDTH - RIGHT, y + 0.5, FAINT)
            self.write(f"{mark:+.1f}" if signed else f"{mark:.1f}", (WIDTH - RIGHT + 8, y + 4), 0.4, MUTED)
        for _, colour, values in lines:
            points = np.stack([self._edges_x(), row(np.repeat(values, 2))], 1)
            cv2.polylines(self._page, [self._pixels(points)], False, colour, 3, cv2.LINE_AA, 4)
        middle = top + height / 2 - 9 * (len(lines) - 1)
        for index, (said, colour, _) in enumerate(lines):
            self.write(said, (LEFT - 12, middle + 18 * index + 4), 0.44, colour, "right")

    def axis(self, top: float) -> None:
        """The time [s] below everything."""
        step = next(step for step in STEPS if self.end_s / step <= 14)
        for mark in np.arange(0.0, self.end_s + 1e-9, step):
            x = float(self.x(mark))
            self.box(x - 0.5, top, x + 0.5, top + 5, MUTED)
            self.write(f"{mark:g} s", (x, top + 21), 0.42, MUTED, "centre")

    def _edges_x(self) -> np.ndarray:
        """(2 N,) where each sample begins and ends: it holds until the next."""
        edges = self.x(np.append(self._times, self.end_s))
        return np.stack([edges[:-1], edges[1:]], 1).ravel()

    def _fill(self, bottom: float, tops: np.ndarray, colour: Any) -> None:
        x = self._edges_x()
        there, back = np.repeat(tops, 2), np.full(len(x), bottom)
        outline = np.stack([np.append(x, x[::-1]), np.append(there, back)], 1)
        cv2.fillPoly(self._page, [self._pixels(outline)], colour, cv2.LINE_AA, 4)

    @staticmethod
    def _pixels(points: np.ndarray) -> np.ndarray:
        return np.rint(points * FINE * 16).astype(np.int32)  # 1/16 pixel


FONT = cv2.FONT_HERSHEY_SIMPLEX
STEPS = (0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 1e9)  # [s] between two marks
