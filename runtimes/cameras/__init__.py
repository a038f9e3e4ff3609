"""Cameras: where pictures come from, one kind a file, each found by what the user names."""

from __future__ import annotations

import os

from rmedge.protocols import Camera

__all__ = ["open_camera"]


def open_camera(source: str | int | os.PathLike[str]) -> Camera:
    """The camera of that name: ``null``, ``synthetic``, a webcam's number, or the path of a video file.

    Raises:
        InputError: the file is missing or cannot be decoded.
        AbsentError: the webcam, or the library it needs, is not here.
    """
    name = str(source)
    if name == "null":
        from rmedge.runtimes.cameras.null import NullCamera

        return NullCamera()
    if name == "synthetic":
        from rmedge.runtimes.cameras.synthetic import SyntheticCamera

        return SyntheticCamera()
    if name.isdecimal():
        from rmedge.runtimes.cameras.webcam import Webcam

        return Webcam(int(name))
    from rmedge.runtimes.cameras.video import VideoCamera

    return VideoCamera(name)
