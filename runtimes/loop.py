"""The loop: camera, mirror and robot, in turn, on one clock."""

from __future__ import annotations

import gc
from typing import Any, Callable

from rmedge.clock import Clock, ManualClock
from rmedge.protocols import Actuator, Camera
from rmedge.rate import Rate
from rmedge.runtimes.mirror import Mirror
from rmedge.trace import Trace

__all__ = ["Loop"]

MAX_FRAME_AGE_NS = 500_000_000  # an older picture says nothing about now
MOST_REFUSALS = 25  # in a row, at 500 Hz: 50 ms without a valid command, then the motors are damped


class Loop:
    """Runs the stages in turn; lock-step on a `ManualClock` (the default), paced on a real one.

    Lock-step is deterministic: the same camera, seed and robot give the same states, actions and
    intents to the bit; only the measured times differ.
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
        period_ns, write_ns = mirror.policy.period_ns, mirror.write_period_ns
        writes = period_ns // write_ns
        watch_every = max(1, round(mirror.encoder.period_ns / period_ns))
        trace = Trace(period_ns, int(min(seconds or 60.0, 600.0) * 1e9 / period_ns) + 1)  # it grows beyond
        advance = getattr(self.actuator, "advance", None)
        self.camera.attach(clock)
        self.actuator.attach(clock)
        mirror.reset(seed)
        rate = Rate(clock, write_ns)
        now_ns = start_ns = clock.now_ns()
        sequence = -1
        gc.freeze()  # what is there already is not searched again: a full collection takes 20 ms, a deadline
        try:
            while seconds is None or now_ns - start_ns < seconds * 1e9:
                trace.begin(now_ns)
                if (trace.ticks - 1) % watch_every == 0:
                    frame = self.camera.read(MAX_FRAME_AGE_NS)
                    trace.mark("capture")
                    if frame is not None and frame.sequence != sequence:
                        sequence = frame.sequence
                        trace.intents.append(mirror.watch(frame, trace))
                    elif frame is None and getattr(self.camera, "ended", False) and seconds is None:
                        break
                if mirror.intent is not None:
                    trace.used(now_ns - mirror.intent.captured_ns)
                for _ in range(writes):
                    state = self.actuator.read()
                    trace.mark("read")
                    target = mirror.act(state, trace)
                    if mirror.envelope.refusals > MOST_REFUSALS:
                        trace.stop_reason = "no valid command for 50 ms: the motors were damped"
                        return trace
                    self.actuator.write(target)
                    trace.mark("write")
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
            trace.clamped = mirror.envelope.clamped
            trace.refused = int(mirror.envelope.refused.sum())
            trace.missed_deadlines = rate.missed
        return trace
