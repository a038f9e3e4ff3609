"""A video file as a camera: its frames appear when their timestamps say so, at any frame rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

from rmedge.clock import Clock
from rmedge.errors import AbsentError, InputError
from rmedge.specs import Frame
from rmedge.trace import Marks

__all__ = ["VideoCamera"]

SLACK_S = 1.0  # a container's duration is rounded, and may count from before the first picture


class VideoCamera:
    """Plays a file once on the loop's clock, from the moment it is attached.

    Attributes:
        duration_s: length of the video [s].
        ended: the last frame's time is over.

    Raises:
        InputError: there is no such file, or it is not a whole video.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            import av
        except ImportError as error:
            raise AbsentError('video: expected PyAV, got none; pip install "rmedge[camera]"') from error
        self._av = av
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"video: expected a file, got {str(path)!r}, which is not there; check the path")
        self.duration_s = self._survey()
        self._container = self._open()
        self._frames = self._decode()
        self._start_ns = 0
        self._clock = Clock()
        self._newest: tuple[int, Any] | None = None  # (instant within the video [ns], decoded frame)
        self._next = next(self._frames, None)
        self._sequence = -1
        self._marks: Marks | None = None
        self.ended = False
        if self._next is None:
            raise InputError(f"video: expected frames, got none in {str(path)!r}; is it a video?")

    def attach(self, clock: Clock) -> None:
        self._clock, self._start_ns = clock, clock.now_ns()

    def listen(self, marks: Marks | None) -> None:
        """Tell this one when the decoder is at work."""
        self._marks = marks

    def read(self, max_age_ns: int) -> Frame | None:
        now_ns = self._clock.now_ns()
        played_ns = now_ns - self._start_ns
        if self._marks is not None:
            self._marks.mark("capture")
        while self._next is not None and self._next[0] <= played_ns:
            self._newest, self._sequence = self._next, self._sequence + 1
            self._next = next(self._frames, None)
        self.ended = self._next is None and played_ns >= self.duration_s * 1e9
        frame = None
        if self._newest is not None and not self.ended and played_ns - self._newest[0] <= max_age_ns:
            at_ns, picture = self._newest
            pixels = picture.to_ndarray(format="rgb24")
            frame = Frame(pixels, self._start_ns + at_ns, now_ns, self._sequence)
        if self._marks is not None:
            self._marks.mark("decode")
        return frame

    def __enter__(self) -> VideoCamera:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._container.close()

    def _open(self) -> Any:
        try:
            container = self._av.open(str(self.path))
        except self._av.error.FFmpegError as error:
            raise self._undecodable(error) from error
        if not container.streams.video:
            container.close()
            raise InputError(
                f"video: expected a video stream, got none in {str(self.path)!r}; is it a video?"
            )
        return container

    def _survey(self) -> float:
        """The duration [s], after a pass over the packets: truncation shows before the robot moves."""
        with self._open() as container:
            stream = container.streams.video[0]
            promised, spans = stream.frames, []
            alone = len(container.streams) == 1  # sound may well last longer than the pictures
            promised_s = (container.duration or 0) / self._av.time_base if alone else 0.0
            try:
                for packet in container.demux(stream):
                    if packet.is_corrupt:
                        raise InputError(
                            f"video: expected a whole file, got {str(self.path)!r}, which is damaged"
                        )
                    if packet.size and packet.pts is not None:
                        spans.append((packet.pts, packet.pts + (packet.duration or 0)))
            except self._av.error.FFmpegError as error:
                raise self._undecodable(error) from error
            tick, begin = stream.time_base, stream.start_time or 0  # a closed container tells nothing more
        if promised and len(spans) < promised:
            raise InputError(
                f"video: expected {promised} frames, got {len(spans)} in {str(self.path)!r}; "
                "the file is truncated, copy it again"
            )
        if not spans:
            return 0.0
        last_s = float(max(end for _, end in spans) * tick)
        if last_s < promised_s - SLACK_S:
            raise InputError(
                f"video: expected {promised_s:.1f} s, got {last_s:.1f} s in {str(self.path)!r}; "
                "the file is truncated, copy it again"
            )
        # not every container tells where its video starts, and an edit list may cut packets off the front
        start = max(begin, min(spans)[0])
        return float((max(end for _, end in spans) - start) * tick)

    def _decode(self) -> Iterator[tuple[int, Any]]:
        stream = self._container.streams.video[0]
        stream.thread_type = "SLICE"  # frame threads would decode ahead and cost latency and cores
        first: int | None = None
        try:
            for frame in self._container.decode(stream):
                if frame.pts is None:
                    continue
                first = frame.pts if first is None else first
                yield round((frame.pts - first) * frame.time_base * 1_000_000_000), frame
        except self._av.error.FFmpegError as error:
            raise self._undecodable(error) from error

    def _undecodable(self, error: Exception) -> InputError:
        why = str(error).split(";")[0]
        return InputError(
            f"video: expected one that can be decoded, got {str(self.path)!r} ({why}); is it a video?"
        )
