"""Real, labelled clips through eyes and body: what is said is counted honestly, and the robot stays up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("av")

from rmedge import Bundle
from rmedge.benchmarks import cli
from rmedge.benchmarks.statistics import clustered
from rmedge.benchmarks.videos.labelling import confusion, score
from rmedge.benchmarks.videos.video import Drive, Stretch, drive, read_manifest, summary
from rmedge.errors import InputError
from rmedge.labels import LABELS

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


def test_a_fall_counts_in_the_views_of_its_clip_alone() -> None:
    def seen(view: str) -> Stretch:
        return Stretch(view, 0.0, 1.0, "stand", "stand", 0.9, 0.9, (0.0, 0.0, 0.0))

    fell = Drive("a.mp4", 3.0, 1.5, (0.0, 0.0), 0.0, 0, (seen("ego"), seen("ego")))
    stood = Drive("b.mp4", 3.0, None, (0.0, 0.0), 0.0, 0, (seen("third-person"),))
    told = summary([fell, stood])
    assert told["falls"] == told["views"]["ego"]["falls"] == 1
    assert told["views"]["third-person"]["falls"] == 0


def test_a_real_walk_takes_the_robot_forward_on_its_feet() -> None:
    clip = "top_marche-manon.mp4"
    (driven,) = drive((Bundle.load("g1-mirror"), ()), (CLIPS / clip, read_manifest(CLIPS)[clip]))
    assert driven.system == "mirror" and driven.fell_at_s is None
    assert driven.displacement[0] > 0.3


def test_a_confusion_sums_to_what_was_so_and_its_diagonal_to_what_was_right() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.choice(LABELS, 200).tolist(), rng.choice([*LABELS, "none"], 200).tolist()
    told = confusion(truth, said)
    counts = np.array(told["counts"])
    assert counts.sum(1).tolist() == [truth.count(label) for label in told["labels"]]
    assert counts.sum(0).tolist() == [said.count(word) for word in told["said"]]
    row = score(truth, said, [str(n // 4) for n in range(200)])
    right = sum(counts[told["labels"].index(w), told["said"].index(w)] for w in told["labels"])
    assert row["right"] == right == sum(mine["right"] for mine in row["by_label"].values())
    assert row["macro_average"] == pytest.approx(np.mean([m["accuracy"] for m in row["by_label"].values()]))
    assert row["interval"][0] < row["accuracy"] < row["interval"][1]
    assert told["said"][-1] == "none" and told["labels"] == [x for x in LABELS if x in truth]


def test_copies_within_a_cluster_say_no_more_than_one_sample() -> None:
    """The law of the clustered bootstrap: ten equal parts of a clip are one clip."""
    once = np.random.default_rng(1).random(20)
    many = np.repeat(once, 10)
    names = [f"clip {n:02d}" for n in range(20)]
    alone = clustered(names, lambda rows: float(once[rows].mean()))
    parts = clustered(np.repeat(names, 10).tolist(), lambda rows: float(many[rows].mean()))
    naive = clustered([str(n) for n in range(200)], lambda rows: float(many[rows].mean()))
    assert parts == pytest.approx(alone)
    assert parts[1] - parts[0] > 2 * (naive[1] - naive[0])
    spread = 1.96 * once.std() / np.sqrt(len(once))
    assert alone == pytest.approx((once.mean() - spread, once.mean() + spread), abs=0.03)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "expected a folder of clips or --synthetic N, got neither"),
        (["--synthetic", "3"], "expected the recipe's folder, got none"),
        (["--synthetic", "3", "--work", "nowhere"], "expected the recipe's folder with repertoire.npz"),
    ],
)
def test_what_is_missing_is_said_before_anything_runs(
    given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["eval", "video", *given]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
