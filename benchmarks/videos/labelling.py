"""Labelling: how often the right word was said, word by word, and what was said instead."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from rmedge.benchmarks.statistics import clustered
from rmedge.labels import LABELS, NONE

__all__ = ["confusion", "score"]

ORDER = (*LABELS, NONE)


def confusion(truth: Sequence[str], said: Sequence[str]) -> dict[str, Any]:
    """Counts (labels, said): a row for each word that was true, a column for each that was said or true."""
    labels = sorted(set(truth), key=_place)
    answers = sorted({*truth, *said}, key=_place)
    counts = np.zeros((len(labels), len(answers)), int)
    for label, answer in zip(truth, said):
        counts[labels.index(label), answers.index(answer)] += 1
    return {"labels": labels, "said": answers, "counts": counts.tolist()}


def score(truth: Sequence[str], said: Sequence[str], clips: Sequence[str]) -> dict[str, Any]:
    """Accuracy over all and averaged over words, beside the best constant answer's.

    Args:
        truth, said: (N,) words.
        clips: (N,) where each comes from: the intervals draw whole clips, for the parts of one are alike.
    """
    words, right = np.array(truth), np.array(truth) == np.array(said)

    def macro(rows: np.ndarray) -> float:
        return float(np.mean([right[rows][words[rows] == word].mean() for word in np.unique(words[rows])]))

    labels, counts = np.unique(words, return_counts=True)
    everything = np.arange(len(words))
    return {
        "segments": len(words),
        "right": int(right.sum()),
        "accuracy": float(right.mean()),
        "interval": clustered(clips, lambda rows: float(right[rows].mean())),
        "macro_average": macro(everything),
        "macro_interval": clustered(clips, macro),
        "best_constant": float(counts.max() / len(words)),
        "best_constant_label": str(labels[counts.argmax()]),
        "best_constant_macro": 1 / len(labels),
        "by_label": {
            word: {
                "segments": int((words == word).sum()),
                "right": int(right[words == word].sum()),
                "accuracy": float(right[words == word].mean()),
            }
            for word in sorted(labels.tolist(), key=_place)
        },
        "confusion": confusion(truth, said),
    }


def _place(word: str) -> tuple[int, str]:
    return (ORDER.index(word) if word in ORDER else len(ORDER)), word
