"""A live camera shows its newest picture and never waits; freezing, dying and coming back are states."""

from __future__ import annotations

import queue
import threading
import time

import numpy as np
import pytest
from threads import until

from rmedge.clock import ManualClock
from rmedge.errors import AbsentError, UsageError
from rmedge.runtimes import open_camera
from rmedge.runtimes.cameras import live, webcam
from rmedge.runtimes.cameras.live import CameraState, Live, Picture, Unreadable
from rmedge.runtimes.cameras.sender import SenderClock
from rmedge.runtimes.cameras.webcam import Webcam
from rmedge.testing import camera_conformance, check_camera

MS = 1_000_000
S = 1_000_000_000
LONG = 10_000 * MS
WAITING, LIVE, LOST = CameraState


def grey(level, size=(8, 8)):
    return Picture(np.full((*size, 3), level, np.uint8))


class Script:
    """A source that does what the test says: shows a picture, raises an error, or hangs."""

    name = "script"

    def __init__(self, *steps, refusals=()):
        self.steps, self.refusals = queue.Queue(), list(refusals)
        self.opened = self.closed = 0
        self.hangs, self.hung = threading.Event(), threading.Event()
        for step in steps:
            self.steps.put(step)

    def open(self):
        self.opened += 1
        if self.refusals:
            raise self.refusals.pop(0)

    def grab(self):
        try:
            step = self.steps.get(timeout=0.002)
        except queue.Empty:
            return None
        if step == "hang":
            self.hung.set()
            self.hangs.wait(30)
            return grey(99)
        if isinstance(step, Exception):
            raise step
        return step

    def close(self):
        self.closed += 1

    def interrupt(self):
        pass


class Stage:
    """A live camera on a script, with both its clocks in the test's hand."""

    def __init__(self, *steps, refusals=(), **how):
        self.source, self.time = Script(*steps, refusals=refusals), ManualClock(5 * S)
        self.camera = Live(self.source, backoff_s=(0.001, 0.002), now_ns=self.time.now_ns, **how)
        self.clock = ManualClock(S)
        self.camera.attach(self.clock)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.source.hangs.set()
        self.camera.close()

    def show(self, picture):
        frames = self.camera.frames
        self.source.steps.put(picture)
        until(lambda: self.camera.frames == frames + 1)
        return self.camera.read(LONG)

    def raises(self, error):
        self.source.steps.put(error)
        until(lambda: self.camera.error and not self.camera._delivering)

    def passes(self, seconds):
        for clock in (self.time, self.clock):
            clock.sleep_until_ns(clock.now_ns() + round(seconds * S))


def test_only_the_newest_picture_is_kept():
    with Stage() as stage:
        assert stage.camera.read(LONG) is None  # nothing yet, and no waiting for it
        for level in range(3):
            stage.passes(0.1)
            frame = stage.show(grey(level))
        assert (frame.pixels[0, 0, 0], frame.sequence, frame.captured_ns) == (2, 2, S + 300 * MS)
        stage.show(grey(3))
        stage.source.steps.put(grey(4))
        until(lambda: stage.camera.frames == 5)
        assert stage.camera.dropped == 0  # each of the earlier ones was read
        for level in (5, 6):
            stage.source.steps.put(grey(level))
        until(lambda: stage.camera.frames == 7)
        assert stage.camera.dropped == 2  # 4 and 5 were not
        assert stage.camera.read(LONG).sequence == 6


def test_pictures_that_a_source_passed_over_are_counted():
    with Stage() as stage:
        stage.show(grey(0))
        frame = stage.show(Picture(grey(1).pixels, skipped=4))
        assert (frame.sequence, stage.camera.dropped, stage.camera.frames) == (5, 4, 2)


def test_a_picture_is_as_old_as_its_light():
    with Stage() as stage:
        frame = stage.show(Picture(grey(0).pixels, age_ns=30 * MS))
        assert (frame.captured_ns, frame.received_ns) == (S - 30 * MS, S)
        assert stage.camera.read(30 * MS) is frame
        assert stage.camera.read(30 * MS - 1) is None
        stage.passes(0.1)
        assert stage.camera.read(130 * MS) is frame
        assert stage.camera.read(130 * MS - 1) is None


def test_capture_instants_never_go_back_nor_lie_ahead():
    with Stage() as stage:
        stage.show(Picture(grey(0).pixels, age_ns=10 * MS))
        assert stage.show(Picture(grey(1).pixels, age_ns=500 * MS)).captured_ns == S - 10 * MS
        assert stage.show(Picture(grey(2).pixels, age_ns=-5 * MS)).captured_ns == S


