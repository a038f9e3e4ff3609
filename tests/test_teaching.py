"""A motion shown in a few clips is seen again, another one is not, and what cannot work is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping

import bundles
import numpy as np
import pytest
import stand_ins
import yaml

from rmedge.bundle import Bundle, enrich
from rmedge.cli import main
from rmedge.errors import BundleError, CheckError, InputError, UsageError
from rmedge.manifest import Phrase, Taught
from rmedge.runtimes.taught import EDGE, Recognition, distances
from rmedge.specs import Intent

pytest.importorskip("cv2")
pytest.importorskip("av")

from rmedge.runtimes import teaching
from rmedge.runtimes.description import describe
from rmedge.runtimes.film import Film

FPS = 20
MOTIONS = {"east": (6, 0), "west": (-6, 0), "up": (0, 6)}  # [pixel] that a wall moves in a frame
PERIOD_NS = 100_000_000
SIZE = 3


class Flowing(stand_ins.Session):
    """An encoder whose memory is the running mean of the picture's flow, beside two constants."""

    def run(self, feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        if "features" not in feed:
            return super().run(feed)
        flow = feed["features"][0, 1:].mean((1, 2))
        seen = np.array([*flow, *np.square(flow), 0.5, -0.5], np.float32)
        state = (0.7 * feed["state"] + 0.3 * seen[None]).astype(np.float32)
        one = np.ones((1, 1), np.float32)
        return [np.zeros((1, bundles.SIZE), np.float32), one * np.float32(0.3), one, state]


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bundle:
    for part in ("encoder", "policy", "reading"):
        monkeypatch.setattr(f"rmedge.runtimes.{part}.Session", Flowing)
    return Bundle.load(bundles.make(tmp_path / "tiny"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, int], Path]:
    """Four clips of each motion: another wall in each, and a pace that is a little different."""
    folder = tmp_path_factory.mktemp("clips")
    found = {}
    for motion, step in MOTIONS.items():
        for take in range(4):
            path = found[motion, take] = folder / f"{motion}-{take}.mp4"
            random = np.random.default_rng(take)
            wall = random.integers(0, 256, (40, 40, 3), np.uint8).repeat(16, 0).repeat(16, 1)
            pace = random.uniform(0.9, 1.1)
            with Film(path, FPS, 96, 96) as film:
                for k in range(2 * FPS + 4 * take):
                    x, y = (int(300 + pace * k * component) % 500 for component in step)
                    film.add(wall[y : y + 96, x : x + 96])
    return found


def taught(
    bundle: Bundle, clips: Mapping[Any, Path], motion: str = "east", count: int = 3, **rest: Any
) -> Any:
    shown = [clips[motion, take] for take in range(count)]
    return teaching.teach(bundle, "drift", shown, bundle.intent.vocabulary[0], **rest)


# The law


def test_a_taught_motion_is_seen_again_and_another_is_not(
    bundle: Bundle, clips: Mapping[Any, Path], tmp_path: Path
) -> None:
    lesson = taught(bundle, clips)
    richer = enrich(bundle, lesson.taught, tmp_path / "richer")
    (same,) = [passage for passage in describe(clips["east", 3], richer).passages if passage.name]
    assert same.name == "drift" and same.end_s - same.start_s > 1.0
    assert same.certainty > EDGE
    for other in ("west", "up"):
        for take in range(4):
            assert not any(g.intent.name for g in describe(clips[other, take], richer).glances), (other, take)
    assert not any(glance.intent.name for glance in describe(clips["east", 3], bundle).glances)


def test_a_recognised_frame_has_the_phrases_intent(
    bundle: Bundle, clips: Mapping[Any, Path], tmp_path: Path
) -> None:
    richer = enrich(bundle, taught(bundle, clips).taught, tmp_path / "richer")
    glances = describe(clips["east", 3], richer).glances
    seen = [glance.intent for glance in glances if glance.intent.name]
    assert len(seen) > 10
    for intent in seen:
        np.testing.assert_array_equal(intent.z, bundle.intent.vocabulary[0].z)
        assert EDGE <= intent.certainty <= 1.0 and intent.presence == 1.0
    rest = [glance.intent for glance in glances if not glance.intent.name]
    assert all(not intent.z.any() for intent in rest)  # the encoder's own


def test_one_clip_is_enough_to_begin_with(bundle: Bundle, clips: Mapping[Any, Path]) -> None:
    lesson = taught(bundle, clips, count=1)
    assert len(lesson.shown) == 1
    assert lesson.taught.radius <= teaching.ALONE * lesson.near + 1e-9


def test_what_is_measured_is_told(bundle: Bundle, clips: Mapping[Any, Path]) -> None:
    lesson = taught(bundle, clips, others=[clips["west", 0]])
    assert {"somebody who does not move", "nobody", "west-0.mp4"} <= set(lesson.others)
    assert lesson.separation == lesson.others[lesson.nearest] / lesson.near >= teaching.APART
    assert lesson.taught.radius < min(lesson.others.values())
    assert [Path(shown.file).name for shown in lesson.shown] == ["east-0.mp4", "east-1.mp4", "east-2.mp4"]
    assert all(shown.recognised > 0.5 and shown.seconds >= 2.0 for shown in lesson.shown)


# What cannot work


def test_clips_of_different_motions_are_refused(bundle: Bundle, clips: Mapping[Any, Path]) -> None:
    mixed = [clips["east", 0], clips["east", 1], clips["up", 2]]
    with pytest.raises(CheckError, match=r"expected clips of one motion, got '.*up-2\.mp4' at"):
        teaching.teach(bundle, "drift", mixed, bundle.intent.vocabulary[0])


def test_a_motion_like_something_else_is_refused(bundle: Bundle, clips: Mapping[Any, Path]) -> None:
    with pytest.raises(CheckError, match=r"where east-3\.mp4 is at|from east-3\.mp4; film"):
        taught(bundle, clips, others=[clips["east", 3]])


def test_standing_still_is_no_motion(bundle: Bundle, tmp_path: Path) -> None:
    paths = [tmp_path / f"still-{take}.mp4" for take in range(3)]
    for take, path in enumerate(paths):
        wall = np.random.default_rng(take).integers(0, 256, (12, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        with Film(path, FPS, 96, 96) as film:
            for _ in range(2 * FPS):
                film.add(wall)
    with pytest.raises(CheckError, match=r"somebody who does not move|nobody"):
        teaching.teach(bundle, "still", paths, bundle.intent.vocabulary[0])


def test_a_clip_without_anybody_is_refused(
    bundle: Bundle, clips: Mapping[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Flowing.run

    def empty(session: Any, feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        answer = real(session, feed)
        return [*answer[:2], 0.1 * answer[2], answer[3]] if "features" in feed else answer

    monkeypatch.setattr(Flowing, "run", empty)
    with pytest.raises(CheckError, match=r"expected somebody in '.*', got a mean presence of 0\.10"):
        taught(bundle, clips)


def test_a_clip_that_is_too_short_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with Film(tmp_path / "short.mp4", FPS, 96, 96) as film:
        for _ in range(FPS):
            film.add(np.zeros((96, 96, 3), np.uint8))
    with pytest.raises(InputError, match=r"expected clips of 1\.5 s or more, got 1\.0 s"):
        teaching.teach(bundle, "blink", [tmp_path / "short.mp4"], bundle.intent.vocabulary[0])


# Recognition


def entry(name: str, centre: float, radius: float = 1.0) -> Taught:
    phrase = Phrase(name, "stand", "walk", "none", np.zeros(3), np.full(4, centre, np.float32))
    return Taught(name, phrase, np.full(SIZE, centre, np.float32), np.ones(SIZE, np.float32), radius)


def recognised(recognition: Recognition, at: float) -> Intent:
    """What is made of a memory that has been there for half a second."""
    recognition.reset()
    intent = Intent(np.zeros(4, np.float32), 0.2, 0.9, 7)
    for _ in range(5):
        found = recognition.of(intent, np.full(SIZE, at, np.float32))
    return found


def test_certainty_falls_to_the_edge_and_then_the_encoder_speaks() -> None:
    recognition = Recognition((entry("one", 0.0),), PERIOD_NS)
    track = [recognised(recognition, at) for at in np.linspace(0.0, 0.99, 8)]
    certainties = [intent.certainty for intent in track]
    assert certainties[0] == 1.0 and certainties == sorted(certainties, reverse=True)
    assert certainties[-1] == pytest.approx(EDGE, abs=0.02)
    assert {(intent.name, intent.presence, intent.captured_ns) for intent in track} == {("one", 0.9, 7)}
    beyond = recognised(recognition, 1.01)
    assert (beyond.name, beyond.certainty) == ("", 0.2)


def test_the_nearest_of_several_is_meant_each_by_its_own_radius() -> None:
    recognition = Recognition((entry("near", 0.0, 0.2), entry("wide", 1.0, 2.0)), PERIOD_NS)
    assert recognised(recognition, 0.05).name == "near"
    assert recognised(recognition, 0.3).name == "wide"


def test_a_glimpse_is_not_enough() -> None:
    recognition = Recognition((entry("one", 0.0),), PERIOD_NS)
    intent, memory = Intent(np.zeros(4, np.float32), 0.2, 0.9, 7), np.zeros(SIZE, np.float32)
    names = [recognition.of(intent, memory).name for _ in range(6)]
    assert names == ["", "", "", "", "one", "one"]
    far = [recognition.of(intent, memory + 100).name for _ in range(3)]
    assert far == ["", "", ""]


def test_a_memory_or_a_bundle_of_huge_numbers_is_far_away() -> None:
    huge = replace(entry("one", 3e38), weight=np.full(SIZE, 3e38, np.float32))
    assert recognised(Recognition((huge,), PERIOD_NS), -3e38).name == ""
    assert recognised(Recognition((entry("one", 0.0),), PERIOD_NS), float("nan")).name == ""


def test_distance_is_in_the_spread_of_what_was_taught() -> None:
    found = distances(np.array([[3.0, 0.0], [0.0, 4.0]]), np.zeros(2), np.array([2.0, 1.0]))
    np.testing.assert_allclose(found, [6 / np.sqrt(2), 4 / np.sqrt(2)])


# The copy


def one(bundle: Bundle, name: str = "drift") -> Taught:
    memory = bundle.encoder.inputs["state"][1]
    values = np.linspace(0.1, 0.9, memory).astype(np.float32)
    return Taught(name, bundle.intent.vocabulary[0], values, values, 0.7)


def test_a_copy_has_what_the_original_has_and_the_motion(bundle: Bundle, tmp_path: Path) -> None:
    before = dict(bundle.files)
    first = enrich(bundle, one(bundle), tmp_path / "one")
    both = Bundle.load(enrich_again(first, tmp_path))
    assert bundle.files == before and not bundle.intent.taught
    assert {name for name in both.files if both.files[name] != before[name]} == {"bundle.yaml"}
    assert [taught.name for taught in both.intent.taught] == ["drift", "other"]
    loaded = both.intent.taught[0]
    for key in ("centre", "weight"):
        np.testing.assert_array_equal(getattr(loaded, key), getattr(one(bundle), key))
    assert loaded.radius == 0.7 and loaded.phrase.caption == "walk forward"
    assert [phrase.caption for phrase in both.intent.phrases] == ["walk forward", "drift", "other"]
    assert both.sha256 != first.sha256 != bundle.sha256


def enrich_again(bundle: Bundle, tmp_path: Path) -> Path:
    enrich(bundle, one(bundle, "other"), tmp_path / "two")
    return tmp_path / "two"


def test_nothing_is_written_over_or_named_twice(bundle: Bundle, tmp_path: Path) -> None:
    first = enrich(bundle, one(bundle), tmp_path / "one")
    with pytest.raises(UsageError, match=r"expected a new directory, got '.*one', which is there"):
        enrich(bundle, one(bundle), tmp_path / "one")
    for name in ("drift", "DRIFT", "walk forward"):
        with pytest.raises(UsageError, match=f"expected one that the bundle does not have, got '{name}'"):
            enrich(first, one(bundle, name), tmp_path / "two")
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "../x", "expected a simple name"),
        ("centre", [0.0] * 5, "expected a list of 6 numbers, got 5"),
        ("centre", [0.0] * 5 + [float("nan")], r"centre\[5\]: expected a finite number"),
        ("weight", [1.0] * 5 + [0.0], r"weight\[5\]: expected a number above 0"),
        ("weight", [1e300] * 6, "expected numbers that float32 can hold"),
        ("radius", 0, "expected a number above 0, got 0"),
        ("radius", float("inf"), "expected a number above 0"),
        ("gesture", "bow", "expected one of none, wave, got 'bow'"),
        ("z", [0.0], "expected a list of 4 numbers, got 1"),
        ("surprise", 1, "expected no other keys, got 'surprise'"),
    ],
)
def test_a_strangers_entry_is_checked(tmp_path: Path, key: str, value: Any, message: str) -> None:
    says = bundles.manifest()
    entry = {
        **says["intent"]["vocabulary"][0], "name": "drift", "centre": [0.1] * 6, "weight": [1.0] * 6,
        "radius": 0.5,
    }  # fmt: skip
    says["intent"]["taught"] = [entry]
    assert Bundle.load(bundles.make(tmp_path / "good", says)).intent.taught[0].name == "drift"
    path = tmp_path / "good" / "bundle.yaml"
    written = yaml.safe_load(path.read_bytes())
    written["intent"]["taught"][0][key] = value
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    with pytest.raises(BundleError, match=message):
        Bundle.load(tmp_path / "good")


@pytest.mark.parametrize("names", [("drift", "Drift"), ("walk forward",)])
def test_a_name_means_one_thing(tmp_path: Path, names: tuple[str, ...]) -> None:
    says = bundles.manifest()
    entry = {**says["intent"]["vocabulary"][0], "centre": [0.1] * 6, "weight": [1.0] * 6, "radius": 0.5}
    says["intent"]["taught"] = [{**entry, "name": name} for name in names]
    with pytest.raises(BundleError, match=r"bundle\.intent\.taught"):
        bundles.make(tmp_path / "bad", says)


# The command


def test_teach_writes_a_copy_that_run_and_inspect_know(
    capsys: pytest.CaptureFixture[str], bundle: Bundle, clips: Mapping[Any, Path], tmp_path: Path
) -> None:
    shown = [str(clips["east", take]) for take in range(3)]
    out = str(tmp_path / "richer")
    words = ["--as", "walk forward, waving", "--bundle", str(tmp_path / "tiny"), "--out", out]
    assert main(["teach", "drift", *shown, *words, "--not", str(clips["up", 0]), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["name"] == "drift" and said["separation"] > 1.2 and len(said["clips"]) == 3
    assert "up-0.mp4" in said["others"]
    assert said["bundle"]["sha256"] == Bundle.load(out).sha256
    assert main(["inspect", out]) == 0
    assert "taught" in capsys.readouterr().out
    film = ["run", "--actuator", "null", "--seconds", "0.5", "--bundle", out, "--json"]
    assert main([*film, "--intent", "drift"]) == 0
    assert json.loads(capsys.readouterr().out)["asked"]["followed"] == "drift"
    assert main(["describe", str(clips["east", 3]), "--bundle", out]) == 0
    assert "drift" in capsys.readouterr().out
    assert main(["teach", "drift", *shown, *words]) == 2
    assert "expected a new directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "../x"}, 2),
        ({"clips": ["nowhere.mp4"]}, 2),
        ({"as": "moonwalk"}, 2),
        ({"others": "east"}, 1),
    ],
    ids=str,
)
def test_a_failed_lesson_writes_nothing(
    capsys: pytest.CaptureFixture[str], bundle: Bundle, clips: Mapping[Any, Path], tmp_path: Path,
    change: dict[str, Any], code: int,
) -> None:  # fmt: skip
    shown = change.get("clips", [str(clips["east", take]) for take in range(3)])
    argv = ["teach", change.get("name", "drift"), *shown, "--as", change.get("as", "walk forward")]
    argv += ["--bundle", str(tmp_path / "tiny"), "--out", str(tmp_path / "richer")]
    argv += ["--not", str(clips["east", 3])] if "others" in change else []
    assert main(argv) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("rmedge: ")
    assert not (tmp_path / "richer").exists()
