"""Words mean one point of the intent space, in any order, and what is not understood is never guessed."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from rmedge import words
from rmedge.bundle import Bundle
from rmedge.errors import UsageError
from rmedge.manifest import Phrase

GESTURES = ("none", "wave", "arms_up")


def phrase(caption: str, velocity: tuple[float, float, float], gesture: str = "none") -> Phrase:
    """A phrase of a space in which everything is laid side by side: velocity, then a gesture each."""
    z = np.array([*velocity, *(gesture == name for name in GESTURES)], np.float32)
    label = "stand" if not any(velocity) else "walk_forward"
    return Phrase(caption, label, "walk", gesture, np.array(velocity), z)


VOCABULARY = (
    phrase("stand", (0.0, 0.0, 0.0)),
    phrase("walk forward slowly", (0.3, 0.0, 0.0)),
    phrase("walk forward", (0.5, 0.0, 0.0)),
    phrase("run forward", (0.7, 0.0, 0.0)),
    phrase("walk backward", (-0.4, 0.0, 0.0)),
    phrase("side-step left", (0.0, 0.3, 0.0)),
    phrase("side-step right", (0.0, -0.3, 0.0)),
    phrase("turn left slowly", (0.0, 0.0, 0.4)),
    phrase("turn left", (0.0, 0.0, 0.8)),
    phrase("turn right", (0.0, 0.0, -0.8)),
    phrase("walk forward, turning left", (0.5, 0.0, 0.5)),
    phrase("walk forward, turning right", (0.5, 0.0, -0.5)),
    phrase("stand, waving", (0.0, 0.0, 0.0), "wave"),
    phrase("walk forward, waving", (0.5, 0.0, 0.0), "wave"),
    phrase("stand, with both arms up", (0.0, 0.0, 0.0), "arms_up"),
    phrase("hop on one leg", (0.0, 0.0, 0.1)),
)


def test_every_caption_of_a_shipped_bundle_finds_itself() -> None:
    vocabulary = Bundle.load("g1-mirror").intent.vocabulary
    for known in vocabulary:
        assert words.find(known.caption, vocabulary) is known
        assert words.find(f" {known.caption.upper()} ", vocabulary) is known


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("stop", "stand"),
        ("please stand still", "stand"),
        ("jog", "run forward"),
        ("walking", "walk forward"),
        ("go ahead", "walk forward"),
        ("move slowly", "walk forward slowly"),
        ("slowly, straight ahead", "walk forward slowly"),
        ("back up", "walk backward"),
        ("strafe left", "side-step left"),
        ("step to the right", "side-step right"),
        ("spin clockwise", "turn right"),
        ("a left turn", "turn left"),
        ("turn slowly to the left", "turn left slowly"),
        ("walk in an arc to the left", "walk forward, turning left"),
        ("turning right while walking", "walk forward, turning right"),
        ("wave", "stand, waving"),
        ("walk and wave a hand", "walk forward, waving"),
        ("hands up", "stand, with both arms up"),
        ("stand while raising both arms", "stand, with both arms up"),
        ("hop on one leg", "hop on one leg"),
    ],
)
def test_other_words_for_a_caption_find_it(text: str, caption: str) -> None:
    command = words.compose(text, VOCABULARY)
    assert command.phrase.caption == caption
    assert command.exact and command.recipe == caption


def test_the_order_of_what_is_said_does_not_matter() -> None:
    parts = ("walk forward slowly", "turning left", "with both arms up")
    said = {words.read(order, VOCABULARY) for order in map(", ".join, permutations(parts))}
    assert len(said) == 1
    assert said.pop() == words.Asked(way=1, pace="slow", turn=1, gesture="arms_up")


def test_a_manner_belongs_to_the_motion_that_it_follows_or_leads() -> None:
    assert words.read("slowly walk forward, turning left").turn_pace == ""
    assert words.read("walk forward, turning left slowly") == words.Asked(way=1, turn=1, turn_pace="slow")
    assert words.read("walk forward slowly, quickly turning left").pace == "slow"


@pytest.mark.parametrize(
    ("text", "velocity", "gesture"),
    [
        ("walk forward slowly, turning left", (0.3, 0.0, 0.5), "none"),
        ("walk forward slowly, turning left, waving", (0.3, 0.0, 0.5), "wave"),
        ("side-step left, with both arms up", (0.0, 0.3, 0.0), "arms_up"),
        ("turn right, waving", (0.0, 0.0, -0.8), "wave"),
    ],
)
def test_what_the_vocabulary_has_in_pieces_is_put_together(
    text: str, velocity: tuple[float, ...], gesture: str
) -> None:
    command = words.compose(text, VOCABULARY)
    assert not command.exact and len(command.parts) > 1
    np.testing.assert_allclose(command.phrase.velocity, velocity, atol=0.06)
    np.testing.assert_allclose(command.phrase.z[:3], command.phrase.velocity, atol=1e-6)
    np.testing.assert_allclose(command.phrase.z[3:], [gesture == name for name in GESTURES], atol=1e-6)
    assert command.phrase.gesture == gesture
    assert command.phrase.z.dtype == np.float32
    known = {known.caption: known.z for known in VOCABULARY}
    again = sum(weight * known[caption] for weight, caption in command.parts)
    np.testing.assert_allclose(command.phrase.z, again, atol=1e-6)


def test_a_gesture_without_its_plain_twin_is_followed_as_it_is() -> None:
    alone = [*VOCABULARY[:4], phrase("walk backward, waving", (-0.4, 0.0, 0.0), "wave")]
    command = words.compose("turn left, waving", alone)
    assert command.exact and command.recipe == "walk backward, waving"


def test_a_speed_beyond_the_vocabularys_reach_is_its_fastest() -> None:
    assert words.find("run fast", VOCABULARY).caption == "run forward"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("moonwalk", "expected words that it knows in 'moonwalk', got moonwalk"),
        ("don't walk", "got don't"),
        ("walk 3 m", "got 3 m"),
        ("walk without waving", "got without"),
        ("", "got none"),
        ("walk and stand", "expected to stand or to go in 'walk and stand', got both"),
        ("walk forward and backward", "expected one direction .*, got forward and backward"),
        ("turn left, turn right", "expected one turn direction .*, got left and right"),
        ("turn", "expected left or right with turn in 'turn', got neither"),
        ("side-step", "expected left or right with side-step"),
        ("wave with both arms up", "expected one gesture .*, got wave and arms_up"),
        ("bow", "expected a gesture of arms_up, wave in 'bow', got bow"),
        ("slowly", "expected a motion that is slow"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_closest_captions(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        words.find(text, VOCABULARY)
    said = str(caught.value)
    assert said.startswith("intent: expected ") and "\n" not in said
    assert said.partition("; closest captions: ")[2].count('"') == 6
    assert any(f'"{known.caption}"' in said for known in VOCABULARY)


def test_a_gesture_that_no_table_knows_goes_by_its_own_name() -> None:
    vocabulary = [*VOCABULARY, phrase("stand, saluting", (0.0, 0.0, 0.0), "arms_up")]
    own = [
        Phrase("stand, cheering", "stand", "walk", "cheer", vocabulary[0].velocity, vocabulary[0].z),
        *VOCABULARY,
    ]
    assert words.find("cheer", own).caption == "stand, cheering"
    assert words.find("standing, cheering", own).caption == "stand, cheering"
