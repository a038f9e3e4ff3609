"""The job: what the process of one round does, from its start to the file that it leaves."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

from rmedge.benchmarks.latency.report import Round, Rules, Ticks
from rmedge.cli import command
from rmedge.clock import Clock, ManualClock
from rmedge.errors import AbsentError, UsageError
from rmedge.protocols import Camera, Simulated

if TYPE_CHECKING:
    from rmedge.bundle import Bundle
    from rmedge.runtimes import Loop, Mirror

__all__ = ["Job", "Outcome", "main"]

PATIENCE_S = 15.0  # for a live camera's first picture


@dataclass(frozen=True)
class Job:
    """What a round's process is told."""

    bundle: str
    provider: str
    threads: int
    camera: str
    actuator: str
    rules: Mapping[str, Any]
    pairs: int  # of bare and rmedge's own calls, a graph; 0: none
    out: str  # where it writes what it measured
    parent: int  # the process that waits for it
    spawned_ns: int  # when it was started, on the clock that all processes share

    def do(self) -> None:
        """Start cold, measure, and write it down."""
        with contextlib.suppress(ImportError):  # where there is none, loading says so properly
            importlib.import_module("onnxruntime")
        from rmedge import Bundle, runtimes
        from rmedge.benchmarks.latency.graphs import measure_graphs, precision
        from rmedge.benchmarks.latency.round import measure
        from rmedge.runtimes.features import use_threads

        use_threads(self.threads)
        imported_ns = time.monotonic_ns()
        bundle = Bundle.load(self.bundle)
        read_ns = time.monotonic_ns()
        build_ms = _build_ms(bundle) if self.provider == "tensorrt" else None
        built_ns = time.monotonic_ns()
        mirror = runtimes.load(bundle, self.provider, self.threads)
        loaded_ns = time.monotonic_ns()
        rules = Rules(**self.rules)
        with ExitStack() as stack:
            scene = Scene(stack, self, bundle, mirror)
            first_ms = _first_ms(scene.make_loop())
            cold: dict[str, float | None] = {
                "import_ms": (imported_ns - self.spawned_ns) / 1e6,
                "bundle_ms": (read_ns - imported_ns) / 1e6,
                "load_ms": (loaded_ns - built_ns) / 1e6,
                "engine_build_ms": build_ms,
                "first_ms": first_ms,
                "total_ms": (time.monotonic_ns() - self.spawned_ns) / 1e6,
            }
            measured = measure(scene.make_loop, rules, lambda: os.getppid() != self.parent)
        outcome = Outcome(
            measured, cold, {}, {}, scene.paced, scene.synthetic, mirror.pilot.policy.period_ns / 1e3
        )
        with contextlib.suppress(KeyboardInterrupt):  # the ticks are worth keeping without what follows
            outcome.precision.update(precision(bundle))
            if self.pairs and not measured.interrupted:
                outcome.graphs.update(measure_graphs(bundle, mirror, self.provider, self.threads, self.pairs))
        Path(self.out).write_text(json.dumps(outcome.told()), encoding="ascii")


class Scene:
    """A camera, a mirror and a robot, of which any number of loops can be made.

    Attributes:
        paced: the loops run in real time, because they were told to or because the camera does.
        synthetic: no real camera is looked through.
    """

    def __init__(self, stack: ExitStack, job: Job, bundle: Bundle, mirror: Mirror) -> None:
        from rmedge import runtimes
        from rmedge.runtimes.cameras.board import BoardCamera
        from rmedge.runtimes.cameras.live import Live
        from rmedge.runtimes.own import is_own

        def look() -> Camera:
            return stack.enter_context(runtimes.open_camera(job.camera))

        self._open = look
        self._camera, self._fresh, self._mirror = self._open(), True, mirror
        self._robot = stack.enter_context(runtimes.open_actuator(job.actuator, bundle.robot))
        if not isinstance(self._robot, Simulated):
            raise UsageError(
                f"actuator: expected one that is simulated, got {job.actuator}; a benchmark moves no robot"
            )
        live = isinstance(self._camera, (Live, BoardCamera))
        self.paced = live or bool(job.rules["paced"])
        self.synthetic = not (live or (is_own(job.camera) and self.paced))

    def make_loop(self) -> Loop:
        """A loop from the beginning of the camera's pictures, if they have one."""
        from rmedge.runtimes import Loop

        if hasattr(self._camera, "ended") and not self._fresh:
            self._camera.__exit__(None, None, None)
            self._camera = self._open()
        self._fresh = False
        return Loop(self._camera, self._mirror, self._robot, Clock() if self.paced else ManualClock())