def test_older_frames_are_forgotten_when_the_clock_changes():
    with Stage() as stage:
        assert stage.show(grey(0)) is not None
        clock = ManualClock(5)  # far behind the other
        stage.camera.attach(clock)
        assert stage.camera.read(LONG) is None
        assert stage.show(grey(1)).captured_ns == 5


def test_it_waits_lives_freezes_and_comes_back():
    with Stage() as stage:
        camera = stage.camera
        assert (camera.state, camera.error) == (WAITING, "")
        stage.show(grey(0))
        assert (camera.state, camera.error) == (LIVE, "")
        stage.passes(0.9)
        assert camera.state is LIVE
        stage.passes(0.2)  # it froze
        assert camera.state is LOST
        until(lambda: stage.source.opened == 2)
        assert camera.error == "script: expected pictures, got: none for 1.0 s"
        assert stage.source.closed == 1
        assert camera.read(2 * S) is not None  # the old one, to whoever takes one so old
        stage.show(grey(1))
        assert (camera.state, camera.reconnections) == (LIVE, 1)
        assert "none for 1.0 s" in camera.error  # what went wrong last


def test_it_dies_and_comes_back():
    with Stage(refusals=[OSError(111, "Connection refused")] * 3) as stage:
        camera = stage.camera
        until(lambda: stage.source.opened == 4)
        assert camera.state is LOST
        assert camera.error == "script: expected pictures, got: [Errno 111] Connection refused"
        assert camera.reconnections == 0  # they are pictures that come back
        stage.show(grey(0))
        stage.source.refusals[:] = [RuntimeError()] * 2
        stage.raises(ConnectionError("the plug was pulled\nand so on"))
        assert camera.state is LOST
        until(lambda: stage.source.opened == 7)
        assert camera.error == "script: expected pictures, got: RuntimeError"
        stage.show(grey(1))
        assert (camera.state, camera.reconnections, camera.read(LONG).sequence) == (LIVE, 1, 1)
        assert stage.source.closed == 6


def test_a_stream_may_take_longer_for_its_first_picture():
    with Stage(first_s=4.0) as stage:
        stage.passes(3.9)
        assert stage.camera.state is WAITING
        stage.passes(0.2)
        until(lambda: stage.source.opened == 2)
        assert stage.camera.state is LOST


def test_an_error_that_quotes_a_password_is_told_without_it():
    with Stage(refusals=[OSError("cannot open rtsp://me:s3@cret@10.0.0.2/live")]) as stage:
        until(lambda: stage.source.opened == 2)
        assert stage.camera.error.endswith("cannot open rtsp://10.0.0.2/live")


def test_an_error_fits_into_a_board():
    with Stage(refusals=[OSError("very " * 1000)]) as stage:
        until(lambda: stage.source.opened == 2)
        assert len(stage.camera.error) == 200


def test_waits_between_tries_grow_to_a_bound(monkeypatch):
    waits = []

    class Event(threading.Event):
        def wait(self, timeout=None):
            if timeout is None or threading.current_thread() is threading.main_thread():
                return super().wait(timeout)
            waits.append(timeout)
            return super().wait(timeout / 1000)

    monkeypatch.setattr(live.threading, "Event", Event)
    source = Script(refusals=[OSError()] * 5)
    with Live(source) as camera:
        until(lambda: source.opened == 6)
        assert waits[:5] == [0.4, 0.8, 1.6, 2.0, 2.0]
        source.steps.put(grey(0))
        source.steps.put(OSError())
        until(lambda: source.opened == 7)
        assert waits[5] == 0.2
        assert camera.frames == 1


def test_a_driver_that_hangs_is_lost_and_does_not_keep_whoever_closes(monkeypatch):
    monkeypatch.setattr(live, "CLOSE_S", 0.05)
    with Stage(grey(0), "hang") as stage:
        camera = stage.camera
        stage.source.hung.wait(10)
        assert camera.state is LIVE
        stage.passes(3.0)
        assert camera.state is LOST
        assert camera.error == "script: expected pictures, got none for 3.0 s; its driver hangs"
        camera.close()
        assert (camera.state, camera.error, camera.read(LONG)) == (LOST, "script: closed", None)
        assert stage.source.closed == 0
        stage.source.hangs.set()
        until(lambda: stage.source.closed == 1)  # its thread let go when it could
        assert (camera.frames, camera.read(LONG), camera.state) == (1, None, LOST)


def test_a_driver_that_hangs_before_its_first_picture_is_lost():
    with Stage("hang", first_s=2.0) as stage:
        stage.source.hung.wait(10)
        assert (stage.camera.state, stage.camera.error) == (WAITING, "")
        stage.passes(2.5)
        assert stage.camera.state is LOST
        assert stage.camera.error == "script: expected pictures, got none for 2.5 s; its driver hangs"


