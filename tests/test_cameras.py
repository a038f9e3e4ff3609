"""Every camera conforms; a video is seen at its own times, and what is no video is refused in one line."""

from __future__ import annotations

import contextlib
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rmedge.clock import Clock, ManualClock
from rmedge.errors import InputError
from rmedge.runtimes import open_camera
from rmedge.specs import Frame
from rmedge.testing import check_camera

av = pytest.importorskip("av")
VIDEOS = sorted((Path(__file__).resolve().parents[2] / "shared" / "videos").glob("*.mp4"))
MS = 1_000_000
LONG = 10_000 * MS


def write_video(path, instants_ms, size=(48, 64), frames=None):
    """A video whose n-th frame has grey level 10 n and stands at its instant."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=1000, options={"crf": "10", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number, instant in enumerate(instants_ms):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 10 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = instant, stream.time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def attached(camera, start_ns=5):
    clock = ManualClock(start_ns)
    camera.attach(clock)
    return clock


def level(frame):
    """Which frame of `write_video` this is."""
    return round(float(frame.pixels.mean()) / 10)


@pytest.mark.parametrize("name", ["null", "synthetic"])
def test_made_up_cameras_conform(name):
    check_camera(lambda: open_camera(name))


@pytest.mark.parametrize("path", VIDEOS, ids=lambda path: path.stem)
def test_real_clips_conform(path):
    check_camera(lambda: open_camera(path), seconds=0.6)


def test_a_short_video_conforms_to_its_end(tmp_path):
    path = write_video(tmp_path / "short.mp4", range(0, 500, 40))
    check_camera(lambda: open_camera(path))


@pytest.mark.skipif(not VIDEOS, reason="the sample clips are not in this checkout")
def test_there_are_twelve_clips():
    assert len(VIDEOS) == 12


@pytest.mark.parametrize("seed", range(3))
def test_at_any_instant_the_newest_frame_that_was_due_is_seen(tmp_path, seed):
    rng = np.random.default_rng(seed)
    due = np.concatenate([[0], np.cumsum(rng.integers(5, 150, 20))]).tolist()  # a variable frame rate
    with open_camera(write_video(tmp_path / "variable.mp4", due)) as camera:
        clock = attached(camera)
        asked = 0
        while asked < due[-1]:
            clock.sleep_until_ns(5 + asked * MS)
            newest = max(n for n, instant in enumerate(due) if instant <= asked)
            frame = camera.read(LONG)
            assert (level(frame), frame.sequence) == (newest, newest)
            assert frame.captured_ns == pytest.approx(5 + due[newest] * MS, abs=MS / 10)
            assert frame.received_ns == clock.now_ns()
            asked += int(rng.integers(1, 200))


def test_a_video_ends_after_its_last_frames_time(tmp_path):
    with open_camera(write_video(tmp_path / "short.mp4", [0, 100, 200])) as camera:
        clock = attached(camera)
        assert 0.2 <= camera.duration_s <= 0.3
        clock.sleep_until_ns(5 + 199 * MS)
        assert level(camera.read(LONG)) == 1 and not camera.ended
        clock.sleep_until_ns(5 + round(camera.duration_s * 1e9) - 1)
        assert not camera.ended
        clock.sleep_until_ns(5 + round(camera.duration_s * 1e9))
        assert camera.read(LONG) is None and camera.ended


def test_an_old_frame_is_not_shown(tmp_path):
    with open_camera(write_video(tmp_path / "slow.mp4", [0, 900, 1000])) as camera:
        clock = attached(camera)
        assert level(camera.read(0)) == 0
        clock.sleep_until_ns(5 + 500 * MS)
        assert level(camera.read(500 * MS)) == 0
        assert camera.read(500 * MS - 1) is None


def test_a_video_starts_when_it_is_attached(tmp_path):
    with open_camera(write_video(tmp_path / "short.mp4", [0, 100, 200, 300])) as camera:
        attached(camera, start_ns=77_000 * MS)
        frame = camera.read(0)
        assert (level(frame), frame.captured_ns) == (0, 77_000 * MS)


def test_a_video_whose_time_begins_late_starts_at_once(tmp_path):
    with open_camera(write_video(tmp_path / "late.mkv", [700, 800, 900])) as camera:
        clock = attached(camera)
        assert level(camera.read(0)) == 0
        clock.sleep_until_ns(5 + 150 * MS)
        assert level(camera.read(LONG)) == 1
        assert camera.duration_s < 0.4


@pytest.mark.skipif(not VIDEOS, reason="the sample clips are not in this checkout")
def test_a_real_clips_length_is_the_containers():
    for path in VIDEOS:
        with open_camera(path) as camera, av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert camera.duration_s == pytest.approx(float(stream.duration * stream.time_base), abs=0.1)


def test_the_synthetic_wall_drifts_steadily_and_is_the_same_for_all():
    one, other = open_camera("synthetic"), open_camera("synthetic")
    clocks = attached(one), attached(other, start_ns=999)
    pictures = []
    for step in range(150):  # more than once around
        for clock, start in zip(clocks, (5, 999)):
            clock.sleep_until_ns(start + step * 33_333_333)
        frame = one.read(0)
        np.testing.assert_array_equal(frame.pixels, other.read(0).pixels)
        assert frame.sequence == step
        pictures.append(frame.pixels)
    for before, after in zip(pictures, pictures[1:]):
        np.testing.assert_array_equal(before[:, 6:], after[:, :-6])
    assert pictures[0].shape == (480, 640, 3)
    assert pictures[0].std() > 50


@pytest.mark.parametrize("size", [(480, 640), (50, 70), (1, 1)])
def test_the_synthetic_wall_has_the_size_that_was_asked_for(size):
    from rmedge.runtimes.cameras.synthetic import SyntheticCamera

    camera = SyntheticCamera(*size)
    attached(camera)
    assert camera.read(0).pixels.shape == (*size, 3)


def test_the_null_camera_sees_nothing():
    camera = open_camera("null")
    clock = attached(camera)
    clock.sleep_until_ns(LONG)
    assert camera.read(LONG) is None


def bad_missing(folder):
    return folder / "nowhere.mp4"


def bad_folder(folder):
    return folder


def bad_text(folder):
    path = folder / "text.mp4"
    path.write_text("this is no video\n" * 200, encoding="utf-8")
    return path


def bad_empty(folder):
    path = folder / "empty.mp4"
    path.write_bytes(b"")
    return path


def bad_no_frames(folder):
    return write_video(folder / "none.mp4", [])


def bad_sound(folder):
    path = folder / "sound.wav"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def bad_truncated(folder):
    path = write_video(folder / "whole.mp4", range(0, 500, 20))
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def half_of_a_noise(path, **layout):
    """The first half of a video's bytes, each of its 50 frames of about the same size."""
    with av.open(str(path), "w", **layout) as file:
        stream = file.add_stream("libx264", rate=5)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        rng = np.random.default_rng(0)
        for _ in range(50):
            picture = rng.integers(0, 256, (96, 128, 3), np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def bad_truncated_stream(folder):
    """Truncated with its index at the front, so that it opens and plays for a while."""
    return half_of_a_noise(folder / "front.mp4", options={"movflags": "faststart"})


def bad_truncated_packet(folder):
    """Truncated between two packets: every one that is left is whole."""
    path = bad_truncated_stream(folder)
    with av.open(str(path)) as file:
        ends = []
        with contextlib.suppress(av.error.FFmpegError):
            ends += [p.pos + p.size for p in file.demux(video=0) if p.size and not p.is_corrupt]
    path.write_bytes(path.read_bytes()[: ends[10]])
    return path


def bad_truncated_mkv(folder):
    """Truncated in a container that counts no frames, and only says how long it was."""
    return half_of_a_noise(folder / "cut.mkv")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (bad_missing, "video: expected a file, got .*nowhere.mp4.*; check the path"),
        (bad_folder, "video: expected a file, got"),
        (bad_text, "video: expected one that can be decoded, got .*text.mp4"),
        (bad_empty, "video: expected one that can be decoded, got .*empty.mp4"),
        (bad_no_frames, "video: expected .*none.mp4"),
        (bad_sound, "video: expected a video stream, got none in .*sound.wav"),
        (bad_truncated, "video: expected .*whole.mp4"),
        (bad_truncated_packet, "video: expected 50 frames, got 11 in .*front.mp4.*; the file is truncated"),
        (bad_truncated_stream, "video: expected .*front.mp4"),
        (bad_truncated_mkv, "video: expected [0-9.]+ s, got [0-9.]+ s in .*cut.mkv.*; the file is truncated"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_no_whole_video_is_refused_in_one_line(tmp_path, make, words):
    path = make(tmp_path)
    with pytest.raises(InputError) as caught:
        open_camera(path)
    assert re.match(words, str(caught.value))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.skipif(not VIDEOS, reason="the sample clips are not in this checkout")
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated_real_clips_are_refused(tmp_path, kept):
    for path in VIDEOS:
        data = path.read_bytes()
        (tmp_path / path.name).write_bytes(data[: int(kept * len(data))])
        with pytest.raises(InputError):
            open_camera(tmp_path / path.name)


class Broken:
    """A camera to be found out: synthetic but for one fault."""

    def __init__(self):
        self.camera = open_camera("synthetic")

    def attach(self, clock):
        self.clock = clock
        self.camera.attach(clock)

    def read(self, max_age_ns):
        return self.camera.read(max_age_ns)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


class Stale(Broken):
    def read(self, max_age_ns):
        return self.camera.read(LONG)


class Hiding(Broken):
    def read(self, max_age_ns):
        return self.camera.read(max_age_ns - 1)


class OwnClock(Broken):
    def attach(self, clock):
        self.camera.attach(Clock())


class Waiting(Broken):
    def read(self, max_age_ns):
        self.clock.sleep_until_ns(self.clock.now_ns() + MS)
        return self.camera.read(max_age_ns)


class Gray(Broken):
    def read(self, max_age_ns):
        frame = self.camera.read(max_age_ns)
        return frame and Frame(frame.pixels[..., 0], frame.captured_ns, frame.received_ns, frame.sequence)


class Floats(Broken):
    def read(self, max_age_ns):
        frame = self.camera.read(max_age_ns)
        return frame and Frame(frame.pixels / 255, frame.captured_ns, frame.received_ns, frame.sequence)


class Uncounted(Broken):
    def read(self, max_age_ns):
        frame = self.camera.read(max_age_ns)
        return frame and Frame(frame.pixels, frame.captured_ns, frame.received_ns, 0)


class Reusing(Broken):
    def __init__(self):
        super().__init__()
        self.buffer = np.zeros((480, 640, 3), np.uint8)

    def read(self, max_age_ns):
        frame = self.camera.read(max_age_ns)
        if frame is None:
            return None
        self.buffer[:] = frame.pixels
        return Frame(self.buffer, frame.captured_ns, frame.received_ns, frame.sequence)


class Prophet(Broken):
    def read(self, max_age_ns):
        frame = self.camera.read(max_age_ns)
        return frame and Frame(frame.pixels, frame.received_ns + 1, frame.received_ns, frame.sequence)


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        (Stale, "read: expected no frame older than"),
        (Hiding, "read: expected the frame that is .* ns old, asked for that age, got None"),
        (OwnClock, "stamps: expected captured_ns <= received_ns <= the clock's now"),
        (Waiting, "read: expected no waiting on the clock"),
        (Gray, r"pixels: expected uint8 \(H, W, 3\), got uint8 \(480, 640\)"),
        (Floats, r"pixels: expected uint8 \(H, W, 3\), got float64 \(480, 640, 3\)"),
        (Uncounted, "sequence: expected a greater number for a newer frame"),
        (Reusing, "frame: expected a kept one that stays"),
        (Prophet, "stamps: expected captured_ns <= received_ns"),
    ],
)
def test_bad_cameras_are_found_out(camera, message):
    with pytest.raises(AssertionError, match=message):
        check_camera(camera)
