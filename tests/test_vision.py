"""Vision posts what it sees, and what it does not see grows old; nothing that breaks in it leaves it."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge.clock import ManualClock
from rmedge.runtimes.boards import Board
from rmedge.runtimes.processes.vision import LIVE, LOST, WAITING, Sight, Vision
from rmedge.specs import Frame, Intent

MS = 1_000_000
PERIOD = 100 * MS


class Camera:
    """Gives what the test says."""

    def __init__(self, clock):
        self.clock, self.number, self.gives = clock, 0, self.picture

    def picture(self):
        self.number += 1
        now = self.clock.now_ns()
        return Frame(np.zeros((4, 4, 3), np.uint8), now - 30 * MS, now, self.number)

    def read(self, max_age_ns):
        return self.gives()


class Encoder:
    """Says how many frames it saw."""

    def __init__(self):
        self.seen, self.resets, self.breaks = 0, 0, None

    def reset(self):
        self.resets += 1

    def watch(self, frame):
        if self.breaks:
            raise self.breaks
        self.seen += 1
        return Intent(np.full(4, self.seen, np.float32), 0.5, 0.75, frame.captured_ns, "bow")


@pytest.fixture
def eyes(tmp_path):
    clock = ManualClock(10_000 * MS)
    with Board.create(tmp_path, "intent") as board:
        yield Vision(Encoder(), Camera(clock), board, clock, 500 * MS), Sight(tmp_path), clock


def look(eyes, times=1):
    vision, _, clock = eyes
    for _ in range(times):
        clock.sleep_until_ns(clock.now_ns() + PERIOD)
        vision.step()


def test_what_is_seen_arrives_whole(eyes):
    vision, sight, clock = eyes
    assert sight() is None and vision.state == WAITING
    look(eyes)
    intent = sight()
    assert intent.z.tolist() == [1.0] * 4
    assert (intent.certainty, intent.presence, intent.name) == (0.5, 0.75, "bow")
    assert intent.captured_ns == clock.now_ns() - 30 * MS
    assert vision.state == LIVE
    assert sight() is intent  # nothing new: nothing is made
    look(eyes)
    assert sight().z.tolist() == [2.0] * 4


def test_a_board_that_is_not_there_yet_is_no_intent(tmp_path):
    sight = Sight(tmp_path)
    assert sight() is None
    clock = ManualClock(10_000 * MS)
    with Board.create(tmp_path, "intent") as board:
        vision = Vision(Encoder(), Camera(clock), board, clock, 500 * MS)
        look((vision, sight, clock))
        assert sight().z[0] == 1.0


def test_vision_that_is_born_again_goes_on_where_the_body_reads(eyes, tmp_path):
    vision, sight, clock = eyes
    look(eyes, 3)
    before = sight()
    vision._board.close()
    with Board.create(tmp_path, "intent") as board:
        again = Vision(Encoder(), Camera(clock), board, clock, 500 * MS)
        look((again, sight, clock))
        assert sight().captured_ns == before.captured_ns + PERIOD
        assert sight().z[0] == 1.0


def test_no_picture_is_a_state_and_the_last_intent_grows_old(eyes):
    vision, sight, clock = eyes
    look(eyes)
    old = sight().captured_ns
    vision.camera.gives = lambda: None
    look(eyes, 5)
    assert vision.state == LOST and sight().captured_ns == old
    assert int(vision._board.record["stamp_ns"]) == clock.now_ns()  # it lives
    vision.camera.gives = vision.camera.picture
    look(eyes)
    assert vision.state == LIVE and sight().captured_ns > old


def test_the_same_picture_is_looked_at_once(eyes):
    vision, _, _ = eyes
    same = vision.camera.picture()
    vision.camera.gives = lambda: same
    look(eyes, 5)
    assert vision.encoder.seen == 1


@pytest.mark.parametrize("part", ["camera", "encoder"])
def test_what_breaks_in_it_is_told_and_tried_again(eyes, part):
    vision, sight, _ = eyes
    look(eyes)
    error = OSError("unplugged")
    if part == "camera":

        def broken():
            raise error

        vision.camera.gives = broken
    else:
        vision.encoder.breaks = error
    look(eyes, 3)
    assert vision.state == LOST and vision.trouble == "OSError: unplugged" and vision.encoder.resets == 3
    old = sight()
    vision.camera.gives, vision.encoder.breaks = vision.camera.picture, None
    look(eyes)
    assert vision.state == LIVE and sight().captured_ns > old.captured_ns


@pytest.mark.parametrize(("field", "value"), [("size", 1 << 20), ("captured_ns", -5), ("captured_ns", 0)])
def test_a_hostile_record_is_not_believed(eyes, field, value):
    vision, sight, _ = eyes
    look(eyes)
    before = sight()
    vision._board.record[field] = value
    vision._board.publish()
    assert sight() is before
