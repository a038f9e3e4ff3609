"""The robot side: everything that runs where the motors are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmedge.runtimes.actuators import open_actuator
from rmedge.runtimes.cameras import open_camera
from rmedge.runtimes.loop import Loop
from rmedge.runtimes.mirror import Mirror
from rmedge.runtimes.processes import Runtime

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Loop", "Mirror", "Runtime", "load", "open_actuator", "open_camera"]


def load(bundle: Bundle, provider: str = "cpu", threads: int = 1, write_hz: float = 500.0) -> Mirror:
    """The bundle's encoder, policy and envelope, ready to run.

    Args:
        provider: where the graphs run: cpu, cuda or tensorrt; another one is never used in its place.
        threads: of onnxruntime, for each graph.
        write_hz: how often `Mirror.act` will be called [Hz].

    Raises:
        AbsentError: onnxruntime or the provider is not on this machine.
        BundleError: a graph is not what the bundle declares.
    """
    return Mirror(bundle, provider, threads, write_hz)
