"""A camera that streams over RTSP, through PyAV."""

from __future__ import annotations

import time
from typing import Any, Callable, Iterator

from rmedge.errors import AbsentError
from rmedge.runtimes.cameras.address import Address
from rmedge.runtimes.cameras.live import MAX_PIXELS, Picture, Unreadable
from rmedge.runtimes.cameras.sender import SenderClock

__all__ = ["RtspStream"]

OPEN_S, READ_S = 5.0, 1.0
OPTIONS = {
    "rtsp_transport": "tcp",  # a lost packet of UDP is a damaged picture until the next key frame
    "fflags": "nobuffer",  # throw away what was read while the stream was being recognised
    "analyzeduration": "1000000",  # [us] of stream to look at, at most
    "allowed_media_types": "video",
}


class RtspStream:
    """``rtsp://`` or ``rtsps://``; credentials in the URL are sent as the camera asks, Basic or Digest.

    PyAV, not OpenCV: it takes time-outs for each opening and read, decodes without threads that hold
    pictures back, and tells every picture's own stamp. It hands a picture over when the next one begins to
    arrive; a picture's age is counted from its own arrival, and from its stamp if it arrived later than
    others did: what piles up behind a stalled network is not taken for fresh.

    Raises:
        UsageError: not such a URL.
        AbsentError: PyAV is not here.
    """

    def __init__(self, url: str, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        try:
            import av
        except ImportError as error:
            raise AbsentError('camera: expected PyAV, got none; pip install "rmedge[camera]"') from error
        self._av = av
        address = Address.parse(url, {"rtsp": 554, "rtsps": 322})
        self._url, self.name = address.url, address.shown
        self._now_ns = now_ns
        self._container: Any = None

    def open(self) -> None:
        begin_ns = self._now_ns()
        try:
            self._container = self._av.open(self._url, options=dict(OPTIONS), timeout=(OPEN_S, READ_S))
        except self._av.error.FFmpegError as error:
            raise self._lost(error, begin_ns, OPEN_S) from None  # its own words quote the whole URL
        if not self._container.streams.video:
            raise ConnectionError("a stream without video; check the path")
        stream = self._container.streams.video[0]
        stream.thread_type = "SLICE"  # frame threads hold back a picture each
        stream.codec_context.options = {"flags": "low_delay"}  # nor wait for pictures that might go before
        self._packets: Iterator[Any] = self._container.demux(stream)
        self._sender = SenderClock()
        self._arrived_ns = self._now_ns()  # when the next picture began to arrive

    def grab(self) -> Picture | None:
        begin_ns = self._now_ns()
        try:
            packet = next(self._packets, None)
        except self._av.error.FFmpegError as error:
            raise self._lost(error, begin_ns, READ_S) from None
        # FFmpeg knows a picture's end by the next one's beginning: this one began with the last one's end
        arrived_ns, self._arrived_ns = self._arrived_ns, self._now_ns()
        if packet is None or not packet.size:
            raise ConnectionError("a stream that ended")
        try:
            frames = packet.decode()
        except self._av.error.FFmpegError as error:
            raise Unreadable(f"{self.name}: expected a whole picture, got: {error.strerror}") from None
        if not frames:
            return None
        frame = frames[-1]
        if not 0 < frame.width * frame.height <= MAX_PIXELS:
            raise Unreadable(
                f"{self.name}: expected 1 to {MAX_PIXELS} pixels, got {frame.width} x {frame.height}"
            )
        late_ns = 0
        if frame.pts is not None and frame.time_base:
            late_ns = self._sender.age_ns(round(frame.pts * frame.time_base * 1_000_000_000), arrived_ns)
        pixels = frame.to_ndarray(format="rgb24")
        return Picture(pixels, self._now_ns() - arrived_ns + late_ns, len(frames) - 1)

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None

    def interrupt(self) -> None:
        """There is no way; but no call takes longer than its time-out."""

    def _lost(self, error: Any, begin_ns: int, limit_s: float) -> Exception:
        # a time-out comes out as whatever the library was doing when it was told to leave
        if self._now_ns() - begin_ns >= limit_s * 1e9:
            return TimeoutError(f"silence for {limit_s:.1f} s")
        return ConnectionError(error.strerror or type(error).__name__)