def test_a_driver_that_hangs_and_can_be_interrupted_is():
    with Stage("hang") as stage:
        stage.source.hung.wait(10)
        stage.source.interrupt = stage.source.hangs.set
        stage.camera.close()
        assert stage.source.closed == 1


def test_errors_of_interrupting_and_closing_keep_nobody():
    def fails():
        raise RuntimeError

    with Stage() as stage:
        stage.source.interrupt = stage.source.close = fails
        stage.show(grey(0))
    stage.camera.close()  # and again


HOSTILE = [
    np.zeros((8, 8, 3), np.float32),
    np.zeros((8, 8), np.uint8),
    np.zeros((8, 8, 4), np.uint8),
    np.zeros((0, 8, 3), np.uint8),
    np.zeros((8, 0, 3), np.uint8),
    np.broadcast_to(np.uint8(0), (5000, 5000, 3)),
]


@pytest.mark.parametrize("pixels", HOSTILE, ids=lambda pixels: f"{pixels.dtype}-{pixels.shape}")
def test_what_is_no_picture_is_left_out_and_counted(pixels):
    with Stage() as stage:
        stage.show(grey(0))
        stage.source.steps.put(Picture(pixels))
        frame = stage.show(grey(1))
        assert (frame.pixels[0, 0, 0], stage.camera.unreadable) == (1, 1)
        assert stage.camera.error.startswith("script: expected (H, W, 3) uint8")
        assert stage.camera.state is LIVE


def test_damaged_pictures_alone_are_a_loss():
    with Stage(*[Unreadable("JPEG: expected a whole picture, got half of one")] * 50) as stage:
        until(lambda: stage.camera.unreadable == 50)
        assert stage.source.opened == 1
        assert "half of one" in stage.camera.error
        stage.passes(11)
        until(lambda: stage.source.opened == 2)
        assert stage.camera.state is LOST


def test_a_size_may_change_in_the_middle():
    with Stage() as stage:
        sizes = [stage.show(grey(0, size)).pixels.shape[:2] for size in ((8, 8), (480, 640), (1, 1))]
        assert sizes == [(8, 8), (480, 640), (1, 1)]


class Steady(Script):
    """Shows a picture every few milliseconds, of ages that cross."""

    def grab(self):
        time.sleep(0.003)
        self.number = getattr(self, "number", 0) + 1
        return Picture(np.full((8, 8, 3), self.number % 256, np.uint8), age_ns=self.number % 7 * MS)


def test_it_conforms():
    check_camera(lambda: Live(Steady()))
    verdicts = camera_conformance(lambda: Live(Steady()), seconds=0.1, real=True)
    assert [verdict for verdict in verdicts if not verdict.passed] == []


class TestSenderClock:
    def test_the_quickest_delivery_is_immediate_and_later_ones_are_late(self):
        rng = np.random.default_rng(0)
        clock, apart = SenderClock(), 77_000 * S
        delays = np.concatenate([[5], rng.integers(5, 60, 200)]) * MS  # the first is the quickest
        for n, delay in enumerate(delays.tolist()):
            age = clock.age_ns(n * 33 * MS, n * 33 * MS + delay + apart)
            assert 0 <= age <= delay - 5 * MS  # never more than the truth
            assert age >= delay - 5 * MS - 200 * 33 * MS / 20  # forgotten by a twentieth

    def test_what_a_stalled_network_delivers_in_a_burst_is_old(self):
        clock = SenderClock()
        ages = []
        for n in range(90):  # at 30 a second; nothing arrives between 1 s and 3 s
            sent = n * 33 * MS
            arrived = sent if sent < S else max(sent, 3 * S)
            ages.append(clock.age_ns(sent, arrived) / S)
        assert max(ages[:30]) == 0
        assert ages[31] == pytest.approx(2, abs=0.2)
        assert ages[60] == pytest.approx(1, abs=0.2)

    def test_clocks_that_drift_by_less_than_a_twentieth_make_nothing_old(self):
        for rate in (0.96, 1.04):
            clock = SenderClock()
            ages = [clock.age_ns(round(n * 33 * MS * rate), n * 33 * MS) for n in range(3000)]
            assert max(ages) == 0

    def test_stamps_that_jump_or_stand_still_do_no_lasting_harm(self):
        clock = SenderClock()
        stamps = [0, 33, 66, 3600_000, 99, 132, 132, 132, 165, 198]
        ages = [clock.age_ns(stamp * MS, n * 33 * MS) for n, stamp in enumerate(stamps)]
        assert max(ages) <= 33 * MS
        assert min(ages) >= 0


