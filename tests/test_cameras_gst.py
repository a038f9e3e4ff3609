"""A pipeline of GStreamer's is a process of its own: what it shows is seen, and its death is a state."""

from __future__ import annotations

import json
import shutil
import sys
import time

import pytest
from threads import no_camera_is_left, until  # noqa: F401  # a fixture of every test here

from rmedge.errors import AbsentError, UsageError
from rmedge.runtimes import open_camera
from rmedge.runtimes.cameras.gst import Pipeline
from rmedge.runtimes.cameras.live import CameraState, Live
from rmedge.testing import camera_conformance, check_camera

S = 1_000_000_000
REAL = shutil.which("gst-launch-1.0")
QUICK = {"silence_s": 0.3, "first_s": 20.0, "backoff_s": (0.01, 0.02)}

FAKE = """#!{python}
import json, os, signal, sys, time
with open({log!r}, "a") as log:
    log.write(json.dumps([os.getpid(), *sys.argv[1:]]) + chr(10))
out = sys.stdout.buffer
def show(level, size={size}):
    out.write(bytes([level]) * size)
    out.flush()
{body}
"""


@pytest.fixture
def launch(tmp_path, monkeypatch):
    """Puts a `gst-launch-1.0` on the path that does what it is told; returns how it was called."""
    log = tmp_path / "log"
    log.touch()

    def install(body, size=8 * 6 * 3):
        program = tmp_path / "gst-launch-1.0"
        program.write_text(FAKE.format(python=sys.executable, log=str(log), size=size, body=body))
        program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    install.calls = lambda: [json.loads(line) for line in log.read_text().splitlines()]
    return install


def alive(process):
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_its_pictures_are_seen_and_it_is_asked_without_a_shell(launch):
    launch("for n in range(10**6): show(n % 200); time.sleep(0.003)")
    with open_camera("gst:8x6@30:fake name='a b' ! $(x)") as camera:
        until(lambda: camera.frames > 3)
        frame = camera.read(S)
        assert frame.pixels.shape == (6, 8, 3)
        assert frame.pixels.min() == frame.pixels.max() > 0
        assert camera.state is CameraState.LIVE
        process, *words = launch.calls()[0]
        assert words[:6] == ["-q", "fake", "name=a b", "!", "$(x)", "!"]
        assert words[6:9] == ["videorate", "drop-only=true", "max-rate=30"]
        assert words[-5:] == [
            "video/x-raw,format=RGB,width=8,height=6,pixel-aspect-ratio=1/1",
            *["!", "fdsink", "fd=1", "sync=false"],
        ]
    assert not alive(process)


def test_rows_are_padded_to_four_bytes(launch):
    launch("show(7, 24); show(9, 24); time.sleep(60)")  # 7 pixels are 21 bytes
    with open_camera("gst:7x2:fake") as camera:
        until(lambda: camera.frames)
        pixels = camera.read(10 * S).pixels
        assert pixels.shape == (2, 7, 3)
        assert pixels[:, :, 0].tolist() == [[7] * 7, [9] * 7]


def test_it_ends_with_its_own_words_and_is_started_again(launch):
    words = "0:00 chatter\nERROR: from /cam: no such sensor at rtsp://me:secret@host/x\nERROR: more\n"
    launch(f"show(1); show(2); sys.stderr.write({words!r}); sys.exit(1)")
    with Live(Pipeline("8x6:fake"), **QUICK) as camera:
        until(lambda: camera.reconnections >= 2)
        until(lambda: camera.state is CameraState.LOST)
        assert camera.error == (
            "gst: expected pictures, got: gst-launch-1.0 ended: "
            "ERROR: from /cam: no such sensor at rtsp://host/x"
        )
        processes = [call[0] for call in launch.calls()]
        assert len(processes) >= 3
    assert not any(alive(call[0]) for call in launch.calls())


def test_half_a_picture_is_none(launch):
    launch("show(1, 100); sys.exit()")
    with Live(Pipeline("8x6:fake"), **QUICK) as camera:
        until(lambda: "ended: without a word" in camera.error)
        assert camera.frames == 0


def test_it_freezes_and_is_started_again(launch):
    launch("show(1); time.sleep(60)")
    with Live(Pipeline("8x6:fake"), **QUICK) as camera:
        until(lambda: camera.reconnections == 1)
        assert "none for 0.3 s" in camera.error
        assert not alive(launch.calls()[0][0])


def test_one_that_will_not_stop_is_killed(launch):
    launch("signal.signal(signal.SIGINT, signal.SIG_IGN); show(1); time.sleep(60)")
    with open_camera("gst:8x6:fake") as camera:
        until(lambda: camera.frames)
        begin = time.perf_counter()
    assert time.perf_counter() - begin < 5
    assert not alive(launch.calls()[0][0])


def test_one_that_talks_without_end_does_not_block(launch):
    launch("for n in range(10**6): sys.stderr.write('x' * 10**4); sys.stderr.flush(); show(1)")
    with open_camera("gst:8x6:fake") as camera:
        until(lambda: camera.frames > 50)
        assert len(camera._source._complaints) <= 4096


def test_a_jetsons_sensor_has_a_short_name(launch):
    launch("show(1); time.sleep(60)", size=640 * 360 * 3)
    with open_camera("csi:1") as camera:
        until(lambda: camera.frames)
        assert camera.read(10 * S).pixels.shape == (360, 640, 3)
        assert launch.calls()[0][2:4] == ["nvarguscamerasrc", "sensor-id=1"]
        assert camera.name == "csi:1"


def test_it_conforms(launch):
    launch("for n in range(10**6): show(n % 200); time.sleep(0.003)")

    def make():
        camera = open_camera("gst:8x6:fake")
        until(lambda: camera.frames > 3)
        return camera

    check_camera(make)
    verdicts = camera_conformance(make, seconds=0.1, real=True)
    assert [verdict for verdict in verdicts if not verdict.passed] == []


@pytest.mark.parametrize(
    "name",
    [
        "gst:",
        "gst:!",
        "gst: ",
        "gst:0x6:fake",
        "gst:99999x99999:fake",
        "gst:a 'b",
        "csi:",
        "csi:a",
        "csi:0;x",
    ],
)
def test_another_spelling_is_a_usage_error(launch, name):
    launch("")
    with pytest.raises(UsageError, match=r"^(gst|csi): expected "):
        open_camera(name)


def test_without_gstreamer_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AbsentError, match=r"expected gst-launch-1.0, got none; sudo apt-get"):
        open_camera("csi:0")


@pytest.mark.skipif(REAL is None, reason="GStreamer's tools are not on this machine")
def test_the_real_one_shows_its_test_picture():
    with open_camera("gst:322x240:videotestsrc is-live=true pattern=red") as camera:
        until(lambda: camera.frames)
        pixels = camera.read(10 * S).pixels
        assert pixels.shape == (240, 322, 3)
        assert pixels.reshape(-1, 3).mean(0).tolist() == pytest.approx([255, 0, 0], abs=3)