@dataclass(frozen=True)
class Outcome:
    """What a round's process has to say."""

    measured: Round
    cold_start: Mapping[str, float | None]
    graphs: dict[str, dict[str, np.ndarray]]
    precision: dict[str, str | None]
    paced: bool
    synthetic: bool
    period_us: float

    def told(self) -> dict[str, Any]:
        """Of JSON's types, and NaN where there is nothing to say."""
        ticks = self.measured.ticks
        return {
            **vars(self),
            "measured": {
                **vars(self.measured),
                "ticks": {
                    **{name: array.tolist() for name, array in vars(ticks).items() if name != "spent_us"},
                    "spent_us": {stage: array.tolist() for stage, array in ticks.spent_us.items()},
                },
            },
            "graphs": {
                graph: {name: array.tolist() for name, array in pair.items()}
                for graph, pair in self.graphs.items()
            },
        }

    @classmethod
    def read(cls, path: str, began_ns: int) -> Outcome:
        """What `told` became in a file; ``began_ns``: when the run began, from which rounds count."""
        told = json.loads(Path(path).read_text(encoding="ascii"))
        measured = told.pop("measured")
        ticks = measured.pop("ticks")
        spent_us = {stage: np.array(each) for stage, each in ticks.pop("spent_us").items()}
        graphs = {
            graph: {name: np.array(each) for name, each in pair.items()}
            for graph, pair in told.pop("graphs").items()
        }
        measured["start_ms"] -= began_ns / 1e6
        measured.update(cold_start=told["cold_start"], graphs=graphs)
        arrays = {name: np.array(each, np.float64) for name, each in ticks.items()}
        return cls(
            measured=Round(ticks=Ticks(**arrays, spent_us=spent_us), **measured), graphs=graphs, **told
        )


def _build_ms(bundle: Bundle) -> float | None:
    """What TensorRT's engines took to build [ms]; None: they were there. *Unverified*."""
    from rmedge.bundle import GRAPHS
    from rmedge.runtimes import engines
    from rmedge.runtimes.session import options_of

    given = options_of(bundle, "tensorrt")
    if all(engines.built(engines.folder(bundle.graph(graph), given)) for graph in GRAPHS):
        return None
    return 1e3 * sum(built.seconds for built in engines.build(bundle, GRAPHS))


def _first_ms(loop: Loop) -> float:
    """From the first picture to the first command [ms], as somebody calls it who owns the loop."""
    from rmedge.runtimes.cameras.live import Live

    mirror, clock = loop.mirror, loop.clock
    loop.camera.attach(clock)
    loop.actuator.attach(clock)
    mirror.reset()
    until_s = time.monotonic() + PATIENCE_S
    frame = loop.camera.read(mirror.encoder.image_ns)
    while frame is None and not isinstance(clock, ManualClock) and time.monotonic() < until_s:
        time.sleep(0.005)
        frame = loop.camera.read(mirror.encoder.image_ns)
    if frame is None and isinstance(loop.camera, Live):
        raise AbsentError(
            f"camera: expected a picture within {PATIENCE_S:g} s, got none: "
            f"{loop.camera.error or 'it says nothing'}; rmedge doctor lists the cameras"
        )
    start_ns = time.monotonic_ns()
    if frame is not None:
        mirror.watch(frame)
    loop.actuator.write(mirror.act(loop.actuator.read()))
    return (time.monotonic_ns() - start_ns) / 1e6


def main(argv: Sequence[str]) -> int:
    """Do the job that the one argument describes."""

    def do(argv: Sequence[str]) -> int:
        Job(**json.loads(argv[0])).do()
        return 0

    return command.guard(do, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
