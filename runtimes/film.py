"""Films and their pictures: what the camera saw, what the robot did, and what was understood in between."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from rmedge.errors import AbsentError, UsageError

try:
    import cv2
except ImportError as error:
    raise AbsentError('film: expected OpenCV, got none; pip install "rmedge[camera]"') from error

__all__ = ["HEIGHT", "PANEL", "WIDTH", "Caption", "Film", "compose", "save_picture"]

WIDTH, HEIGHT = 1280, 720  # [pixel] of a composed picture
PANEL = (616, 462)  # [pixel] width and height of either view in it: paint at this size to stay sharp

_Colour = Sequence[int]
_BACK, _CARD, _LINE = (13, 16, 22), (22, 27, 36), (48, 56, 70)
_TEXT, _MUTED = (236, 240, 246), (136, 147, 164)
_GOOD, _WARN, _BAD = (88, 214, 165), (246, 190, 84), (240, 98, 98)
_BLUE = (92, 178, 255)
_GAP = 16  # [pixel] between everything
_STRIP = 52 + PANEL[1] + _GAP  # top of the bottom strip


@dataclass(frozen=True)
class Caption:
    """What is written below the two views."""

    label: str
    probability: float  # of the label
    velocity: Any  # (3,) vx, vy [m/s], yaw rate [rad/s]
    certainty: float  # 0 .. 1
    time_s: float  # simulated


class Film:
    """An H.264 film that grows by one RGB picture at a time; a context manager."""

    def __init__(self, path: Any, fps: float, width: int, height: int) -> None:
        try:
            import av  # here alone, so that pictures can be composed and saved without it
        except ImportError as error:
            raise AbsentError('film: expected PyAV, got none; pip install "rmedge[camera]"') from error
        if not (fps > 0 and width > 0 and height > 0):
            raise UsageError(f"film: expected a positive rate and size, got {fps} Hz, {width} x {height}")
        self.path, self.width, self.height = Path(path), width, height
        self._frame_of = av.VideoFrame.from_ndarray
        self._file = av.open(str(path), "w", format="mp4")
        self._stream: Any = self._file.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        self._stream.pix_fmt = "yuv420p"  # what every browser plays; its colour needs even sizes
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.options = {"crf": "23", "preset": "veryfast", "movflags": "faststart"}
        try:
            self._file.start_encoding()
        except OSError as error:
            raise UsageError(f"film: expected a path that can be written, got {path}: {error}") from error

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def add(self, picture: np.ndarray) -> None:
        """Append a picture (height, width, 3) uint8 RGB.

        Raises:
            UsageError: the picture is not of the film's size.
        """
        expected = (self.height, self.width, 3)
        if picture.shape != expected or picture.dtype != np.uint8:
            raise UsageError(
                f"film picture: expected {expected} uint8, got {picture.shape} {picture.dtype}; "
                "open the film with the size of its pictures"
            )
        even = np.pad(picture, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        self._file.mux(self._stream.encode(self._frame_of(np.ascontiguousarray(even), format="rgb24")))

    def close(self) -> None:
        """Write what is still in the encoder, and the index; a second call does nothing."""
        if self._stream is not None:
            self._file.mux(self._stream.encode(None))
            self._file.close()
            self._stream = None


def save_picture(path: Any, picture: np.ndarray) -> None:
    """Write one picture (H, W, 3) uint8 RGB as PNG."""
    written, data = cv2.imencode(".png", picture[:, :, ::-1])
    assert written
    try:
        Path(path).write_bytes(data.tobytes())
    except OSError as error:
        raise UsageError(f"picture: expected a path that can be written, got {path}: {error}") from error


def compose(
    video: np.ndarray, robot: np.ndarray, caption: Caption, latency_ms: Any, deadline_ms: float
) -> np.ndarray:
    """One picture (720, 1280, 3) uint8 of a demonstration.

    Args:
        video: (h, w, 3) uint8, what the camera saw; any size, letterboxed.
        robot: (h, w, 3) uint8, what the robot did; any size, ``PANEL`` is sharpest.
        latency_ms: (N,) the history that is plotted [ms], newest last; may be empty.
        deadline_ms: where its line is drawn [ms].
    """
    picture = np.full((HEIGHT, WIDTH, 3), _BACK, dtype=np.uint8)
    _title(picture, caption.time_s)
    right = WIDTH - _GAP - PANEL[0]
    _view(picture, (_GAP, 52), video, "camera")
    _view(picture, (right, 52), robot, "robot")
    for left in (_GAP, right):
        cv2.rectangle(picture, (left, _STRIP), (left + PANEL[0] - 1, HEIGHT - _GAP - 1), _CARD, -1)
    _intent(picture, _GAP + 20, caption)
    _latency(picture, right + 20, np.asarray(latency_ms, dtype=float).ravel(), deadline_ms)
    return picture


def _write(
    picture: np.ndarray, text: str, at: tuple[int, int], scale: float, colour: _Colour, bold: bool = False
) -> int:
    """Text whose baseline starts at ``at``; returns where it ends [pixel]."""
    font = cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(picture, text, at, font, scale, colour, 1, cv2.LINE_AA)
    return at[0] + int(cv2.getTextSize(text, font, scale, 1)[0][0])


def _write_before(picture: np.ndarray, text: str, right: int, y: int, scale: float, colour: _Colour) -> None:
    """Text that ends at ``right``."""
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0]
    _write(picture, text, (right - width, y), scale, colour)


def _title(picture: np.ndarray, time_s: float) -> None:
    end = _write(picture, "rmedge", (_GAP, 34), 0.72, _TEXT, bold=True)
    _write(picture, "video to humanoid motion", (end + 14, 34), 0.5, _MUTED)
    _write_before(picture, f"t = {time_s:6.2f} s", WIDTH - _GAP, 34, 0.55, _MUTED)


def _view(picture: np.ndarray, corner: tuple[int, int], image: np.ndarray, name: str) -> None:
    """An image fitted into its panel, centred on black."""
    x, y = corner
    panel = picture[y : y + PANEL[1], x : x + PANEL[0]]
    panel[:] = 0
    height, width = image.shape[:2]
    zoom = min(PANEL[0] / width, PANEL[1] / height)
    fitted = (max(round(width * zoom), 1), max(round(height * zoom), 1))
    if fitted != (width, height):
        image = cv2.resize(image, fitted, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    left, top = (PANEL[0] - fitted[0]) // 2, (PANEL[1] - fitted[1]) // 2
    panel[top : top + fitted[1], left : left + fitted[0]] = image
    tag = panel[12:38, 12 : 28 + cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.48, 1)[0][0]]
    tag[:] = tag // 3
    _write(panel, name, (20, 30), 0.48, _TEXT)


def _intent(picture: np.ndarray, x: int, caption: Caption) -> None:
    """The label, how probable it is, the velocity that was asked for, and the certainty bar."""
    right = _GAP + PANEL[0] - 20
    _write(picture, "intent", (x, _STRIP + 28), 0.45, _MUTED)
    end = _write(picture, caption.label, (x, _STRIP + 70), 1.0, _TEXT, bold=True)
    _write(picture, f"{caption.probability:.2f}", (end + 16, _STRIP + 70), 0.7, _BLUE)
    column = (right - x) // 3
    for place, (name, value, unit) in enumerate(
        zip(("vx", "vy", "yaw"), np.asarray(caption.velocity, dtype=float), ("m/s", "m/s", "rad/s"))
    ):
        at = _write(picture, name, (x + place * column, _STRIP + 112), 0.5, _MUTED)
        at = _write(picture, f"{value:+.2f}", (at + 8, _STRIP + 112), 0.6, _TEXT)
        _write(picture, unit, (at + 6, _STRIP + 112), 0.45, _MUTED)
    y, certainty = _STRIP + 149, float(np.clip(caption.certainty, 0.0, 1.0))
    left = _write(picture, "certainty", (x, y), 0.5, _MUTED) + 14
    end = right - 48
    colour = _GOOD if certainty >= 0.6 else _WARN if certainty >= 0.3 else _BAD
    cv2.rectangle(picture, (left, y - 11), (end, y - 1), _LINE, -1)
    cv2.rectangle(picture, (left, y - 11), (left + round(certainty * (end - left)), y - 1), colour, -1)
    _write_before(picture, f"{certainty:.2f}", right, y, 0.5, _TEXT)


def _latency(picture: np.ndarray, x: int, history: np.ndarray, deadline_ms: float) -> None:
    """A plot of the newest latencies, newest at the right, with the deadline as a line."""
    right, top, bottom = WIDTH - _GAP - 20, _STRIP + 46, HEIGHT - _GAP - 14
    end = _write(picture, "latency", (x, _STRIP + 28), 0.45, _MUTED)
    shown = history[-(right - x) // 2 :]  # one tick every other pixel
    ceiling = 1.25 * max(deadline_ms, float(shown.max()) if len(shown) else 0.0, 1e-9)
    line = bottom - round(deadline_ms / ceiling * (bottom - top))
    cv2.line(picture, (x, bottom), (right, bottom), _LINE, 1)
    for start in range(x, right, 10):
        cv2.line(picture, (start, line), (min(start + 5, right), line), _WARN, 1)
    _write_before(picture, f"deadline {deadline_ms:.3g} ms", right, line - 6, 0.4, _WARN)
    if not len(shown):
        return
    late = int((history > deadline_ms).sum())
    _write(picture, f"{shown[-1]:.1f} ms", (end + 14, _STRIP + 28), 0.55, _TEXT)
    _write_before(
        picture, f"late {late} of {len(history)}", right, _STRIP + 28, 0.45, _BAD if late else _MUTED
    )
    columns = right - 2.0 * np.arange(len(shown))[::-1]
    rows = bottom - shown / ceiling * (bottom - top)
    curve = np.rint(np.stack([columns, rows], axis=1) * 16).astype(np.int32)  # 1/16 pixel
    cv2.polylines(picture, [curve], False, _GOOD if shown[-1] <= deadline_ms else _BAD, 1, cv2.LINE_AA, 4)
