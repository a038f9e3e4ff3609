"""What a vendor tests his own devices with: checks, a pass/fail list, fakes, and faults to order.

::

    def test_my_camera():
        check_camera(lambda: MyCamera("/dev/video2"))
"""

from __future__ import annotations

from rmedge.testing.actuators import check_actuator, conformance
from rmedge.testing.cameras import camera_conformance, check_camera
from rmedge.testing.clocks import check_clock
from rmedge.testing.corruption import corrupt
from rmedge.testing.fake_camera import FakeCamera
from rmedge.testing.fake_robot import FakeRobot
from rmedge.testing.faults import KINDS, Fault, Kind, draw
from rmedge.testing.faulty import faulty
from rmedge.testing.verdict import Verdict

__all__ = [
    "KINDS",
    "FakeCamera",
    "FakeRobot",
    "Fault",
    "Kind",
    "Verdict",
    "camera_conformance",
    "check_actuator",
    "check_camera",
    "check_clock",
    "conformance",
    "corrupt",
    "draw",
    "faulty",
]
