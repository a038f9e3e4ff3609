"""The loop: camera, mirror and robot, in turn, on one clock."""

from __future__ import annotations

import gc
from typing import Any, Callable

from rmedge.clock import Clock, ManualClock
from rmedge.protocols import Actuator, Camera
from rmedge.rate import Rate
from rmedge.runtimes.body import Body
from rmedge.runtimes.mirror import Mirror
from rmedge.states import State
from rmedge.trace import Trace

__all__ = ["Loop"]


class Loop:
    """Runs the stages in turn; lock-step on a `ManualClock` (the default), paced on a real one.

    Lock-step is deterministic: the same camera, seed and robot give the same states, actions and
    intents to the bit; only the measured times differ. The body begins in RUN, its ladder is at work, and
    nobody watches for falls: what becomes of a robot that fell is for the caller to say.
    """

    def __init__(
        self, camera: Camera, mirror: Mirror, actuator: Actuator, clock: Clock | None = None
    ) -> None:
        self.camera, self.mirror, self.actuator = camera, mirror, actuator
        self.clock = ManualClock() if clock is None else clock

    def run(
        self,
        seconds: float | None = None,
        seed: int = 0,
        on_tick: Callable[[Trace], Any] | None = None,
    ) -> Trace:
        """Run for so long, or until the camera's pictures end; returns the trace of what happened.

        ``on_tick`` is called at the end of every policy tick, outside the measured time; a true answer
        ends the run. Ctrl-C ends it too, and the trace is returned. However it ends, the robot is damped.
        """
        mirror, clock = self.mirror, self.clock
        pilot = mirror.pilot
        period_ns, write_ns = pilot.policy.period_ns, pilot.write_period_ns
        image_ns = mirror.bundle.budgets.image_ns
        writes = period_ns // write_ns
        watch_every = max(1, round(mirror.encoder.period_ns / period_ns))
        trace = Trace(period_ns, int(min(seconds or 60.0, 600.0) * 1e9 / period_ns) + 1)  # it grows beyond
        advance = getattr(self.actuator, "advance", None)
        # a camera that decodes while it is read can say how much of it that was
        listen = getattr(self.camera, "listen", None)
        if listen is not None:
            listen(trace)
        self.camera.attach(clock)
        self.actuator.attach(clock)
        mirror.reset(seed)
        body = Body(pilot, self.actuator, clock, state=State.RUN)
        rate = Rate(clock, write_ns)
        now_ns = start_ns = clock.now_ns()
        sequence = -1
        gc.freeze()  # what is there already is not searched again: a full collection takes 20 ms, a deadline
        try:
            while seconds is None or now_ns - start_ns < seconds * 1e9:
                trace.begin(now_ns)
                if (trace.ticks - 1) % watch_every == 0:
                    frame = self.camera.read(image_ns)
                    trace.mark("capture")
                    if frame is not None and frame.sequence != sequence:
                        sequence = frame.sequence
                        trace.intents.append(mirror.watch(frame, trace))
                    elif frame is None and getattr(self.camera, "ended", False) and seconds is None:
                        break
                if pilot.intent is not None:
                    trace.used(now_ns - pilot.intent.captured_ns)
                for write in range(writes):
                    body.step(trace)
                    if not write:
                        trace.answered()
                    if body.state.stopped:
                        trace.stop_reason, trace.stopped = body.reason, True
                        return trace
                    now_ns = rate.wait()
                    trace.skip()
                    if advance is not None:
                        advance()
                        trace.mark("physics")
                if on_tick is not None and on_tick(trace):
                    break
        except KeyboardInterrupt:
            trace.stop_reason = "interrupted"
        finally:
            self.actuator.damp()
            gc.unfreeze()
            if listen is not None:
                listen(None)
            trace.clamped = pilot.envelope.clamped
            trace.refused = int(pilot.envelope.refused.sum())
            trace.policy_failures = pilot.failures
            trace.missed_deadlines = rate.missed
        return trace
