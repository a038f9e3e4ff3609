"""Peers: what they are, that sides take turns fairly, that who is not there says how to get it."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator

import numpy as np
import pytest

from rmedge.benchmarks import cli, environment, peers
from rmedge.benchmarks.environment import Environment
from rmedge.benchmarks.peers import holosoma, holosoma_worker, unitree, unitree_worker
from rmedge.benchmarks.peers.comparison import ratio
from rmedge.benchmarks.peers.process import Peer
from rmedge.benchmarks.peers.tick import PARTS, Tick
from rmedge.bundle import Bundle
from rmedge.errors import AbsentError, CheckError
from rmedge.runtimes.pairing import WARM_UP

onnxruntime = pytest.importorskip("onnxruntime")

# a worker that answers as the real ones do: about itself, and then always the same times
STAND_IN = """
import json, sys
print(json.dumps({about!r}), flush=True)
for line in sys.stdin:
    print(json.dumps([{row!r}] * int(line)), flush=True)
"""


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load("g1-mirror")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMEDGE_CACHE", str(tmp_path / "empty"))


def told(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> dict[str, Any]:
    """What the verb prints for machines."""
    assert cli.main(["peers", *argv, "--json"]) == code
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and err == ""
    found: dict[str, Any] = json.loads(out)
    return found


def stand_in(
    monkeypatch: pytest.MonkeyPatch, home: Path, peer: Any, worker: Any, about: Any, row: Any
) -> None:
    """This interpreter and that script in place of the peer's own."""
    script = home / "worker.py"
    script.write_text(STAND_IN.format(about=about, row=row))
    monkeypatch.setattr(worker, "__file__", str(script))
    own = SimpleNamespace(interpreter=lambda: Path(sys.executable), folder=home)
    monkeypatch.setattr(peer, "environment", lambda: own)


def test_the_floor_is_the_same_graph_and_the_difference_is_all_that_rmedge_does(
    capsys: pytest.CaptureFixture[str], bundle: Bundle
) -> None:
    found = told(capsys, "--only", "floor", "--samples", "80")
    assert found["bundle"] == {"name": "g1-mirror", "sha256": bundle.sha256} and found["stop_reason"] == ""
    floor = found["peers"]["floor"]
    rows = floor["rows"]
    for name in ("onnxruntime", "rmedge_tick", "difference", *(f"of_it_{stage}" for stage in PARTS)):
        assert rows[name]["count"] == 80 and rows[name]["p90_us"] > 0 and rows[name]["p99_us"] is None
    assert rows["write_between"]["count"] == 80 * 9
    assert rows["encoder_onnxruntime"]["count"] == 16  # one frame to five policy ticks
    assert rows["difference"]["p50_us"] < rows["rmedge_tick"]["p50_us"]
    share = floor["figures"]["difference_of_policy_call_p50"]
    assert share == rows["difference"]["p50_us"] / rows["onnxruntime"]["p50_us"]
    assert 0 < floor["figures"]["difference_of_inference_p50"] < share
    assert floor["figures"]["joints_clamped"] == 0


def test_a_tick_asks_the_policy_once_and_the_writes_between_never(bundle: Bundle) -> None:
    tick = Tick(bundle)
    policy = tick._body.pilot.policy
    real, asked = policy.act, []
    policy.act = lambda *args: asked.append(args[0].stamp_ns) or real(*args)  # type: ignore[method-assign]
    for number in range(1, 12):
        tick.policy()
        assert len(asked) == number
        tick.writes()
        assert len(asked) == number and len(tick.writes_ns) == 9 * number
    assert set(np.diff(asked)) == {20_000_000}
    stages = tick.stages_ns(11)
    assert tuple(stages) == PARTS and all((spent > 0).all() for spent in stages.values())
    assert tick._body.pilot.intent is not None  # it follows one, and a fresh one
    assert tick._clock.now_ns() - tick._body.pilot.intent.captured_ns <= bundle.encoder.period_ns
    tick.policy()
    tick.policy()  # as a pair's warm-up does
    assert len(asked) == 13


def test_a_body_that_does_not_run_is_no_benchmark(bundle: Bundle) -> None:
    tick = Tick(bundle)
    tick.policy()
    tick._body.stop("the test says so")
    tick.policy()
    with pytest.raises(CheckError, match="expected a body that runs, got DAMP: the test says so; run rmedge"):
        tick.stages_ns(1)


