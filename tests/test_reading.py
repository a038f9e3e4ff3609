"""An intent's meaning: probabilities that sum to one, and nobody there by the presence alone."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge.bundle import Bundle
from rmedge.runtimes.reading import Reading


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load("g1-mirror")


@pytest.mark.parametrize("presence", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("certainty", [0.0, 0.4, 1.0])
def test_probabilities_sum_to_one(bundle: Bundle, presence: float, certainty: float) -> None:
    reading = Reading(bundle)
    meaning = reading.of(bundle.intent.stand, presence, certainty)
    assert reading.labels[-1] == "none"
    assert len(reading.labels) == len(set(reading.labels)) == len(meaning.labels)
    assert meaning.labels[-1] == pytest.approx(1 - presence)
    for row in (meaning.labels, meaning.gaits, meaning.gestures):
        assert row.sum() == pytest.approx(1.0)
        assert (row >= 0).all()
    assert len(meaning.gaits) == len(reading.gaits)


def test_every_phrase_of_the_vocabulary_reads_as_its_velocity(bundle: Bundle) -> None:
    reading = Reading(bundle)
    errors = [np.abs(reading.of(phrase.z).velocity - phrase.velocity) for phrase in bundle.intent.vocabulary]
    assert np.mean(errors) < 0.1  # [m/s, rad/s] of speeds around 0.5


def test_no_word_is_said_with_more_than_the_certainty_allows(bundle: Bundle) -> None:
    reading = Reading(bundle)
    for phrase in bundle.intent.vocabulary:
        words = reading.of(phrase.z, certainty=0.4).labels[:-1]
        assert words.max() <= 0.4 + 0.6 / len(words) + 1e-9
        assert reading.of(phrase.z, certainty=0.0).labels[:-1] == pytest.approx(1 / len(words))
