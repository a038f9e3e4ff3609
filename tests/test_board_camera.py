"""A camera that firmware owns: it conforms, and a frame that cannot be meant is never shown."""

from __future__ import annotations

import pytest

from rmedge.clock import ManualClock
from rmedge.errors import AbsentError
from rmedge.runtimes import open_camera
from rmedge.runtimes.boards import SKEW_NS, Board
from rmedge.runtimes.cameras.board import LOOK_AGAIN_NS, BoardCamera
from rmedge.testing import check_camera

HEIGHT, WIDTH = 3, 5
CAPACITY = HEIGHT * WIDTH * 3
MS, START = 1_000_000, 5_000_000_000
LONG = 10_000 * MS


def shoot(board, captured_ns, grey=0, height=HEIGHT, width=WIDTH):
    record = board.record
    record["captured_ns"], record["height"], record["width"] = captured_ns, height, width
    record["number"] += 1
    record["pixels"] = grey
    board.publish()


@pytest.fixture
def board(tmp_path):
    with Board.create(tmp_path, "frame", CAPACITY) as made:
        yield made


@pytest.fixture
def camera(tmp_path, board):
    with open_camera(f"boards:{tmp_path}") as made:
        yield made


def attached(camera):
    clock = ManualClock(START)
    camera.attach(clock)
    return clock


class Filmed(BoardCamera):
    """A camera before a firmware that has a new picture every 33 ms."""

    def __init__(self, path):
        self._writer = Board.create(path, "frame", CAPACITY)
        super().__init__(path)

    def attach(self, clock):
        super().attach(clock)
        self._manual, self._shot_ns = clock, 0

    def read(self, max_age_ns):
        now_ns = self._manual.now_ns()
        if now_ns - self._shot_ns >= 33 * MS:
            self._shot_ns = now_ns
            shoot(self._writer, now_ns, int(self._writer.sequence) % 256)
        return super().read(max_age_ns)

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self._writer.close()


def test_it_conforms(tmp_path):
    check_camera(lambda: Filmed(tmp_path))


def test_the_newest_frame_is_shown_with_its_own_instant(board, camera):
    clock = attached(camera)
    assert camera.read(LONG) is None
    for number in (1, 2):
        shoot(board, clock.now_ns(), 10 * number)
    clock.sleep_until_ns(START + 4 * MS)
    frame = camera.read(4 * MS)
    assert frame.pixels.shape == (HEIGHT, WIDTH, 3) and (frame.pixels == 20).all()
    assert (frame.captured_ns, frame.received_ns, frame.sequence) == (START, START + 4 * MS, 2)
    assert camera.read(4 * MS) is frame
    assert camera.read(4 * MS - 1) is None
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0] = 0
    shoot(board, clock.now_ns(), 30)
    assert (frame.pixels == 20).all()
    assert (camera.read(LONG).pixels == 30).all()


@pytest.mark.parametrize(
    "said",
    [
        {"height": HEIGHT + 1},
        {"width": 0},
        {"height": 1 << 31, "width": 1 << 31},
        {"captured_ns": START + SKEW_NS + 1},
        {"captured_ns": START - 1},
        {"captured_ns": -1},
    ],
    ids=str,
)
def test_a_frame_that_cannot_be_meant_is_left_out(board, camera, said):
    clock = attached(camera)
    shoot(board, START, 10)
    assert camera.read(LONG) is not None
    shoot(board, **{"captured_ns": START, "grey": 99, **said})
    assert (camera.read(LONG).pixels == 10).all()
    assert camera.rejected == 1
    clock.sleep_until_ns(START + MS)
    shoot(board, START + MS, 20)
    assert (camera.read(LONG).pixels == 20).all()


def test_firmware_that_comes_back_with_another_picture_is_found(tmp_path, board, camera):
    clock = attached(camera)
    shoot(board, START)
    first = camera.read(LONG)
    board.close()
    with Board.create(tmp_path, "frame", 2 * CAPACITY) as other:
        clock.sleep_until_ns(START + LOOK_AGAIN_NS + MS)
        assert camera.read(MS) is None  # it looks again
        shoot(other, clock.now_ns(), 7, 2 * HEIGHT)
        frame = camera.read(MS)
        assert frame.pixels.shape == (2 * HEIGHT, WIDTH, 3)
        assert frame.sequence > first.sequence


def test_no_board_is_an_absent_camera(tmp_path):
    with pytest.raises(AbsentError, match="start its writer first"):
        open_camera(f"boards:{tmp_path}")
