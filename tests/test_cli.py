"""The command line: exit codes, one line for every mistake, one JSON object and nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import av
import bundles
import numpy as np
import pytest

import rmedge
from rmedge.bundle import Bundle
from rmedge.cli import demo, main, run
from rmedge.labels import LABELS, NONE
from rmedge.runtimes.film import Film
from rmedge.runtimes.policy import Policy

HOME = Path(rmedge.__file__).parents[1]
REAL = Path(__file__).resolve().parents[2] / "shared" / "videos"
SECONDS = 2.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a wall that drifts by."""
    path = tmp_path_factory.mktemp("clips") / "drift.mp4"
    wall = np.random.default_rng(0).integers(0, 256, (12, 40, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    with Film(path, 25.0, 256, 192) as film:
        for k in range(int(25 * SECONDS)):
            film.add(wall[:, 3 * k : 3 * k + 256])
    return path


def audio(path: Path) -> None:
    """A sound file with a video's name."""
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=16000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)


def no_frames(path: Path) -> None:
    """A video stream without a single frame."""
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        file.start_encoding()


def told(capsys: pytest.CaptureFixture[str], *argv: Any) -> dict[str, Any]:
    """The one JSON object of a command that must succeed; strict, and alone on standard output."""
    assert main([*map(str, argv), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(out, parse_constant=refuse)


def complaint(capsys: pytest.CaptureFixture[str], code: int, *argv: Any) -> str:
    """The one line of a command that must fail with that code."""
    assert main([*map(str, argv)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and err.startswith("rmedge: ")
    return err


# Mistakes


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: None, id="missing"),
        pytest.param(lambda path: path.write_text("not a video\n"), id="text"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(audio, id="sound"),
        pytest.param(no_frames, id="no frames"),
        pytest.param(lambda path: path.mkdir(), id="folder"),
    ],
)
@pytest.mark.parametrize("verb", ["describe", "run"])
def test_what_is_no_video_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, make: Callable[[Path], Any], verb: str
) -> None:
    path = tmp_path / "walk.mp4"
    make(path)
    before = ["describe"] if verb == "describe" else ["run", "--actuator", "null", "--camera"]
    assert "walk.mp4" in complaint(capsys, 2, *before, path)


@pytest.mark.parametrize("share", [0.3, 0.8])
@pytest.mark.parametrize("verb", ["describe", "run"])
def test_a_truncated_video_is_refused(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, share: float, verb: str
) -> None:
    real = REAL / "top_marche-manon.mp4"
    whole = (real if real.exists() else clip).read_bytes()
    path = tmp_path / "walk.mp4"
    path.write_bytes(whole[: int(share * len(whole))])
    before = ["describe"] if verb == "describe" else ["run", "--actuator", "null", "--camera"]
    complaint(capsys, 2, *before, path, "--json")


@pytest.mark.parametrize("verb", ["verify", "inspect", "describe", "run"])
def test_a_bundle_with_a_flipped_byte_fails_its_check(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, verb: str
) -> None:
    path = tmp_path / "flipped"
    path.mkdir()
    for name, data in Bundle.load("g1-mirror").files.items():
        (path / name).write_bytes(data)
    flipped = bytearray((path / "policy.onnx").read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (path / "policy.onnx").write_bytes(bytes(flipped))
    argv = {
        "describe": ["describe", clip, "--bundle", path],
        "run": ["run", "--camera", "null", "--actuator", "null", "--bundle", path],
    }
    assert "sha256" in complaint(capsys, 1, *argv.get(verb, [verb, path]))


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["dance"],
        ["run"],
        ["run", "--camera", "nowhere"],
        ["run", "--camera", "null", "--actuator", "crane"],
        ["run", "--camera", "null", "--bogus"],
        ["run", "--camera", "null", "--sec", "1"],
        ["run", "--camera", "null", "--seconds", "nan"],
        ["run", "--camera", "null", "--seconds", "-1"],
        ["run", "--camera", "null", "--threads", "0"],
        ["run", "--camera", "null", "--robot", "h1"],
        ["run", "--camera", "null", "--provider", "abacus"],
        ["run", "--camera", "null", "--bundle", "nowhere"],
        ["run", "--camera", "null", "--actuator", "null", "--record", "/nowhere/film.mp4"],
        ["inspect", "nowhere"],
        ["verify", "nowhere"],
        ["describe"],
        ["run", "--actuator", "null"],
        ["run", "--actuator", "null", "--intent", "moonwalk"],
        ["describe", "nowhere.mp4", "--top", "0"],
        ["teach", "salute", "nowhere.mp4", "--as", "stand, waving", "--out", "nowhere"],
        ["teach", "salute", "nowhere.mp4", "--as", "stand, waving"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_exit_2(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    complaint(capsys, 2, *argv)


def test_an_engine_that_differs_fails_verify(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.load("g1-mirror")
    golden = bundle.golden()
    golden["readout"]["velocity"] = golden["readout"]["velocity"] + np.float32(1)
    off = dataclasses.replace(bundle, _golden=golden)
    monkeypatch.setattr(Bundle, "load", lambda *args: off)
    assert main(["verify", "g1-mirror", "--json"]) == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert not told["ok"]
    assert [row["output"] for row in told["outputs"] if not row["ok"]] == ["velocity"]
    assert "readout.velocity" in err and err.count("\n") == 1


def test_without_onnxruntime_is_exit_3(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('no module named onnxruntime')\n")
    path = os.pathsep.join([str(tmp_path), str(HOME)])
    for argv in (["verify", "g1-mirror"], ["run", "--camera", "null", "--actuator", "null"]):
        done = subprocess.run(
            [sys.executable, "-m", "rmedge", *argv],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("rmedge: onnxruntime: expected") and "pip install" in done.stderr


def test_a_webcam_that_is_not_there_is_exit_3(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--camera", "97", "--actuator", "null"]) == 3
    assert "webcam: expected a camera 97" in capfd.readouterr().err


def test_a_demo_without_its_clip_is_exit_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo, "SAMPLE", tmp_path / "walk.mp4")
    assert "rmedge export sample" in complaint(capsys, 3, "demo")


def test_a_policy_that_fails_is_a_safety_stop(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    act = Policy.act

    def fail(*args: Any) -> Any:
        chunk = act(*args)
        return dataclasses.replace(chunk, joint_pos=np.full_like(chunk.joint_pos, np.nan))

    monkeypatch.setattr(Policy, "act", fail)
    assert main(["run", "--camera", "null", "--actuator", "null", "--json"]) == 4
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["policy_failures"] > 0 and "damped" in told["stop_reason"]
    assert err.count("\n") == 1 and "valid commands" in err


# What commands say


def test_help_is_quick_and_has_examples() -> None:
    code = (
        "import sys\nfrom rmedge.cli import main\nassert main(['--help']) == 0\n"
        "print(sorted({'numpy', 'rich', 'yaml', 'onnxruntime', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=True)
    assert "examples:" in done.stdout and "exit codes:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", ["demo", "run", "describe", "teach", "inspect", "verify"])
def test_every_verb_has_examples(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert main([verb, "--help"]) == 0
    assert f"rmedge {verb}" in capsys.readouterr().out.partition("examples:")[2]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rmedge {rmedge.__version__}\n"


def test_describe_tells_a_timeline(capsys: pytest.CaptureFixture[str], clip: Path) -> None:
    said = told(capsys, "describe", clip)
    assert said["duration_s"] == pytest.approx(SECONDS, abs=0.05)
    assert said["frames"] == 20
    segments = said["segments"]
    assert segments[0]["start_s"] == 0.0 and segments[-1]["end_s"] == said["duration_s"]
    for segment in segments:
        assert segment["label"] in (*LABELS, NONE)
        assert 0 < segment["probability"] <= 1
        assert len(segment["velocity"]) == 3
        assert segment["gait"] and segment["gesture"]
        assert 0 <= segment["certainty"] <= 1 and 0 <= segment["presence"] <= 1
        for words in ("labels", "gaits", "gestures"):
            assert sum(segment[words].values()) == pytest.approx(1.0)
            assert list(segment[words].values()) == sorted(segment[words].values(), reverse=True)
        assert segment["labels"][segment["label"]] == segment["probability"]
        likely = max(segment["gestures"].values()) > 0.5
        assert segment["gesture"] == (next(iter(segment["gestures"])) if likely else NONE)
    assert main(["describe", str(clip)]) == 0
    assert segments[0]["label"].replace("_", " ") in capsys.readouterr().out


def test_describe_tells_what_else_it_may_have_been(capsys: pytest.CaptureFixture[str], clip: Path) -> None:
    segment = told(capsys, "describe", clip)["segments"][0]
    second = list(segment["labels"])[1]
    assert main(["describe", str(clip), "--top", "2"]) == 0
    out = capsys.readouterr().out
    spoken = "nobody" if second == NONE else second.replace("_", " ")
    assert f"{spoken} {segment['labels'][second]:.2f}" in out
    assert max(map(len, out.splitlines())) <= 80


def test_describe_draws_a_timeline(capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path) -> None:
    import cv2

    from rmedge.runtimes.filmstrip import WIDTH

    assert told(capsys, "describe", clip, "--plot", tmp_path / "told.png")["plot"] == str(
        tmp_path / "told.png"
    )
    picture = cv2.imread(str(tmp_path / "told.png"))
    assert picture.shape[1] == WIDTH and picture.shape[0] > 300
    row = picture[60:150, 200 : WIDTH - 100]
    assert row.std() > 30  # the video's own pictures
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
    assert "cannot" not in complaint(capsys, 2, "describe", clip, "--plot", "/nowhere/told.png")


def test_words_command_the_robot(capsys: pytest.CaptureFixture[str]) -> None:
    vocabulary = {phrase.caption: phrase for phrase in Bundle.load("g1-mirror").intent.vocabulary}
    argv = ["run", "--actuator", "null", "--seconds", "0.5", "--intent"]
    asked = told(capsys, *argv, "TURN left")["asked"]
    assert (asked["followed"], asked["exact"]) == ("turn left", True)
    assert asked["velocity"] == vocabulary["turn left"].velocity.tolist()
    asked = told(capsys, *argv, "side-step left, waving")["asked"]
    assert (asked["label"], asked["gesture"], asked["exact"]) == ("side_step_left", "wave", False)
    assert {part["caption"] for part in asked["parts"]} <= set(vocabulary)
    assert main([*argv, "jog"]) == 0
    assert "run forward" in capsys.readouterr().out


def test_words_are_followed_whatever_is_seen(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mujoco")
    argv = ["run", "--seconds", "3", "--intent", "walk forward slowly, turning left"]
    blind, seeing = told(capsys, *argv), told(capsys, *argv, "--camera", clip)
    assert blind["displacement"] == seeing["displacement"]
    assert len(seeing["intents"]) == 20 and not blind["intents"]
    assert not blind["fell"] and blind["heading_change"] > 0.5 and blind["distance"] > 0.3


def test_describe_needs_no_robot(clip: Path) -> None:
    code = (
        f"import sys\nfrom rmedge.cli import main\nassert main(['describe', {str(clip)!r}]) == 0\n"
        "assert 'mujoco' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=HOME, check=True, stdout=subprocess.DEVNULL)


def test_run_plays_a_video_to_its_end(capsys: pytest.CaptureFixture[str], clip: Path) -> None:
    said = told(capsys, "run", "--camera", clip, "--actuator", "null")
    assert said["simulated_s"] == pytest.approx(SECONDS, abs=0.05)
    assert said["ticks"] == round(said["simulated_s"] * 50)
    assert (said["fell"], said["fell_at_s"]) == (False, None)
    assert said["displacement"] == [0.0, 0.0] and said["heading_change"] == said["distance"] == 0.0
    assert {"encode", "policy", "envelope", "write"} <= set(said["stages"])
    for row in (*said["stages"].values(), said["tick"], said["own"]):
        assert 0 < row["p50_us"] <= row["p95_us"] <= row["p99_us"] <= row["max_us"] and row["count"]
    delay = said["capture_to_actuator_ms"]
    assert 0 < delay["p50"] <= delay["p95"] <= delay["p99"] <= delay["max"]
    assert len(said["intents"]) == 20
    for intent in said["intents"]:
        assert set(intent) == {
            "time_s", "label", "probability", "certainty", "presence", "velocity", "name",
        }  # fmt: skip
    assert said["asked"] is None
    assert said["bundle"] == {"name": "g1-mirror", "sha256": Bundle.load("g1-mirror").sha256}
    assert (said["camera"], said["provider"], said["recording"]) == (str(clip), "cpu", None)


def test_run_without_pictures_has_null_where_nothing_was_seen(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "run", "--camera", "null", "--actuator", "null", "--seconds", "0.5")
    assert said["intents"] == []
    assert said["capture_to_actuator_ms"] == dict.fromkeys(("p50", "p95", "p99", "max"))


def test_run_tells_people_how_it_went(capsys: pytest.CaptureFixture[str], clip: Path) -> None:
    assert main(["run", "--camera", str(clip), "--actuator", "null"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for word in ("what was understood", "own cost", "capture to motor", "did not fall"):
        assert word in out


def test_recording_films_the_run_and_does_not_change_it(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    argv = ["run", "--camera", clip, "--actuator", "null", "--seconds", "1"]
    plain, filmed = told(capsys, *argv), told(capsys, *argv, "--record", film)
    assert filmed["recording"] == str(film)
    assert filmed["intents"] == plain["intents"]
    with av.open(str(film)) as file:
        stream = file.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
        assert stream.average_rate == 25
    assert len(pictures) == 25
    camera = [picture[150:400, 100:550].astype(int) for picture in pictures]
    assert np.abs(camera[3] - camera[4]).mean() > 1  # at the film's rate, not at the encoder's
    assert pictures[0][100:450, 700:1200].std() > 10  # a robot on its floor


def test_a_live_film_keeps_time(clip: Path, tmp_path: Path) -> None:
    from rmedge import robots
    from rmedge.runtimes import open_camera
    from rmedge.runtimes.film import Caption
    from rmedge.runtimes.filming import Filming
    from rmedge.trace import Trace

    trace = Trace(20_000_000)
    camera = open_camera("synthetic")
    with Filming(tmp_path / "film.mp4", camera, robots.load("g1"), live=True) as film:
        for tick in range(1, 51):  # far faster than anybody can draw
            trace.begin(0)
            film.shoot(tick / 50, Caption("walk", 1.0, (0, 0, 0), 1.0, tick / 50), trace)
        film.develop()
        film.shoot(1.2, Caption("walk", 1.0, (0, 0, 0), 1.0, 1.2), trace)
    with av.open(str(tmp_path / "film.mp4")) as file:
        assert sum(1 for _ in file.decode(video=0)) == 30


def test_ctrl_c_still_reports(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(watch: Any, trace: Any) -> None:
        if trace.ticks == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(run.Watch, "__call__", interrupt)
    said = told(capsys, "run", "--camera", "null", "--actuator", "null")
    assert (said["ticks"], said["stop_reason"]) == (5, "interrupted")


def test_inspect_shows_what_the_bundle_says(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    says = bundles.manifest()
    says["policy"]["sampler"].update(name="flow", steps=32)
    path = bundles.make(tmp_path / "tiny", says)
    bundle = Bundle.load(path)
    said = told(capsys, "inspect", path)
    assert said["sha256"] == bundle.sha256
    assert said["robot"]["joint_names"] == list(bundle.joint_names)
    assert said["robot"]["kp"] == bundle.kp.tolist()
    assert said["policy"]["sampler"] == says["policy"]["sampler"]
    assert said["policy"]["observation"]["clock_s"] == 2.0
    assert said["robustness"] == says["robustness"]
    (phrase,) = said["intent"]["vocabulary"]
    assert (phrase["caption"], phrase["gesture"]) == ("walk forward", "wave")
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    for words in (bundle.sha256, bundle.licence, "quality", "provenance", "flow, steps 32", "clock 4"):
        assert words in out
    rows = [line.split() for line in out.splitlines()]
    assert ["walk", "forward", "walk_forward", "walk", "wave", "+0.30", "+0.00", "-0.00"] in rows
    assert rows[rows.index(["robustness"]) + 1 :][:2] == [["delay_ms", "60"], ["drop", "0.5"]]


def test_inspect_leaves_out_what_was_not_measured(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = bundles.make(tmp_path / "tiny", {**bundles.manifest(), "robustness": {}})
    assert told(capsys, "inspect", path)["robustness"] == {}
    assert main(["inspect", str(path)]) == 0
    assert "robustness" not in capsys.readouterr().out


def test_verify_shows_every_output(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "verify", "g1-mirror")
    assert said["ok"] and len(said["outputs"]) == 9
    assert main(["verify", "g1-mirror"]) == 0
    assert "action_chunk" in capsys.readouterr().out


# With the simulator


def test_a_fall_is_reported_and_the_run_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mujoco")
    act = Policy.act

    def kneel(*args: Any) -> Any:
        chunk = act(*args)
        return dataclasses.replace(chunk, joint_pos=np.full_like(chunk.joint_pos, 2.0))

    monkeypatch.setattr(Policy, "act", kneel)
    said = told(capsys, "run", "--camera", "null", "--seconds", "3")
    assert said["fell"] and 0 < said["fell_at_s"] < 3
    assert said["simulated_s"] == 3.0


def test_demo_runs_the_sample_and_films_it(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mujoco")
    monkeypatch.setattr(demo, "SAMPLE", clip)
    film = tmp_path / "demo.mp4"
    said = told(capsys, "demo", "--out", film, "--seconds", "0.4")
    assert (said["actuator"], said["recording"]) == ("sim", str(film))
    with av.open(str(film)) as file:
        assert sum(1 for _ in file.decode(video=0)) == 10


def test_the_same_run_twice_is_the_same(capsys: pytest.CaptureFixture[str], clip: Path) -> None:
    pytest.importorskip("mujoco")
    argv = ["run", "--camera", clip, "--seed", "3", "--seconds", "1"]
    one, two = told(capsys, *argv), told(capsys, *argv)
    for key in ("intents", "displacement", "heading_change", "distance", "clamped", "fell_at_s"):
        assert one[key] == two[key]


@pytest.mark.parametrize("name", ["furkan_walk.mp4", "adk2001tech_video.mp4"])
def test_a_real_clip_is_described_to_its_end(capsys: pytest.CaptureFixture[str], name: str) -> None:
    if not (REAL / name).exists():
        pytest.skip("the real clips are not part of the project")
    said = told(capsys, "describe", REAL / name)
    assert said["duration_s"] > 15
    assert said["segments"][-1]["end_s"] == said["duration_s"]
