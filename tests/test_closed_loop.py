"""Closed loop: the cells of a grid, who is tried in them, what is told; and the shipped policy walks."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import bundles
import pytest
import stand_ins

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from rmedge import Bundle, robots
from rmedge.benchmarks import cli, pool
from rmedge.benchmarks.policies import apart, closed_loop, grid, report, sweep
from rmedge.benchmarks.policies.closed_loop import STUDENT, TEACHER, Trial
from rmedge.benchmarks.policies.grid import COMMANDS, Cell, cells
from rmedge.benchmarks.policies.measures import MEASURES
from rmedge.benchmarks.policies.withholding import WITHHOLDINGS
from rmedge.cli import command
from rmedge.errors import UsageError
from rmedge.export.motions.phrases import PHRASES
from rmedge.export.motions.teachers import NAMES, Teacher

KNOWN = ("stand", "stand, waving", "stand, second gait", "walk forward", "walk forward, waving")
PLOTS = find_spec("matplotlib") is not None
CALM = ["--seconds", "1.2", "--seeds", "1", "--processes", "1"]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle with some phrases and the teachers' gains; its graphs are stand-ins."""
    stand_ins.install(monkeypatch)
    monkeypatch.setattr(closed_loop, "_mirrors", {})
    return bundles.make(tmp_path / "tiny", _manifest())


