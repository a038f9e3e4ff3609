"""The body's process: one thread, at the write rate, between an actuator and the boards."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rmedge.clock import Clock
from rmedge.errors import RmedgeError
from rmedge.monitor import Monitor
from rmedge.protocols import Actuator
from rmedge.rate import Rate
from rmedge.runtimes.boards import Board
from rmedge.runtimes.boards.records import TEXT, Verb
from rmedge.runtimes.body import Body
from rmedge.runtimes.meter import Meter
from rmedge.runtimes.pilot import Pilot
from rmedge.runtimes.processes.vision import Sight
from rmedge.states import Count, State

__all__ = ["Desk", "Service"]

EVERY = 10  # steps between two looks at the operator's desk and two posts of the status: 20 ms
ORPHAN_NS = 2_000_000_000  # whose parent died stands still for so long, and is damped then
LAST_NS = 1_000_000_000  # damping is streamed for so long before the process ends


class Desk:
    """The operator's end: requests come in, the body's status goes out."""

    def __init__(self, body: Body, requests: Board, status: Board) -> None:
        self._body, self._requests, self._status = body, requests, status
        self._heard = 0
        self._count = 0

    def attend(self, now_ns: int, missed: int) -> None:
        """Do what is newly asked, and say how it stands."""
        if self._requests.newest != self._heard:
            record = self._requests.read()
            if record is not None:
                self._heard = self._requests.sequence
                self._obey(record)
        body, record = self._body, self._status.record
        record["stamp_ns"], record["state"] = now_ns, body.state
        record["ticks"], record["missed"] = body.counts[Count.STEPS], missed
        record["counts"][: len(Count)] = body.tally()
        record["reason"] = body.reason.encode()[:TEXT]
        self._status.publish()

    def _obey(self, record: Any) -> None:
        body, stamp_ns = self._body, int(record["stamp_ns"])
        if stamp_ns <= body.clock.now_ns():  # a sign of life from the future would never grow old
            body.hear(stamp_ns)
        if int(record["count"]) == self._count:
            return
        self._count = int(record["count"])
        magnitude, slowdown = float(record["magnitude"]), float(record["slowdown"])
        if 0.0 <= magnitude <= 1.0 and 1.0 <= slowdown <= 100.0:  # positive form: NaN changes nothing
            body.pilot.magnitude, body.pilot.slowdown = magnitude, slowdown
        reason = bytes(record["reason"]).decode(errors="replace")
        verb = int(record["verb"])
        if verb == Verb.STAND:
            body.rest(reason) or body.stand()
        elif verb == Verb.RUN:
            body.run()
        elif verb == Verb.STOP:
            body.stop(reason or "asked to")
        elif verb == Verb.ESTOP:
            body.emergency(reason or "asked to")
        elif verb == Verb.RESET:
            body.reset()


class Service:
    """Steps a body on a real clock until its parent has died or it was told to end."""

    def __init__(self, body: Body, desk: Desk | None, meter: Meter) -> None:
        self.body, self.desk, self.meter = body, desk, meter
        self.rate = Rate(body.clock, body.pilot.write_period_ns)
        self.ending = ""  # why the process should end
        self.robot: dict[str, Any] | None = None  # what the robot told when it was stopped, before it sank
        self._advance = getattr(body.actuator, "advance", None)

    def step(self) -> None:
        """One write period, and what is done between two of them."""
        body, meter = self.body, self.meter
        deadline_ns = self.rate.wait()
        meter.begin(deadline_ns)
        body.step(meter)
        meter.end(self._followed_ns(deadline_ns))
        if self._advance is not None:
            self._advance()
        if self.robot is None and body.state.stopped:
            self.robot = getattr(body.actuator, "told", dict)()
        if self.desk is not None and body.counts[Count.STEPS] % EVERY == 0:
            self.desk.attend(deadline_ns, self.rate.missed)

    def _followed_ns(self, now_ns: int) -> int | None:
        """When the picture was taken that is followed now; None: the robot stands by itself."""
        intent = self.body.pilot.intent
        if intent is None or self.body.state is not State.RUN:
            return None
        return intent.captured_ns if now_ns - intent.captured_ns < self.body.budgets.intent_ns else None

    def serve(self, alive: Any) -> None:
        """Step for ever; whoever is orphaned or told to end stands still, is damped, and goes."""
        body, since_ns = self.body, 0
        while True:
            self.step()
            now_ns = body.clock.now_ns()
            if not since_ns:
                if not alive():
                    self.ending, since_ns = "the process that supervises this body died", now_ns
                    body.rest(self.ending)
                elif self.ending:
                    since_ns = now_ns - ORPHAN_NS
            elif now_ns - since_ns > ORPHAN_NS:
                body.stop(self.ending)
                if now_ns - since_ns > ORPHAN_NS + LAST_NS:
                    return

    def report(self) -> dict[str, Any]:
        """What it did and what it cost."""
        body = self.body
        envelope = body.pilot.envelope
        return {
            "state": body.state.name,
            "reason": body.reason,
            "counts": {count.name.lower(): int(number) for count, number in zip(Count, body.tally())},
            "missed_deadlines": self.rate.missed,
            "clamped": {name: int(joints.sum()) for name, joints in envelope.clamped.items()},
            "refused": int(envelope.refused.sum()),
            "timing": self.meter.report(),
            "robot": self.robot or {},
        }


def main() -> int:
    """The process: its orders come in a line, what it has to say goes out in lines."""
    from rmedge.runtimes import gate, open_actuator, realtime
    from rmedge.runtimes.actuators.shadow import open_shadow
    from rmedge.runtimes.processes.child import Parent, bundle_of

    parent = Parent()
    orders = parent.orders()
    try:
        with ExitStack() as stack:
            bundle = bundle_of(orders)
            pilot = Pilot(bundle, "cpu", 1)
            if orders["follow"] is not None:
                pilot.follow(orders["follow"])
            actuator: Actuator
            if orders["shadow"]:
                actuator = stack.enter_context(open_shadow(orders["actuator"], bundle.robot))
            else:
                actuator = stack.enter_context(open_actuator(orders["actuator"], bundle.robot))
            clock = Clock()
            actuator.attach(clock)
            boards = Path(orders["boards"])
            requests = stack.enter_context(Board.open(boards, "request"))
            status = stack.enter_context(Board.create(boards, "status"))
            checks = gate.body_checks(bundle, pilot, actuator, clock.now_ns, "cpu", 1)
            refused = realtime.prepare(orders["core"], orders["priority"])
            monitor = Monitor(bundle.budgets, bundle.joint_names)
            actuator.attach(clock)  # simulated time begins now, not before the checks
            hang = getattr(actuator, "hang", None)
            if hang is not None:
                hang()
            body = Body(pilot, actuator, clock, Sight(boards), monitor)
            service = Service(body, Desk(body, requests, status), Meter())
            signal.signal(signal.SIGTERM, lambda *_: setattr(service, "ending", "SIGTERM"))
            parent.tell(kind="ready", checks=[check.told() for check in checks], refused=refused)
            try:
                service.serve(lambda: parent.alive)
            finally:
                actuator.damp()
                parent.tell(kind="report", **service.report())
    except RmedgeError as error:
        parent.tell(kind="failed", error=str(error), exit_code=error.exit_code)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
