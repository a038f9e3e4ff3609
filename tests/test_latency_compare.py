"""Compare and gate: reports that strangers wrote, ratios no more sure than they may be, exit codes."""

from __future__ import annotations

import copy
import json
import os
from typing import Any, Callable

import latency_reports
import numpy as np
import pytest

from rmedge.benchmarks import cli
from rmedge.benchmarks.latency import budget, compare, drift, loading, matching, schema
from rmedge.benchmarks.latency.bootstrap import ratios
from rmedge.errors import InputError, UsageError

NAME = "g1-mirror · cpu · 1 thread"
Report = dict  # what json.load gives


@pytest.fixture(scope="module")
def report():
    return latency_reports.make(ticks=200)


@pytest.fixture
def filed(tmp_path):
    """Writes reports; returns where."""

    def write(told: Any, name: str = "report.json") -> str:
        path = tmp_path / name
        path.write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")
        return str(path)

    return write


def changed(told: Report, place: str, value: Any) -> Report:
    """The same but for one value; ``...`` takes it away."""
    told = copy.deepcopy(told)
    *path, last = [int(step) if step.isdecimal() else step for step in place.split("/")]
    at = told
    for step in path:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return told


# What is read


def test_what_is_written_is_read(report, filed):
    assert loading.load(filed(report)) == report


ODD = [
    ("variants", []),
    ("variants", {}),
    ("more", 1),
    ("rules/rounds", 0),
    ("rules/rounds", 5.0),
    ("rules/rounds", True),
    ("rules/rounds", "5"),
    ("rules/confidence", 1),
    ("rules/paced", 0),
    ("made/at", "yesterday"),
    ("made/stop_reason", "bored"),
    ("made/commit", 7),
    ("context/machine", ...),
    ("context/libraries/numpy", None),
    ("context/libraries/numpy", 2),
    ("context/load_average", [1, 2]),
    ("context/load_average", None),
    ("context/load_average", [1, 2, -3]),
    ("variants/0/threads", 0),
    ("variants/0/bundle/sha256", "0" * 63),
    ("variants/0/bundle/more", ""),
    ("variants/0/tick", None),
    ("variants/0/tick/p50_us", None),
    ("variants/0/tick/p50_us", "1"),
    ("variants/0/tick/interval_us/p50", [1, 2, 3]),
    ("variants/0/stages/swim", {}),
    ("variants/0/stages/encode", ...),
    ("variants/0/ticks/tick_us/7", None),
    ("variants/0/ticks/tick_us/7", -1),
    ("variants/0/ticks/tick_us/7", []),
    ("variants/0/ticks/round/7", 0.5),
    ("variants/0/ticks/spent_us/encode/7", "x"),
    ("variants/0/ticks/spent_us/encode/7", True),
    ("variants/0/worst", [{}]),
    ("variants/0/graphs/policy/bare", ...),
    ("variants/0/gauges/power_w", None),
]


@pytest.mark.parametrize(("place", "value"), ODD, ids=[f"{place}={value}" for place, value in ODD])
def test_the_schema_is_judged_as_jsonschema_judges_it(report, place, value):
    jsonschema = pytest.importorskip("jsonschema")
    told = changed(report, place, value)
    good = jsonschema.Draft202012Validator(schema.published()).is_valid(told)
    if good:
        schema.check(told)
    else:
        with pytest.raises(InputError, match=r"^report\S*: expected .+, got .+; take"):
            schema.check(told)


def test_the_schema_says_nothing_that_is_not_judged():
    judged = {
        "$ref", "const", "enum", "type", "pattern", "properties", "additionalProperties", "required", "items",
        "minItems", "maxItems", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum",
    }  # fmt: skip
    silent = {"$schema", "$id", "$defs", "title", "description"}

    def walk(of: Any) -> None:
        assert set(of) <= judged | silent
        for many in ("properties", "$defs"):
            for each in of.get(many, {}).values():
                walk(each)
        for one in ("items", "additionalProperties"):
            if isinstance(of.get(one), dict):
                walk(of[one])

    walk(schema.published())


