"""Builds refuse what is wrong by the field's name, keep what nobody brought, and say what they did."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import foreign
import numpy as np
import pytest
import safetensors.torch
import torch
from practice import NO_WHEEL, wheel
from torch import nn

import rmedge
from rmedge import cli, document
from rmedge.bundle import GRAPHS, Bundle, amend
from rmedge.errors import AbsentError, BundleError, CheckError, InputError, RmedgeError, UsageError
from rmedge.export import graphs
from rmedge.export.build import build
from rmedge.export.config import read
from rmedge.export.foreign import encoders, policies, weights
from rmedge.export.graphs import feeds
from rmedge.export.networks.sampling import Sampling, Schedule
from rmedge.runtimes.verify import verify

torch.set_num_threads(1)
PLAIN: dict[str, Any] = {"precision": "float32"}
SEEN = {"encoder": {"image": foreign.IMAGE}}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def refused(kind: type[RmedgeError], message: str, out: Path, **told: Any) -> None:
    with pytest.raises(kind) as caught:
        build(out, **{**PLAIN, **told})
    assert message in str(caught.value)
    assert not out.exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One policy, built; not to be written into."""
    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("built") / "mine"
    build(out, policy=foreign.MLP(), **PLAIN)
    return out


# What is kept, and what is said


def test_what_nobody_brings_is_the_bases(made: Path) -> None:
    base, bundle = foreign.BASE, Bundle.load(made)
    for graph in ("encoder", "readout"):
        assert bundle.graph(graph) == base.graph(graph)
        for name, array in base.golden()[graph].items():
            np.testing.assert_array_equal(bundle.golden()[graph][name], array)
    assert [phrase.caption for phrase in bundle.intent.vocabulary] == [
        phrase.caption for phrase in base.intent.vocabulary
    ]
    np.testing.assert_array_equal(bundle.kp, base.kp)
    assert bundle.provenance["base"] == {
        "name": "g1-mirror",
        "sha256": base.sha256,
        "graphs": ["encoder", "readout"],
    }
    assert bundle.quality["base"] == dict(base.quality)
    assert bundle.latency_budget_ms["cpu-x86"]["encode"] == base.latency_budget_ms["cpu-x86"]["encode"]
    assert bundle.latency_budget_ms["cpu-x86"]["policy"] == 10.0  # half of its period
    assert "not stated" in bundle.licence


def test_the_spec_is_laid_over_the_base(tmp_path: Path) -> None:
    joints = foreign.JOINTS
    spec = {
        "name": "theirs",
        "licence": "MIT",
        "robot": {"kp": [50.0] * joints, "action_scale": 0.5},
        "policy": {"rate_hz": 25.0},
        "provenance": {"trained": "by somebody"},
        "latency_budget_ms": {"cpu-x86": {"encode": 7.0, "policy": 3.0}},
    }
    bundle = build(tmp_path / "mine", policy=foreign.MLP(), spec=spec, **PLAIN)
    assert (bundle.name, bundle.licence, bundle.policy.rate_hz) == ("theirs", "MIT", 25.0)
    assert (bundle.kp == 50.0).all() and (bundle.action_scale == 0.5).all()
    np.testing.assert_array_equal(bundle.kd, foreign.BASE.kd)
    assert bundle.provenance["trained"] == "by somebody"
    assert bundle.latency_budget_ms["cpu-x86"] == {"encode": 7.0, "policy": 3.0}


def test_a_streaming_encoder_keeps_its_memory(tmp_path: Path) -> None:
    spec = {"encoder": {"image": foreign.IMAGE, "inputs": {"state": [1, 24]}}}
    clips = foreign.streams()
    bundle = build(
        tmp_path / "mine", encoder=foreign.Streaming(), spec=spec, calibration={"encoder": clips}, **PLAIN
    )
    assert bundle.encoder.inputs["state"] == (1, 24)
    assert all(row.ok for row in verify(bundle, graphs=("encoder",)))
    memory = bundle.golden()["encoder"]["state"]
    assert not memory[0].any() and memory[1:].any()  # proved on its own memories, not on empty ones


