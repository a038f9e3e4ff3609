"""The doctor: is this computer fit to run a robot, and if not, which command mends it?"""

from __future__ import annotations

from typing import Callable, Iterator

from rmedge.runtimes.doctor import devices, engine, gpu, jetson, places, punctuality
from rmedge.runtimes.doctor.finding import FAILURE, NOT_HERE, OK, UNKNOWN, WARNING, Finding, unknown
from rmedge.runtimes.doctor.system import Answer, System, ThisSystem

__all__ = [
    "CHECKS",
    "FAILURE",
    "NOT_HERE",
    "OK",
    "UNKNOWN",
    "WARNING",
    "Answer",
    "Finding",
    "System",
    "ThisSystem",
    "examine",
]

CHECKS: dict[str, Callable[..., Finding]] = {
    "python": engine.python,
    "onnxruntime": engine.onnxruntime,
    "numpy": engine.numpy,
    "opencv": engine.opencv,
    "own kernels": engine.own,
    "bundles": engine.bundles,
    "golden vectors": engine.golden,
    "gpu": gpu.gpu,
    "providers": gpu.providers,
    "cuda": gpu.cuda,
    "cudnn": gpu.cudnn,
    "tensorrt": gpu.tensorrt,
    "gpu kernels": gpu.kernels,
    "golden on cuda": gpu.on_cuda,
    "jetpack": jetson.jetpack,
    "power mode": jetson.power,
    "clocks": jetson.clocks,
    "governor": punctuality.governor,
    "cores": punctuality.cores,
    "swap": punctuality.swap,
    "rtprio": punctuality.rtprio,
    "memlock": punctuality.memlock,
    "camera": devices.cameras,
    "permissions": devices.permissions,
    "network": devices.network,
    "opengl": devices.opengl,
    "disk": places.disk,
    "shared memory": places.shared_memory,
    "container": places.container,
}


def examine(
    system: System, network: str | None = None, camera: str | None = None, boards: str | None = None
) -> Iterator[tuple[str, Finding]]:
    """Every check's name and what it found, one after the other.

    Args:
        network: interface of the robot's network; None: it is not looked at.
        camera: as of `rmedge run`; None: any.
        boards: directory of shared memory; None: where it lies when nobody says.
    """
    asked = {
        "network": (network,),
        "camera": (camera,),
        "permissions": (camera,),
        "shared memory": (boards,),
    }
    for name, check in CHECKS.items():
        try:
            yield name, check(system, *asked.get(name, ()))
        except Exception as error:  # a system stranger than any we thought of must not hide the other checks
            yield name, unknown(f"the check itself failed: {type(error).__name__}: {error}", "tell us")
