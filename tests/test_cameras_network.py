"""Cameras on the network: hostile pictures, headers and servers end in a state, with the words for it."""

from __future__ import annotations

import base64
import contextlib
import functools
import queue
import socket
import struct
import threading
import time
from fractions import Fraction

import numpy as np
import pytest
from threads import no_camera_is_left, until  # noqa: F401  # a fixture of every test here

from rmedge.errors import UsageError
from rmedge.runtimes import open_camera
from rmedge.runtimes.cameras import mjpeg, rtsp, teleimager
from rmedge.runtimes.cameras.address import Address
from rmedge.runtimes.cameras.jpeg import MAX_BYTES, Jpeg
from rmedge.runtimes.cameras.live import CameraState, Live, Unreadable
from rmedge.runtimes.cameras.mjpeg import MjpegStream
from rmedge.runtimes.cameras.rtsp import RtspStream
from rmedge.testing import camera_conformance, check_camera

cv2 = pytest.importorskip("cv2")
av = pytest.importorskip("av")
MS, S = 1_000_000, 1_000_000_000
LONG = 10_000 * MS
QUICK = {"silence_s": 0.2, "first_s": 0.2, "backoff_s": (0.005, 0.01)}


def jpeg(level, size=(48, 64), **how):
    """A picture of that grey level."""
    return cv2.imencode(".jpg", np.full((*size, 3), level, np.uint8))[1].tobytes()


def level(frame):
    return round(float(frame.pixels.mean()))


NOISE = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()


class TestJpeg:
    def test_a_picture_is_red_green_blue(self):
        data = cv2.imencode(".jpg", np.full((17, 33, 3), (250, 10, 20), np.uint8))[1].tobytes()
        pixels = Jpeg().decode(data)
        assert (pixels.shape, pixels.dtype) == ((17, 33, 3), np.uint8)
        assert pixels[8, 8].tolist() == pytest.approx([20, 10, 250], abs=4)

    @pytest.mark.parametrize("flags", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)])
    def test_one_decoder_takes_all_sizes_and_kinds(self, flags):
        decoder = Jpeg()
        for size in ((48, 64, 3), (1, 1, 3), (480, 640, 3), (17, 5)):
            data = cv2.imencode(".jpg", np.full(size, 77, np.uint8), list(flags))[1].tobytes()
            pixels = decoder.decode(data + b"\0" * 60)  # some cameras fill up
            assert pixels.shape == (*size[:2], 3)
            assert pixels.mean() == pytest.approx(77, abs=2)

    def test_any_truncation_is_told(self):
        decoder = Jpeg()
        for kept in range(0, len(NOISE) - 1, 7):
            with pytest.raises(Unreadable):
                decoder.decode(NOISE[:kept])
        assert decoder.decode(NOISE).shape == (48, 64, 3)  # and spoils nothing

    @pytest.mark.parametrize("size", [(0, 0), (0, 64), (48, 0), (65535, 65535), (5000, 5000)])
    def test_an_absurd_size_is_refused_before_it_is_decoded(self, size):
        at = NOISE.index(b"\xff\xc0")
        lie = NOISE[: at + 5] + struct.pack(">HH", *size) + NOISE[at + 9 :]
        with pytest.raises(Unreadable, match=r"^JPEG: expected 1 to 16777216 pixels, got \d+ x \d+$"):
            Jpeg().decode(lie)

    def test_damage_never_does_more_than_be_told(self, capfd):
        rng, decoder, whole = np.random.default_rng(1), Jpeg(), 0
        for _ in range(1000):
            data = bytearray(NOISE)
            for at in rng.integers(0, rng.choice([620, len(data)]), rng.integers(1, 6)):
                data[at] = rng.integers(256)
            with contextlib.suppress(Unreadable):
                pixels = decoder.decode(bytes(data))
                whole += 1
                assert pixels.dtype == np.uint8 and pixels.ndim == 3
        assert 0 < whole < 1000
        assert capfd.readouterr() == ("", "")  # a library has nothing to say to a terminal

    @pytest.mark.parametrize(
        "data", [b"", b"\xff\xd8", b"GIF89a" + b"\0" * 99, b"\xff\xd8" + b"\xff\xe0\0\2" * 9999]
    )
    def test_other_bytes_are_refused(self, data):
        with pytest.raises(Unreadable, match="expected a picture's headers"):
            Jpeg().decode(data)


