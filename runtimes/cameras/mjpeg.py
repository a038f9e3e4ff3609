"""A camera that serves its pictures over HTTP: MJPEG, as multipart/x-mixed-replace."""

from __future__ import annotations

import base64
import math
import re
import select
import socket
import time
from typing import Any, Callable

from rmedge.runtimes.cameras.address import Address
from rmedge.runtimes.cameras.jpeg import MAX_BYTES, Jpeg
from rmedge.runtimes.cameras.live import Picture
from rmedge.runtimes.cameras.sender import SenderClock

__all__ = ["MjpegStream"]

CONNECT_S = 2.0
SLICE_S = 0.1  # the longest that one grab waits
MAX_HEAD = 1 << 14  # [byte] of a response's or a part's headers
READ = 1 << 16


class MjpegStream:
    """``http://`` or ``https://``; credentials in the URL are sent by the Basic scheme.

    The standard library's sockets, not a video library: the sizes, the time-outs and what is thrown away
    are ours. When several pictures have arrived only the newest is decoded. A picture's age is counted
    from the arrival of its headers, or from its ``X-Timestamp`` if it arrives later than others did.

    Raises:
        UsageError: not such a URL.
        AbsentError: PyAV, which decodes the pictures, is not here.
    """

    def __init__(self, url: str, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._address = Address.parse(url, {"http": 80, "https": 443})
        self.name = self._address.shown
        self._now_ns = now_ns
        self._jpeg = Jpeg()
        self._socket: Any = None

    def open(self) -> None:
        address = self._address
        self._socket = socket.create_connection((address.host, address.port), CONNECT_S)
        if address.scheme == "https":
            import ssl

            self._socket = ssl.create_default_context().wrap_socket(
                self._socket, server_hostname=address.host
            )
        self._socket.settimeout(SLICE_S)
        self._socket.sendall(self._request())
        self._raw, self._body = bytearray(), bytearray()  # as received; without the chunks' sizes
        self._chunked = False
        self._began_ns: int | None = None  # arrival of the headers of the part that is being received
        self._searched = 0  # so far of the body there is no end of that part
        self._sender = SenderClock()
        self._accept(self._head())

    def grab(self) -> Picture | None:
        deadline_ns = self._now_ns() + round(SLICE_S * 1e9)
        newest, skipped = None, 0
        while True:
            while (part := self._part()) is not None:
                newest, skipped = part, skipped + (newest is not None)
            if self._now_ns() >= deadline_ns or (newest is not None and not self._more()):
                break
            try:
                self._receive()
            except OSError:  # the next grab meets it again
                if newest is None:
                    raise
                break
        if newest is None:
            return None
        data, began_ns, late_ns = newest
        pixels = self._jpeg.decode(data)
        return Picture(pixels, self._now_ns() - began_ns + late_ns, skipped)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def interrupt(self) -> None:
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_RDWR)

    def _request(self) -> bytes:
        address = self._address
        lines = [f"GET {address.target} HTTP/1.0", f"Host: {address.shown.split('//')[1]}"]
        if address.user or address.password:
            secret = base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
            lines.append(f"Authorization: Basic {secret}")
        return "\r\n".join([*lines, "", ""]).encode()

    def _receive(self) -> None:
        """Take what comes within a slice of time, if anything does."""
        try:
            data = self._socket.recv(READ)
        except socket.timeout:
            return
        if not data:
            raise ConnectionError("a server that hung up")
        self._raw += data

    def _more(self) -> bool:
        pending = getattr(self._socket, "pending", int)()
        return bool(pending or select.select([self._socket], [], [], 0)[0])

    def _head(self) -> bytes:
        """The response's headers, however slowly they trickle, within the time for connecting."""
        deadline_ns = self._now_ns() + round(CONNECT_S * 1e9)
        while (end := self._raw.find(b"\r\n\r\n")) < 0:
            self._receive()
            if self._now_ns() > deadline_ns or len(self._raw) > MAX_HEAD:
                raise TimeoutError("no HTTP headers in time; is this an HTTP camera's port?")
        head = bytes(self._raw[:end])
        del self._raw[: end + 4]
        return head

    def _accept(self, head: bytes) -> None:
        status = re.match(rb"HTTP/1\.\d (\d{3})\b", head)
        if status is None:
            raise ConnectionError("an answer that is not HTTP; check the port")
        if status[1] == b"401":
            raise ConnectionError("HTTP 401; put USER:PASSWORD@ before the host (Basic scheme only)")
        if status[1] != b"200":
            raise ConnectionError(f"HTTP {status[1].decode()}; check the path")
        fields = _fields(head)
        self._chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
        kind = fields.get(b"content-type", b"")
        boundary = re.search(rb'boundary="?-*([^-";\s][^";\s]*)', kind)
        if not kind.lower().startswith(b"multipart/") or boundary is None:
            found = kind[:40].decode("ascii", "replace") or "no type"
            raise ConnectionError(f"{found} instead of multipart/x-mixed-replace; give the stream's own URL")
        self._mark = b"--" + boundary[1]  # with any dashes more: servers disagree about whose they are

    def _part(self) -> tuple[bytes, int, int] | None:
        """The next whole part: its data, when its headers came, and by how much it was late [ns]."""
        self._unchunk()
        body = self._body
        start = body.find(self._mark)
        if start < 0:
            del body[: -len(self._mark)]
            return None
        end = body.find(b"\r\n\r\n", start)
        if end < 0:
            if len(body) - start > MAX_HEAD:
                raise ConnectionError("a part whose headers do not end")
            return None
        if self._began_ns is None:
            self._began_ns = self._now_ns()
        fields = _fields(bytes(body[start:end]))
        length = _length(fields.get(b"content-length"))
        whole = len(body) if length is None else end + 4 + length
        # also where a length was given: it may be a lie
        stop = body.find(self._mark, max(end + 4, self._searched), whole)
        if stop < 0:
            self._searched = len(body) - len(self._mark)  # not all over again with every few bytes
            if len(body) > end + 4 + MAX_BYTES:
                raise ConnectionError(f"a picture of more than {MAX_BYTES} bytes")
            if length is None or len(body) < whole:
                return None
            stop = whole
        data, began_ns = bytes(body[end + 4 : stop]), self._began_ns
        del body[:stop]
        self._began_ns, self._searched = None, 0
        return data, began_ns, self._late_ns(fields.get(b"x-timestamp"), began_ns)

    def _late_ns(self, stamp: bytes | None, began_ns: int) -> int:
        try:
            stamp_s = float(stamp or "nan")
        except ValueError:
            return 0
        if not (math.isfinite(stamp_s) and 0 < stamp_s < 1e11):
            return 0
        return self._sender.age_ns(round(stamp_s * 1e9), began_ns)

    def _unchunk(self) -> None:
        """Move what was received to the body, without the chunks' sizes where there are any."""
        raw = self._raw
        while self._chunked and (end := raw.find(b"\r\n")) >= 0:
            size = re.match(rb"[0-9a-fA-F]{1,7}(?=;|$)", raw[:end])
            if size is None or int(size[0], 16) > MAX_BYTES:
                raise ConnectionError("a chunk without a sensible size")
            length = int(size[0], 16)
            if not length:
                raise ConnectionError("a stream that ended")
            if len(raw) < end + length + 4:
                return
            self._body += raw[end + 2 : end + 2 + length]
            del raw[: end + length + 4]
        if self._chunked:
            if len(raw) > MAX_HEAD:
                raise ConnectionError("a chunk without a size")
            return
        self._body += raw
        raw.clear()


def _fields(head: bytes) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _length(field: bytes | None) -> int | None:
    if field is None or not re.fullmatch(rb"\d{1,9}", field):
        return None
    if int(field) > MAX_BYTES:
        raise ConnectionError(f"a picture of {int(field)} bytes, more than {MAX_BYTES}")
    return int(field) or None
