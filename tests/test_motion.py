"""Windows lie within a segment, and a library knows its motions by what they are and what they do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from practice import COMMANDS, GESTURES, library, steady, ticks

from rmedge.export.motions import motion, teachers
from rmedge.labels import LABELS


@pytest.mark.parametrize("seed", range(4))
def test_steady_windows_lie_within_a_segment_after_its_start(seed):
    data = ticks(seed)
    firsts = set(motion.steady_windows(data).tolist())
    for row in range(len(data.segment)):
        window = data.segment[row : row + motion.WINDOW]
        settled = row >= 25 and data.segment[row - 25] == data.segment[row]
        steady = len(window) == motion.WINDOW and (window == window[0]).all() and settled
        assert (row in firsts) == steady
    assert firsts


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    return motion.fit(steady(), 60, tmp_path_factory.mktemp("motion") / "autoencoder.pt")


def test_an_intent_has_unit_scale_and_no_phase(learnt):
    data = steady()
    firsts = motion.steady_windows(data)
    z = motion.encode(learnt, data, firsts)
    assert z.shape == (len(firsts), motion.Z) and z.dtype == np.float32
    assert np.sqrt((z**2).mean()) == pytest.approx(1.0, abs=0.1)
    segments = data.segment[firsts]
    inner = np.mean([z[segments == n].var(0).mean() for n in np.unique(segments)])
    assert inner < 0.05 * z.var(0).mean()


@pytest.fixture(scope="module")
def shelf():
    return library()


def test_a_library_has_a_row_for_every_segment(shelf):
    data = steady()
    assert len(shelf) == len(data.fell)
    np.testing.assert_allclose(shelf.velocity, shelf.command, atol=1e-6)
    for row in range(len(shelf)):
        here = data.segment == shelf.segment[row]
        assert (data.gesture[here] == shelf.gesture[row]).all() and (
            data.gait[here] == shelf.walker[row]
        ).all()
        still = not shelf.command[row].any()
        assert shelf.gait[row] == (0 if still else 1 + shelf.walker[row])
        assert (LABELS[shelf.label[row]] == "stand") == still


@pytest.mark.parametrize("gait", teachers.NAMES)
@pytest.mark.parametrize("gesture", GESTURES[:2])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_nearest_segment_is_of_the_gait_and_gesture_asked_for(shelf, gait, gesture, command):
    rows = shelf.nearest(np.array(command), 2, gait=gait, gesture=gesture)
    assert {GESTURES[n] for n in shelf.gesture[rows]} == {gesture}
    assert {teachers.NAMES[n] for n in shelf.walker[rows]} == {gait}
    np.testing.assert_allclose(shelf.command[rows[0]], command, atol=1e-6)
    if any(command):
        assert (shelf.gait[rows] > 0).all() and len(rows) == 2
    else:
        assert (shelf.gait[rows] == 0).all()


def test_standing_is_plain_standing_in_the_steady_gait(shelf):
    steady_one = teachers.NAMES.index(teachers.STEADY)
    row = np.flatnonzero((shelf.gesture == 0) & (shelf.gait == 0) & (shelf.walker == steady_one))
    np.testing.assert_allclose(shelf.stand, shelf.z[row].mean(0))


def test_a_readout_tells_velocity_word_gait_and_gesture(learnt, tmp_path):
    shelf = motion.Library(steady(), learnt, GESTURES)
    readout = motion.fit_readout(shelf, 300, tmp_path / "readout.pt")
    with torch.no_grad():
        velocity, label, gait, gesture = readout(torch.from_numpy(shelf.z))
    assert label.shape[1] == len(LABELS) and gait.shape[1] == len(motion.GAITS)
    assert gesture.shape[1] == len(GESTURES)
    assert np.abs(velocity.numpy() - shelf.velocity).mean() < 0.1
    for said, true in ((label, shelf.label), (gait, shelf.gait), (gesture, shelf.gesture)):
        assert (said.argmax(1).numpy() == true).mean() > 0.9
