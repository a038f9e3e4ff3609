"""Filming: a run made into a film of what was seen, what was understood and what the robot did."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable

import numpy as np

from rmedge.clock import ManualClock
from rmedge.protocols import Camera
from rmedge.robots import Robot
from rmedge.runtimes.film import HEIGHT, WIDTH, Caption, Film, compose
from rmedge.runtimes.stage import open_stage
from rmedge.trace import Trace

__all__ = ["Filming"]

FPS = 25.0
FOREVER_NS = 10**15  # the film shows an old picture rather than none


class Filming:
    """A film in the making, which costs the run next to nothing; a context manager.

    A lock-step run only notes its shots: `develop` draws them when it is over, with eyes that see the
    same again. A live run sees nothing twice: its shots are drawn on a thread beside it, and one that
    comes while the thread is busy is left out, so that the one before stays longer on the screen.

    Args:
        path: of the film.
        eyes: what to show as the camera's view: in a live run its own camera, else one of the film's own.
        world: of the simulated robot, or None: then the robot stands.
        live: the run is paced by a real clock.
    """

    def __init__(
        self,
        path: Any,
        eyes: Camera,
        robot: Robot,
        world: Any = None,
        renderer: str = "auto",
        live: bool = False,
    ) -> None:
        self._eyes, self._world, self._live = eyes, world, live
        self._clock = ManualClock()
        if not live:
            eyes.attach(self._clock)
        self._still = np.array([0.0, 0.0, robot.standing_height, 1.0, 0.0, 0.0, 0.0, *robot.default_pose])
        self._seen = np.zeros((9, 16, 3), np.uint8)
        self._shots: list[tuple[Any, ...]] = []
        self._pictures = 0
        self._drawing: Future[None] | None = None
        # one thread draws everything: an OpenGL context belongs to the thread that made it
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="film")
        model = None if world is None else world.model
        self._stage = self._thread.submit(open_stage, renderer, robot, model).result()
        self._film = Film(path, FPS, WIDTH, HEIGHT)

    def __enter__(self) -> Filming:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._thread.submit(self._strike)
        self._thread.shutdown(wait=True)
        self._film.close()

    def shoot(self, time_s: float, caption: Caption, trace: Trace) -> None:
        """Bring the film up to this time of the run; to be called at every tick."""
        due = int(time_s * FPS + 1e-9) - self._pictures
        if due < 1 or (self._live and self._drawing is not None and not self._drawing.done()):
            return
        self._pictures += due
        qpos = self._still if self._world is None else self._world.data.qpos.copy()
        shot = (due, time_s, qpos, caption, trace, trace.ticks)
        if self._live:
            self._drawing = self._thread.submit(self._draw, *shot)
        else:
            self._shots.append(shot)

    def develop(self, on_shot: Callable[[float], Any] | None = None) -> None:
        """Draw what is not drawn yet; ``on_shot`` is told up to which time [s] that is."""
        for shot in self._shots:
            self._thread.submit(self._draw, *shot).result()
            if on_shot is not None:
                on_shot(shot[1])
        self._shots.clear()
        if self._drawing is not None:
            self._drawing.result()

    def _draw(
        self, copies: int, time_s: float, qpos: np.ndarray, caption: Caption, trace: Trace, ticks: int
    ) -> None:
        self._clock.sleep_until_ns(round(time_s * 1e9))
        frame = self._eyes.read(max_age_ns=FOREVER_NS)
        if frame is not None:  # else the last one stays on the screen
            self._seen = frame.pixels
        latency_ms = trace.compute_ns[:ticks] / 1e6
        picture = compose(self._seen, self._stage(qpos), caption, latency_ms, trace.period_ns / 1e6)
        for _ in range(copies):
            self._film.add(picture)

    def _strike(self) -> None:
        del self._stage