def test_ratios_are_of_what_is_established() -> None:
    assert ratio({"p50_us": 6.0}, {"p50_us": 3.0}) == 2.0
    assert ratio({"p50_us": None}, {"p50_us": 3.0}) is ratio({"p50_us": 1.0}, {"p50_us": None}) is None
    assert ratio({"p50_us": 1.0}, {"p50_us": 0.0}) is None


def test_roboghost_has_its_published_shape_and_repeats_itself() -> None:
    onnx = pytest.importorskip("onnx")
    from rmedge.benchmarks.peers import roboghost

    graph = roboghost.graph()
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


def test_roboghost_is_timed_beside_the_policy(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    peer = told(capsys, "--only", "roboghost", "--samples", "70")["peers"]["roboghost"]
    policy, other = peer["rows"]["policy_onnxruntime"], peer["rows"]["roboghost_onnxruntime"]
    assert policy["count"] == other["count"] == 70
    assert peer["figures"]["policy_by_roboghost_p50"] == policy["p50_us"] / other["p50_us"] < 1
    assert cli.main(["peers", "--only", "roboghost", "--samples", "70"]) == 0
    out, _ = capsys.readouterr()
    assert "roboghost onnxruntime" in out and "policy by roboghost p50: 0." in out and "python" in out


def test_who_is_not_there_says_how_to_get_it(
    empty_cache: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # what an import that fails looks like
    monkeypatch.setitem(sys.modules, "mink", None)
    wanted = {
        "holosoma": "python -m rmedge.benchmarks.peers install holosoma",
        "roboghost": "roboghost: expected onnx, got none; pip install onnx",
        "pose": "pip install",
        "unitree": "python -m rmedge.benchmarks.peers install unitree",
    }
    found = told(capsys, "--only", ",".join(wanted), "--samples", "5", code=3)["peers"]
    assert set(found) == set(wanted)
    for name, remedy in wanted.items():
        assert set(found[name]) == {"absent"} and remedy in found[name]["absent"]
    assert cli.main(["peers", "--only", "floor,unitree", "--samples", "5"]) == 0  # somebody was there
    out, _ = capsys.readouterr()
    assert "unitree: absent: peers: expected unitree-sdk2py-dimos" in out and "rmedge tick" in out


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["--only", "floor,nobody"], 2),
        (["--samples", "0"], 2),
        (["--bundle", "none"], 2),
        (["--provider", "tpu"], 2),
        (["--provider", "tensorrt", "--only", "roboghost"], 3),
    ],
)
def test_what_cannot_be_done_is_one_line(
    argv: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    if code == 3 and "TensorrtExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this build has TensorRT")
    assert cli.main(["peers", *argv]) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("rmedge: ") and err.count("\n") == 1


