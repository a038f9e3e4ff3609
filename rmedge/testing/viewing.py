"""A viewing: one camera, looked through for a while, and what was seen; its pixels are not kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from rmedge.protocols import Camera
from rmedge.specs import Frame
from rmedge.testing.clocks import Paced, Watched
from rmedge.testing.verdict import Unchecked

__all__ = ["Look", "Viewing"]

MAX_AGE_NS = 500_000_000
TICK_NS = 20_000_000
SLACK_NS = 100_000_000  # on a real clock time passes between two reads, on a busy machine a lot of it


@dataclass(frozen=True)
class Look:
    """One read: what was asked for, and what is to be said of the answer; not its pixels."""

    before_ns: int
    after_ns: int
    asked_ns: int
    answer: str  # its type
    pixels: str = ""  # their type and shape
    fits: bool = False
    stamps: tuple[Any, ...] = ()  # captured, received
    sequence: int = 0

    @property
    def age_ns(self) -> int:
        return int(self.before_ns - self.stamps[0])


class Viewing:
    """A while of looking through one camera."""

    def __init__(self, make: Callable[[], Camera], seconds: float, real: bool, pictures: bool) -> None:
        self._make, self._ticks = make, int(seconds * 1e9 / TICK_NS)
        self._clock = Paced() if real else Watched()
        self.pictures = pictures
        self.conforms = self._over = False
        self.error: Exception | None = None  # what a read raised
        self.looks: list[Look] = []  # all of them
        self.newest: list[Look] = []  # one a tick
        self.withheld_ns: int | None = None  # age of a frame that was not shown to who asked for that age
        self.first: Frame | None = None
        self.took_s: list[float] = []
        self.waits = 0

    def watch(self) -> Viewing:
        """Look, the first time that this is called."""
        if self._over:
            return self
        self._over = True
        clock = self._clock
        with self._make() as camera:
            self.conforms = isinstance(camera, Camera)
            if not self.conforms:
                return self
            camera.attach(clock)
            try:
                self._look_through(camera)
            except Exception as error:  # a driver may raise anything
                self.error = error
            self.waits = clock.waits
        return self

    def _look_through(self, camera: Camera) -> None:
        for _ in range(self._ticks):
            self._read(camera)
            self._clock.turn(TICK_NS)
        for _ in range(10):
            start_s = time.perf_counter()
            camera.read(MAX_AGE_NS)
            self.took_s.append(time.perf_counter() - start_s)

    def frames(self) -> list[Look]:
        """The looks that showed something.

        Raises:
            Unchecked: there are none.
        """
        shown = [look for look in self.watch().looks if look.answer == "Frame"]
        if not shown:
            raise Unchecked("no picture was seen")
        return shown

    def _read(self, camera: Camera) -> None:
        look = self._look(camera, MAX_AGE_NS)
        if look is None:
            return
        self.newest.append(look)
        if look.answer != "Frame" or not isinstance(look.stamps[0], int):
            return
        age_ns = max(0, look.age_ns)
        if self._look(camera, age_ns + (SLACK_NS if self._clock.real else 0)) is None:
            self.withheld_ns = age_ns
        if age_ns:
            self._look(camera, age_ns - 1)

    def _look(self, camera: Camera, asked_ns: int) -> Look | None:
        before_ns = self._clock.now_ns()
        frame: Any = camera.read(asked_ns)
        after_ns = self._clock.now_ns()
        if frame is None:
            return None
        if not isinstance(frame, Frame):
            look = Look(before_ns, after_ns, asked_ns, type(frame).__name__)
        else:
            pixels = frame.pixels
            array = isinstance(pixels, np.ndarray)
            found = f"{pixels.dtype} {pixels.shape}" if array else type(pixels).__name__
            fits = (
                found.startswith("uint8 ") and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size > 0
            )
            stamps = (frame.captured_ns, frame.received_ns)
            look = Look(before_ns, after_ns, asked_ns, "Frame", found, fits, stamps, frame.sequence)
            if self.first is None and array:
                self.first, self.kept = frame, pixels.copy()
        self.looks.append(look)
        return look