def test_an_onnx_file_is_a_network_too(tmp_path: Path) -> None:
    shapes = {"proprio": (1, foreign.PROPRIO), "intent": (1, foreign.INTENT), "noise": (1, 1, foreign.JOINTS)}
    graph = graphs.export(policies.Direct(foreign.MLP()), shapes, ("action_chunk",))
    sampler = {"name": "regression", "steps": 1, "seed": "per_episode"}
    told = {"spec": {"policy": {"sampler": sampler}}}
    bundle = build(tmp_path / "mine", policy=graph, **told, **PLAIN)
    assert bundle.graph("policy") == graph
    assert bundle.quality["proof"]["policy"]["from_torch"] is None
    refused(BundleError, "spec.policy.sampler: expected a mapping, got nothing", tmp_path / "a", policy=graph)
    refused(UsageError, "policy: expected an ONNX graph, got", tmp_path / "b", policy=b"\x08\x01\x12", **told)


def test_an_intent_of_ones_own_needs_all_three(tmp_path: Path) -> None:
    size = 8

    class Readout(nn.Module):
        def __init__(self):
            super().__init__()
            spec = foreign.BASE.readout.outputs
            self.heads = nn.ModuleList(nn.Linear(size, shape[1]) for shape in spec.values())

        def forward(self, intent):
            return tuple(head(intent) for head in self.heads)

    class Walk(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(foreign.PROPRIO + size, foreign.JOINTS)

        def forward(self, proprio, intent):
            return self.net(torch.cat([proprio, intent], 1))

    vocabulary = [
        {
            "caption": "stand", "label": "stand", "gait": "stand", "gesture": "none",
            "velocity": [0.0] * 3, "z": [0.0] * size,
        }
    ]  # fmt: skip
    own = {"intent": {"size": size, "stand": [0.0] * size, "vocabulary": vocabulary}, **SEEN}
    mine = {"encoder": foreign.ConvNet(size=size), "policy": Walk(), "readout": Readout()}
    bundle = build(tmp_path / "mine", **mine, spec=own, **PLAIN)
    assert bundle.intent.size == size
    assert not bundle.provenance["base"]["graphs"]
    assert all(row.ok for row in verify(bundle))
    del mine["readout"]
    refused(
        UsageError, "spec.intent.size: expected 32 as g1-mirror, got 8; an intent of your own needs your own "
        "readout, too", tmp_path / "other", **mine, spec=own,
    )  # fmt: skip


def test_ddpm_draws_anew_at_every_step(tmp_path: Path) -> None:
    sampler = Sampling("ddpm", 3, "epsilon", Schedule(train_steps=10), clip=1.0)
    bundle = build(tmp_path / "mine", policy=policies.Denoised(foreign.Denoiser(), sampler, 4), **PLAIN)
    assert bundle.policy.inputs["noise"] == (1, 12, foreign.JOINTS)
    assert bundle.policy.outputs["action_chunk"] == (1, 4, foreign.JOINTS)
    assert all(row.ok for row in verify(bundle, graphs=("policy",)))


def test_units_of_a_policy_are_in_its_graph(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network, joints = foreign.MLP(), foreign.JOINTS
    mean, std = torch.randn(foreign.PROPRIO), torch.rand(foreign.PROPRIO) + 0.5
    wrapped = policies.Direct(
        network,
        proprio=policies.Units(mean, std),
        action=policies.Units(torch.full((joints,), 0.1), torch.full((joints,), 2.0)),
    )
    bundle = build(tmp_path / "mine", policy=wrapped, **PLAIN)
    golden = bundle.golden()["policy"]
    with torch.inference_mode():
        proprio = (torch.tensor(golden["proprio"]) - mean) / std
        said = network(proprio, torch.tensor(golden["intent"])) * 2.0 + 0.1
    np.testing.assert_allclose(golden["action_chunk"][:, 0], said.numpy(), atol=1e-5)


def test_a_bundle_for_another_computer_says_what_nobody_verified(tmp_path: Path) -> None:
    recorded = {"policy": foreign.calls()}
    bundle = build(tmp_path / "mine", policy=foreign.MLP(), target="orin-cuda", calibration=recorded)
    assert bundle.target is not None
    assert (bundle.target.name, bundle.target.provider) == ("orin-cuda", "cuda")
    assert len(bundle.target.unverified) == len(GRAPHS)
    assert not any(row["verified"] for row in bundle.quality["trials"]["policy"])


def test_building_again_replaces_a_bundle_and_nothing_else(made: Path, tmp_path: Path) -> None:
    out = shutil.copytree(made, tmp_path / "mine")
    first = Bundle.load(out)
    second = build(out, policy=foreign.MLP(32), **PLAIN)
    assert first.sha256 != second.sha256 == Bundle.load(out).sha256
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "dear.txt").write_text("John")
    with pytest.raises(UsageError, match="out: expected a new directory or a bundle's"):
        build(letters, policy=foreign.MLP(), **PLAIN)
    (tmp_path / "link").symlink_to(letters)
    with pytest.raises(UsageError, match="out: expected a directory, got"):
        build(tmp_path / "link", policy=foreign.MLP(), **PLAIN)
    assert (letters / "dear.txt").read_text() == "John"


def test_a_build_that_fails_leaves_the_older_bundle(made: Path, tmp_path: Path) -> None:
    out = shutil.copytree(made, tmp_path / "mine")
    before = Bundle.load(out)
    with pytest.raises(BundleError, match=r"intent\.vocabulary: expected a list that is not empty"):
        build(out, policy=foreign.MLP(), spec={"intent": {"vocabulary": []}}, **PLAIN)
    assert Bundle.load(out).sha256 == before.sha256


def test_a_bundle_that_was_built_can_be_the_base_of_another(made: Path, tmp_path: Path) -> None:
    first = Bundle.load(made)
    second = build(tmp_path / "both", encoder=foreign.ConvNet(), base=first, spec=SEEN, **PLAIN)
    assert second.graph("policy") == first.graph("policy")
    assert second.policy.sampler == first.policy.sampler
    assert second.quality["precision"] == {"policy": "float32", "encoder": "float32"}


def test_an_encoder_is_calibrated_on_videos_as_the_robot_sees_them(made: Path) -> None:
    pytest.importorskip("cv2")
    video = Path(rmedge.__file__).parent / "samples" / "walk.mp4"
    spec = foreign.BASE.encoder
    (alone,) = feeds.watched(video, spec)
    assert alone.shape[1:] == spec.inputs["features"][1:]
    assert len(alone) > 50 and alone[1:, 3:].any()  # what moves is seen, too
    halves = feeds.streams(video, spec)
    np.testing.assert_array_equal(np.concatenate(halves), alone)
    (same,) = feeds.watched(video.parent, spec)
    np.testing.assert_array_equal(same, alone)
    for path in (made, made / "none.mp4"):
        with pytest.raises(InputError, match=r"calibration\.encoder: expected a video, a folder of videos"):
            feeds.streams(path, spec)


# What is refused


class Broken(nn.Module):
    """Not what torch.onnx can see, or not the same twice."""

    def __init__(self, how: str):
        super().__init__()
        self.how, self.net = how, foreign.MLP()

    def forward(self, proprio, intent):
        actions = self.net(proprio, intent)
        if self.how == "branch" and float(actions.sum()) > 0:
            return -actions
        if self.how == "chance":
            return actions + torch.rand(1, foreign.JOINTS)
        return actions.tolist() if self.how == "list" else actions


def with_nan(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        next(network.parameters()).view(-1)[3] = float("nan")
    return network


REFUSALS: list[tuple[str, Any]] = [
    (
        "spec.policy.outputs.action_chunk: expected [1, n, 29], got [1, 1, 28]",
        lambda: {"policy": policies.Direct(foreign.MLP(joints=28))},
    ),
    (
        "spec.policy.inputs.noise: expected [1, 8, 29], got [1, 6, 29]",
        lambda: {"policy": policies.Direct(foreign.Chunker(8), chunk=6)},
    ),
    (
        "spec.policy.inputs: expected a network that takes proprio (1, 291), intent (1, 32), got",
        lambda: {
            "policy": foreign.MLP(),
            "spec": {"policy": {"observation": {**document.parse(OBSERVATION, "o"), "history": 3}}},
        },
    ),
    (
        "spec.encoder.outputs.intent: expected [1, 32], got [1, 31]",
        lambda: {"encoder": foreign.ConvNet(size=31)},
    ),
    (
        "spec.encoder.inputs.state: expected 1, got nothing",
        lambda: {"encoder": foreign.Streaming()},
    ),
    (
        "spec.encoder.outputs.next_state: expected [1, 8], got [1, 24]",
        lambda: {
            "encoder": Wide(),
            "spec": {"encoder": {"image": foreign.IMAGE, "inputs": {"state": [1, 8]}}},
        },
    ),
    (
        "spec.encoder.image.feature_width: expected a whole number",
        lambda: {
            "encoder": foreign.ConvNet(),
            "spec": {"encoder": {"image": {**foreign.IMAGE, "feature_width": "wide"}}},
        },
    ),
    (
        "spec.encoder.outputs: expected tensors intent, certainty, presence, next_state, got Tensor",
        lambda: {
            "encoder": Two(),
            "spec": {"encoder": {"image": foreign.IMAGE, "inputs": {"state": [1, 2]}}},
        },
    ),
    ("spec.policy.outputs: expected tensors action_chunk, got list", lambda: {"policy": Broken("list")}),
    ("policy: expected a network that torch.onnx can export, got", lambda: {"policy": Broken("branch")}),
    (
        "policy: expected finite numbers, got others in net.0.weight",
        lambda: {"policy": with_nan(foreign.MLP())},
    ),
    ("encoder: expected finite numbers, got others in", lambda: {"encoder": with_nan(foreign.ConvNet())}),
    (
        "calibration.policy: expected recorded inputs to choose int8-dynamic on, got none",
        lambda: {"policy": foreign.MLP(), "precision": "int8-dynamic"},
    ),
    (
        "calibration.policy: expected recorded inputs to choose auto on, got none",
        lambda: {"policy": foreign.MLP(), "precision": {}},
    ),
    (
        "calibration.policy.proprio: expected 24 rows of finite numbers (485,), got (24, 484)",
        lambda: {
            "policy": foreign.MLP(),
            "calibration": {"policy": {**foreign.calls(), "proprio": foreign.calls()["proprio"][:, 1:]}},
        },
    ),
    (
        "calibration.encoder: expected finite features (T, 3, 32, 32), got (6, 3, 31, 31)",
        lambda: {"encoder": foreign.ConvNet(), "calibration": {"encoder": foreign.streams(side=31)}},
    ),
    (
        "calibration.encoder: expected at least 4 frames, got 2",
        lambda: {"encoder": foreign.ConvNet(), "calibration": {"encoder": foreign.streams(1, 2)}},
    ),
    ("calibration: expected no other keys, got 'readout'", lambda: {"calibration": {"readout": 3}}),
    ("precision.policy: expected one of auto, float32", lambda: {"precision": {"policy": "int4"}}),
    ("budget.encoder: expected a number above 0, got -1", lambda: {"budget": {"encoder": -1}}),
    ("target: expected one of cpu-x86, cpu-arm64", lambda: {"target": "cpu-z80"}),
    ("spec: expected no other keys, got 'polcy'", lambda: {"spec": {"polcy": {}}}),
    (
        "spec.encoder: expected no other keys, got 'colour'",
        lambda: {
            "encoder": foreign.ConvNet(),
            "spec": {"encoder": {"image": foreign.IMAGE, "colour": "rgb"}},
        },
    ),
    ("spec.robot.kp: expected a list of 29 numbers", lambda: {"spec": {"robot": {"kp": 3}}}),
    (
        "spec.envelope: expected lower[0] below upper[0]",
        lambda: {"spec": {"envelope": {"lower": [9.0] * foreign.JOINTS}}},
    ),
    ("spec.budgets: expected no other keys, got 'patience'", lambda: {"spec": {"budgets": {"patience": 1}}}),
    ("build: expected an encoder, a policy or both, got neither", dict),
    ("bundle: expected a directory, a .rmedge file or one of", lambda: {"base": "none-such"}),
    (
        "target: expected operators that",
        lambda: {"policy": Unusual(), "target": "orin-tensorrt", "spec": {}},
    ),
]
OBSERVATION = document.unparse(
    document.parse(foreign.BASE.files["bundle.yaml"], "bundle.yaml")["policy"]["observation"], "o"
)


class Wide(foreign.Streaming):
    """Its memory is not what it is told to be."""

    def forward(self, features, state):
        return super().forward(features, torch.zeros(1, 24) + 0 * state.sum())


class Two(nn.Module):
    """One answer for two questions."""

    def forward(self, features, state):
        return state


class Unusual(nn.Module):
    """Needs an operator that TensorRT has not."""

    def __init__(self):
        super().__init__()
        self.net = foreign.MLP()

    def forward(self, proprio, intent):
        return self.net(proprio, intent) * torch.linalg.det(intent[:, :4].view(1, 2, 2))[:, None]


@pytest.mark.parametrize(
    ("message", "told"), REFUSALS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_does_not_fit_is_refused_by_the_fields_name(message: str, told: Any, tmp_path: Path) -> None:
    given = {"spec": SEEN, **told()} if "encoder" in told() else told()
    refused(UsageError, message, tmp_path / "out", **given)


def test_a_graph_that_is_not_its_network_is_refused(tmp_path: Path) -> None:
    refused(
        CheckError, "policy.action_chunk: expected ONNX within", tmp_path / "out", policy=Broken("chance")
    )


def test_a_format_beyond_its_budget_is_refused(tmp_path: Path) -> None:
    refused(
        CheckError, "policy: expected int8-dynamic within its budget of 1e-09, got", tmp_path / "out",
        policy=foreign.MLP(), precision="int8-dynamic", calibration={"policy": foreign.calls()},
        budget={"policy": 1e-9},
    )  # fmt: skip


# Weights


def test_weights_are_given_to_the_network_whole(tmp_path: Path) -> None:
    trained, path = foreign.MLP(), tmp_path / "weights.safetensors"
    safetensors.torch.save_file(trained.state_dict(), path)
    torch.save({"state_dict": trained.state_dict(), "step": 3}, tmp_path / "weights.pt")
    for file in (path, tmp_path / "weights.pt"):
        network = foreign.MLP()
        weights.load(network, file)
        for name, value in trained.state_dict().items():
            torch.testing.assert_close(network.state_dict()[name], value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("net.2.bias"), "expected those of MLP, got 1 missing: net.2.bias"),
        (lambda w: w.update(head=torch.ones(1)), "expected those of MLP, got 1 extra: head"),
        (lambda w: w.update({"net.2.bias": torch.ones(3)}), "expected net.2.bias of shape (29,), got (3,)"),
        (lambda w: w["net.2.bias"].fill_(float("nan")), "expected finite numbers, got others in net.2.bias"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: Any, message: str, tmp_path: Path) -> None:
    stored = {name: value.clone() for name, value in foreign.MLP().state_dict().items()}
    change(stored)
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(stored, path)
    with pytest.raises(UsageError) as caught:
        weights.load(foreign.MLP(), path)
    assert message in str(caught.value)


class Bomb:
    """A pickle that would leave a file behind."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_no_pickle_is_ever_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    torch.save({"net.0.weight": Bomb(trace)}, tmp_path / "w.pt")
    (tmp_path / "w.bin").write_bytes(pickle.dumps(Bomb(trace)))
    (tmp_path / "w.safetensors").write_bytes(pickle.dumps(Bomb(trace)))
    (tmp_path / "cut.safetensors").write_bytes(b"\xff" * 8 + b"{}")
    torch.save(foreign.MLP(), tmp_path / "whole.pt")
    torch.save([1, 2], tmp_path / "list.pth")
    for name in (
        "w.pt",
        "w.bin",
        "w.safetensors",
        "cut.safetensors",
        "whole.pt",
        "list.pth",
        "none.pt",
        "x.pkl",
    ):
        with pytest.raises(InputError, match="weights"):
            weights.read(tmp_path / name)
    np.savez(tmp_path / "calls.npz", proprio=np.array([Bomb(trace)], object), intent=np.ones(1))
    (tmp_path / "junk.npz").write_bytes(b"PK\x03\x04junk")
    np.savez(tmp_path / "other.npz", proprio=np.ones(1))
    for name in ("calls.npz", "junk.npz", "other.npz", "none.npz"):
        with pytest.raises(InputError, match="calibration"):
            feeds.policy_feeds(tmp_path / name, foreign.BASE.policy)
    assert not trace.exists()


# Configurations


CODE = """
from torch import nn
import torch
class Policy(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.net = nn.Linear({inputs}, {joints})
    def forward(self, proprio, intent):
        return self.net(torch.cat([proprio, intent], 1))
def make():
    raise SystemExit
"""
POLICY = {"class": "net.py:Policy", "arguments": {"width": 4}, "weights": "net.safetensors"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder as somebody has it: code, weights, recordings."""
    inputs = foreign.PROPRIO + foreign.INTENT
    (tmp_path / "net.py").write_text(CODE.format(inputs=inputs, joints=foreign.JOINTS))
    layer = nn.Linear(inputs, foreign.JOINTS)
    stored = {f"net.{name}": value for name, value in layer.state_dict().items()}
    safetensors.torch.save_file(stored, tmp_path / "net.safetensors")
    np.savez(tmp_path / "calls.npz", **foreign.calls())
    return tmp_path


def write(project: Path, says: dict[str, Any]) -> Path:
    path = project / "mine.yaml"
    path.write_bytes(document.unparse(says, "config"))
    return path


def test_one_command_builds_what_a_configuration_says(project: Path, capsys: Any) -> None:
    path = write(
        project,
        {
            "out": "bundle", "policy": POLICY, "calibration": {"policy": "calls.npz"},
            "spec": {"licence": "MIT"}, "precision": "int8-dynamic",
        },
    )  # fmt: skip
    assert cli.main(["export", str(path)]) == 2  # it names code
    assert "config.policy.class: expected --trust for code of its own" in capsys.readouterr().err
    assert cli.main(["export", str(path), "--trust", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    bundle = Bundle.load(project / "bundle")
    assert told["bundle"]["sha256"] == bundle.sha256
    assert told["precision"] == {"policy": "int8-dynamic"}
    assert (bundle.licence, bundle.policy.sampler.name) == ("MIT", "regression")
    assert cli.main(["export", "--out", str(project / "other"), str(path), "--trust"]) == 0
    shown = capsys.readouterr().out
    for word in ("action_chunk", "int8-dynamic", "float32", "12 recorded", "pace"):
        assert word in shown


def test_a_denoiser_and_an_encoder_with_a_head_can_be_written_down(project: Path) -> None:
    """Everything that a configuration can say of a network reaches it."""
    (project / "nets.py").write_text("from foreign import ConvNet, Denoiser\n")
    safetensors.torch.save_file(foreign.Denoiser().state_dict(), project / "denoiser.safetensors")
    safetensors.torch.save_file(foreign.ConvNet(8, 12).state_dict(), project / "conv.safetensors")
    safetensors.torch.save_file(nn.Linear(12, foreign.INTENT).state_dict(), project / "head.safetensors")
    units = {"mean": [0.0] * foreign.JOINTS, "std": [2.0] * foreign.JOINTS}
    schedule = {"betas": "linear", "train_steps": 20, "start": 0.001, "end": 0.1}
    path = write(
        project,
        {
            "policy": {
                "class": "nets.py:Denoiser", "weights": "denoiser.safetensors", "chunk": 4, "action": units,
                "sampler": {"name": "ddim", "steps": 2, "prediction": "v", "schedule": schedule, "clip": 1.0,
                            "spacing": "trailing"},
            },
            "encoder": {
                "class": "nets.py:ConvNet", "arguments": {"width": 8, "size": 12},
                "weights": "conv.safetensors", "head": "head.safetensors",
                "mean": list(foreign.MEAN), "std": list(foreign.STD),
            },
            "spec": SEEN, "precision": {"encoder": "float32", "policy": "float32"}, "target": "cpu-arm64",
            "budget": {"policy": 0.1}, "closed_loop": False, "base": "g1-mirror",
        },
    )  # fmt: skip
    config = read(path, trust=True)
    policy, encoder = config.networks["policy"], config.networks["encoder"]
    assert isinstance(policy, policies.Denoised) and isinstance(encoder, encoders.Glimpse)
    expected = Sampling("ddim", 2, "v", Schedule("linear", 20, 0.001, 0.1), 1.0, "trailing")
    assert policy.unrolled.sampling == expected
    assert policy.action is not None and policy.chunk == 4
    assert encoder.colours == 3 and encoder.head is not None
    assert (config.out, config.closed_loop, config.told["target"]) == (None, False, "cpu-arm64")
    with pytest.raises(UsageError, match="out: expected a directory, got none"):
        cli.export.run([str(path), "--trust"])


def test_a_policy_walks_before_and_after_it_is_made_smaller(project: Path, monkeypatch: Any) -> None:
    pytest.importorskip("mujoco")
    if not wheel():
        pytest.skip(NO_WHEEL)
    from rmedge.benchmarks import pool
    from rmedge.benchmarks.policies import closed_loop, grid

    monkeypatch.setattr(grid, "captions", lambda bundle: ["stand"])
    monkeypatch.setattr(cli.export, "SECONDS", 0.2)
    monkeypatch.setattr(closed_loop, "evaluate", partial(closed_loop.evaluate, pool=pool.here))
    says = {"out": "walker", "policy": POLICY, "precision": "float32", "closed_loop": True}
    assert cli.export.run([str(write(project, says)), "--trust"]) == 0
    walked = Bundle.load(project / "walker").quality["closed_loop"]
    assert {name: row["trials"] for name, row in walked.items() if name != "seconds"} == {
        "shipped": 1,
        "float32": 1,
    }
    says = {"encoder": {"onnx": "mine.yaml"}, "closed_loop": True, "out": "walker"}
    with pytest.raises(UsageError, match=r"config\.closed_loop: expected a policy to walk with, got none"):
        cli.export.run([str(write(project, says))])


@pytest.mark.parametrize(
    "wrong", [3, [1], {"policy": 3}, {"policy": [{}]}, {"policy": {"from_torch": 1}}, "x"]
)
def test_figures_that_nobody_built_are_named_and_not_read(
    wrong: Any, made: Path, tmp_path: Path, capsys: Any
) -> None:
    out = shutil.copytree(made, tmp_path / "mine")
    amend(out, {}, quality=dict.fromkeys(("proof", "trials", "closed_loop"), wrong))
    assert cli.main(["inspect", str(out)]) == 0
    assert capsys.readouterr().out.count("not as a build writes it") == 3
    assert cli.main(["inspect", str(made)]) == 0
    shown = capsys.readouterr().out
    assert "not as a build writes it" not in shown
    assert "policy: formats" in shown


HOSTILE = [
    (b"!!python/object/apply:os.system [touch {trace}]", "expected no anchors, aliases or tags"),
    (b"a: &a [1]\nb: *a", "expected no anchors, aliases or tags"),
    (b"a: " + b"[" * 40, "collections within collections"),
    (b"policy: {}\npolicy: {}", "expected every key once"),
    (b"{", "expected YAML"),
    (b"[]", "config: expected a mapping"),
    (b"", "config: expected a mapping"),
    (b"polcy: {}", "config: expected no other keys, got 'polcy'"),
    (b"policy: 3", "config.policy: expected a mapping, got 3"),
    (b"policy: {}", "config.policy: expected one of class, onnx, got none"),
    (b"policy: {class: a, onnx: b}", "config.policy: expected one of class, onnx, got class and onnx"),
    (b"policy: {onnx: ../../nothing.onnx}", "config.policy.onnx: expected a file or folder"),
    (b"policy: {class: 'os:system', weights: net.safetensors}", "expected a torch.nn.Module's class"),
    (b"policy: {class: 'net.py:make', weights: net.safetensors}", "expected a torch.nn.Module's class"),
    (
        b"policy: {class: 'net.py:Policy', arguments: {depth: 3}}",
        "config.policy.arguments: expected those of",
    ),
    (b"policy: {class: 'net.py:Policy'}", "config.policy.weights: expected a line of text, got nothing"),
    (b"policy: {class: 'net.py:Policy', weights: net.safetensors, sampler: {name: ddim}}", "sampler.steps"),
    (b"policy: {class: 'net.py:Policy', weights: net.safetensors, chunk: 2.5}", "config.policy.chunk"),
    (b"policy: {class: 'net.py:Policy', weights: net.safetensors, epochs: 2}", "got 'epochs'"),
    (b"calibration: {policy: gone.npz}", "config.calibration.policy: expected a file or folder"),
    (b"precision: int4", "precision.encoder: expected one of auto, float32"),
    (b"target: moon", "target: expected one of"),
    (b"closed_loop: 1", "config.closed_loop: expected one of True, False, got 1"),
    (b"encoder: {hugging_face: some/where, download: 'yes'}", "config.encoder.download"),
]


@pytest.mark.parametrize(("text", "message"), HOSTILE, ids=[message for _, message in HOSTILE])
def test_a_configuration_that_is_wrong_or_hostile_is_refused(
    text: bytes, message: str, project: Path
) -> None:
    trace, path = project / "trace", project / "mine.yaml"
    path.write_bytes(text.replace(b"{trace}", str(trace).encode()))
    with pytest.raises(UsageError) as caught:
        read(path, trust=True)
    assert message in str(caught.value)
    assert "bundle.yaml" not in str(caught.value)  # nobody is sent to a file that is not there
    assert not trace.exists()


def test_modules_that_are_not_there_say_so(project: Path) -> None:
    for named in ("none_such:Policy", "none.py:Policy", ":x"):
        path = write(project, {"policy": {**POLICY, "class": named}})
        with pytest.raises(AbsentError, match=r"config\.policy\.class: expected an installed module"):
            read(path, trust=True)


def test_hugging_face_is_asked_for_nothing_unless_told(tmp_path: Path, monkeypatch: Any) -> None:
    transformers = pytest.importorskip("transformers")
    from rmedge.export.foreign import hugging_face

    asked: list[Any] = []

    def offline(source: str, **rules: Any) -> Any:
        asked.append(rules)
        raise OSError("no such model")

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", offline)
    for download in (False, True):
        with pytest.raises(InputError, match=r"encoder\.hugging_face: expected a model in safetensors"):
            hugging_face.load("some/where", download=download)
    assert [rules["local_files_only"] for rules in asked] == [True, False]
    assert all(rules["use_safetensors"] and rules["trust_remote_code"] is False for rules in asked)


def test_a_published_model_must_be_whole_and_a_vision_model(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from rmedge.export.foreign import hugging_face

    model = transformers.ViTModel(
        transformers.ViTConfig(**foreign.SMALL, image_size=foreign.SIDE, patch_size=8)
    )
    model.save_pretrained(tmp_path / "vit")
    with pytest.raises(
        InputError, match=r"expected image_mean and image_std in its preprocessor_config\.json"
    ):
        hugging_face.load(str(tmp_path / "vit"))
    stored = weights.read(tmp_path / "vit" / "model.safetensors")
    del stored["embeddings.cls_token"]
    safetensors.torch.save_file(stored, tmp_path / "vit" / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        UsageError, match=r"expected all of its weights, got 1 missing: embeddings\.cls_token"
    ):
        hugging_face.load(str(tmp_path / "vit"))
    words = transformers.BertConfig(**foreign.SMALL, vocab_size=50, max_position_embeddings=8)
    transformers.BertModel(words).save_pretrained(tmp_path / "bert")
    with pytest.raises(UsageError, match="expected a vision model"):
        hugging_face.load(str(tmp_path / "bert"))
    torch.save(stored, tmp_path / "vit" / "pytorch_model.bin")
    (tmp_path / "vit" / "model.safetensors").unlink()
    with pytest.raises(InputError, match="expected a model in safetensors"):
        hugging_face.load(str(tmp_path / "vit"))


def test_the_shipped_bundle_is_not_touched() -> None:
    bundle = Bundle.load("g1-mirror")
    assert bundle.sha256 == foreign.BASE.sha256
    assert hashlib.sha256(bundle.files["bundle.yaml"]).hexdigest() == bundle.sha256
