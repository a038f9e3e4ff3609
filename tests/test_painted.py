"""Painted clips: followers whose answers are known get the score that is known, and it is all told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import practice
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from rmedge import Bundle, testing
from rmedge.benchmarks import pool
from rmedge.benchmarks.policies.apart import Comparison
from rmedge.benchmarks.policies.closed_loop import TEACHER
from rmedge.benchmarks.policies.measures import key_points
from rmedge.benchmarks.videos import (
    follower,
    painted,
    pixels,
    reaction,
    stopwatch,
    tally,
    video_page,
    video_tables,
)
from rmedge.benchmarks.videos.follower import OWN
from rmedge.benchmarks.videos.painted import INTENT, Job, Showing, Steps, Terms
from rmedge.benchmarks.videos.playing import Reel, play, said
from rmedge.export.motions.motion import GAITS
from rmedge.export.world import clips
from rmedge.export.world.acts import FRAME_HZ, Act
from rmedge.labels import LABELS
from rmedge.runtimes import load

SECONDS = 3.0
SHIPPED = Bundle.load("g1-mirror")
PHRASES = {phrase.caption: phrase for phrase in SHIPPED.intent.vocabulary}
BLANK = np.zeros((112, 112, 3), np.uint8)


def act(frames: int, caption: str = "walk forward") -> Act:
    """One motion of the vocabulary for so many frames."""
    phrase = PHRASES[caption]
    velocity = np.tile(phrase.velocity, (frames, 1))
    number = {"label": LABELS.index(phrase.label), "gait": GAITS.index(phrase.gait)}
    number["gesture"] = SHIPPED.readout.gestures.index(phrase.gesture)
    whole = {name: np.full(frames, value) for name, value in number.items()}
    return Act(
        velocity=velocity, asked=velocity, z=np.tile(phrase.z, (frames, 1)).astype(np.float32), **whole
    )


class Troupe:
    """A repertoire's stand-in: it walks forward, waving or not."""

    gestures = SHIPPED.readout.gestures
    people_do = (1,)
    caption = staticmethod(lambda velocity, label, gesture: f"{LABELS[label]} {gesture}")

    def draw(self, rng: np.random.Generator, frames: int, steady: bool) -> Act:
        return act(frames, "walk forward, waving" if rng.random() < 0.5 else "walk forward")


def film(
    seed: int, repertoire: Any, view: str, seconds: float, held_out: bool, steady: bool, script: Any = None
) -> Any:
    """Blank pictures of what is acted."""
    assert held_out and steady
    frames = round(seconds * FRAME_HZ)
    waving = script is not None and script[0][2] == 1
    shown = act(frames, "walk forward, waving" if waving else "walk forward")
    shown_at = {"unsqueezed": lambda: [BLANK] * frames, "rate_hz": FRAME_HZ}
    return SimpleNamespace(**shown_at, view=view, act=shown)


class Knowing:
    """A mirror that is told what the actor means, whatever it sees; it says the command, and no words."""

    detection_rate = 0.5

    def __init__(self, caption: str) -> None:
        self._mirror, self._phrase = load(SHIPPED), PHRASES[caption]
        self._mirror.follow(self._phrase.z)

    def __getattr__(self, name: str) -> Any:
        if name == "reading":
            raise AttributeError(name)
        return getattr(self._mirror, name)

    def velocity(self, now_ns: int) -> np.ndarray:
        return np.array(self._phrase.velocity)


