"""Acts say what a person does, what a robot should make of it, and the words for both."""

from __future__ import annotations

import numpy as np
import practice
import pytest

from rmedge.export.motions.motion import GAITS
from rmedge.export.motions.teachers import FAST, STEADY
from rmedge.export.world import acts
from rmedge.labels import LABELS, label_of


def test_a_projection_is_within_reach_and_leaves_what_is_there():
    rng = np.random.default_rng(0)
    reach = practice.repertoire().reach
    velocity = rng.uniform(-4, 4, (200, 3))
    once = acts.projected(velocity, reach)
    assert (once >= reach[0]).all() and (once <= reach[1]).all()
    np.testing.assert_array_equal(acts.projected(once, reach), once)
    inside = ((velocity >= reach[0]) & (velocity <= reach[1])).all(1)
    np.testing.assert_array_equal(once[inside], velocity[inside])


@pytest.mark.parametrize(
    ("word", "asked", "goes", "gait"),
    [
        ("stand", (0.05, 0.0, 0.1), (0.0, 0.0, 0.0), "stand"),
        ("walk_forward", (0.66, 0.0, 0.0), (0.55, 0.0, 0.0), FAST),  # who walks is followed at a walk
        ("walk_forward", (0.4, 0.0, 0.0), (0.4, 0.0, 0.0), STEADY),
        ("run_forward", (0.66, 0.0, 0.0), (0.66, 0.0, 0.0), FAST),
        ("walk_backward", (-0.5, 0.0, 0.0), (-0.5, 0.0, 0.0), FAST),
        ("turn_left", (0.0, 0.0, 0.8), (0.0, 0.0, 0.8), STEADY),
    ],
)
def test_the_way_a_robot_should_go(word, asked, goes, gait):
    velocity, way = acts.way(np.array([asked]), np.array([LABELS.index(word)]))
    np.testing.assert_allclose(velocity[0], goes)
    assert GAITS[way[0]] == gait


@pytest.mark.parametrize("egocentric", [False, True])
def test_acts_are_drawn_in_balance_and_named_by_what_is_done(egocentric):
    repertoire = practice.repertoire()
    rng = np.random.default_rng(0)
    drawn = [repertoire.draw(rng, 20, steady=True, egocentric=egocentric) for _ in range(400)]
    for act in drawn:
        # an even walk may waver over the border of its word; the rule that names it is the contract's
        names = label_of(act.velocity, acts.RUN_FROM)
        assert [LABELS[n] for n in act.label] == names.tolist()
        assert act.z.shape == (20, 32) and np.isfinite(act.z).all()
        assert not (egocentric and act.gesture.any())
    first = np.bincount([act.label[0] for act in drawn], minlength=len(LABELS))
    assert (first > 400 / len(LABELS) / 2.5).all()


@pytest.mark.parametrize("egocentric", [False, True])
def test_an_act_has_up_to_three_motions_none_of_them_short(monkeypatch, egocentric):
    repertoire = practice.repertoire()
    monkeypatch.setattr(repertoire, "script", lambda parts, rng: parts)
    rng = np.random.default_rng(2)
    drawn = [repertoire.draw(rng, 24, egocentric=egocentric) for _ in range(300)]
    counts = np.bincount([len(parts) for parts in drawn], minlength=4)
    assert len(counts) == 4 and (counts[1:] > 300 * 0.1).all()
    for parts in drawn:
        frames = [n for n, _, _ in parts]
        assert sum(frames) == 24 and min(frames) >= acts.SHORTEST
    back = [parts for parts in drawn if len(parts) == 3 and parts[0][1] is parts[2][1]]
    assert 0.3 < len(back) / counts[3] < 0.7  # who turns aside goes on as before
    assert [n for n, _, _ in repertoire.draw(rng, 2)] == [2]  # a still


def test_what_somebody_showed_is_never_cut_across_two_trials():
    repertoire = practice.repertoire([practice.shown()])
    rng = np.random.default_rng(1)
    performed = [act for act in (repertoire.draw(rng, 30) for _ in range(120)) if act.joints is not None]
    assert len(performed) > 15
    for act in performed:
        assert act.joints.shape == (30, len(practice.ROBOT.joints))
        assert (act.gesture == 1).all() and {LABELS[n] for n in act.label} == {"walk_forward"}


def test_a_script_is_done_to_the_letter():
    act = practice.repertoire().script([(5, np.zeros(3), 0), (7, np.array([1.2, 0.0, 0.0]), 1)])
    assert [LABELS[n] for n in act.label] == ["stand"] * 5 + ["walk_forward"] * 7
    assert act.gesture.tolist() == [0] * 5 + [1] * 7
    np.testing.assert_array_equal(act.asked[5:], np.tile([0.66, 0.0, 0.0], (7, 1)))


def test_captions_are_the_vocabularys():
    repertoire = practice.repertoire()

    def said(velocity, word, gesture):
        return repertoire.caption(np.array(velocity), LABELS.index(word), gesture)

    assert said((0.6, 0.0, 0.0), "walk_forward", 0) == "walk forward"
    assert said((0.3, 0.0, 0.0), "walk_forward", 1) == "walk forward slowly, waving"
    assert said((0.0, 0.0, -0.7), "turn_right", 0) == "turn right"
    assert said((0.0, 0.0, 0.0), "stand", 2) == "dance"


def test_a_repertoire_comes_back_from_its_file(tmp_path):
    pictures = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    before = practice.repertoire([practice.shown()])
    before.photographs, before.held_out = pictures, np.array([True, False])
    before.save(tmp_path / "repertoire.npz")
    after = acts.Repertoire.load(tmp_path)
    np.testing.assert_array_equal(after.photographs, pictures)
    np.testing.assert_array_equal(after.shown[0].joints, before.shown[0].joints)
    velocity, gait, gesture = np.array([[0.3, 0.0, 0.1]]), np.array([2]), np.array([1])
    np.testing.assert_array_equal(after.z(velocity, gait, gesture), before.z(velocity, gait, gesture))
    assert after.gestures == before.gestures and after.robot.name == before.robot.name