HOSTILE: list[tuple[Callable[[Report], Any], str]] = [
    (lambda told: "", "expected JSON"),
    (lambda told: "[" * 100_000, "expected JSON"),
    (lambda told: '{"schema": NaN}', "NaN is no number"),
    (lambda told: '{"schema": ' + "7" * 5000 + "}", "5000 digits"),
    (lambda told: "[]", "expected schema rmedge-bench/1, got None; measure again"),
    (lambda told: {"graphs": {}, "samples": 1000}, "expected schema rmedge-bench/1, got None; measure again"),
    (lambda told: changed(told, "schema", "rmedge-bench/0"), "got 'rmedge-bench/0'; measure again"),
    (
        lambda told: json.dumps(changed(told, "rules/min_seconds", 7e7)).replace("70000000.0", "1e999"),
        "finite",
    ),
    (lambda told: changed(told, "context/machine", "\x1b[31mred"), "expected printable text"),
    (lambda told: changed(told, "context/libraries", {"a\nb": "1"}), "expected printable names"),
    (lambda told: changed(told, "variants", told["variants"] * 2), "a name that no other variant has"),
    (lambda told: changed(told, "variants/0/ticks/round/3", 4), "expected rounds one after another"),
    (lambda told: changed(told, "variants/0/ticks/start_ms", [0.0]), "a value for each of 1000 ticks, got 1"),
    (lambda told: changed(told, "variants/0/ticks/spent_us", {}), "expected the stages that have rows"),
]


@pytest.mark.parametrize(("make", "expected"), HOSTILE, ids=[expected for _, expected in HOSTILE])
def test_a_hostile_file_is_one_line_and_exit_2(make, expected, report, filed, capsys):
    path = filed(make(report))
    assert cli.main(["gate", path]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("rmedge: ") and err.count("\n") == 1 and len(err) < 500
    assert expected in err


def test_what_is_no_file_is_exit_2(tmp_path, filed, report, capsys):
    assert cli.main(["gate", str(tmp_path / "none.json")]) == 2
    assert cli.main(["gate", str(tmp_path)]) == 2
    assert cli.main(["compare", filed(report), os.devnull]) == 2
    assert cli.main(["compare", filed(report)]) == 2
    assert "expected two reports or more, got one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("tick/p50_us", 1.0),
        ("tick/p99.9_us", 9000.0),
        ("tick/count", 7),
        ("stages/encode/p90_us", 9.9),
        ("own/p50_us", 9.9),
        ("deadlines/misses", 7),
    ],
)
def test_a_figure_that_was_mended_by_hand_is_refused(report, filed, place, value):
    told = changed(report, f"variants/0/{place}", value)
    schema.check(told)
    with pytest.raises(InputError, match=place.replace("stages/", "").replace("/", ".")):
        loading.load(filed(told))


# What is sure


def rounds(
    random: np.random.Generator, speed: float = 1.0, spread: float = 0.03, count: int = 5
) -> list[Any]:
    return [
        100.0 * speed * random.lognormal(0.0, spread) * random.lognormal(0.0, 0.05, 100) for _ in range(count)
    ]


@pytest.mark.parametrize("count", [3, 5])
def test_an_interval_holds_the_true_ratio_as_often_as_it_says(count):
    """The law of an interval; Welch's degrees of freedom, rounded down, make it hold a little oftener."""
    random, trials, held = np.random.default_rng(5), 120, 0
    for _ in range(trials):
        (found,) = ratios(rounds(random, count=count), rounds(random, 1.2, count=count), [0.5], 0.9)
        held += found.interval[0] <= 1.2 <= found.interval[1]
    assert 0.86 <= held / trials <= 0.99


def test_ticks_of_one_round_are_no_independent_samples():
    """A hundred times as many ticks of the same rounds say hardly more about the build."""
    random = np.random.default_rng(6)
    first, second = rounds(random), rounds(random)
    (few,) = ratios(first, second, [0.5], 0.9)
    (many,) = ratios(*([np.tile(each, 100) for each in side] for side in (first, second)), [0.5], 0.9)
    assert many.interval == pytest.approx(few.interval, rel=0.01)
    assert ratios(first, second, [0.5], 0.9) == [few]  # seeded


def test_one_round_alone_has_no_interval():
    random = np.random.default_rng(6)
    (found,) = ratios(rounds(random), rounds(random)[:1], [0.5], 0.9)
    assert found.interval is None and found.ratio == found.second_us / found.first_us


def test_a_stage_that_takes_nothing_is_as_short_as_can_be_written():
    (found,) = ratios([np.zeros(99)] * 3, [np.zeros(99)] * 3, [0.5], 0.9)
    assert found.ratio == 1.0 and found.interval == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(
    ("interval", "drifted", "said"),
    [
        ((0.9, 1.1), 1.0, compare.ALIKE),
        ((1.01, 1.1), 1.0, compare.SLOWER),
        ((0.9, 0.99), 1.0, compare.FASTER),
        ((1.01, 1.1), 1.05, compare.ALIKE),  # the machine was as much slower
        ((1.06, 1.1), 1.05, compare.SLOWER),
        ((0.96, 0.99), 0.95, compare.ALIKE),
        ((0.96, 0.99), 1.05, compare.FASTER),
        (None, 1.0, compare.UNKNOWN),
    ],
)
def test_a_verdict_is_what_the_interval_allows(interval, drifted, said):
    assert compare.verdict(interval, drifted) == said


