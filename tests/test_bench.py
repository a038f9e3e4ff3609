"""The benchmark: quantiles only where samples establish them, pairs that are fair, output that is JSON."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pytest

from rmedge.benchmarks import cli, peers
from rmedge.benchmarks.context import context
from rmedge.benchmarks.latency import WARM_UP, pair
from rmedge.benchmarks.statistics import floor, summary


def test_floors_are_those_of_mlperf() -> None:
    assert [floor(quantile) for quantile in (0.9, 0.99, 0.999)] == [64, 662, 6636]


def test_a_quantile_is_given_only_when_established() -> None:
    spent_ns = np.arange(1, 664) * 1000
    row = summary(spent_ns[:661])
    assert row["count"] == 661 and row["p99_us"] is None
    row = summary(spent_ns)
    assert row["p50_us"] == 332.0
    assert row["p99_us"] == pytest.approx(656.38)
    assert row["p99.9_us"] is None
    assert row["max_us"] == 663.0
    assert summary(spent_ns[:0]) == {**dict.fromkeys(row), "count": 0}


def test_pairs_alternate_and_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns, calls = [0], []
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns[0])

    def takes(name: str, ns: int) -> None:
        calls.append(name)
        now_ns[0] += ns

    first, second = pair(lambda: takes("first", 5), lambda: takes("second", 7), 4)
    assert first.tolist() == [5] * 4
    assert second.tolist() == [7] * 4
    assert calls[2 * WARM_UP :] == ["second", "first", "first", "second"] * 2


def test_the_context_names_machine_and_versions() -> None:
    told = context()
    assert told["numpy"] == np.__version__
    assert told["cores"] >= 1 and told["python"] and told["architecture"]


def test_run_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--samples", "70", "--seconds", "0.5", "--json"]) == 0
    out, _ = capsys.readouterr()
    told = json.loads(out)
    assert out.count("\n") == 1
    assert set(told["graphs"]) == {"encoder", "policy", "readout"}
    for measured in told["graphs"].values():
        assert measured["bare"]["count"] == measured["overhead"]["count"] == 70
        assert 0 < measured["bare"]["p50_us"] < measured["call"]["max_us"]
        assert measured["call"]["p90_us"] is not None and measured["call"]["p99_us"] is None
    assert told["provider"] == "CPUExecutionProvider"
    assert told["loop"]["ticks"] == 25
    assert told["loop"]["own"]["p50_us"] > 0
    assert len(told["bundle"]["sha256"]) == 64


def test_run_prints_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--samples", "5", "--seconds", "0.2"]) == 0
    out, _ = capsys.readouterr()
    for word in ("onnxruntime", "own cost", "not est.", "provider"):
        assert word in out


@pytest.mark.parametrize("argv", [["run", "--samples", "0"], ["walk"], ["run", "--bundle", "none"]])
def test_bad_usage_is_one_line_and_exit_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("rmedge: ") and err.count("\n") == 1


def test_a_peer_has_its_published_shape_and_repeats_itself() -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    graph = peers.roboghost_shaped()
    shapes = {each.name: list(each.dims) for each in onnx.load_from_string(graph).graph.initializer}
    nodes = onnx.load_from_string(graph).graph.node
    layers = [shapes[node.input[1]] for node in nodes if node.op_type == "Gemm"]
    assert sum(np.prod(shape) for name, shape in shapes.items() if name[-2:] in (".w", ".b")) == 1_949_975
    assert sum(map(np.prod, layers)) == pytest.approx(3.53e6, rel=1e-3)  # MAC an action
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    feed = {each.name: np.ones(each.shape, np.float32) for each in session.get_inputs()}
    assert {name: value.shape for name, value in feed.items()} == {"observation": (1, 1144), "noise": (1, 23)}
    (action,), (again,) = session.run(None, feed), session.run(None, feed)
    assert action.shape == (1, 23) and np.isfinite(action).all()
    np.testing.assert_array_equal(action, again)
    (other,) = session.run(None, {**feed, "noise": -feed["noise"]})
    assert np.abs(other - action).max() > 1e-3


def test_a_peer_is_timed_beside_the_policy(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    assert cli.main(["run", "--samples", "70", "--seconds", "0.2", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["peers"]["roboghost_shaped"]
    assert row["count"] == row["policy"]["count"] == 70
    assert row["policy_ratio_p50"] == row["policy"]["p50_us"] / row["p50_us"]
    assert cli.main(["run", "--samples", "70", "--seconds", "0.2"]) == 0
    out, _ = capsys.readouterr()
    assert "policy: RoboGhost-shaped" in out and "policy call is 0." in out


def test_without_onnx_the_peer_is_said_to_be_absent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # what an import that fails looks like
    assert cli.main(["run", "--samples", "5", "--seconds", "0.2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["peers"]
    assert told == {"roboghost_shaped": {"absent": "peers: expected onnx, got none; pip install onnx"}}
    assert cli.main(["run", "--samples", "5", "--seconds", "0.2"]) == 0
    assert "expected onnx, got none" in capsys.readouterr().out
