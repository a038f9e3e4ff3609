"""Every example runs, as a user would run it, and stays small."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAMPLE = ROOT / "rmedge" / "samples" / "walk.mp4"


def run(example: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(example), str(SAMPLE)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short(example: Path) -> None:
    assert len(example.read_text().splitlines()) <= 60


def test_a_video_is_followed_and_accounted_for() -> None:
    said = run(ROOT / "examples" / "follow_video.py")
    assert "encode" in said
    assert re.search(r"500 ticks of 20 ms", said)


def test_a_vendor_owns_the_loop() -> None:
    assert "500 commands" in run(ROOT / "examples" / "own_loop.py")


def test_words_move_the_robot_as_they_say() -> None:
    forward, turn, _ = run(ROOT / "examples" / "words.py").splitlines()
    walked = re.match(r"walk forward, waving: ([-+.\d]+) m forward", forward)
    turned = re.search(r"turned ([-+.\d]+) rad", turn)
    assert walked and float(walked[1]) > 0.5
    assert turned and float(turned[1]) > 0.5


def test_a_policy_of_ones_own_is_weighed_and_drives_the_robot() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    said = run(ROOT / "examples" / "export_policy.py")
    assert said.count(" bytes ") == 5
    assert said.count("chosen: ") == 1
    assert re.search(r"mine: 29 joints, left knee at [-+]0\.\d+ rad", said)
