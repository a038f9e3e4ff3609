"""What the paper argues against, for real: pose estimation, retargeting, and tracking of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from rmedge.errors import UsageError

if TYPE_CHECKING:
    from rmedge.benchmarks.pose.follower import Follower
    from rmedge.bundle import Bundle

__all__ = ["NAMES", "followers", "open_follower"]

NAMES = ("pose-joints", "pose-velocity", "pose-head", "pixels-velocity")


def followers(names: Sequence[str], bundle: Bundle) -> dict[str, Follower]:
    """The followers of these names, opened; each is a mirror to the loop, and is to be closed.

    Raises:
        UsageError: there is none of that name.
        AbsentError: MediaPipe, mink or a trained head is not there; the message says how to get it.
    """
    opened: dict[str, Follower] = {}
    try:
        for name in names:
            opened[name] = open_follower(name, bundle)
    except BaseException:
        for follower in opened.values():
            follower.close()
        raise
    return opened


def open_follower(name: str, bundle: Bundle, cores: str = "") -> Follower:
    """One of them; ``cores``: those that the pose estimator may use, as in "0", any if empty."""
    if name not in NAMES:
        raise UsageError(f"follower: expected one of {', '.join(NAMES)}, got {name!r}")
    from rmedge.benchmarks.pose import environment, heads
    from rmedge.benchmarks.pose.bodies import Tracker, Walker
    from rmedge.benchmarks.pose.eyes import LandmarkEye, MemoryEye, PoseEye
    from rmedge.benchmarks.pose.follower import Follower
    from rmedge.benchmarks.pose.landmarks import Landmarker
    from rmedge.runtimes.encoder import Encoder

    robot = bundle.robot
    if name == "pixels-velocity":
        weights = heads.read(environment.memory_head(bundle), environment.TRAIN.format("pixels"))
        return Follower(name, MemoryEye(Encoder(bundle), heads.MemoryHead(weights)), Walker(robot), bundle)
    if name == "pose-head":
        weights = heads.read(environment.landmark_head(), environment.TRAIN.format("landmarks"))
        walker = Walker(robot)
        head = heads.LandmarkHead(weights)
        return Follower(name, LandmarkEye(Landmarker(cores=cores), head), walker, bundle)
    from rmedge.benchmarks.pose.retarget import Retargeter

    body = Tracker(robot) if name == "pose-joints" else Walker(robot)
    retargeter = Retargeter(robot)
    return Follower(name, PoseEye(Landmarker(cores=cores), retargeter), body, bundle)