def test_interrupted_it_tells_what_was_measured(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(unitree, "measure", interrupted)
    found, stop_reason = peers.measure_peers(bundle, samples=5, names=("floor", "unitree", "pose"))
    assert list(found) == ["floor"] and stop_reason == "interrupted"


def worker_of(tmp_path: Path, graph: bytes) -> tuple[dict[str, Any], list[int]]:
    """Of a tick's 100 us it takes 60 from the state to the action; the bare call takes 20."""
    model = tmp_path / "fastsac.onnx"
    model.write_bytes(graph)
    versions = {"holosoma-inference": "0.1.3", "onnxruntime": "0", "numpy": "0"}
    return {"model": str(model), "versions": versions}, [100_000, 20_000, 60_000]


def test_holosoma_takes_turns_with_rmedge(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about, row = worker_of(tmp_path, bundle.graph("policy"))
    stand_in(monkeypatch, tmp_path, holosoma, holosoma_worker, about, row)
    done: list[int] = []
    found = holosoma.measure(bundle, "cpu", 1, 130, done.append)
    assert done == [99, 129]  # a block each, and what was left
    rows = found.rows
    assert {each["count"] for each in rows.values()} == {130} and len(rows) == 8
    assert [rows[f"holosoma_{name}"]["p50_us"] for name in ("tick", "onnxruntime")] == [100.0, 20.0]
    assert rows["holosoma_difference"]["p50_us"] == 80.0
    assert rows["holosoma_to_action_difference"]["p50_us"] == 40.0
    figures, ours = found.figures, rows["rmedge_difference"]["p50_us"]
    assert figures["holosoma_difference_by_rmedge_p50"] == 80.0 / ours
    assert figures["same_file"] is False
    assert any("not the same network" in note for note in found.notes)
    assert any("not the same versions" in note for note in found.notes)


def test_the_same_file_is_known_by_its_import_alone(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = bundle.graph("encoder")  # any other than the bundle's own policy
    sha256 = hashlib.sha256(graph).hexdigest()
    about, row = worker_of(tmp_path, graph)
    stand_in(monkeypatch, tmp_path, holosoma, holosoma_worker, about, row)
    real, called = holosoma.bare, []
    monkeypatch.setattr(holosoma, "bare", lambda graph, *rest: called.append(graph) or real(graph, *rest))
    taught = replace(bundle, provenance={"teachers": {"fastsac": sha256}})
    imported = replace(bundle, provenance={"imported": {"format": "holosoma", "sha256": sha256}})
    assert [holosoma.measure(b, "cpu", 1, 5, print).figures["same_file"] for b in (taught, imported)] == [
        False,
        True,
    ]
    assert called == [bundle.graph("policy"), graph]
    with pytest.raises(AbsentError, match="expected the provider cpu, got cuda"):
        holosoma.measure(bundle, "cuda", 1, 5, print)


def test_it_is_the_package_whose_policies_teach() -> None:
    pytest.importorskip("torch")  # the workstation's half
    from rmedge.export.motions import teachers

    assert holosoma.PACKAGE == teachers.PACKAGE


class Loops:
    """What holosoma's policy is to the stopwatch: a run loop with sleeps, a network, and a tracker."""

    def __init__(self, clock: list[int]) -> None:
        self.clock, self.calls = clock, ""
        self.rate: Any = None
        self.obs_buf_dict = {"actor_obs": np.zeros((1, 3))}
        self.onnx_output_names = ["action"]
        self.onnx_policy_session = SimpleNamespace(run=lambda names, feed: self.spend("b", 7))
        self.latency_tracker = SimpleNamespace(current_cycle={"inference": 0.0})

    def spend(self, what: str, ns: int) -> None:
        self.calls += what
        self.clock[0] += ns

    def run(self) -> None:
        try:
            while True:
                self.spend("t", 50)
                self.latency_tracker.current_cycle["inference"] = 30e-6  # [ms]
                self.rate.sleep()
        except KeyboardInterrupt:
            pass


def test_the_stopwatch_times_the_whole_loop_in_turns_with_the_bare_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0]
    monkeypatch.setattr(time, "monotonic_ns", lambda: clock[0])
    loops, answers = Loops(clock), io.StringIO()

    def asked() -> Iterator[str]:
        for line in ("3\n", "2\n"):
            clock[0] += 10**9  # the other side's turn is nobody's time
            yield line

    loops.rate = holosoma_worker.Pace(loops, asked(), answers)
    loops.run()
    first, second = map(json.loads, answers.getvalue().splitlines())
    assert first == [[50, 7, 30]] * 3 and second == [[50, 7, 30]] * 2
    assert loops.calls[0] == "t"  # the first tick, which starts the policy, is not timed
    pairs = [loops.calls[1:][at : at + 2] for at in range(0, len(loops.calls) - 1, 2)]
    assert pairs[:3] == ["tb", "bt", "tb"] and len(pairs) == 2 * holosoma_worker.WARM_UP + 5
    assert holosoma_worker.WARM_UP == unitree_worker.WARM_UP == WARM_UP


def test_unitrees_codec_stands_alone(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = {"versions": {"unitree-sdk2py-dimos": "1.0.3"}}
    stand_in(monkeypatch, tmp_path, unitree, unitree_worker, about, [300_000, 200_000])
    found = unitree.measure(bundle, "cpu", 1, 120, lambda done: None)
    assert {name: row["p50_us"] for name, row in found.rows.items()} == {
        "lowstate_decode": 300.0,
        "lowcmd_encode": 200.0,
        "both": 500.0,
    }
    assert found.figures == {"both_of_a_500_hz_write_p50": 0.25}
    assert found.notes[0] == "unitree-sdk2py-dimos 1.0.3" and "nothing stands beside it" in found.notes[1]


def test_poses_are_timed_beside_the_encoder(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("mink", "mujoco", "daqp", "av", "cv2"):
        pytest.importorskip(library)
    from rmedge.benchmarks.peers import pose
    from rmedge.benchmarks.pose import landmarks

    class StandsStill:
        """Finds the same person in every second picture."""

        detection_rate = 0.5

        def __init__(self, cores: str) -> None:
            assert cores == landmarks.one_core()
            self.looked = 0

        def prepare(self, pixels: np.ndarray) -> np.ndarray:
            return pixels

        def watch(self, frame: Any, picture: np.ndarray) -> Any:
            self.looked += 1
            if self.looked % 2:
                return None
            points = np.random.default_rng(0).standard_normal((landmarks_of, 3))
            return landmarks.Landmarks(points, points, np.ones(landmarks_of), 1.0, frame.captured_ns)

        def close(self) -> None:
            closed.append(self.looked)

    with pytest.raises(AbsentError, match="expected a robot of g1, got t1"):
        pose.measure(Bundle.load("t1-mirror"), "cpu", 1, 20, print)
    landmarks_of, closed = 33, []
    monkeypatch.setattr(landmarks, "Landmarker", StandsStill)
    found = pose.measure(bundle, "cpu", 1, 20, lambda done: None)
    assert {row["count"] for row in found.rows.values()} == {20}
    assert found.figures["pose_by_rmedge_p50"] > 0 and found.figures["person_found"] == 0.5
    assert closed == [WARM_UP + 20]


def test_a_worker_that_dies_says_why(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text("import sys; sys.exit('first line\\nno such library')")
    with pytest.raises(
        AbsentError, match=r"holosoma: expected an answer of its worker, got no such library;"
    ):
        Peer("holosoma", Path(sys.executable), str(script))
    script.write_text("print('{}', flush=True)")
    with Peer("holosoma", Path(sys.executable), str(script)) as peer:
        assert peer.about == {}
        with pytest.raises(AbsentError, match="got nothing; delete its environment"):
            peer.ask(5)


def test_an_environment_is_made_whole_or_not_at_all(
    empty_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Environment("peers", "one-1.0", ("one==1.0", "two"), "make one", "check the network")
    with pytest.raises(AbsentError, match=r"peers: expected one==1.0 in .*one-1.0, got none; make one"):
        home.interpreter()
    ran: list[list[str]] = []
    broken = True

    def run(command: list[str], **options: Any) -> Any:
        ran.append(command)
        if command[1:3] == ["-m", "venv"]:
            python = Path(command[3], "bin", "python")
            python.parent.mkdir(parents=True)
            python.touch()
        return SimpleNamespace(returncode=int("pip" in command and broken), stderr="no wheel\n", stdout="")

    monkeypatch.setattr(environment.subprocess, "run", run)
    with pytest.raises(
        AbsentError, match=r"expected one==1.0 two for Python 3\.\d+, got no wheel; check the"
    ):
        home.install()
    assert not home.folder.exists()
    broken = False
    python = home.install()
    assert python == home.folder / "bin" / "python" and python.exists()
    assert ran[-1][1:] == ["-m", "pip", "install", "-q", "one==1.0", "two"]
    count = len(ran)
    assert home.install() == python and len(ran) == count  # it is there


@pytest.mark.parametrize("name", ["holosoma", "unitree"])
def test_the_real_one_answers_where_it_is_installed(
    name: str, capsys: pytest.CaptureFixture[str], bundle: Bundle
) -> None:
    try:
        {"holosoma": holosoma, "unitree": unitree}[name].environment().interpreter()
    except AbsentError as error:
        pytest.skip(str(error))
    peer = told(capsys, "--only", name, "--samples", "70")["peers"][name]
    assert all(row["count"] == 70 and row["p50_us"] > 0 for row in peer["rows"].values())
    if name == "holosoma":
        assert peer["figures"]["same_file"] is False
        assert peer["rows"]["holosoma_tick"]["p50_us"] > peer["rows"]["holosoma_difference"]["p50_us"]
