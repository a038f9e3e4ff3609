"""Real, labelled clips through eyes and body: what is said is counted honestly, and the robot stays up."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mujoco")
pytest.importorskip("av")

from rmedge import Bundle
from rmedge.benchmarks.video import Drive, Stretch, drive, read_manifest, summary
from rmedge.errors import InputError

CLIPS = Path(__file__).parents[2] / "shared" / "videos"


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder with manifest\.csv"):
        read_manifest(tmp_path)


def test_the_manifest_names_clips_and_words_of_the_contract() -> None:
    clips = read_manifest(CLIPS)
    assert len(clips) == 12
    assert all((CLIPS / clip).is_file() for clip in clips)
    assert "walk_slow" not in {stretch.label for stretches in clips.values() for stretch in stretches}


def test_summary_counts_by_view_beside_the_best_constant_answer() -> None:
    def said(view: str, label: str, word: str) -> Stretch:
        return Stretch(view, 0.0, 1.0, label, word, 0.9, 0.9, (0.0, 0.0, 0.0))

    stretches = (
        said("ego", "stand", "stand"),
        said("ego", "stand", "stand"),
        said("ego", "turn_left", "stand"),
    )
    told = summary([Drive("a.mp4", 3.0, 1.5, (0.0, 0.0), 0.0, 0, stretches)])
    assert told["falls"] == told["clips"] == 1
    assert told["views"]["ego"]["accuracy"] == told["views"]["ego"]["best_constant"] == pytest.approx(2 / 3)
    assert told["views"]["ego"]["macro_average"] == pytest.approx(0.5)


def test_a_real_walk_takes_the_robot_forward_on_its_feet() -> None:
    clip = "top_marche-manon.mp4"
    driven = drive((Bundle.load("g1-mirror"), CLIPS / clip, read_manifest(CLIPS)[clip]))
    assert driven.fell_at_s is None
    assert driven.displacement[0] > 0.3