# What belongs together


def test_variants_are_matched_by_what_they_are(report):
    two = latency_reports.make(ticks=200, variants=2)
    other = changed(two, "variants/0/bundle/sha256", "ab" * 32)
    pairs, alone = matching.matched(report, other)
    assert [[one["name"] for one in pair] for pair in pairs] == [[NAME, NAME]]
    assert alone == [two["variants"][1]["name"]]
    (pair,), alone = matching.matched(two, two, [f"{NAME}={two['variants'][1]['name']}"])
    assert pair == tuple(two["variants"]) and alone == []
    with pytest.raises(UsageError, match=f"--variant: expected one of {NAME}, got 'x'"):
        matching.matched(report, two, ["x"])
    with pytest.raises(UsageError, match="name two with --variant NAME=OTHER"):
        matching.matched(report, changed(report, "variants/0/provider", "cuda"))
    twins = changed(two, "variants/1/threads", 1)  # two bundles of one name: nobody guesses which is meant
    with pytest.raises(UsageError, match="--variant"):
        matching.matched(twins, twins)


UNLIKE = {
    "context/machine_id": "another",
    "context/governor": "powersave",
    "context/clocks_locked": None,
    "context/power_mode": "MAXN",
    "context/cores_allowed": 1,
    "rules/paced": True,
    "variants/0/camera": {"name": "/dev/video0", "synthetic": False},
    "variants/0/actuator": "sim",
}


@pytest.mark.parametrize("place", UNLIKE)
@pytest.mark.parametrize("verb", [["compare"], ["gate", "--against"]])
def test_unlike_reports_are_compared_by_force_alone(report, filed, place, verb, capsys):
    first, second = filed(report, "a.json"), filed(changed(report, place, UNLIKE[place]), "b.json")
    argv = [*verb, first, second]
    assert cli.main(argv) == 2
    err = capsys.readouterr().err
    assert "expected the same machine in the same conditions, got " in err and "or --force" in err
    assert cli.main([*argv, "--force"]) == 0
    assert "forced: not the same" in capsys.readouterr().out


def test_a_synthetic_camera_is_told_from_a_real_one_of_its_name(report):
    other = changed(report, "variants/0/camera/synthetic", False)
    (told,) = matching.unlike(report, other, [(report["variants"][0], other["variants"][0])])
    assert told == "camera 'synthetic' (synthetic) and 'synthetic'"


def test_drift_is_what_bare_onnxruntime_tells(report):
    variant = report["variants"][0]
    slower = latency_reports.make(ticks=200, scale=1.3)["variants"][0]
    assert drift.drift(report, report, (variant, slower)) == pytest.approx(1.3, rel=0.01)
    assert drift.drift(report, report, (variant, {**slower, "graphs": {}})) is None
    assert drift.drift(report, report, (variant, {**slower, "threads": 2})) is None
    newer = changed(report, "context/libraries/onnxruntime", "9")
    assert drift.drift(report, newer, (variant, slower)) is None


# What is said


def test_a_comparison_says_what_changed_and_what_was_odd(filed, capsys):
    first = changed(latency_reports.make(1, ticks=200), "made/commit", "old")
    second = changed(latency_reports.make(2, ticks=200, throttled=True), "context/libraries/numpy", "3.0")
    for stage_of in (second["variants"][0]["stages"], second["variants"][0]["ticks"]["spent_us"]):
        del stage_of["capture"]
    first, second = filed(first, "a.json"), filed(second, "b.json")
    assert cli.main(["compare", first, second]) == 0
    out = capsys.readouterr().out
    for told in (
        "changed: commit old and none",
        "changed: numpy 2.0.0 and 3.0",
        "b.json: the machine slowed itself down",
        "in one report alone: capture",
    ):
        assert told in out
    assert cli.main(["gate", second, "--against", first]) == 0
    assert "the machine slowed itself down: the processor's clock fell" in capsys.readouterr().out