class TestAddress:
    PORTS = {"rtsp": 554}  # noqa: RUF012

    def test_its_parts(self):
        address = Address.parse("RTSP://me:s%40c@cam.local/live?channel=1&pwd=x", self.PORTS)
        assert (address.host, address.port, address.target) == ("cam.local", 554, "/live?channel=1&pwd=x")
        assert (address.user, address.password) == ("me", "s@c")
        assert Address.parse("rtsp://[::1]:99", self.PORTS).shown == "rtsp://[::1]:99"

    def test_what_is_shown_holds_no_secret(self):
        for url in (
            "rtsp://me:secret@host/x",
            "rtsp://host/user=me_password=secret",
            "rtsp://host?pw=secret",
        ):
            assert Address.parse(url, self.PORTS).shown == "rtsp://host:554"

    @pytest.mark.parametrize(
        "url",
        [
            "rtsp://",
            "rtsp:///path",
            "rtsp://secret:x@",
            "rtsp://host:0/",
            "rtsp://host:secret/",
            "rtsp://host:99999/",
            "http://host/",
            "rtsp://host/a b",
            "rtsp://host/\r\nsecret: 1",
            "rtsp://höst/",
            "rtsp://[::1/",
            "",
        ],
    )
    def test_no_address_is_refused_unquoted(self, url):
        with pytest.raises(UsageError, match=r"^camera: expected rtsp://\[USER") as caught:
            Address.parse(url, self.PORTS)
        assert "secret" not in str(caught.value)


class Server:
    """Answers each connection with the next of the functions it is given, the last one again and again."""

    def __init__(self, *answers, port=0):
        self.listening = socket.create_server(("127.0.0.1", port))
        self.port = self.listening.getsockname()[1]
        self.answers, self.requests, self.over = list(answers), [], threading.Event()
        self.threads = [threading.Thread(target=self.serve)]
        self.threads[0].start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self.threads.append(threading.Thread(target=self.converse, args=(connection, answer)))
            self.threads[-1].start()

    def converse(self, connection, answer):
        with connection:
            connection.settimeout(0.01)
            try:
                answer(self, connection)
            except OSError:  # they hung up
                return

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for thread in self.threads:
            thread.join(10)

    def url(self, path="/stream", user=""):
        return f"http://{user}127.0.0.1:{self.port}{path}"


def asked(server, connection):
    """Read a request to its end."""
    request = b""
    while b"\r\n\r\n" not in request and not server.over.is_set():
        try:
            request += connection.recv(4096)
        except socket.timeout:
            continue
    server.requests.append(request.decode())


def send(connection, data):
    connection.settimeout(10)
    connection.sendall(data)
    connection.settimeout(0.01)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=mark\r\n\r\n"


def part(data, length=True, extra=b""):
    size = b"Content-Length: %d\r\n" % (len(data) if length is True else length) if length else b""
    return b"--mark\r\nContent-Type: image/jpeg\r\n" + size + extra + b"\r\n" + data + b"\r\n"


def plays(*pieces, head=HEAD, stay=True, pause_s=0.002):
    """An answer: a head, then pieces, then silence on an open line (or the end of it)."""

    def answer(server, connection):
        asked(server, connection)
        send(connection, head)
        for piece in pieces:
            send(connection, piece)
            time.sleep(pause_s)
        if stay:
            server.over.wait(30)

    return answer


