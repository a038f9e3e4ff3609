"""Feeds: what a graph is calibrated and proved on, from recordings, or from noise where there are none."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rmedge.clock import ManualClock
from rmedge.errors import InputError, UsageError
from rmedge.export import graphs
from rmedge.export.graphs import Feed
from rmedge.export.graphs.proof import Streams
from rmedge.manifest import EncoderSpec, PolicySpec
from rmedge.runtimes.cameras.video import VideoCamera
from rmedge.runtimes.features import Features

__all__ = ["arrays", "encoder_feeds", "noise", "policy_feeds", "random_streams", "streams", "watched"]

VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
MOST_FRAMES = 600  # of one video: a minute at ten a second calibrates as well as an hour
LEAST = 4  # streams' frames or calls: half of them calibrate, half prove
NOISE_SEED = 0


def streams(given: Any, spec: EncoderSpec) -> list[np.ndarray]:
    """Features (T, C, h, w) as an encoder gets them, one array a clip.

    Args:
        given: such arrays, one array (N, T, C, h, w), or a path: a video, a folder of videos, or an ``.npz``
            with ``features``.

    Raises:
        InputError: nothing readable is there.
        UsageError: features of another shape, too few of them, or none that are finite.
    """
    if isinstance(given, (str, Path)):
        path = Path(given)
        given = watched(path, spec) if path.suffix != ".npz" else arrays(path, ("features",))["features"]
    found = [np.asarray(clip, np.float32) for clip in given]
    shape = spec.inputs["features"][1:]
    for clip in found:
        if clip.shape[1:] != shape or not np.isfinite(clip).all():
            raise UsageError(
                f"calibration.encoder: expected finite features (T, {', '.join(map(str, shape))}), "
                f"got {clip.shape}; take them with this bundle's image"
            )
    if sum(map(len, found)) < LEAST:
        raise UsageError(
            f"calibration.encoder: expected at least {LEAST} frames, got {sum(map(len, found))}; record more"
        )
    if len(found) == 1:  # half of it calibrates, half proves
        found = np.array_split(found[0], 2)
    return found


def watched(path: Path, spec: EncoderSpec) -> list[np.ndarray]:
    """The features of a video, or of every video in a folder, at the encoder's own rate."""
    videos = (
        sorted(one for one in path.iterdir() if one.suffix.lower() in VIDEOS) if path.is_dir() else [path]
    )
    if not (videos and all(video.is_file() for video in videos)):
        raise InputError(
            f"calibration.encoder: expected a video, a folder of videos or an .npz, got {str(path)!r}"
        )
    return [_watch(video, spec) for video in videos]


def _watch(video: Path, spec: EncoderSpec) -> np.ndarray:
    clock, features = ManualClock(), Features(spec.image, spec.period_ns)
    rows: list[np.ndarray] = []
    with VideoCamera(video) as camera:
        camera.attach(clock)
        while not camera.ended and len(rows) < MOST_FRAMES:
            frame = camera.read(spec.period_ns)
            if frame is not None:
                rows.append(features.push(frame.pixels, frame.captured_ns)[0].copy())
            clock.sleep_until_ns(clock.now_ns() + spec.period_ns)
    return np.array(rows, np.float32).reshape(-1, *spec.inputs["features"][1:])


def random_streams(spec: EncoderSpec) -> list[np.ndarray]:
    """Noise, for want of anything to see: enough to compare float32 with torch, and nothing else."""
    rng = np.random.default_rng(NOISE_SEED)
    return [rng.standard_normal((LEAST, *spec.inputs["features"][1:]), np.float32) for _ in range(2)]


def encoder_feeds(graph: bytes, clips: Streams, memory: int) -> list[Feed]:
    """The encoder's inputs over whole clips, its own memory fed back."""
    feeds, step = [], graphs.stream(graph)
    for clip in clips:
        state = np.zeros((1, memory), np.float32)
        for frame in clip:
            feeds.append({"features": np.ascontiguousarray(frame[None]), "state": state})
            _, state = step(*feeds[-1].values())
    return feeds


def policy_feeds(given: Any, spec: PolicySpec) -> list[Feed]:
    """The policy's inputs, one call each; noise is drawn where none is given.

    Args:
        given: a mapping of ``proprio`` (N, P), ``intent`` (N, Z) and perhaps ``noise`` (N, rows, Da), or the
            path of an ``.npz`` with these.

    Raises:
        InputError: nothing readable is there.
        UsageError: other arrays, or too few.
    """
    if isinstance(given, (str, Path)):
        given = arrays(Path(given), ("proprio", "intent"), ("noise",))
    if not isinstance(given, Mapping):
        raise UsageError(
            f"calibration.policy: expected proprio, intent and perhaps noise, got {type(given).__name__}"
        )
    count = len(given.get("proprio", ()))
    drawn = np.random.default_rng(NOISE_SEED).standard_normal((count, *spec.inputs["noise"][1:]), np.float32)
    said = {"noise": drawn, **{name: np.asarray(array, np.float32) for name, array in given.items()}}
    for name, shape in spec.inputs.items():
        array = said.get(name)
        fits = array is not None and array.shape == (count, *shape[1:]) and np.isfinite(array).all()
        if not fits:
            raise UsageError(
                f"calibration.policy.{name}: expected {count} rows of finite numbers {shape[1:]}, "
                f"got {'nothing' if array is None else array.shape}; record it with this bundle's observation"
            )
    if count < LEAST:
        raise UsageError(f"calibration.policy: expected at least {LEAST} calls, got {count}; record more")
    return [{name: said[name][row : row + 1] for name in spec.inputs} for row in range(count)]


def noise(inputs: Mapping[str, tuple[int, ...]]) -> list[Feed]:
    """Standard normal inputs, for want of real ones: see `random_streams`."""
    rng = np.random.default_rng(NOISE_SEED)
    return [
        {name: rng.standard_normal(shape, np.float32) for name, shape in inputs.items()}
        for _ in range(2 * LEAST)
    ]


def arrays(path: Path, needed: Sequence[str], allowed: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz``, which holds no objects.

    Raises:
        InputError: it cannot be read, or holds other arrays.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            names = set(stored.files)
            if not set(needed) <= names <= {*needed, *allowed}:
                expected = ", ".join(needed) + "".join(f", perhaps {name}" for name in allowed)
                raise InputError(f"calibration {path.name}: expected {expected}, got {sorted(names)}")
            return {name: stored[name] for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        said = " ".join(str(error).split())[:120]
        raise InputError(f"calibration {path.name}: expected an .npz of plain arrays, got: {said}") from error