class Capture:
    """OpenCV's camera, with pictures of the test's making."""

    def __init__(self):
        self.opened, self.released, self.stamp_ms, self.properties = True, False, lambda: 0.0, {}
        self.pictures = queue.Queue()

    def isOpened(self):
        return self.opened

    def read(self):
        try:
            return True, self.pictures.get(timeout=0.002)
        except queue.Empty:
            return False, None

    def get(self, name):
        return self.stamp_ms()

    def set(self, name, value):
        self.properties[name] = value

    def release(self):
        self.released = True


@pytest.fixture
def capture(monkeypatch):
    cv2 = pytest.importorskip("cv2")
    capture = Capture()
    monkeypatch.setattr(cv2, "VideoCapture", lambda path, api: capture)
    return capture


@pytest.fixture
def device(tmp_path):
    path = tmp_path / "video0"
    path.touch()
    return str(path)


def shown(camera, capture, picture):
    frames = camera.frames
    capture.pictures.put(picture)
    until(lambda: camera.frames > frames)
    return camera.read(LONG)


def test_a_webcams_picture_is_red_green_blue(capture, device):
    with Live(Webcam(device)) as camera:
        frame = shown(camera, capture, np.full((8, 8, 3), (1, 2, 3), np.uint8))
        assert frame.pixels[0, 0].tolist() == [3, 2, 1]
        assert frame.captured_ns == frame.received_ns  # no stamp of the driver's: the instant of the grab
        assert list(capture.properties.values()) == [1]  # one buffer
    assert capture.released


def test_a_webcams_picture_is_as_old_as_its_driver_says(capture, device):
    capture.stamp_ms = lambda: (time.monotonic_ns() - 40 * MS) / 1e6
    with Live(Webcam(device)) as camera:
        frame = shown(camera, capture, np.zeros((8, 8, 3), np.uint8))
        assert 30 * MS <= frame.received_ns - frame.captured_ns <= S


@pytest.mark.parametrize("stamp_ms", [-1.0, float("nan"), float("inf"), 1e300, 1.0, 1.8e12])
def test_a_webcams_absurd_stamp_is_not_believed(capture, device, stamp_ms):
    capture.stamp_ms = lambda: stamp_ms
    with Live(Webcam(device)) as camera:
        frame = shown(camera, capture, np.zeros((8, 8, 3), np.uint8))
        assert frame.captured_ns == frame.received_ns


def test_a_webcam_that_is_pulled_out_is_lost_and_plugged_in_is_back(capture, device):
    with Live(Webcam(device), silence_s=0.05, backoff_s=(0.001, 0.001)) as camera:
        shown(camera, capture, np.zeros((8, 8, 3), np.uint8))
        capture.opened = False
        until(lambda: "will not open" in camera.error)
        assert camera.state is LOST
        capture.opened = True
        shown(camera, capture, np.zeros((8, 8, 3), np.uint8))
        assert camera.reconnections == 1


def test_a_webcams_empty_picture_is_none(capture, device):
    with Live(Webcam(device)) as camera:
        capture.pictures.put(np.zeros((0, 0, 3), np.uint8))
        shown(camera, capture, np.zeros((8, 8, 3), np.uint8))
        assert camera.frames == 1


def test_a_webcam_conforms(capture, device):
    for level in range(100):
        capture.pictures.put(np.full((8, 8, 3), level, np.uint8))
    check_camera(lambda: Live(Webcam(device)))


@pytest.mark.parametrize("name", [97, "97", "/dev/v4l/by-id/nobody"])
def test_a_webcam_that_is_not_there_is_absent(capture, name, tmp_path, monkeypatch):
    monkeypatch.setattr(webcam, "STABLE", tmp_path / "by-id")
    with pytest.raises(AbsentError, match=f"^webcam: expected a camera {name}, got none; ") as caught:
        open_camera(name)
    assert caught.value.exit_code == 3
    (tmp_path / "by-id").mkdir()
    (tmp_path / "by-id" / "usb-Some_Camera-video-index0").touch()
    with pytest.raises(AbsentError, match=r"; here are .*by-id/usb-Some_Camera-video-index0$"):
        open_camera(name)


def test_a_webcam_that_may_not_be_used_says_how_it_may(capture, device, monkeypatch):
    monkeypatch.setattr(webcam.os, "access", lambda path, mode: False)
    with pytest.raises(AbsentError, match=r"expected leave to use .*; sudo usermod -aG video"):
        Webcam(device)


@pytest.mark.parametrize("name", ["rtps://me:secret@host/live", "ftp://me:secret@host"])
def test_an_unknown_kind_lists_the_kinds_and_quotes_no_password(name):
    with pytest.raises(UsageError, match=r"expected null, .* got (rtps|ftp)://") as caught:
        open_camera(name)
    assert "secret" not in str(caught.value)
