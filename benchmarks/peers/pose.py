"""Poses: MediaPipe and inverse kinematics on a frame, beside the encoder's watch of the same frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator

from rmedge.benchmarks.peers.comparison import Comparison, ratio
from rmedge.benchmarks.statistics import summary
from rmedge.clock import ManualClock
from rmedge.errors import AbsentError
from rmedge.runtimes.pairing import pair

if TYPE_CHECKING:
    from rmedge.bundle import Bundle
    from rmedge.specs import Frame

__all__ = ["measure"]

START_NS = 1_000_000_000


def measure(
    bundle: Bundle, provider: str, threads: int, samples: int, on_pair: Callable[[int], Any]
) -> Comparison:
    """From frame to joints, and from frame to intent, in pairs, on the sample's walking person."""
    from rmedge.benchmarks.pose.eyes import PoseEye
    from rmedge.benchmarks.pose.landmarks import Landmarker, one_core
    from rmedge.benchmarks.pose.retarget import BODIES, Retargeter
    from rmedge.runtimes.encoder import Encoder

    if bundle.robot.name not in BODIES:
        raise AbsentError(f"pose: expected a robot of {', '.join(BODIES)}, got {bundle.robot.name}")
    retargeter = Retargeter(bundle.robot)
    eye = PoseEye(Landmarker(cores=one_core()), retargeter)
    try:
        encoder = Encoder(bundle, provider, threads)
        theirs, ours = _frames(bundle), _frames(bundle)
        pose_ns, watch_ns = pair(
            lambda: eye.watch(next(theirs)), lambda: encoder.watch(next(ours)), samples, on_pair
        )
        found = eye.detection_rate
    finally:
        eye.close()
    rows = {"pose_and_retargeting": summary(pose_ns), "rmedge_watch": summary(watch_ns)}
    return Comparison(
        "pose: MediaPipe Pose and mink beside rmedge's encoder",
        rows,
        {
            "pose_by_rmedge_p50": ratio(rows["pose_and_retargeting"], rows["rmedge_watch"]),
            "person_found": found,
        },
        (
            "MediaPipe Pose (full) in a process held to one core, then four steps of inverse kinematics",
            "each from the same picture of a painted person who walks, to joint positions and to an intent",
        ),
    )


def _frames(bundle: Bundle) -> Iterator[Frame]:
    """The sample clip at the encoder's rate, again and again."""
    from rmedge.benchmarks.endurance.rig import Endless, pictures

    clock, camera = ManualClock(START_NS), Endless(pictures())
    camera.attach(clock)
    while True:
        frame = camera.read(bundle.budgets.image_ns)
        if frame is not None:
            yield frame
        clock.sleep_until_ns(clock.now_ns() + bundle.encoder.period_ns)
