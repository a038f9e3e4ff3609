"""The page of an evaluation: every figure is on it, what is hostile is escaped, nothing is fetched."""

from __future__ import annotations

import builtins
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmedge.benchmarks.policies import page
from rmedge.errors import AbsentError

POLICIES = ("student", "many-step", "naive", "mlp", "fastsac", "ppo")
CAPTIONS = ("stand", "walk forward", "turn left, waving", "side-step right", "dance one")
SEEDS = 12
NEVER_CLOSED = {"meta", "path", "use"}


def told() -> dict[str, Any]:
    """A made-up evaluation, of nobody: figures from a random generator, falls where its dice fall."""
    random = np.random.default_rng(7)
    trials = [
        {
            "policy": who,
            "caption": caption,
            "seed": seed,
            "physics": "reference",
            "fell_at_s": float(random.uniform(0.5, 9.5)) if random.random() < 0.02 * (i * i + 1) else None,
        }
        for i, who in enumerate(POLICIES)
        for caption in CAPTIONS
        for seed in range(SEEDS)
    ]
    rows = {who: row([trial for trial in trials if trial["policy"] == who], random) for who in POLICIES}
    best = min(("fastsac", "ppo"), key=lambda who: rows[who]["velocity_error_mean"])
    for mine in rows.values():
        mine["reference"] = best
        mine["velocity_error_ratio"] = mine["velocity_error_mean"] / rows[best]["velocity_error_mean"]
    swept = [{**trial, "fell_at_s": 1.0} for trial in trials]  # as the disturbance grows, all fall
    return {
        **rows["student"],
        "by_policy": rows,
        "by_caption": {
            caption: {
                who: row([t for t in trials if t["policy"] == who and t["caption"] == caption], random)
                for who in POLICIES
            }
            for caption in CAPTIONS
        },
        "by_physics": {
            name: {who: {"success": rows[who]["success"] - gap, "gap": gap} for who in POLICIES}
            for name, gap in (("reference", 0.0), ("second", 0.021))
        },
        "trials_each": trials + swept,
        "sweep": {
            "kind": "delay",
            "unit": "ms",
            "points": [
                {"value": value, "by_policy": {who: bent(value, i) for i, who in enumerate(POLICIES[:3])}}
                for value in (0, 20, 40, 60, 80, 120, 160)
            ],
            "budget": 60,
        },
        "perturbed": True,
        "seconds": 10.0,
        "seeds": SEEDS,
        "context": {"machine": "made up", "cores": 2, "load_average": [0.5, 0.25, 0.125], "governor": None},
        "bundle": {"name": "made-up", "sha256": "0123456789abcdef" * 4},
        "command": "rmedge-bench eval policy --sweep delay --page page.html",
    }


def row(trials: list[dict[str, Any]], random: np.random.Generator) -> dict[str, Any]:
    """What one policy did in some trials; an interval that is wide enough to see."""
    falls = [trial["fell_at_s"] for trial in trials if trial["fell_at_s"] is not None]
    success, error = 1 - len(falls) / len(trials), random.uniform(0.05, 0.16, 3)
    return {
        "success": success,
        "interval": [max(0.0, success - 0.05), min(1.0, success + 0.03)],
        "trials": len(trials),
        "velocity_error": error.tolist(),
        "velocity_error_mean": float(error.mean()),
        "fall_time_s": float(np.mean(falls)) if falls else None,
        "heading_error": 0.081,
        "mpjpe_mm": random.uniform(20, 60),
        "upper_mpjpe_mm": random.uniform(10, 40),
        "foot_slip": random.uniform(0.01, 0.05),
        "action_rate": random.uniform(1, 3),
        "jerk": random.uniform(300, 900),
        "torque": random.uniform(0.08, 0.14),
        "power": random.uniform(80, 140),
    }


def bent(value: float, i: int) -> dict[str, Any]:
    """Success that gives way as the disturbance grows, the sooner the later the policy stands."""
    success = float(1 / (1 + np.exp((value - 120 + 25 * i) / 15)))
    return {"success": success, "interval": [success * 0.9, min(1.0, success * 1.05)], "trials": 60}


