"""What is wished for, by who looks: landmarks read by geometry or by a head, or our encoder's memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from rmedge.benchmarks.pose.landmarks import Landmarker, Landmarks
from rmedge.benchmarks.pose.odometry import Odometer
from rmedge.benchmarks.pose.wish import STAND, Wish
from rmedge.specs import Frame
from rmedge.trace import Trace

if TYPE_CHECKING:
    from rmedge.benchmarks.pose.heads import LandmarkHead, MemoryHead
    from rmedge.benchmarks.pose.retarget import Retargeter
    from rmedge.runtimes.encoder import Encoder

__all__ = ["REACH", "LandmarkEye", "MemoryEye", "PoseEye"]

# (2, 3) what the G1 goes at, slowest and fastest: a person's motion is projected onto it
REACH = np.array([[-0.50, -0.25, -0.77], [0.66, 0.28, 0.81]])


class _Looking:
    """A landmarker, and what it costs."""

    def __init__(self, landmarker: Landmarker | Any) -> None:
        self.landmarker = landmarker
        self.reading_ns: list[int] = []  # from landmarks to wish, for each frame

    @property
    def detection_rate(self) -> float:
        return float(self.landmarker.detection_rate)

    def find(self, frame: Frame, trace: Trace | None) -> Landmarks | None:
        picture = self.landmarker.prepare(frame.pixels)
        if trace:
            trace.mark("preprocess")
        found: Landmarks | None = self.landmarker.watch(frame, picture)
        return found

    def close(self) -> None:
        self.landmarker.close()


class PoseEye(_Looking):
    """Landmarks, their root motion, and the pose on the robot's joints where a retargeter is given."""

    def __init__(self, landmarker: Landmarker | Any, retargeter: Retargeter | None) -> None:
        super().__init__(landmarker)
        self._retargeter, self._odometer = retargeter, Odometer()

    def reset(self) -> None:
        self.landmarker.reset()
        self._odometer.reset()
        self.reading_ns.clear()
        if self._retargeter is not None:
            self._retargeter.reset()

    def watch(self, frame: Frame, trace: Trace | None = None) -> Wish:
        """What the person in this frame does; `STAND` where nobody is found."""
        found = self.find(frame, trace)
        before_ns = time.monotonic_ns()
        wish = STAND
        if found is not None:
            velocity = np.clip(self._odometer.push(found).velocity, *REACH)
            wish = Wish(velocity, joints=self._retargeter.solve(found) if self._retargeter else None)
        self.reading_ns.append(time.monotonic_ns() - before_ns)
        if trace:
            trace.mark("encode")
        return wish


class LandmarkEye(_Looking):
    """Landmarks, and a head that has learnt on painted clips what they mean."""

    def __init__(self, landmarker: Landmarker | Any, head: LandmarkHead) -> None:
        super().__init__(landmarker)
        self._head = head

    def reset(self) -> None:
        self.landmarker.reset()
        self._head.reset()
        self.reading_ns.clear()

    def watch(self, frame: Frame, trace: Trace | None = None) -> Wish:
        """As `PoseEye`; the head is shown the frames without anybody too."""
        found = self.find(frame, trace)
        before_ns = time.monotonic_ns()
        velocity, gesture = self._head.push(found)
        self.reading_ns.append(time.monotonic_ns() - before_ns)
        if trace:
            trace.mark("encode")
        return STAND if found is None else Wish(np.clip(velocity, *REACH), gesture)


class MemoryEye:
    """Our encoder without its intent: a small head on what it remembers."""

    detection_rate = 1.0  # it looks for nobody

    def __init__(self, encoder: Encoder, head: MemoryHead) -> None:
        self._encoder, self._head = encoder, head
        self.reading_ns: list[int] = []

    def reset(self) -> None:
        self._encoder.reset()
        self.reading_ns.clear()

    def watch(self, frame: Frame, trace: Trace | None = None) -> Wish:
        self._encoder.watch(frame, trace)
        before_ns = time.monotonic_ns()
        velocity = self._head.of(self._encoder.memory)
        self.reading_ns.append(time.monotonic_ns() - before_ns)
        if trace:
            trace.mark("encode")
        return Wish(np.clip(velocity, *REACH))

    def close(self) -> None:
        pass