def endless(server, connection):
    asked(server, connection)
    send(connection, HEAD)
    number = 0
    while not server.over.wait(0.002):
        number += 1
        send(connection, part(jpeg(number % 200)))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(mjpeg, "CONNECT_S", 0.3)
    monkeypatch.setattr(mjpeg, "SLICE_S", 0.02)


def seen(server, **how):
    return Live(MjpegStream(server.url()), **{**QUICK, "silence_s": 30.0, "first_s": 30.0, **how})


def lost(camera, words):
    until(lambda: words in camera.error)
    assert camera.state is CameraState.LOST
    return camera.error


class TestMjpeg:
    @pytest.mark.parametrize(
        "form",
        [
            {"pieces": [part(jpeg(50)), part(jpeg(100))]},
            {"pieces": [part(jpeg(50), length=None), part(jpeg(100), length=None), b"--mark"]},
            {"pieces": [b"--mark\r\n\r\n" + jpeg(50), b"\r\n--mark\r\n\r\n" + jpeg(100), b"\r\n--mark--"]},
            {"pieces": [part(jpeg(50)), part(jpeg(100))], "head": HEAD.replace(b"=mark", b'="--mark"; x=y')},
            {"pieces": [part(jpeg(50)), part(jpeg(100))], "head": HEAD.replace(b"=mark", b"=--mark")},
            {"pieces": [(part(jpeg(50)) + part(jpeg(100)))[n : n + 1] for n in range(1600)], "pause_s": 0},
            {"pieces": [part(jpeg(50), length=10), part(jpeg(100), length=10**6), b"--mark"]},
            {"pieces": [part(jpeg(50), length=-5), part(jpeg(100), length=None), b"--mark"]},
            {"pieces": [part(jpeg(50)[:300]), part(b"junk"), b"more junk", part(jpeg(100))]},
        ],
    )
    def test_every_form_of_stream_is_read(self, quick, form):
        pieces = form.pop("pieces")
        with Server(plays(*pieces, **form)) as server, seen(server) as camera:
            until(lambda: camera.frames and level(camera.read(LONG)) == 100)
            assert camera.state is CameraState.LIVE
            assert camera.reconnections == 0
            assert camera.read(LONG).pixels.shape == (48, 64, 3)

    def test_a_chunked_stream_is_read(self, quick):
        whole = part(jpeg(50)) + part(jpeg(100))
        cuts = [0, 1, 40, 41, 400, len(whole)]
        chunks = [b"%X;x=1\r\n%s\r\n" % (b - a, whole[a:b]) for a, b in zip(cuts, cuts[1:])]
        head = HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        with Server(plays(*chunks, head=head)) as server, seen(server) as camera:
            until(lambda: camera.frames and level(camera.read(LONG)) == 100)

    def test_the_newest_of_many_is_decoded_alone(self, quick):
        backlog = b"".join(part(jpeg(level)) for level in range(10, 210, 10))
        with Server(plays(backlog)) as server, seen(server) as camera:
            until(lambda: camera.frames and level(camera.read(LONG)) == 200)
            assert camera.frames < 20
            assert camera.read(LONG).sequence == 19

    def test_credentials_are_sent_and_never_told(self, quick):
        with Server(plays(head=b"HTTP/1.0 401 No\r\n\r\n")) as server:
            source = MjpegStream(server.url("/a?pwd=secret", user="me:s%3Aecret@"))
            with Live(source, **QUICK) as camera:
                error = lost(camera, "HTTP 401; put USER:PASSWORD@ before the host")
                assert "secret" not in error + camera.name + camera._thread.name
            lines = server.requests[0].split("\r\n")
            assert lines[:2] == ["GET /a?pwd=secret HTTP/1.0", f"Host: 127.0.0.1:{server.port}"]
            assert f"Authorization: Basic {base64.b64encode(b'me:s:ecret').decode()}" in lines

    @pytest.mark.parametrize(
        ("head", "words"),
        [
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP 404; check the path"),
            (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere\r\n\r\n", "HTTP 302"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "an answer that is not HTTP; check the port"),
            (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", "text/html instead of multipart/"),
            (b"HTTP/1.1 200 OK\r\n\r\n", "no type instead of multipart/"),
            (HEAD.replace(b"; boundary=mark", b""), "multipart/x-mixed-replace instead of"),
            (HEAD.replace(b"mark", b"----"), "multipart/x-mixed-replace"),
            (b"HTTP/1.1 200 OK\r\n" + b"x" * 20_000, "no HTTP headers in time"),
        ],
    )
    def test_what_is_no_such_stream_is_said(self, quick, head, words):
        with Server(plays(head=head)) as server, seen(server) as camera:
            lost(camera, words)

    @pytest.mark.parametrize(
        ("piece", "words"),
        [
            (b"--mark\r\n" + b"x: y\r\n" * 9999, "a part whose headers do not end"),
            (part(b"", length=MAX_BYTES + 1), f"a picture of {MAX_BYTES + 1} bytes, more than"),
            (part(b"", length=None) + b"x" * (MAX_BYTES + 99), f"a picture of more than {MAX_BYTES} bytes"),
        ],
        ids=["headers", "length", "body"],
    )
    def test_a_part_that_is_too_long_is_refused(self, quick, piece, words):
        with Server(plays(piece)) as server, seen(server) as camera:
            lost(camera, words)

    @pytest.mark.parametrize(
        ("chunk", "words"),
        [
            (b"-5\r\n", "a chunk without a sensible size"),
            (b"0x10\r\n", "a chunk without a sensible size"),
            (b"fffffff\r\n", "a chunk without a sensible size"),
            (b"0\r\n\r\n", "a stream that ended"),
            (b"1" * 20_000, "a chunk without a size"),
        ],
    )
    def test_a_chunk_that_makes_no_sense_is_refused(self, quick, chunk, words):
        head = HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        with Server(plays(chunk, head=head)) as server, seen(server) as camera:
            lost(camera, words)

    def test_damaged_pictures_are_counted_and_passed_over(self, quick):
        pieces = [part(jpeg(50)), part(jpeg(60)[:-50]), part(b"\xff\xd8junk"), part(b""), part(jpeg(100))]
        with Server(plays(*pieces, pause_s=0.05)) as server, seen(server) as camera:
            until(lambda: camera.frames and level(camera.read(LONG)) == 100)
            # the empty one ends where the next begins, and may not have been worth decoding then
            assert camera.unreadable in (2, 3)
            assert (camera.frames, camera.reconnections) == (2, 0)

    def test_headers_that_trickle_are_given_up(self, quick):
        def trickle(server, connection):
            asked(server, connection)
            for byte in HEAD * 9999:
                send(connection, bytes([byte | 0x80]))
                if server.over.wait(0.005):
                    return

        with Server(trickle) as server, seen(server) as camera:
            lost(camera, "no HTTP headers in time")

    def test_a_picture_that_trickles_is_given_up(self, quick):
        def trickle(server, connection):
            asked(server, connection)
            send(connection, HEAD)
            for byte in part(NOISE):
                send(connection, bytes([byte]))
                if server.over.wait(0.005):
                    return

        with Server(trickle) as server, seen(server, first_s=0.1) as camera:
            lost(camera, "none for 0.1 s")

    def test_a_server_that_says_nothing_is_given_up(self, quick):
        with Server(plays(head=b"")) as server, seen(server) as camera:
            lost(camera, "no HTTP headers in time")

    def test_a_closed_port_is_said(self, quick):
        with Server(endless) as server:
            pass
        with seen(server) as camera:
            error = lost(camera, "Connection refused")
            assert error.startswith(f"http://127.0.0.1:{server.port}: expected pictures, got: ")

    def test_it_freezes_dies_and_comes_back(self, quick):
        with Server(plays(part(jpeg(10))), plays(part(jpeg(20)), stay=False), endless) as server:
            with Live(MjpegStream(server.url()), **{**QUICK, "first_s": 5.0}) as camera:
                until(lambda: camera.frames == 1)
                lost(camera, "none for 0.2 s")
                until(lambda: camera.frames == 2)
                until(lambda: "hung up" in camera.error)
                until(lambda: camera.frames > 5)
                assert (camera.state, camera.reconnections) == (CameraState.LIVE, 2)
            port = server.port
        with Live(MjpegStream(server.url()), **QUICK) as camera:
            lost(camera, "Connection refused")
            with Server(endless, port=port):
                until(lambda: camera.state is CameraState.LIVE)

    def test_what_was_stamped_early_and_arrives_late_is_old(self, quick):
        stamps = [b"X-Timestamp: 1000.5\r\n", b"X-Timestamp: 1000.6\r\n"]
        pieces = [part(jpeg(number), extra=stamp) for number, stamp in enumerate(stamps)]
        with Server(plays(*pieces, pause_s=0.3)) as server, seen(server) as camera:
            until(lambda: camera.frames == 2)
            frame = camera.read(100 * S)
            # it came 0.3 s after the other, and was stamped 0.1 s after it
            assert frame.received_ns - frame.captured_ns >= 150 * MS

    @pytest.mark.parametrize("stamp", [b"nan", b"inf", b"-1", b"1e300", b"", b"soon", b"9" * 400])
    def test_a_stamp_that_makes_no_sense_is_left_out(self, quick, stamp):
        piece = part(jpeg(50), extra=b"X-Timestamp: %s\r\n" % stamp)
        with Server(plays(piece, piece)) as server, seen(server) as camera:
            until(lambda: camera.frames)
            frame = camera.read(LONG)
            assert frame.received_ns - frame.captured_ns < 5 * S

    def test_closing_does_not_wait_for_a_server(self):
        with Server(plays(part(jpeg(9)))) as server, Live(MjpegStream(server.url())) as camera:
            until(lambda: camera.frames)
            begin = time.perf_counter()
            camera.close()
            assert time.perf_counter() - begin < 0.9
            assert not camera._thread.is_alive()

    def test_it_conforms(self):
        def make():
            camera = open_camera(server.url())
            until(lambda: camera.frames > 3)
            return camera

        with Server(endless) as server:
            check_camera(make)
            verdicts = camera_conformance(make, seconds=0.1, real=True)
            assert [verdict for verdict in verdicts if not verdict.passed] == []

    @pytest.mark.parametrize("url", ["http://", "https://host:x/", "http://a b/"])
    def test_a_bad_url_is_a_usage_error(self, url):
        with pytest.raises(UsageError, match="expected http:// or https://") as caught:
            open_camera(url)
        assert caught.value.exit_code == 2


@functools.lru_cache(maxsize=None)
def h264(number):
    """One key frame that needs no other, as NAL units; its grey level rises with its number."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"tune": "zerolatency", "preset": "ultrafast", "x264-params": "annexb=1:aud=0:sei=0"}
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 200, np.uint8), format="rgb24")
    frame.pts = 0
    data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    return [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1") if unit.rstrip(b"\0")]


SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track\r\n"
)


def rtsp_plays(frames, pause_s=0.01, stay=True):
    """An RTSP server that sends so many pictures over its own connection, 33 ms apart by their stamps."""

    def answer(server, connection):
        number, body = 0, ""
        while "PLAY" not in body:
            asked(server, connection)
            body = server.requests[-1].split(" ")[0]
            count = server.requests[-1].split("CSeq: ")[1].split("\r\n")[0]
            more = {
                "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}",
                "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n\r\n",
                "OPTIONS": "Public: DESCRIBE, SETUP, PLAY\r\n\r\n",
                "PLAY": "Session: 1\r\n\r\n",
            }
            send(connection, f"RTSP/1.0 200 OK\r\nCSeq: {count}\r\n{more[body]}".encode())
        for frame in range(frames):
            units = h264(frame)
            for unit in units:
                last = 0x80 if unit is units[-1] else 0
                packet = struct.pack(">BBHII", 0x80, 96 | last, number, frame * 2970, 7) + unit
                send(connection, struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                number += 1
            if server.over.wait(pause_s):
                return
        if stay:
            server.over.wait(30)

    return answer


class TestRtsp:
    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch):
        monkeypatch.setattr(rtsp, "OPEN_S", 2.0)
        monkeypatch.setattr(rtsp, "READ_S", 0.2)
        monkeypatch.setitem(rtsp.OPTIONS, "analyzeduration", "100000")

    def seen(self, server, **how):
        return Live(RtspStream(self.url(server)), **{**QUICK, "silence_s": 30.0, "first_s": 30.0, **how})

    def url(self, server):
        return f"rtsp://me:secret@127.0.0.1:{server.port}/live"

    def test_a_stream_plays_ends_and_comes_back(self, capfd):
        with Server(rtsp_plays(40, stay=False), rtsp_plays(10_000)) as server, self.seen(server) as camera:
            until(lambda: camera.reconnections == 1)
            assert "secret" not in camera.error and camera.error.startswith("rtsp://127.0.0.1:")
            until(lambda: camera.state is CameraState.LIVE)
            frame = camera.read(LONG)
            assert frame.pixels.shape == (48, 64, 3)
            until(lambda: level(camera.read(LONG)) > level(frame) + 2)
            later = camera.read(LONG)  # handed over when the next one, 10 ms later, came
            assert later.received_ns - later.captured_ns >= 5 * MS
        assert capfd.readouterr() == ("", "")

    def test_a_stream_that_freezes_is_lost(self):
        with Server(rtsp_plays(40)) as server, self.seen(server, backoff_s=(5.0, 5.0)) as camera:
            until(lambda: camera.frames)
            lost(camera, "silence for 0.")

    def test_a_closed_port_is_said_without_the_password(self):
        with Server(endless) as server:
            pass
        with self.seen(server) as camera:
            assert lost(camera, "refused") == (
                f"rtsp://127.0.0.1:{server.port}: expected pictures, got: Connection refused"
            )

    def test_a_server_that_says_nothing_is_given_up(self, monkeypatch):
        monkeypatch.setattr(rtsp, "OPEN_S", 0.1)
        with Server(plays(head=b"")) as server, self.seen(server) as camera:
            lost(camera, "silence for 0.")

    @pytest.mark.parametrize(
        "head", [b"HTTP/1.1 400 Bad\r\n\r\n", b"RTSP/1.0 401 No\r\nCSeq: 1\r\n\r\n", b"\0" * 9999]
    )
    def test_what_is_no_such_stream_is_lost(self, head):
        with Server(plays(head=head, stay=False)) as server, self.seen(server) as camera:
            assert "secret" not in lost(camera, "expected pictures, got")

    def test_it_conforms(self):
        def make():
            camera = open_camera(self.url(server))
            until(lambda: camera.frames > 3)
            return camera

        with Server(rtsp_plays(10_000)) as server:
            check_camera(make)
            verdicts = camera_conformance(make, seconds=0.1, real=True)
            assert [verdict for verdict in verdicts if not verdict.passed] == []


class TestTeleimager:
    @pytest.fixture
    def publisher(self):
        zmq = pytest.importorskip("zmq")
        context = zmq.Context()
        socket = context.socket(zmq.PUB)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        messages, over = queue.Queue(), threading.Event()

        def publish():
            message = None
            while not over.wait(0.002):
                while not messages.empty():
                    message = messages.get()
                if message is not None:
                    socket.send(message)
            socket.close(linger=0)

        thread = threading.Thread(target=publish)
        thread.start()
        messages.address = f"teleimager:127.0.0.1:{port}"
        yield messages
        over.set()
        thread.join(10)
        context.term()

    def test_pictures_are_seen_once_each(self, publisher):
        with open_camera(publisher.address) as camera:
            for number in (10, 60, 110):
                publisher.put(jpeg(number))  # sent again and again, as the real server does
                until(lambda: camera.frames and level(camera.read(LONG)) == number)  # noqa: B023
            assert (camera.frames, camera.unreadable) == (3, 0)

    def test_a_server_that_repeats_its_last_picture_is_lost(self, publisher):
        publisher.put(jpeg(10))
        with Live(teleimager.Teleimager(publisher.address[11:]), **{**QUICK, "first_s": 5.0}) as camera:
            until(lambda: camera.frames)
            lost(camera, "none for 0.2 s")

    def test_a_stamp_before_the_picture_is_taken_off(self, publisher):
        with open_camera(publisher.address) as camera:
            for number, stamp in ((10, 1e9), (60, float("nan")), (110, 1e300), (160, -5.0)):
                publisher.put(struct.pack("<dI", stamp, number) + jpeg(number))
                until(lambda: camera.frames and level(camera.read(LONG)) == number)  # noqa: B023
            assert camera.unreadable == 0

    def test_one_half_of_a_binocular_picture(self, publisher):
        both = np.concatenate([np.full((48, 64, 3), 40, np.uint8), np.full((48, 64, 3), 200, np.uint8)], 1)
        publisher.put(cv2.imencode(".jpg", both)[1].tobytes())
        for half, expected in (("left", 40), ("right", 200)):
            with open_camera(f"{publisher.address}/{half}") as camera:
                until(lambda: camera.frames)
                frame = camera.read(LONG)
                assert frame.pixels.shape == (48, 64, 3)
                assert level(frame) == pytest.approx(expected, abs=2)

    def test_what_is_no_picture_is_counted_and_never_interpreted(self, publisher):
        import pickle

        junk = [pickle.dumps({}), b"\xff\xd8\xff", jpeg(10)[:-40], b"\0" * 12]
        with open_camera(publisher.address) as camera:
            for count, message in enumerate(junk):
                publisher.put(message)
                until(lambda: camera.unreadable > count)  # noqa: B023
            publisher.put(b"")
            publisher.put(jpeg(70))
            until(lambda: camera.frames == 1)

    def test_nobody_there_is_a_state(self):
        pytest.importorskip("zmq")
        with Live(teleimager.Teleimager("127.0.0.1:9"), **QUICK) as camera:
            lost(camera, "teleimager 127.0.0.1:9: expected pictures, got: none for 0.2 s")

    def test_it_conforms(self, publisher):
        over = threading.Event()

        def feed():
            number = 0
            while not over.wait(0.004):
                number += 1
                publisher.put(jpeg(number % 250))

        def make():
            camera = open_camera(publisher.address)
            until(lambda: camera.frames > 3)
            return camera

        thread = threading.Thread(target=feed)
        thread.start()
        check_camera(make)
        verdicts = camera_conformance(make, seconds=0.1, real=True)
        over.set()
        thread.join(10)
        assert [verdict for verdict in verdicts if not verdict.passed] == []

    @pytest.mark.parametrize(
        "address", ["", "host:0", "host:99999", "host/up", "a b", "tcp://host:1", "host:1/left/x"]
    )
    def test_another_address_is_a_usage_error(self, address):
        with pytest.raises(UsageError, match=r"^teleimager: expected HOST"):
            open_camera(f"teleimager:{address}")

    def test_without_pyzmq_it_says_what_to_install(self, monkeypatch):
        import sys

        from rmedge.errors import AbsentError

        monkeypatch.setitem(sys.modules, "zmq", None)
        with pytest.raises(AbsentError, match=r'pip install "rmedge\[camera,teleimager\]"'):
            open_camera("teleimager:192.168.123.164")
