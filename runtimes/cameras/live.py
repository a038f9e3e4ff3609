"""A live camera: a thread keeps only the newest picture, and a camera that dies is a state, not an error."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Callable, Protocol

import numpy as np

from rmedge.clock import Clock
from rmedge.errors import InputError, RmedgeError
from rmedge.specs import Frame

__all__ = ["MAX_PIXELS", "CameraState", "Live", "Picture", "Source", "Unreadable"]

MAX_PIXELS = 1 << 24  # twice 4K: a size beyond is damage or malice, not a robot's eye
MAX_WORDS = 200  # of an error; it has to fit into a board's text
CLOSE_S = 1.0  # a driver that has not let go by then keeps its thread, which cleans up when it does
BEFORE_ALL = -(1 << 63)


class CameraState(IntEnum):
    """What a camera is to whoever asks; the numbers are those of the intent board's ``camera``."""

    WAITING = 0  # no picture yet, and nothing that went wrong
    LIVE = 1
    LOST = 2  # no picture any more, or none at all; it is tried again


class Unreadable(InputError):
    """One picture that is damaged, or not of a size that can be; the next may be well."""


@dataclass(frozen=True)
class Picture:
    """What a source grabbed."""

    pixels: np.ndarray  # (H, W, 3) uint8, RGB; nobody writes to it again
    age_ns: int = 0  # since the light fell, as far as the source can tell
    skipped: int = 0  # older ones that were not worth decoding


class Source(Protocol):
    """A camera's driver. `Live` calls it from one thread, and takes whatever it raises for a loss."""

    name: str  # what errors call it; never with credentials

    def open(self) -> None:
        """Connect, within seconds."""

    def grab(self) -> Picture | None:
        """The next picture; None after a fraction of a second without one.

        Raises:
            Unreadable: this one is damaged; grab again.
        """

    def close(self) -> None:
        """Let go, also of what is half open."""

    def interrupt(self) -> None:
        """Make a call that blocks return soon, if there is a way; called from another thread."""


class Live:
    """A camera of a source that may freeze, die and come back; reading it never waits and never raises.

    Silence for ``silence_s`` (``first_s`` before the first picture: a stream begins with a key frame)
    is a loss; then the source is closed and opened again, each time after a longer wait.

    Attributes:
        frames: pictures that were kept, each the newest for a while.
        dropped: pictures that nobody read before the next came, or that were never decoded.
        unreadable: damaged pictures.
        reconnections: how often pictures came back after a loss.
    """

    def __init__(
        self,
        source: Source,
        silence_s: float = 1.0,
        first_s: float = 10.0,
        backoff_s: tuple[float, float] = (0.2, 2.0),
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.frames = self.dropped = self.unreadable = self.reconnections = 0
        self._source, self._backoff_s, self._now_ns = source, backoff_s, now_ns
        self._silence_ns, self._first_ns = round(silence_s * 1e9), round(first_s * 1e9)
        self._clock = Clock()
        self._lock = threading.Lock()  # between publish, read and attach; never held while a driver works
        self._newest: Frame | None = None
        self._seen, self._sequence, self._captured_ns = True, 0, BEFORE_ALL
        self._delivering = False  # the last that happened was a picture, not a loss
        self._since_ns = now_ns()  # of the last picture, or of the beginning
        self._words = ""
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera {source.name}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The source, in words."""
        return self._source.name

    @property
    def state(self) -> CameraState:
        """Whether there are pictures now; told by the clock, so that a driver that hangs is lost too."""
        silent_ns = self._now_ns() - self._since_ns
        if self._delivering and silent_ns <= self._silence_ns:
            return CameraState.LIVE
        if not (self.frames or self._words or self._leave.is_set()) and silent_ns <= self._first_ns:
            return CameraState.WAITING
        return CameraState.LOST

    @property
    def error(self) -> str:
        """What went wrong last, in one line without credentials; empty when nothing ever did."""
        if self.state is CameraState.LOST and (self._delivering or not self._words):
            silent_s = (self._now_ns() - self._since_ns) / 1e9
            return f"{self.name}: expected pictures, got none for {silent_s:.1f} s; its driver hangs"
        return self._words

    def attach(self, clock: Clock) -> None:
        with self._lock:  # older frames were stamped by another clock
            self._clock, self._newest, self._captured_ns = clock, None, BEFORE_ALL

    def read(self, max_age_ns: int) -> Frame | None:
        with self._lock:
            frame = self._newest
            if frame is None or self._clock.now_ns() - frame.captured_ns > max_age_ns:
                return None
            self._seen = True
            return frame

    def close(self) -> None:
        """Stop the thread and let go of the source, at once or when a driver that hangs returns."""
        self._leave.set()
        for _ in range(10):  # again and again: there was perhaps nothing to interrupt yet
            with contextlib.suppress(Exception):
                self._source.interrupt()
            self._thread.join(CLOSE_S / 10)
            if not self._thread.is_alive():
                break
        with self._lock:
            self._newest = None
        self._delivering, self._words = False, f"{self.name}: closed"

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def _run(self) -> None:
        least_s, most_s = self._backoff_s
        wait_s = least_s
        while not self._leave.is_set():
            before = self.frames
            try:
                self._source.open()
                self._watch()
            except Exception as error:  # drivers raise what they like
                self._lose(error)
            with contextlib.suppress(Exception):
                self._source.close()
            wait_s = least_s if self.frames > before else min(2 * wait_s, most_s)
            self._leave.wait(wait_s)

    def _watch(self) -> None:
        """Publish pictures until there are none for too long."""
        since_ns, limit_ns = self._now_ns(), self._first_ns
        while not self._leave.is_set():
            try:
                picture = self._source.grab()
                if picture is not None and not self._leave.is_set():
                    self._publish(picture)
            except Unreadable as error:
                self.unreadable, picture = self.unreadable + 1, None
                self._say(error)
            now_ns = self._now_ns()
            if picture is not None:
                since_ns, limit_ns = now_ns, self._silence_ns
            elif now_ns - since_ns > limit_ns:
                raise TimeoutError(f"none for {limit_ns / 1e9:.1f} s")

    def _publish(self, picture: Picture) -> None:
        pixels = picture.pixels
        right = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
        if not (right and 0 < pixels.size <= 3 * MAX_PIXELS):
            raise Unreadable(
                f"{self.name}: expected (H, W, 3) uint8 of at most {MAX_PIXELS} pixels, got "
                f"{pixels.dtype} {pixels.shape}; choose a size at the camera"
            )
        with self._lock:
            now_ns = self._clock.now_ns()
            # two pictures may be told ages that cross, but a newer one was never taken before an older
            self._captured_ns = max(now_ns - max(picture.age_ns, 0), self._captured_ns)
            self.dropped += picture.skipped + (not self._seen)
            self._sequence += picture.skipped
            self._newest = Frame(pixels, self._captured_ns, now_ns, self._sequence)
            self._sequence, self._seen = self._sequence + 1, False
        self.reconnections += bool(self.frames and not self._delivering)
        self.frames += 1
        self._since_ns = self._now_ns()
        self._delivering = True

    def _lose(self, error: Exception) -> None:
        self._delivering = False
        self._say(error)

    def _say(self, error: Exception) -> None:
        why = str(error).strip().split("\n")[0] or type(error).__name__
        if not isinstance(error, RmedgeError):
            why = f"{self.name}: expected pictures, got: {why}"
        self._words = re.sub(r"(?<=://)[^/\s]*@", "", why)[:MAX_WORDS]  # a driver may have quoted the URL