class Reader(HTMLParser):
    """The texts and attributes of a page, its tables by rows; refuses what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in NEVER_CLOSED:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag: str) -> None:
        if tag not in NEVER_CLOSED:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("th", "td"):
            self.rows[-1][-1] += data


def written(says: dict[str, Any], folder: Path) -> str:
    page.write(says, folder / "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _matplotlib() -> None:
    pytest.importorskip("matplotlib")


def test_every_policy_and_figure_is_in_the_tables(tmp_path: Path) -> None:
    says = told()
    rows = Reader(written(says, tmp_path)).rows
    by_name = {cells[0]: cells for cells in rows[1 : 1 + len(POLICIES)]}
    for who, row in says["by_policy"].items():
        mpjpe, power = f"{row['mpjpe_mm']:.0f}", f"{row['power']:.0f}"
        assert by_name[who][1:3] == [f"{row['success']:.3f}", f"{row['velocity_error_mean']:.3f}"]
        assert mpjpe in by_name[who] and power in by_name[who]
    assert by_name[says["reference"]][3] == "1.00"
    assert by_name["student"][3] == f"{says['velocity_error_ratio']:.2f}"
    heat = {cells[0]: cells[1:] for cells in rows if cells[0] in CAPTIONS}
    assert set(heat) == set(CAPTIONS)
    for caption, cells in heat.items():
        expected = [row["success"] for row in says["by_caption"][caption].values()]
        assert [float(cell[:4]) for cell in cells] == pytest.approx(expected, abs=0.005)


def test_the_heading_says_how_it_went(tmp_path: Path) -> None:
    says = told()
    text = written(says, tmp_path)
    fell = sum(t["fell_at_s"] is not None for t in says["trials_each"][:360] if t["policy"] == "student")
    assert fell > 0
    assert f"stayed on its feet in {60 - fell} of 60 perturbed trials." in text
    assert "5 commands, 12 seeds, 10 s each" in text
    assert f"times that of {says['reference']}, the better teacher" in text
    assert text.count('<i class="fell"') == fell
    assert "The dashed line is the budget, 60 ms." in text
    assert says["command"] in text and says["bundle"]["sha256"] in text
    assert Reader(text).tags.count("svg") == 3


def test_a_curve_passes_through_its_points(tmp_path: Path) -> None:
    says = told()
    first = written(says, tmp_path)
    assert written(says, tmp_path) == first  # the same figures, the same bytes
    says["sweep"]["points"][3]["by_policy"]["student"]["success"] = 0.5
    assert written(says, tmp_path) != first


def test_nothing_is_fetched(tmp_path: Path) -> None:
    text = written(told(), tmp_path)
    for word in ("http", "src=", "@import", "<script", "<link"):
        assert word not in text
    assert all(
        (value or "").startswith("#") for name, value in Reader(text).attributes if name.endswith("href")
    )
    assert "#0101" not in text and "#0202" not in text  # every colour became a variable


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    says, evil = told(), '"><script>alert("$x$")</script>\'\\1'
    for part in (says["by_policy"], *says["by_caption"].values(), *says["by_physics"].values()):
        part[evil] = part.pop("mlp")
    for point in says["sweep"]["points"]:
        point["by_policy"][evil] = point["by_policy"].pop("naive")
    says["by_caption"][evil] = says["by_caption"].pop("stand")
    for trial in says["trials_each"]:
        trial["caption"] = evil
    says["sweep"].update(kind=evil, unit=evil)
    says["by_physics"][evil] = says["by_physics"].pop("second")
    says.update(command=evil, seeds=evil, reference=evil, bundle={"name": evil, "sha256": evil})
    says["context"] = {evil: evil, "list": [evil]}
    text = written(says, tmp_path)
    read = Reader(text)
    assert "script" not in read.tags and "<script" not in text
    assert not any(name.startswith("on") for name, _ in read.attributes)
    assert evil in {cells[0] for cells in read.rows}


@pytest.mark.parametrize(
    "missing",
    ["by_caption", "by_physics", "trials_each", "sweep", "context", "command", "reference"],
)
def test_a_missing_part_is_left_out(missing: str, tmp_path: Path) -> None:
    whole, says = written(told(), tmp_path), told()
    del says[missing]
    text = written(says, tmp_path)
    Reader(text)
    assert len(text) < len(whole) and "student" in text and "None" not in text


def test_one_policy_that_never_fell(tmp_path: Path) -> None:
    says = told()
    row = {**says["by_policy"]["student"], "success": 1.0, "fall_time_s": None}
    says = {key: says[key] for key in ("bundle", "seconds")}
    says.update(row, by_policy={"student": row}, perturbed=False, reference=None, velocity_error_ratio=None)
    text = written(says, tmp_path)
    assert "stayed on its feet in all 60 trials." in text
    assert Reader(text).tags.count("svg") == 1  # the components alone


def test_what_nobody_measured_is_a_dash(tmp_path: Path) -> None:
    says = told()
    says["by_policy"]["ppo"].update(
        success=0.0, velocity_error=[None] * 3, velocity_error_mean=None, velocity_error_ratio=None
    )
    says["by_caption"]["stand"]["ppo"]["velocity_error_mean"] = None
    rows = Reader(written(says, tmp_path)).rows
    assert next(cells[1:4] for cells in rows if cells[0] == "ppo") == ["0.000", "–", "–"]


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(AbsentError) as caught:
        page.write(told(), tmp_path / "page.html")
    assert str(caught.value) == 'page: expected matplotlib, got none; pip install "rmedge[report]"'
    assert not (tmp_path / "page.html").exists()