def test_compare_tells_slower_from_faster_and_from_nothing(filed, capsys, tmp_path):
    first = filed(latency_reports.make(1), "a.json")
    second = filed(latency_reports.make(2, slow={"encode": 1.3, "envelope": 0.7}), "b.json")
    page = tmp_path / "said.md"
    assert cli.main(["compare", first, second, first, "--json", "--markdown", str(page)]) == 0
    told = json.loads(capsys.readouterr().out)
    (pair,), (back,) = (each["pairs"] for each in told["comparisons"])
    said = {(row["row"], row["quantile"]): row for row in pair["rows"]}
    assert said["encode", "p50"]["verdict"] == compare.SLOWER
    assert said["envelope", "p90"]["verdict"] == compare.FASTER
    assert said["policy", "p50"]["verdict"] == compare.ALIKE
    assert said["encode", "p99"]["verdict"] == compare.UNKNOWN and said["encode", "p99"]["ratio"] is None
    low, high = said["encode", "p50"]["interval"]
    assert low < 1.3 < high and low < said["encode", "p50"]["ratio"] < high
    assert {row["verdict"] for row in back["rows"]} == {compare.ALIKE, compare.UNKNOWN}
    assert "| encode | p50 |" in page.read_text(encoding="utf-8")
    assert cli.main(["compare", first, second]) == 0
    out = capsys.readouterr().out
    assert "a.json → b.json" in out and "\x1b" not in out  # colours are for terminals
    assert "no difference shown" in out and "not est." in out


def test_markdown_that_cannot_be_written_is_exit_2(report, filed, tmp_path, capsys):
    path = filed(report)
    assert cli.main(["compare", path, path, "--markdown", str(tmp_path / "no" / "where.md")]) == 2
    assert "expected a file that can be written" in capsys.readouterr().err


# What is judged


@pytest.mark.parametrize("seed", range(10))
def test_a_regression_of_a_fifth_fires_and_no_regression_does_not(seed):
    before, same, slower = (
        latency_reports.make(3 * seed + turn, ticks=200, slow=slow)
        for turn, slow in enumerate(({}, {}, {"policy": 1.2}))
    )
    pairs = [matching.matched(before, now)[0] for now in (same, slower)]
    assert all(one.passed for one in budget.against(before, same, pairs[0], 0.1))
    failed = [one.row for one in budget.against(before, slower, pairs[1], 0.1) if not one.passed]
    assert "policy p10" in failed and set(failed) <= {"policy p10", "tick p10"}  # it is half of most ticks


def test_what_a_bundle_bounds_is_judged_however_little_it_takes():
    before = latency_reports.make(1, ticks=200, slow={"policy": 0.05, "read": 0.05})
    pairs, _ = matching.matched(before, before)
    rows = [one.row for one in budget.against(before, before, pairs, 0.1)]
    assert rows[0] == "tick p10" and "policy p10" in rows and "encode p10" in rows
    assert "read p10" not in rows and "physics p10" not in rows


def test_a_slower_machine_is_no_slower_build():
    before, now = (latency_reports.make(seed, ticks=200, scale=scale) for seed, scale in ((1, 1.0), (2, 1.3)))
    pairs, _ = matching.matched(before, now)
    judged = list(budget.against(before, now, pairs, 0.1))
    assert all(one.passed and one.ratio > 1.2 for one in judged)
    other = changed(now, "variants/0/bundle/sha256", "ab" * 32)  # whose graphs may be others
    judged = list(budget.against(before, other, matching.matched(before, other)[0], 0.1))
    assert not any(one.passed for one in judged)


def test_what_takes_as_long_as_before_is_not_blamed_on_a_quicker_machine():
    before, now = (latency_reports.make(1, ticks=200) for _ in range(2))
    for measured in now["variants"][0]["graphs"].values():
        measured["bare"]["p50_us"] *= 0.85
    judged = list(budget.against(before, now, matching.matched(before, now)[0], 0.1))
    assert all(one.passed and one.drift == pytest.approx(0.85) for one in judged)


def test_rounds_that_were_disturbed_are_not_judged():
    before, now = (latency_reports.make(seed, ticks=200) for seed in (1, 2))
    pairs, _ = matching.matched(before, now)
    ticks = now["variants"][0]["ticks"]
    quiet = ticks["round"][-1]
    for name, spent in ticks["spent_us"].items():
        ticks["spent_us"][name] = [
            us if us is None or which == quiet else 1.5 * us for us, which in zip(spent, ticks["round"])
        ]
    assert all(one.passed for one in budget.against(before, now, pairs, 0.1) if one.row != "tick p10")
    ticks["spent_us"]["policy"] = [1.2 * us for us in ticks["spent_us"]["policy"]]
    failed = [one.row for one in budget.against(before, now, pairs, 0.1) if not one.passed]
    assert "policy p10" in failed


