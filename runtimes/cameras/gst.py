"""A camera behind a GStreamer pipeline, such as a Jetson's CSI camera, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
from typing import Any, Callable

import numpy as np

from rmedge.errors import AbsentError, UsageError
from rmedge.runtimes.cameras.live import MAX_PIXELS, Picture

__all__ = ["Pipeline"]

PROGRAM = "gst-launch-1.0"
SLICE_S = 0.1  # the longest that one grab waits
STOP_S = 0.5  # for a pipeline to stop by itself; a killed one may leave the CSI driver stuck
TAIL = 4096  # [byte] of its complaints that are kept
ROW = 4  # [byte] what GStreamer rounds the rows of raw video up to
F_SETPIPE_SZ = 1031  # fcntl.F_SETPIPE_SZ came with Python 3.10
PIPE = 1 << 20  # [byte] as much as an ordinary user may ask for: fewer, larger reads
SPELLING = re.compile(r"(?:(\d{1,5})x(\d{1,5})(?:@(\d{1,3}))?:)?(.*[^!\s].*)")
CSI = (
    "640x360:nvarguscamerasrc sensor-id={} ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=30/1"
    " ! nvvidconv ! video/x-raw,format=RGBA,width=640,height=360"
)


class Pipeline:
    """``[WIDTHxHEIGHT[@RATE]:]PIPELINE``, the part before the sink; its pictures are scaled to that size.

    ``gst-launch-1.0`` runs it, without a shell, and writes raw RGB to a pipe: OpenCV's wheels have no
    GStreamer, and what crashes or hangs in a vendor's driver is another process. The pipeline keeps one
    picture at most (``queue leaky=downstream``). A picture's age is counted from its first byte.

    Raises:
        UsageError: not of that form.
        AbsentError: GStreamer's tools are not here.
    """

    def __init__(
        self, spelling: str, name: str = "gst", now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        found = SPELLING.fullmatch(spelling)
        try:
            words = shlex.split(found[4]) if found else []
        except ValueError:  # a quotation that is not closed
            words = []
        self._width, self._height = (int(found[1] or 640), int(found[2] or 480)) if found else (0, 0)
        if not (words and 0 < self._width * self._height <= MAX_PIXELS):
            raise UsageError(
                "gst: expected [WIDTHxHEIGHT[@RATE]:]PIPELINE without a sink, got another form; "
                "for example gst:640x480@30:v4l2src device=/dev/video0"
            )
        self._program = shutil.which(PROGRAM)
        if self._program is None:
            raise AbsentError(
                f"gst: expected {PROGRAM}, got none; sudo apt-get install gstreamer1.0-tools "
                "gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
            )
        rate = f"! videorate drop-only=true max-rate={found[3]}".split() if found and found[3] else []
        size = f"width={self._width},height={self._height},pixel-aspect-ratio=1/1"
        tail = (
            f"! queue max-size-buffers=1 leaky=downstream ! videoconvert ! videoscale "
            f"! video/x-raw,format=RGB,{size} ! fdsink fd=1 sync=false"
        )
        self._command = [self._program, "-q", *words, *rate, *tail.split()]
        self.name, self._now_ns = name, now_ns
        self._stride = -(-3 * self._width // ROW) * ROW
        self._process: Any = None

    @classmethod
    def csi(cls, sensor: str) -> Pipeline:
        """A Jetson's CSI camera of that number, scaled down by the Jetson's own hardware.

        Raises:
            UsageError: not a number.
        """
        if not re.fullmatch(r"\d{1,2}", sensor):
            raise UsageError(f"csi: expected a sensor's number such as csi:0, got {sensor!r}")
        return cls(CSI.format(sensor), f"csi:{sensor}")

    def open(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us; it would tear the pipeline down first
        )
        for pipe in (self._process.stdout, self._process.stderr):
            os.set_blocking(pipe.fileno(), False)
        self._widen(self._process.stdout.fileno())
        self._complaints = b""
        self._begin()

    def grab(self) -> Picture | None:
        out = self._process.stdout.fileno()
        ends = [out, self._process.stderr.fileno()]
        deadline_ns = self._now_ns() + round(SLICE_S * 1e9)
        while True:
            left_s = (deadline_ns - self._now_ns()) / 1e9
            ready = select.select(ends, [], [], left_s)[0] if left_s > 0 else []
            if not ready:
                return None
            if ready[-1] != out and not self._listen():
                ends.pop()  # it closed that one, which would be ready for ever
            if out not in ready:
                continue
            got = os.readv(out, [memoryview(self._buffer)[self._filled :]])
            if not got:
                raise ConnectionError(self._end())
            if not self._filled:
                self._began_ns = self._now_ns()
            self._filled += got
            if self._filled == len(self._buffer):
                return self._picture()

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.stdout.close()  # one that cannot write any more does not wait for us
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stderr.close()

    def interrupt(self) -> None:
        """No call blocks for longer than a slice."""

    def _begin(self) -> None:
        # a new one for each picture: whoever was given the last may keep it
        self._buffer, self._filled = bytearray(self._stride * self._height), 0

    def _picture(self) -> Picture:
        rows = np.frombuffer(self._buffer, np.uint8).reshape(self._height, self._stride)
        pixels = rows[:, : 3 * self._width].reshape(self._height, self._width, 3)
        self._begin()
        return Picture(pixels, self._now_ns() - self._began_ns)

    def _listen(self) -> bool:
        """Take what it says, if it still says anything: a full pipe would block it."""
        said = os.read(self._process.stderr.fileno(), TAIL)
        self._complaints = (self._complaints + said)[-TAIL:]
        return bool(said)

    def _end(self) -> str:
        """Why the pipeline ended, in its own words."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):  # what a pipe holds
                self._listen()
        lines = self._complaints.decode("utf-8", "replace").strip().split("\n")
        errors = [line for line in lines if "ERROR" in line or "WARNING: erroneous" in line]
        return f"{PROGRAM} ended: {(errors or lines[-1:])[0].strip() or 'without a word'}"

    @staticmethod
    def _widen(pipe: int) -> None:
        import fcntl

        try:
            fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE)
        except OSError:  # the machine allows less: it only costs more reads
            return
