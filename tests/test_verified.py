"""What nobody tried on a target must be verified there first; engines are built ahead, or refused."""

from __future__ import annotations

import json
from dataclasses import replace

import bundles
import pytest
import stand_ins
from test_session import INPUTS, OUTPUTS, TINY

from rmedge.bundle import Bundle
from rmedge.cli import main
from rmedge.clock import ManualClock
from rmedge.errors import AbsentError, UsageError
from rmedge.manifest import TargetSpec
from rmedge.runtimes import engines, gate, verified
from rmedge.runtimes.actuators.null import NullActuator
from rmedge.runtimes.pilot import Pilot
from rmedge.runtimes.session import PROVIDERS, Session, options_of
from rmedge.runtimes.verify import Row

ort = pytest.importorskip("onnxruntime")
ORIN = engines.Platform(tensorrt="100300", cuda="12060", driver="12060", device="Orin")
UNTRIED = TargetSpec("orin-cuda", "cuda", {"use_tf32": "0"}, ("latency", "parity"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RMEDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    made = Bundle.load(bundles.make(tmp_path_factory.mktemp("bundles") / "tiny"))
    return replace(made, target=UNTRIED, latency_budget_ms={"cpu-x86": {"policy": 1e4, "encode": 1e4}})


def test_a_note_is_of_this_bundle_provider_engine_and_machine_alone(bundle, monkeypatch):
    assert not verified.known(bundle, "cpu")
    verified.keep(bundle, "cpu")
    assert verified.known(bundle, "cpu")
    other = replace(bundle, files={**bundle.files, "bundle.yaml": b"other"})
    assert not verified.known(other, "cpu")
    with monkeypatch.context() as changed:
        changed.setattr(engines, "platform", lambda: ORIN)
        assert not verified.known(bundle, "cuda")
    for change in (
        ("onnxruntime.__version__", "0.0.1"),
        ("platform.machine", lambda: "riscv64"),
        ("rmedge.runtimes.verified._MACHINE", bundles.Path("/nowhere")),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(*change)
            changed.setattr("platform.node", lambda: "another")
            assert not verified.known(bundle, "cpu"), change
    assert verified.known(bundle, "cpu")
    verified.forget(bundle, "cpu")
    verified.forget(bundle, "cpu")
    assert not verified.known(bundle, "cpu")


@pytest.mark.parametrize("field", ["tensorrt", "cuda", "driver", "device"])
def test_a_note_of_a_graphics_processor_holds_for_its_libraries(bundle, monkeypatch, field):
    monkeypatch.setattr(engines, "platform", lambda: ORIN)
    verified.keep(bundle, "tensorrt")
    assert verified.known(bundle, "tensorrt")
    monkeypatch.setattr(engines, "platform", lambda: replace(ORIN, **{field: "another"}))
    assert not verified.known(bundle, "tensorrt")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"bundle": "' + "a" * 9000 + '"}', "\xff"])
def test_a_note_that_says_something_else_is_none(bundle, cache, text):
    verified.keep(bundle, "cpu")
    (note,) = (cache / "verified").iterdir()
    note.write_text(text, encoding="latin-1")
    assert not verified.known(bundle, "cpu")


def test_a_note_tells_nothing_of_who_the_machine_is(bundle, cache, monkeypatch, tmp_path):
    secret = tmp_path / "machine-id"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    monkeypatch.setattr(verified, "_MACHINE", secret)
    verified.keep(bundle, "cpu")
    (note,) = (cache / "verified").iterdir()
    assert secret.read_text().strip() not in note.read_text()
    assert json.loads(note.read_text())["bundle"] == bundle.sha256


def test_a_cache_that_cannot_be_written_is_told(bundle, cache):
    cache.write_text("a file")
    with pytest.raises(UsageError, match=r"cache: expected a folder that can be written, got .*RMEDGE_CACHE"):
        verified.keep(bundle, "cpu")


@pytest.fixture
def body(monkeypatch):
    stand_ins.install(monkeypatch)
    monkeypatch.setattr(gate, "TIMED", 5)
    monkeypatch.setattr(gate, "verify", lambda *_: [Row("policy", "action_chunk", 3, 0.01, 0.05, True)])

    def checks(of):
        clock, robot = ManualClock(5_000_000_000), NullActuator(of.robot)
        robot.attach(clock)
        return {one.name: one for one in gate.body_checks(of, Pilot(of), robot, clock.now_ns, "cpu", 1)}

    return checks


def test_the_gate_stays_shut_until_it_was_verified_here(body, bundle):
    check = body(bundle)["verified"]
    assert not check.passed
    assert "orin-cuda" in check.expected and "latency, parity" in check.expected
    assert check.got == "none of this bundle and engine"
    assert check.remedy == "rmedge verify BUNDLE --provider cpu"
    verified.keep(bundle, "cpu")
    assert body(bundle)["verified"].passed


def test_the_gate_asks_only_where_something_is_untried(body, bundle):
    assert "verified" not in body(replace(bundle, target=None))
    assert "verified" not in body(replace(bundle, target=replace(UNTRIED, unverified=())))


def test_the_gate_tells_when_the_engine_cannot_be_asked(body, bundle, monkeypatch):
    def absent(*_):
        raise AbsentError("CUDA: expected libcudart.so.12, got none; install it")

    monkeypatch.setattr(verified, "known", absent)
    check = body(bundle)["verified"]
    assert not check.passed and "libcudart" in check.got


def test_rmedge_verify_leaves_the_note_and_takes_it_back(monkeypatch, capsys):
    shipped = Bundle.load("g1-mirror")
    untried = replace(shipped, target=replace(UNTRIED, provider="cpu", options={}))
    monkeypatch.setattr(Bundle, "load", classmethod(lambda cls, *_: untried))
    row = Row("policy", "action_chunk", 3, 0.01, 0.05, True)
    monkeypatch.setattr("rmedge.runtimes.verify.verify", lambda *_: [row])
    assert main(["verify", "mine", "--json"]) == 0
    assert verified.known(untried, "cpu")
    monkeypatch.setattr("rmedge.runtimes.verify.verify", lambda *_: [replace(row, max_error=1.0, ok=False)])
    assert main(["verify", "mine", "--json"]) == 1
    assert not verified.known(untried, "cpu")
    monkeypatch.setattr(Bundle, "load", classmethod(lambda cls, *_: shipped))
    monkeypatch.setattr("rmedge.runtimes.verify.verify", lambda *_: [row])
    assert main(["verify", "mine", "--json"]) == 0
    assert not verified.known(shipped, "cpu")  # nobody will ask
    capsys.readouterr()


def test_a_bundles_options_are_for_its_own_provider(bundle):
    assert options_of(bundle, "cuda") == {"use_tf32": "0"}
    assert not options_of(bundle, "cpu")
    assert not options_of(replace(bundle, target=None), "cuda")


class TensorRT:
    """Stands in for onnxruntime's: it leaves an engine where it is told to, and says what it was told."""

    def __init__(self, monkeypatch, leaves=True):
        self.told, self.leaves = [], leaves
        monkeypatch.setattr(ort, "get_available_providers", lambda: list(PROVIDERS.values()))
        monkeypatch.setattr(engines, "platform", lambda: ORIN)
        self.real = ort.InferenceSession
        monkeypatch.setattr(ort, "InferenceSession", self)

    def __call__(self, graph, settings, providers):
        ((name, options),) = providers
        assert name == PROVIDERS["tensorrt"]
        self.told.append(options)
        where = bundles.Path(options["trt_engine_cache_path"])
        if self.leaves:
            (where / "graph_sm87.engine").write_bytes(b"an engine")
        session = self.real(graph, settings, providers=["CPUExecutionProvider"])
        session.get_providers = lambda: [name]
        return session


def session(**rest):
    return Session(TINY, INPUTS, OUTPUTS, "tensorrt", **rest)


def test_an_engine_is_built_when_asked_and_found_again(monkeypatch):
    tensorrt = TensorRT(monkeypatch)
    with pytest.raises(
        AbsentError, match=r"engine: expected one that was built ahead .* rmedge build BUNDLE"
    ):
        session()
    assert not tensorrt.told  # nobody waited minutes for the refusal
    session(build=True)
    session()
    assert tensorrt.told[0] == tensorrt.told[1]
    assert tensorrt.told[0]["trt_engine_cache_enable"] == "1"


@pytest.mark.parametrize("field", ["tensorrt", "cuda", "driver", "device"])
def test_another_tensorrt_driver_or_device_has_another_engine(monkeypatch, field):
    TensorRT(monkeypatch)
    session(build=True)
    monkeypatch.setattr(engines, "platform", lambda: replace(ORIN, **{field: "another"}))
    with pytest.raises(AbsentError, match="got none"):
        session()


def test_another_graph_and_other_options_have_another_engine(monkeypatch):
    TensorRT(monkeypatch)
    session(build=True)
    with pytest.raises(AbsentError, match="got none"):
        session(options={"trt_fp16_enable": "1"})
    assert engines.folder(TINY, {}) != engines.folder(TINY + b"\x00", {})
    assert engines.folder(TINY, {}) == engines.folder(TINY, {})


def test_options_reach_the_provider(monkeypatch):
    tensorrt = TensorRT(monkeypatch)
    session(build=True, options={"trt_fp16_enable": "1"})
    assert tensorrt.told[0]["trt_fp16_enable"] == "1"


def test_without_the_libraries_there_is_no_engine(monkeypatch):
    monkeypatch.setattr(ort, "get_available_providers", lambda: list(PROVIDERS.values()))
    monkeypatch.setattr(engines.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    with pytest.raises(AbsentError, match=r"TensorRT: expected libnvinfer\.so\.10, got none"):
        session(build=True)


def test_rmedge_build_builds_every_graph_once(monkeypatch, capsys):
    tensorrt = TensorRT(monkeypatch)
    assert main(["build", "g1-mirror", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["graph"] for row in told["engines"]] == ["encoder", "policy", "readout"]
    assert all(row["bytes"] == len(b"an engine") for row in told["engines"])
    assert len({options["trt_engine_cache_path"] for options in tensorrt.told}) == 3


def test_rmedge_build_says_when_nothing_came_of_it(monkeypatch, capsys):
    TensorRT(monkeypatch, leaves=False)
    assert main(["build", "g1-mirror"]) == 3
    assert "engine: expected TensorRT to leave one for encoder" in capsys.readouterr().err
    assert main(["build", "g1-mirror", "--provider", "cuda"]) == 2
    assert "builds nothing ahead" in capsys.readouterr().err