def test_what_is_not_established_does_not_pass(filed, capsys):
    few = latency_reports.make(rounds=2, ticks=20)
    alone = latency_reports.make(rounds=1, ticks=400)
    for told, why in ((few, "not established"), (alone, "one round alone says nothing")):
        path = filed(told)
        assert cli.main(["gate", path, "--against", path]) == 1
        assert why in capsys.readouterr().out
    limits = filed("tick.p99_us: 1.0e+9", "budget.yaml")
    assert cli.main(["gate", filed(few), "--budget", limits]) == 1
    assert "not established" in capsys.readouterr().out


def test_the_gate_against_a_baseline_exits_0_and_1(filed, capsys):
    before = filed(latency_reports.make(1, ticks=200), "a.json")
    slower = filed(latency_reports.make(2, ticks=200, slow={"encode": 1.2}), "b.json")
    assert cli.main(["gate", before, "--against", before]) == 0
    capsys.readouterr()
    assert cli.main(["gate", slower, "--against", before, "--json"]) == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["ok"] is False
    assert [row["row"] for row in told["rows"] if not row["passed"]] == ["encode p10"]
    assert err.startswith(f"rmedge: gate: {NAME}: encode p10: expected at most ")
    assert cli.main(["gate", slower, "--against", before, "--tolerance", "40"]) == 0
    two = filed(latency_reports.make(1, ticks=200, variants=2), "c.json")
    assert cli.main(["gate", before, "--against", two]) == 2  # a variant that nobody measured passes no gate
    assert cli.main(["gate", before, "--against", two, "--variant", NAME]) == 0


def test_a_file_of_budgets_judges_any_figure(report, filed, capsys):
    path = filed(report)
    good = "tick.p50_us: 6.0e+3\ndeadlines.misses: 0\ngraphs.policy.overhead.p50_us: 60\n"
    good += "cold_start.total_ms: 1000\ngauges.temperature_c: 90\nencode.max_us: 1.0e+5\n"
    assert cli.main(["gate", path, "--budget", filed(good, "good.yaml"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    cold = [round_["total_ms"] for round_ in report["variants"][0]["cold_start"]]
    assert {row["row"]: row["measured"] for row in rows}["cold_start.total_ms"] == max(cold)
    for bad in ("tick.p50_us: 1", "tick.p99.9_us: 1.0e+9", "energy_mj_per_tick: 1"):
        assert cli.main(["gate", path, "--budget", filed(bad, "bad.yaml")]) == 1
    late = filed(latency_reports.make(misses=3), "late.json")
    assert cli.main(["gate", late, "--budget", filed("deadlines.misses: 2", "bad.yaml")]) == 1
    capsys.readouterr()


@pytest.mark.parametrize(
    "text",
    [
        "", "[1]", "tick.p50_us: .nan", "tick.p50_us: -1", "tick.p50_us: yes", "tick.p50_us: '9'",
        "tik.p50_us: 1", "tick: 1", "tick.p50_us.more: 1", "a: &a 1\nb: *a", "!!python/object:os.system x",
        "ticks.tick_us: 1", "name: 1",
    ],
)  # fmt: skip
def test_a_budget_that_says_nothing_is_exit_2(report, filed, text, capsys):
    assert cli.main(["gate", filed(report), "--budget", filed(text, "budget.yaml")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "expected" in err and "seal" not in err


def test_a_bundle_judges_by_its_own_promises(report, filed, capsys):
    from rmedge import Bundle

    bundle = Bundle.load("g1-mirror")
    mine = changed(latency_reports.make(ticks=800), "variants/0/bundle/sha256", bundle.sha256)
    promised = bundle.latency_budget_ms["cpu-x86"]
    (encode, policy) = budget.by_bundle(mine, mine["variants"], bundle, None)
    assert [encode.most, policy.most] == [1e3 * promised["encode"], 1e3 * promised["policy"]]
    stages = mine["variants"][0]["stages"]
    assert encode.measured > stages["encode"]["p99_us"] and policy.measured > stages["policy"]["p99_us"]
    assert policy.passed
    assert cli.main(["gate", filed(mine)]) in (0, 1)
    assert cli.main(["gate", filed(report)]) == 2  # of a bundle whose bytes are others
    assert "name the bundle that was measured with --bundle" in capsys.readouterr().err
    assert cli.main(["gate", filed(changed(mine, "context/architecture", "riscv64"))]) == 2
    assert "for riscv64" in capsys.readouterr().err
    assert cli.main(["gate", filed(mine), "--target", "moon"]) == 2
    assert cli.main(["gate", filed(changed(mine, "variants/0/bundle/name", "mine"))]) == 2
    assert "expected --bundle, --budget or --against" in capsys.readouterr().err
