"""Cameras: where pictures come from, one kind a file, each found by what the user names."""

from __future__ import annotations

import os
import re

from rmedge.errors import UsageError
from rmedge.protocols import Camera
from rmedge.runtimes.own import find, is_own

__all__ = ["open_camera"]

KINDS = (
    "null, synthetic, a webcam's number, /dev/video0, rtsp://, rtsps://, http:// or https:// (MJPEG), csi:0, "
    "gst:PIPELINE, teleimager:HOST, boards:DIRECTORY, module:factory, or a video file"
)


def open_camera(source: str | int | os.PathLike[str]) -> Camera:
    """The camera of that name; `docs/cameras.md` lists the names, `KINDS` in short.

    A live camera is a `Live`: what is wrong on this machine is raised here, what is wrong at the other
    end of a wire is its state.

    Raises:
        UsageError: a name that is none of these, or not of its form.
        InputError: the video file is missing or cannot be decoded.
        AbsentError: the webcam, or a library or program that the camera needs, is not here.
    """
    name = os.fspath(source) if isinstance(source, os.PathLike) else str(source)
    kind, _, rest = name.partition(":")
    if name == "null":
        from rmedge.runtimes.cameras.null import NullCamera

        return NullCamera()
    if name == "synthetic":
        from rmedge.runtimes.cameras.synthetic import SyntheticCamera

        return SyntheticCamera()
    if kind == "boards":
        from rmedge.runtimes.cameras.board import BoardCamera

        return BoardCamera(rest)
    live = _live(name, kind, rest)
    if live is not None:
        return live
    if re.match(r"\w+://", name):  # not quoted: it may hold a password
        raise UsageError(f"camera: expected {KINDS}, got {kind}://")
    if is_own(name) and not os.path.exists(name):
        return find(name)()
    from rmedge.runtimes.cameras.video import VideoCamera

    return VideoCamera(name)


def _live(name: str, kind: str, rest: str) -> Camera | None:
    """The camera with a thread of its own, if it is one."""
    from rmedge.runtimes.cameras.live import Live

    if name.isdecimal() or name.startswith("/dev/"):
        from rmedge.runtimes.cameras.webcam import Webcam

        return Live(Webcam(name))
    if kind in ("rtsp", "rtsps"):
        from rmedge.runtimes.cameras.rtsp import RtspStream

        return Live(RtspStream(name))
    if kind in ("http", "https"):
        from rmedge.runtimes.cameras.mjpeg import MjpegStream

        return Live(MjpegStream(name))
    if kind in ("gst", "csi"):
        from rmedge.runtimes.cameras.gst import Pipeline

        return Live(Pipeline.csi(rest) if kind == "csi" else Pipeline(rest))
    if kind == "teleimager":
        from rmedge.runtimes.cameras.teleimager import Teleimager

        return Live(Teleimager(rest))
    return None
