"""Cameras and robots that break to order."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any, Sequence

import numpy as np

from rmedge.clock import Clock
from rmedge.specs import Frame, JointTarget, RobotState
from rmedge.testing.faults import Fault
from rmedge.testing.injection import Injection, altered

__all__ = ["FaultyActuator", "FaultyCamera"]

MEMORY = 512  # of what was read: a second of states
_READ = ("drop", "crc", "delay", "duplicate", "freeze", "nan", "inf", "wrong_size", "wrong_shape", "dark")
_BODY = ("overheat", "flail", "tilt")


class FaultyCamera(Injection):
    """A camera that breaks to order."""

    part = "camera"

    def __init__(self, inner: Any, faults: Sequence[Fault], clock: Clock) -> None:
        super().__init__(inner, faults, clock)
        self._shown: Frame | None = None  # what got through last
        late = any(fault.kind == "camera.delay" for fault in faults)
        self._memory: deque[Frame] = deque(maxlen=64 if late else 1)  # pictures are large

    def read(self, max_age_ns: int) -> Frame | None:
        self._suffer("slow_read", "read_raises")
        new = self.inner.read(max_age_ns)
        if new is not None and (not self._memory or self._memory[-1].sequence != new.sequence):
            self._memory.append(new)
        on = self._on(*_READ)
        frame, before = new, self._shown
        if "drop" in on or "crc" in on:
            frame = before
        elif "delay" in on:
            frame = self._late(on["delay"])
        elif "duplicate" in on and before is not None and new is not None:
            frame = replace(before, sequence=new.sequence)
        elif "freeze" in on and before is not None and new is not None:
            frame = replace(new, pixels=before.pixels)
        self._shown = frame or before
        if frame is None or self._clock.now_ns() - frame.captured_ns > max_age_ns:
            return None
        pixels, shift_ns = _spoilt(frame.pixels, on), self._shift_ns()
        return Frame(pixels, frame.captured_ns + shift_ns, frame.received_ns + shift_ns, frame.sequence)

    def _late(self, fault: Fault) -> Frame | None:
        """The newest of those that were taken so long ago."""
        until_ns = self._clock.now_ns() - int(fault.amount * 1e9)
        return next((frame for frame in reversed(self._memory) if frame.captured_ns <= until_ns), None)


def _spoilt(pixels: np.ndarray, on: dict[str, Fault]) -> np.ndarray:
    if "dark" in on:
        pixels = np.zeros_like(pixels)
    if "wrong_size" in on:
        pixels = pixels[: max(1, len(pixels) // 2)]
    if "nan" in on:
        pixels = np.full(pixels.shape, np.nan, np.float32)
    return pixels[..., 0] if "wrong_shape" in on else pixels


class FaultyActuator(Injection):
    """A robot that breaks to order."""

    part = "actuator"

    def __init__(self, inner: Any, faults: Sequence[Fault], clock: Clock) -> None:
        super().__init__(inner, faults, clock)
        self._memory: deque[RobotState] = deque(maxlen=MEMORY)
        self._told: RobotState | None = None  # what got through last
        self._again = False
        self._stuck: dict[Fault, float] = {}  # where [rad]

    def read(self) -> RobotState:
        self._suffer("slow_read", "read_raises", "link_lost")
        new: RobotState = self.inner.read()
        self._memory.append(new)
        on = self._on(*_READ, *_BODY)
        state, before = new, self._told or new
        if "drop" in on or "crc" in on:
            state = before
        elif "delay" in on:
            state = self._late(on["delay"]) or before
        elif "duplicate" in on:
            state = before if self._again else new
            self._again = not self._again
        elif "freeze" in on:
            state = replace(before, stamp_ns=new.stamp_ns)
        self._told = state
        shift_ns = self._shift_ns()
        if on or shift_ns:
            return replace(_ill(state, on), stamp_ns=state.stamp_ns + shift_ns)
        return state

    def write(self, target: JointTarget) -> JointTarget:
        self._suffer("slow_write", "write_raises", "link_lost")
        if self._suffer("write_lost"):
            return target
        sent: JointTarget = self.inner.write(self._jammed(target))
        if self._on("second_writer"):
            rival = replace(target, joint_pos=self.inner.read().joint_pos)
            self.inner.write(rival)
        return sent

    def damp(self) -> None:
        self._suffer("link_lost")
        if not self._suffer("write_lost"):
            self.inner.damp()

    def _late(self, fault: Fault) -> RobotState | None:
        """The newest of those that were measured so long ago."""
        until_ns = self._clock.now_ns() - int(fault.amount * 1e9)
        return next((state for state in reversed(self._memory) if state.stamp_ns <= until_ns), None)

    def _jammed(self, target: JointTarget) -> JointTarget:
        stuck = self._on("stuck_joint").get("stuck_joint")
        if stuck is None:
            return target
        joint = stuck.joint % len(target.joint_pos)
        wanted = target.joint_pos.copy()
        wanted[joint] = self._stuck.setdefault(stuck, float(self.inner.read().joint_pos[joint]))
        return replace(target, joint_pos=wanted)


def _ill(state: RobotState, on: dict[str, Fault]) -> RobotState:
    """The state with what these do to its numbers."""
    changed: dict[str, Any] = {}
    joints = len(state.joint_pos)
    if "nan" in on:
        changed["joint_pos"] = altered(state.joint_pos, on["nan"].joint, np.nan)
    if "inf" in on:
        changed["joint_vel"] = altered(state.joint_vel, on["inf"].joint, np.inf)
    if "flail" in on:
        changed["joint_vel"] = on["flail"].amount * np.where(np.arange(joints) % 2, 1.0, -1.0)
    if "wrong_size" in on:
        changed["joint_pos"] = state.joint_pos[:-1]
    if "tilt" in on:  # forward, about the body's y axis
        angle = on["tilt"].amount
        changed["projected_gravity"] = np.array([np.sin(angle), 0.0, -np.cos(angle)])
    if "overheat" in on:
        known = np.full(joints, np.nan) if state.motor_temp is None else state.motor_temp
        changed["motor_temp"] = altered(known, on["overheat"].joint, on["overheat"].amount)
    return replace(state, **changed)
