"""Unitree's teleimager, the image server on its robots' computers: JPEG pictures over ZeroMQ."""

from __future__ import annotations

import math
import re
import struct
import time
from typing import Any, Callable

from rmedge.errors import AbsentError, UsageError
from rmedge.runtimes.cameras.jpeg import MAX_BYTES, Jpeg
from rmedge.runtimes.cameras.live import Picture
from rmedge.runtimes.cameras.sender import SenderClock

__all__ = ["Teleimager"]

PORT = 55555  # of the head camera, where the server's configuration says nothing else
SLICE_MS = 100  # the longest that one grab waits
SPELLING = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?(?:/(left|right))?", re.ASCII)
STAMP = struct.Struct("<dI")  # the sender's time [s] and number, before a picture where its test mode is on
JPEG = b"\xff\xd8\xff"


class Teleimager:
    """``HOST[:PORT][/left|/right]``; left and right are the halves of a binocular camera's picture.

    A message is one JPEG, and nothing else of it is ever interpreted. The server repeats its last picture
    when its own camera gives no new one: a repetition is not a picture. A picture's age is counted from
    its arrival, or from its stamp if it has one and arrives later than others did.

    Raises:
        UsageError: not such an address.
        AbsentError: pyzmq or PyAV is not here.
    """

    def __init__(self, address: str, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        found = SPELLING.fullmatch(address)
        if found is None or not 0 < int(found[2] or PORT) < 1 << 16:
            raise UsageError(
                f"teleimager: expected HOST[:PORT][/left|/right], got {address!r}; "
                "for example teleimager:192.168.123.164/left"
            )
        try:
            import zmq
        except ImportError as error:
            raise AbsentError(
                'teleimager: expected pyzmq, got none; pip install "rmedge[camera,teleimager]"'
            ) from error
        self._zmq = zmq
        self._endpoint = f"tcp://{found[1]}:{found[2] or PORT}"
        self._half = found[3]
        self.name = f"teleimager {found[1]}:{found[2] or PORT}"
        self._now_ns = now_ns
        self._jpeg = Jpeg()
        self._context: Any = None

    def open(self) -> None:
        zmq = self._zmq
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.CONFLATE, 1)  # the newest message only
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
        self._socket.setsockopt(zmq.IPV6, 1)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.connect(self._endpoint)
        self._last = b""
        self._sender = SenderClock()

    def grab(self) -> Picture | None:
        if not self._socket.poll(SLICE_MS):
            return None
        message = self._socket.recv()
        arrived_ns = self._now_ns()
        if message == self._last:
            time.sleep(SLICE_MS / 1e4)  # a flood of repetitions is no reason to be busy
            return None
        self._last = message
        late_ns = 0
        if message[: len(JPEG)] != JPEG and message[STAMP.size :][: len(JPEG)] == JPEG:
            stamp_s = STAMP.unpack_from(message)[0]
            message = message[STAMP.size :]
            if math.isfinite(stamp_s) and 0 < stamp_s < 1e11:
                late_ns = self._sender.age_ns(round(stamp_s * 1e9), arrived_ns)
        pixels = self._jpeg.decode(message)
        if self._half is not None:
            middle = pixels.shape[1] // 2
            pixels = pixels[:, :middle] if self._half == "left" else pixels[:, middle:]
        return Picture(pixels, self._now_ns() - arrived_ns + late_ns)

    def close(self) -> None:
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None

    def interrupt(self) -> None:
        """No call blocks for longer than a slice."""
