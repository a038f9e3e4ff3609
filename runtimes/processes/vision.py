"""The eyes: a process that watches a camera and posts intents; it may freeze or die at any moment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rmedge.clock import Clock
from rmedge.errors import RmedgeError
from rmedge.protocols import Camera
from rmedge.rate import Rate
from rmedge.runtimes.boards import Board
from rmedge.runtimes.encoder import Encoder
from rmedge.runtimes.features import use_threads
from rmedge.specs import Intent

__all__ = ["LIVE", "LOST", "WAITING", "Sight", "Vision"]

WAITING, LIVE, LOST = 0, 1, 2  # what a camera is; part of the layout in shared memory


class Vision:
    """Watches the newest frame, and posts what it means; once a frame period, seen or not.

    A camera or an encoder that raises is a state of its own, told on the board, and the next period tries
    again: what is posted meanwhile is the last intent, which grows old.
    """

    def __init__(self, encoder: Encoder, camera: Camera, board: Board, clock: Clock, image_ns: int) -> None:
        self.encoder, self.camera, self.clock = encoder, camera, clock
        self.trouble = ""  # the last thing that was raised
        self._board, self._image_ns = board, image_ns
        self._sequence = -1
        board.record["captured_ns"] = 0

    @property
    def state(self) -> int:
        """WAITING, LIVE or LOST."""
        return int(self._board.record["camera"])

    def step(self) -> None:
        """One frame period."""
        record = self._board.record
        try:
            frame = self.camera.read(self._image_ns)
            if frame is not None:
                if frame.sequence != self._sequence:
                    self._sequence = frame.sequence
                    self._post(self.encoder.watch(frame))
                record["camera"] = LIVE
            elif self.state == LIVE:
                record["camera"] = LOST
        except (
            Exception
        ) as error:  # a driver or an engine may raise anything; the body must hear that we live
            self.trouble = f"{type(error).__name__}: {error}"
            self.encoder.reset()
            record["camera"] = LOST
        record["stamp_ns"] = self.clock.now_ns()
        self._board.publish()

    def _post(self, intent: Intent) -> None:
        record, size = self._board.record, len(intent.z)
        record["z"][:size] = intent.z  # first, for it is what may be refused
        record["size"], record["captured_ns"] = size, intent.captured_ns
        record["certainty"], record["presence"] = intent.certainty, intent.presence
        record["name"] = intent.name.encode()  # cut where it is too long
        record["frames"] += 1


class Sight:
    """The body's end of it: the newest intent on the board, or None; a board that is not there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._board: Board | None = None
        self._sequence = 0
        self._newest: Intent | None = None

    def __call__(self) -> Intent | None:
        if self._board is None:
            try:
                self._board = Board.open(self._path, "intent")
            except RmedgeError:  # not yet
                return None
        if self._board.newest != self._sequence:
            record = self._board.read()
            if record is not None:
                self._sequence = self._board.sequence
                self._newest = _intent(record) or self._newest
        return self._newest


def _intent(record: Any) -> Intent | None:
    size, captured_ns = int(record["size"]), int(record["captured_ns"])
    if captured_ns <= 0 or size > record["z"].size:
        return None
    name = bytes(record["name"]).decode(errors="replace")
    return Intent(
        record["z"][:size], float(record["certainty"]), float(record["presence"]), captured_ns, name
    )


def main() -> int:
    """The process: its orders come in a line, what it has to say goes out in lines."""
    from rmedge.runtimes import gate, open_camera, realtime
    from rmedge.runtimes.processes.child import Parent, bundle_of

    parent = Parent()
    orders = parent.orders()
    try:
        bundle = bundle_of(orders)
        encoder = Encoder(bundle, orders["provider"], orders["threads"])
        use_threads(orders["threads"])
        checks = gate.vision_checks(bundle, encoder, orders["provider"], orders["threads"])
        refused = realtime.prepare(core=orders["core"])
        with open_camera(orders["camera"]) as camera, Board.create(Path(orders["boards"]), "intent") as board:
            clock = Clock()
            camera.attach(clock)
            vision = Vision(encoder, camera, board, clock, bundle.budgets.image_ns)
            parent.tell(kind="ready", checks=[check.told() for check in checks], refused=refused)
            rate = Rate(clock, encoder.period_ns)
            told = WAITING
            while parent.alive:
                vision.step()
                if vision.state != told:
                    told = vision.state
                    parent.tell(kind="camera", state=told, trouble=vision.trouble)
                rate.wait()
    except RmedgeError as error:
        parent.tell(kind="failed", error=str(error), exit_code=error.exit_code)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