@pytest.fixture
def terms(monkeypatch: pytest.MonkeyPatch) -> Terms:
    """Blank clips of somebody who walks; beside the mirror one who knows it, and one who thinks he turns."""
    if not practice.wheel():
        pytest.skip(practice.NO_WHEEL)
    monkeypatch.setattr(clips, "film", film)
    team = {OWN: load(SHIPPED), "right": Knowing("walk forward"), "wrong": Knowing("turn left")}
    monkeypatch.setattr(painted, "team", lambda bundle, beside=(): team)
    monkeypatch.setattr(stopwatch, "team", lambda bundle, beside=(), cores="": team)
    walks = np.tile([0.5, 0.0, 0.0], (4, 1))
    steps = Steps(walks, walks, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    return Terms(SHIPPED, Troupe(), steps, ("right", "wrong"), SECONDS)  # type: ignore[arg-type]


def test_a_reel_is_a_camera() -> None:
    testing.check_camera(lambda: Reel([BLANK] * 30, 10.0))


def test_known_answers_get_the_known_score(terms: Terms) -> None:
    rows = {row.system: row for row in painted.perform(terms, Job("show", 1, "third-person"))}
    assert [*rows] == [TEACHER, INTENT, OWN, "right", "wrong"]
    assert rows["right"].success and not rows["wrong"].success
    assert (rows["right"].said, rows["wrong"].said) == ("walk_forward", "turn_left")
    # to be told the intent in another way is to do the very same
    assert rows["right"].velocity == rows[INTENT].velocity
    assert rows["right"].mpjpe_mm == rows[INTENT].mpjpe_mm < rows["wrong"].mpjpe_mm
    assert rows[TEACHER].mpjpe_mm == rows[TEACHER].mpjpe_rad == 0.0
    assert rows[OWN].said in (*LABELS, "none") and rows[OWN].said_gesture in SHIPPED.readout.gestures
    window = rows["right"].window
    assert window is not None and window.shape == (100, 37) and np.isfinite(window).all()
    told = tally.row([rows["right"]])
    assert told["success"] == told["label_accuracy"] == 1.0 and told["detection"] == 0.5
    assert told["where_detected"] is None and tally.row([rows[OWN]])["where_detected"] is not None
    there = tally.where_detected([*rows.values()], "right")
    assert there["right"] is None and there[OWN]["success"] == 1.0  # on the mirror's clips the right one is


def test_what_is_read_of_a_follower_without_words_is_its_command_then_its_robot() -> None:
    knowing = Knowing("turn left")
    played = play(knowing, Reel([BLANK] * 15, 10.0), SHIPPED.robot, 1.5)
    assert said(knowing, played, 0.0, 1.5).label == "turn_left"
    assert played.detection == 0.5 and played.commanded.shape == (75, 3)
    assert said(knowing, played, 9.0, 9.5).label == "stand"  # of what never was
    assert said(load(SHIPPED), played, 9.0, 9.5).label == "none"
    silent = SimpleNamespace()
    assert np.isnan(follower.commanded(silent, 0)).all() and follower.detection(silent) == 1.0


def test_success_ends_at_the_tolerance_and_with_a_fall() -> None:
    def row(velocity: tuple[float, ...], fell_at_s: float | None = None) -> Showing:
        return Showing(
            "a", 0, "v", "stand", "none", "c", (0.3, 0.0, 0.0), velocity, fell_at_s, "stand", "", 1.0, 0.0,
            0.0, 0.0, None,
        )  # fmt: skip

    assert row((0.49, 0.14, -0.24)).success
    assert not row((0.51, 0.0, 0.0)).success
    assert not row((0.3, 0.16, 0.0)).success
    assert not row((0.3, 0.0, -0.26)).success
    assert not row((0.3, 0.0, 0.0), fell_at_s=2.0).success
    assert not row((float("nan"), 0.0, 0.0)).success
    assert tally.row([row((0.3, 0.0, 0.0)), row((9.0, 0.0, 0.0), 1.0)])["velocity_error"] == [0.0, 0.0, 0.0]


def test_the_ends_of_a_g1_are_its_hands_and_feet() -> None:
    names = [body.name for body, end in zip(SHIPPED.robot.bodies, key_points(SHIPPED.robot)) if end]
    assert sorted(names) == [
        "left_foot_contact_point", "left_wrist_yaw_link", "right_foot_contact_point", "right_wrist_yaw_link",
    ]  # fmt: skip


def test_teachers_are_told_what_took_them_there_or_else_the_velocity_itself() -> None:
    told, went = np.array([[1.0, 0, 0], [0.5, 0, 0]]), np.array([[0.7, 0, 0], [0.4, 0, 0]])
    steps = Steps(np.repeat(told, 3, 0), np.repeat(went, 3, 0), np.zeros(6), np.zeros(6))
    assert steps.towards(np.array([0.68, 0, 0]), 0, 0).tolist() == [1.0, 0.0, 0.0]
    assert steps.towards(np.array([0.3, 0, 0]), 0, 0).tolist() == [0.5, 0.0, 0.0]
    assert steps.towards(np.array([0.3, 0, 0]), 1, 0).tolist() == [0.3, 0.0, 0.0]


def test_every_clip_has_a_seed_of_its_own() -> None:
    jobs = painted.jobs(5, 2, 1)
    assert len({job.seed for job in jobs}) == len(jobs) == 2 * 5 + 2 + 2 * len(reaction.CHANGES)


def test_all_of_it_from_clips_to_tables_and_a_page(
    terms: Terms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(painted, "CHANGES", [("stand", "walk_forward")])
    monkeypatch.setattr(stopwatch, "CLIPS", 1)
    monkeypatch.setattr(pixels, "_repertoire", lambda work: terms.repertoire)
    monkeypatch.setattr(pixels, "_motion", lambda work, repertoire: (None, None))
    monkeypatch.setattr(pixels.Steps, "of", lambda library: terms.steps)
    found = {"R@1": 0.5, "R@2": 0.6, "R@3": 0.7}
    row = {"motions": 1, **found, "in_pools": found, "mm_distance": 1.0, "fid": None}
    judged = {"captions": 9, "space": row, "systems": {OWN: {"third-person": row}}}
    monkeypatch.setattr(pixels, "_retrieved", lambda *given: judged)
    done: list[float] = []
    told: dict[str, Any] = {
        "synthetic": pixels.evaluate(SHIPPED, tmp_path, 1, ("right", "wrong"), 1.2, pool.here, done.append)
    }
    told["beside"] = pixels.beside(told)
    assert done == sorted(done) and done[-1] <= 1.0
    assert told["beside"]["right"]["frame_p50_ms"] > 0.0
    for spent in told["synthetic"]["latency"].values():
        assert spent["understanding"]["p50_us"] < spent["frame"]["p50_us"] < spent["tick"]["p50_us"]
    pairs = told["synthetic"]["pairs"]
    assert pairs["trials"] == 2 and pairs["both"]["trials"] == 1
    assert told["synthetic"]["reaction"]["right"]["all"] == reaction.summary(
        [None, None]
    )  # it knew all along
    video_tables.show_video(told)
    assert "side by side" in capsys.readouterr().out
    pytest.importorskip("matplotlib")
    hostile = "<script>alert(1)</script>"
    video_page.write({**told, "bundle": {"name": hostile, "sha256": "0"}}, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert hostile not in page and "Side by side" in page and "http" not in page
    for name in told["beside"]:
        assert name in page


def test_a_pair_counts_when_both_are_right() -> None:
    def told(seed: int, far: float) -> Comparison:
        return Comparison("third-person", "wave", "none", seed, False, 1.0, far)

    row = tally.compared([told(0, 2.0), told(0, 3.0), told(1, 2.0), told(1, 0.5)])
    assert row["right"] == 0.75 and row["both"]["success"] == 0.5
