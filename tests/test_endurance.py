"""The soak, the pace and the kills: small runs of each, and what they would notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bundles
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")
pytest.importorskip("av")

from rmedge.benchmarks import cli
from rmedge.benchmarks.endurance import kills, realtime
from rmedge.benchmarks.endurance.soak import Soak, soak
from rmedge.benchmarks.memory import resident, traced_growth
from rmedge.bundle import Bundle


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.patient(tmp_path_factory.mktemp("bundles") / "patient")


def test_growth_is_what_was_kept() -> None:
    kept: list[bytes] = []
    assert traced_growth(lambda: kept.append(bytes(1000)), 50) > 50_000
    assert abs(traced_growth(lambda: bytes(1000), 50)) < 1000
    loops: list[Any] = []

    def cycle() -> None:
        loop: list[Any] = [bytes(1000)]
        loop.append(loop)

    assert traced_growth(cycle, 50, 10) > 50_000 and not loops
    assert resident() > 1_000_000


def test_a_short_soak_keeps_its_claims() -> None:
    told = soak(Bundle.load(bundles.SHIPPED), 4000)
    assert told["ticks"] == told["commands"] == 4000 and told["simulated_s"] == 8.0
    assert told["drift_ns"] == told["missed"] == told["falls"] == 0 and told["unsafe"] == {}
    assert told["timing"]["step"]["count"] == 4000 and told["timing"]["policy"]["count"] == 400
    assert told["stop_reason"] == ""


def test_a_soak_goes_on_when_its_robot_fell_and_counts_it(tmp_path: Path) -> None:
    run = Soak(Bundle.load(bundles.SHIPPED), tmp_path, 0)
    run.rig.robot.world.data.qpos[3:7] = 0.7, 0.7, 0.0, 0.0
    for _ in range(40):
        run._tick()
    run.leave()
    assert (run.episodes, run.falls, sum(run.stops.values())) == (2, 1, 1)


def test_an_interrupted_soak_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Soak, ticks: int, progress: Any) -> None:
        for _ in range(100):
            self._tick()
        raise KeyboardInterrupt

    monkeypatch.setattr(Soak, "go", interrupt)
    told = soak(Bundle.load(bundles.SHIPPED), 4000)
    assert (told["ticks"], told["asked"], told["stop_reason"]) == (100, 4000, "interrupted")


def test_the_soak_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["soak", "--ticks", "1500", "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["ticks"] == 1500
    assert cli.main(["soak", "--ticks", "1500"]) in (0, 1)
    assert "what must hold" in capsys.readouterr().out


def test_a_bodys_loop_keeps_nothing() -> None:
    grown = realtime.growth(Bundle.load(bundles.SHIPPED), 2000)
    assert grown["state"] == "RUN" and grown["steps"] > 6000
    assert grown["traced_bytes"] < 20_000


def test_the_pace_puts_two_runs_side_by_side(patient: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["realtime", "--bundle", str(patient), "--seconds", "1.0", "--ticks", "500", "--json"]
    assert cli.main(argv) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["runs"]) == ["ordinary", "SCHED_FIFO 80"]
    for run in told["runs"].values():
        assert run["timing"]["step"]["count"] > 50 and "period_error" in run["timing"]
        assert run["granted"] or any("SCHED_FIFO" in line for line in run["refused"])
    assert told["growth"]["ticks"] == 500


def test_the_pace_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    run = {
        "granted": False, "refused": ["SCHED_FIFO 80: refused (no); ask"], "steps": 5, "missed_deadlines": 0,
        "state": "RUN", "reason": "", "timing": {"step": {"count": 5, "p50_us": 1.0, "max_us": 2.0}},
    }  # fmt: skip
    grown = {"ticks": 9, "resident_bytes": 0, "traced_bytes": 7}
    realtime._show({"runs": {"SCHED_FIFO 80": run}, "growth": grown, "context": {"cores": 2}})
    told = capsys.readouterr().out
    assert "was refused" in told and "+7 bytes" in told


@pytest.mark.parametrize("kind", kills.RUNS)
def test_processes_may_die_and_the_robot_does_what_it_must(
    kind: str, patient: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kills, "RUNS", {kind: kills.RUNS[kind]})
    for name, span in (("FIRST_S", (0.5, 0.8)), ("FROZEN_S", (0.3, 0.5))):
        monkeypatch.setattr(kills, name, span)
    told = kills.evaluate(str(patient), 2.0, seed=1)
    (row,), (claim,) = told["runs"], told["claims"]
    assert row["injected"] or "not permitted" in row["reason"], row
    assert claim["holds"], claim
