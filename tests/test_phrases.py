"""Every phrase asks for what somebody can do, and the vocabulary says what was really done."""

from __future__ import annotations

import numpy as np
from practice import GESTURES, ROBOT, library

from rmedge.export import packing
from rmedge.export.motions import dances, gestures, motion, teachers
from rmedge.export.motions.phrases import PHRASES
from rmedge.export.motions.troupe import gestures_of


def test_phrases_name_gaits_and_gestures_that_there_are_and_use_all_of_them():
    assert {phrase.gait for phrase in PHRASES.values()} == set(teachers.NAMES)
    assert {phrase.gesture for phrase in PHRASES.values()} == set(gestures_of(ROBOT))
    assert len(set(PHRASES.values())) == len(PHRASES)  # no two mean the same
    for phrase in PHRASES.values():
        assert phrase.gesture not in dances.DANCES or not any(phrase.velocity)


def test_pairs_of_captions_differ_in_gesture_or_gait_alone():
    for caption, phrase in PHRASES.items():
        path, _, doing = caption.rpartition(", ")
        if path in PHRASES and not doing.startswith("turning"):
            assert phrase.velocity == PHRASES[path].velocity
            assert (phrase.gesture != gestures.NONE) == (doing != "second gait")
            assert (phrase.gait != PHRASES[path].gait) == (doing == "second gait")


def test_a_vocabulary_has_what_its_library_shows_and_says_the_velocity_that_was_had():
    shelf = library()
    rows = {row["caption"]: row for row in packing.vocabulary(shelf)}
    assert set(rows) == {caption for caption, phrase in PHRASES.items() if phrase.gesture in GESTURES}
    for caption, row in rows.items():
        phrase = PHRASES[caption]
        assert row["gesture"] == phrase.gesture
        assert row["gait"] == ("stand" if not any(phrase.velocity) else phrase.gait)
        assert len(row["z"]) == motion.Z and np.isfinite(row["z"]).all()
    np.testing.assert_allclose(rows["stand"]["z"], shelf.stand, atol=1e-6)
    assert rows["stand"]["velocity"] == [0.0, 0.0, 0.0] and rows["stand"]["label"] == "stand"
    assert rows["stand"]["z"] != rows["stand, second gait"]["z"] != rows["dance"]["z"]
    assert "stand, waving" in rows and "stand, clapping" not in rows


def test_another_robots_gestures_are_left_out():
    rows = packing.vocabulary(library((gestures.NONE,)))
    assert {row["gesture"] for row in rows} == {gestures.NONE}
    assert len(rows) == sum(phrase.gesture == gestures.NONE for phrase in PHRASES.values())