@pytest.fixture
def skilled(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with a student that does just what its teacher does."""
    for room in (closed_loop, apart):
        monkeypatch.setattr(room, "follow", closed_loop.lead)
    return directory


def _manifest() -> dict[str, Any]:
    says = bundles.manifest()
    teacher = Teacher(robots.load("g1"), NAMES[0])
    says["robot"].update(kp=teacher.kp.tolist(), kd=teacher.kd.tolist())
    says["readout"]["gaits"] = list(NAMES)
    (phrase,) = says["intent"]["vocabulary"]
    says["intent"]["vocabulary"] = [
        {**phrase, "caption": caption, "gait": PHRASES[caption].gait, "gesture": PHRASES[caption].gesture}
        for caption in KNOWN
    ]
    return says


def trial(policy: str, fell: float | None = None, error: float = 0.1, **terms: Any) -> Trial:
    told = {name: (error,) * 3 if "velocity" in name else error for name in MEASURES}
    return Trial(policy, Cell(**{"caption": "stand", "seed": 0, **terms}), fell, told)


def asked_of(argv: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert cli.main(["eval", *argv, "--json"]) == 0
    out, _ = capsys.readouterr()
    assert out.count("\n") == 1
    return json.loads(out)


def test_policies_are_held_against_the_better_teacher() -> None:
    rows = report.by_policy(
        [trial(STUDENT, error=0.12), trial("fastsac"), trial("ppo", fell=3.0, error=0.01)]
    )
    assert rows[STUDENT]["reference"] == "fastsac"  # the other fell: it has no error
    assert rows[STUDENT]["velocity_error_ratio"] == pytest.approx(1.2)
    assert rows["ppo"]["success"] == 0.0 and rows["ppo"]["fall_time_s"] == 3.0


def test_measures_are_those_of_the_trials_that_did_not_fall() -> None:
    row = report.by_policy([trial(STUDENT, error=0.1), trial(STUDENT, fell=1.0, error=9.0)])[STUDENT]
    assert row["velocity_error"] == pytest.approx([0.1] * 3) and row["power"] == pytest.approx(0.1)
    assert row["success"] == 0.5 and row["trials"] == 2


def test_the_gap_is_what_another_physics_costs() -> None:
    there = {"physics": "second"}
    rows = report.by_physics([trial(STUDENT), trial(STUDENT, 1.0, **there), trial(STUDENT, **there)])
    assert rows["reference"][STUDENT]["gap"] == 0.0
    assert rows["second"][STUDENT]["gap"] == 0.5


def test_a_grid_draws_for_every_cell_and_the_same_again() -> None:
    drawn = cells(COMMANDS, 25, perturbed=True, physics=("reference", "second"))
    assert len(drawn) == 2 * 300 == len(set(drawn))
    assert len({cell.perturbation for cell in drawn}) == 300  # the physics share them
    assert drawn == cells(COMMANDS, 25, perturbed=True, physics=("reference", "second"))
    assert {cell.perturbation.push_m_s for cell in drawn} == {0.5}


@pytest.mark.parametrize("name", sweep.KINDS)
def test_a_sweep_is_read_as_it_was_put(name: str) -> None:
    kind = sweep.KINDS[name]
    for plain in cells(["stand"], 1) + cells(["stand"], 1, perturbed=True):
        assert [kind.read(cell) for cell in sweep.spread(kind, [plain])] == list(kind.values)
    assert sweep.spread(kind, [Cell("stand", 0, physics="second")]) == [
        kind.put(Cell("stand", 0, physics="second"), kind.values[0])
    ]


def test_a_budget_ends_before_the_first_failure() -> None:
    kind = sweep.KINDS["delay"]
    falls = {20.0: None, 0.0: None, 40.0: 2.0, 60.0: None}
    trials = [
        replace(trial(STUDENT, fell), cell=kind.put(Cell("stand", 0), ms)) for ms, fell in falls.items()
    ]
    points = sweep.points(kind, trials)
    assert [point["value"] for point in points] == [0.0, 20.0, 40.0, 60.0]
    assert sweep.budget(points) == 20.0
    assert sweep.budget(points[2:]) is None


def test_a_skilled_student_is_told_as_its_teacher_is(
    skilled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, html = tmp_path / "told.json", tmp_path / "told.html"
    argv = ["policy", "--bundle", str(skilled), *CALM, "--captions", "all", "--perturbed"]
    if PLOTS:
        argv += ["--page", str(html)]
    told = asked_of([*argv, "--out", str(out)], capsys)
    assert json.loads(out.read_text(encoding="utf-8")) == told
    assert html.is_file() == PLOTS
    assert list(told["by_policy"]) == [STUDENT, TEACHER, *NAMES]
    assert told["by_policy"][STUDENT] == told["by_policy"][TEACHER]
    assert told["success"] == 1.0 and told["trials"] == len(KNOWN) == len(told["by_caption"])
    assert told["mpjpe_mm"] == 0.0 and told["jerk"] > 0 and told["power"] > 1.0
    assert 0 < told["torque"] < 1 and 0 < told["foot_slip"] < 0.5
    assert len(told["trials_each"]) == 4 * len(KNOWN) and told["stop_reason"] == ""
    waving = told["by_caption"]["stand, waving"]
    assert waving["fastsac"]["success"] == 1.0
    each = {(row["policy"], row["caption"]): row for row in told["trials_each"]}
    assert each["ppo", "stand"]["mpjpe_mm"] == 0.0  # it is the caption's own teacher, run once
    assert each["fastsac", "stand, waving"]["upper_mpjpe_mm"] > 20
    assert each["fastsac", "stand, second gait"]["mpjpe_mm"] == 0.0


def test_a_student_of_noise_falls_and_is_told_so(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["policy", "--bundle", str(directory), "--seconds", "4", "--seeds", "1", "--processes", "1"]
    told = asked_of([*argv, "--beside", str(bundles.make(directory.parent / "other", _manifest()))], capsys)
    assert list(told["by_policy"]) == [STUDENT, "other", TEACHER, *NAMES]
    assert told["success"] == 0.0 and told["fall_time_s"] > 0.1 and told["jerk"] is None
    assert told["by_policy"][TEACHER]["success"] == 1.0
    assert told["by_policy"]["other"] == told["by_policy"][STUDENT]  # the same graphs, noise and cells


def test_a_sweep_is_drawn_and_written_into_the_bundle(
    skilled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    delay = replace(sweep.KINDS["delay"], values=(0.0, 20.0))
    monkeypatch.setattr(sweep, "KINDS", {"delay": delay})
    before = Bundle.load(skilled)
    told = asked_of(["policy", "--bundle", str(skilled), *CALM, "--sweep", "delay", "--write"], capsys)
    assert [point["value"] for point in told["sweep"]["points"]] == [0.0, 20.0]
    assert told["trials"] == 2  # of the first point alone
    assert told["sweep"]["budget"] == 20.0 == Bundle.load(skilled).robustness["delay_ms"]
    assert Bundle.load(skilled).robustness["drop"] == before.robustness["drop"]


def test_steps_are_those_of_the_bundles(skilled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    says = _manifest()
    says["policy"]["sampler"].update(name="flow", steps=8)
    many = bundles.make(skilled.parent / "many-step", says)
    told = asked_of(
        ["policy", "--bundle", str(skilled), *CALM, "--sweep", "steps", "--beside", str(many)], capsys
    )
    points = [(point["value"], list(point["by_policy"])) for point in told["sweep"]["points"]]
    assert points == [(1, [STUDENT]), (8, ["many-step"])]


def test_what_is_asked_is_told_apart(skilled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = asked_of(["apart", "--bundle", str(skilled), *CALM], capsys)
    assert told["right"] == 1.0 and told["trials"] == 6 and set(told["by_path"]) == set(apart.PATHS)
    assert "stand, waving | stand" in told["by_pair"] and "stand | stand, second gait" in told["by_pair"]
    assert all(row["asked_mm"] == 0.0 < row["other_mm"] for row in told["comparisons"])


def test_who_does_another_thing_or_falls_is_not_right() -> None:
    near = apart.Comparison("stand", "a", "b", 0, fell=False, asked_mm=1.0, other_mm=2.0)
    wrong = [replace(near, asked_mm=3.0), replace(near, fell=True), replace(near, asked_mm=float("nan"))]
    assert apart.summary([near, *wrong])["right"] == 0.25


def test_tables_say_it_too(skilled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["policy", "--bundle", str(skilled), *CALM, "--physics", "second", "--withhold", "every-second"]
    assert cli.main(["eval", *argv]) == 0
    out, _ = capsys.readouterr()
    for word in ("student", "E_mpjpe", "gap", "walk forward"):
        assert word in out
    assert cli.main(["eval", "apart", "--bundle", str(skilled), *CALM]) == 0
    assert "nearer" in capsys.readouterr()[0]


def test_ctrl_c_reports_what_is_done(skilled: Path) -> None:
    def interrupted(function: Any, given: Any, jobs: Any) -> Any:
        yield from pool.here(function, given, jobs[:1])
        raise KeyboardInterrupt

    loaded = {STUDENT: Bundle.load(skilled)}
    trials = closed_loop.evaluate(loaded, cells(["stand", "walk forward"], 1), 0.1, interrupted)
    assert {trial.cell.caption for trial in trials} == {"stand"}
    with pytest.raises(KeyboardInterrupt):
        closed_loop.evaluate(loaded, [], 0.1, interrupted)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--physics", "moon"], "or the path of an MJCF .xml file, got 'moon'"),
        (["--write"], "expected a sweep's budget, got none"),
        (["--out", "no/where.json"], "expected a file in a directory that exists"),
        (["--beside", "tiny/../teacher"], "expected a name of its own, got a second 'teacher'"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    flags: list[str], says: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["eval", "policy", "--bundle", str(directory), *flags]) == 2
    assert says in capsys.readouterr()[1]


def test_a_choice_without_captions_is_refused(directory: Path) -> None:
    bundle = Bundle.load(directory)
    assert grid.captions(bundle) == ["stand", "walk forward"]
    assert grid.captions(bundle, "gestures") == ["stand, waving", "walk forward, waving"]
    bare = replace(bundle, intent=replace(bundle.intent, vocabulary=bundle.intent.vocabulary[:1]))
    with pytest.raises(UsageError, match="expected some of gestures"):
        grid.captions(bare, "gestures")
    with pytest.raises(UsageError, match="expected two captions that go as 'stand' does"):
        apart.pairs(bare, "stand")


@pytest.mark.parametrize("name", Bundle.names())
def test_every_command_is_a_phrase_of_the_vocabulary(name: str) -> None:
    captions = {phrase.caption for phrase in Bundle.load(name).intent.vocabulary}
    assert set(COMMANDS) <= captions


def test_over_ray_the_shipped_policy_does_the_very_same() -> None:
    pytest.importorskip("ray")
    bundles, drawn = {STUDENT: Bundle.load(command.BUNDLE)}, cells(["stand", "turn left"], 1, perturbed=True)
    over_ray = closed_loop.evaluate(bundles, drawn, 1.5, partial(pool.cluster, count=2))
    assert over_ray == closed_loop.evaluate(bundles, drawn, 1.5, pool.here)


@pytest.mark.parametrize("name", Bundle.names())
def test_a_shipped_policy_walks_twelve_commands_nearly_as_its_better_teacher_does(name: str) -> None:
    bundle = Bundle.load(name)
    trials = closed_loop.evaluate({STUDENT: bundle}, cells(grid.captions(bundle), 1), 5.0)
    rows = report.by_policy(trials)
    assert rows[STUDENT]["trials"] == len(COMMANDS)
    assert rows[STUDENT]["success"] == 1.0
    assert rows[STUDENT]["velocity_error_ratio"] <= 1.3


def test_the_shipped_policy_plays_on_when_three_results_in_a_row_are_withheld() -> None:
    drawn = cells(("walk forward", "turn left"), 1, withholding=WITHHOLDINGS["three-in-a-row"])
    trials = closed_loop.evaluate({STUDENT: Bundle.load(command.BUNDLE)}, drawn, 4.0)
    assert report.by_policy(trials)[STUDENT]["success"] == 1.0


def test_the_shipped_policy_is_nearer_to_the_gesture_that_was_asked() -> None:
    terms = [Cell(caption, 0) for caption in ("walk forward", "walk forward, waving")]
    pairs = [(one.caption, other.caption) for one, other in (terms, terms[::-1])]
    compared = apart.compare(Bundle.load(command.BUNDLE), ("walk forward", terms, pairs, 3.0))
    assert [comparison.right for comparison in compared] == [True, True]
