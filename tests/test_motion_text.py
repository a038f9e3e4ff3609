"""The motion-text space: what is alike is found, what was begun goes on, and it sees motion alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import practice
import pytest
import torch

from rmedge.benchmarks.videos.retrieval import distances, recall
from rmedge.export.motions import motion_text

STEPS = 50


def seen() -> motion_text.Shown:
    """Practice's motions of every kind, longer, and all but one in ten of them to learn from."""
    ticks = practice.steady()
    rows = np.flatnonzero(np.diff(ticks.segment, prepend=-1))
    longer = np.concatenate([np.arange(row, row + 90)[np.arange(260) % 90] for row in rows])
    fields = {name: value[longer] for name, value in vars(ticks).items() if name != "fell"}
    fields["segment"] = np.repeat(np.arange(len(rows), dtype=np.int32), 260)
    fields["trial"] = fields["segment"]
    fields["motion"] = fields["motion"] + 0.02 * np.random.default_rng(0).standard_normal(
        fields["motion"].shape
    ).astype(np.float32)
    return motion_text.shown(
        replace(ticks, **fields), practice.library(),
        lambda velocity, label, gesture: f"label {label}, gesture {gesture}",
    )  # fmt: skip


def test_windows_lie_within_their_segment_and_keep_its_name() -> None:
    shown = seen()
    within = shown.first % 260
    assert within.min() == motion_text.SETTLED and within.max() == 260 - motion_text.WINDOW
    assert shown.windows(np.array([0, 5])).shape == (2, 100, 37)
    segment = shown.first // 260
    for number in np.unique(segment):
        assert len(np.unique(shown.caption[segment == number])) == 1
    assert 0 < shown.held_out.mean() < 0.2


def test_motions_find_their_captions_and_training_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motion_text, "BATCH", 32)
    shown = seen()
    sentences = np.random.default_rng(0).normal(size=(len(shown.captions), 16))
    space = motion_text.fit(shown, sentences, STEPS, tmp_path / "space.pt")
    again = motion_text.fit(shown, sentences, STEPS, tmp_path / "space.pt")
    assert all(torch.equal(a, b) for a, b in zip(space.state_dict().values(), again.state_dict().values()))
    rows = np.random.default_rng(1).permutation(len(shown.first))[:64]
    windows: list[np.ndarray | None] = [*shown.windows(rows).numpy()]
    windows[0] = None  # it fell
    motions, texts = motion_text.points(space, windows, sentences)
    assert np.isnan(motions[0]).all() and np.isfinite(motions[1:]).all()
    assert np.allclose(np.linalg.norm(motions[1:], axis=1), 1, atol=1e-5)
    found = recall(distances(motions[1:], texts), shown.caption[rows][1:])
    assert found["R@3"] > 0.6 > 2 * 3 / len(shown.captions)
