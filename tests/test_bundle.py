"""A bundle that is sealed loads as it was meant; one that is not says which field is wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import pickle
import re
import shutil
import stat
import zipfile
from pathlib import Path
from typing import Any, Callable, Iterator

import bundles
import numpy as np
import pytest
import yaml

import rmedge.bundle
from rmedge import archive, document, errors, robots
from rmedge.budgets import Budgets
from rmedge.bundle import Bundle, amend, pack, seal
from rmedge.labels import LABELS

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where there, for speed
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
GRAPH_FILES = ("encoder.onnx", "policy.onnx", "readout.onnx", "golden.npz")
FREE = (("quality",), ("provenance",))  # what stands below these is not interpreted
OPEN = (*FREE, ("robustness",))  # and here any name will do


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.make(tmp_path_factory.mktemp("original") / "tiny")


@pytest.fixture
def sealed(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "tiny"))


def rewrite(directory: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A sealed bundle whose manifest was changed by hand, unchecked."""
    path = directory / "bundle.yaml"
    says = yaml.load(path.read_bytes(), Loader=LOADER)
    change(says)
    path.write_bytes(yaml.dump(says, Dumper=DUMPER, sort_keys=False, encoding="utf-8"))
    return directory


def rehash(directory: Path) -> Path:
    """Promise the hashes of the files as they are now."""
    hashes = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.iterdir()
        if path.name != "bundle.yaml"
    }
    return rewrite(directory, lambda says: says.update(files=hashes))


def walk(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every path in a manifest and what stands there; of a list, the first item alone."""
    if path:
        yield path, value
    if path not in FREE:
        pairs = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value[:1])
            if isinstance(value, list)
            else ()
        )
        for key, item in pairs:
            yield from walk(item, (*path, key))


def at(says: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        says = says[key]
    return says


def put(says: Any, path: tuple[Any, ...], value: Any) -> None:
    at(says, path[:-1])[path[-1]] = value


def dotted(path: tuple[Any, ...]) -> str:
    return "bundle" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


EVERYWHERE = [*walk({**bundles.manifest(), "files": dict.fromkeys(GRAPH_FILES, "0" * 64)})]
KEYS = [path for path, _ in EVERYWHERE if isinstance(path[-1], str) and path[:-1] not in OPEN]
MAPPINGS = [path for path, value in EVERYWHERE if isinstance(value, dict) and path not in OPEN]
LEAVES = [path for path, value in EVERYWHERE if not isinstance(value, (dict, list))]


# What was sealed is what is loaded


def test_everything_that_was_sealed_is_said(sealed: Path) -> None:
    says = bundles.manifest()
    bundle = Bundle.load(sealed)
    robot = robots.load("g1")
    assert (bundle.name, bundle.robot.name, bundle.licence) == ("tiny", "g1", "Apache-2.0")
    assert bundle.joint_names == robot.joint_names
    for name in ("default_pose", "kp", "kd"):
        assert getattr(bundle, name).tolist() == says["robot"][name]
    assert bundle.action_scale.tolist() == [0.25] * 29
    for graph in ("encoder", "policy", "readout"):
        spec = getattr(bundle, graph)
        assert spec.file == f"{graph}.onnx"
        assert {name: list(shape) for name, shape in spec.inputs.items()} == says[graph]["inputs"]
        assert {name: list(shape) for name, shape in spec.outputs.items()} == says[graph]["outputs"]
    assert (bundle.encoder.rate_hz, bundle.encoder.period_ns) == (10.0, 100_000_000)
    assert (bundle.policy.rate_hz, bundle.policy.period_ns) == (50.0, 20_000_000)
    assert dataclasses.asdict(bundle.encoder.image) == says["encoder"]["image"]
    assert dataclasses.asdict(bundle.policy.sampler) == says["policy"]["sampler"]
    observation = bundle.policy.observation
    assert [dataclasses.asdict(term) for term in observation.terms] == says["policy"]["observation"]["terms"]
    assert (observation.layout, observation.order, observation.history) == ("time_major", "oldest_first", 2)
    assert (observation.size, observation.clock_s) == (3 + 3 + 3 * 29 + 4, 2.0)
    for words in ("labels", "gaits", "gestures"):
        assert list(getattr(bundle.readout, words)) == says["readout"][words]
    for limit, values in says["envelope"].items():
        assert getattr(bundle.envelope, limit).tolist() == values
    for mapping in ("latency_budget_ms", "tolerance", "robustness", "quality", "provenance"):
        assert {**getattr(bundle, mapping)} == says[mapping]


def test_the_intent_space_is_exact_to_the_bit(sealed: Path) -> None:
    says = bundles.manifest()["intent"]
    intent = Bundle.load(sealed).intent
    assert intent.size == bundles.SIZE
    assert intent.stand.dtype == np.float32
    assert (intent.stand == np.array(says["stand"], np.float32)).all()
    (phrase,), (said,) = intent.vocabulary, says["vocabulary"]
    assert (phrase.caption, phrase.label, phrase.gait, phrase.gesture) == (
        "walk forward", "walk_forward", "walk", "wave",
    )  # fmt: skip
    assert phrase.velocity.tolist() == [0.30000000000000004, 0.0, -1e-07]
    assert phrase.z.tolist() == said["z"]


def test_bytes_are_read_once(sealed: Path) -> None:
    files = {path.name: path.read_bytes() for path in sealed.iterdir()}
    bundle = Bundle.load(sealed)
    shutil.rmtree(sealed)
    assert bundle.graph("encoder") == files["encoder.onnx"]
    assert bundle.files == files
    assert bundle.size == sum(map(len, files.values()))
    assert bundle.sha256 == hashlib.sha256(files["bundle.yaml"]).hexdigest()
    assert repr(bundle) == f"Bundle('tiny', robot='g1', sha256='{bundle.sha256[:12]}')"


def test_golden_arrays_are_those_that_were_saved(sealed: Path) -> None:
    saved = bundles.golden(bundles.manifest())
    golden = Bundle.load(sealed).golden()
    assert {f"{graph}.{name}" for graph in golden for name in golden[graph]} == set(saved)
    for graph, arrays in golden.items():
        for name, array in arrays.items():
            assert (array == saved[f"{graph}.{name}"]).all()


def test_nothing_can_be_written(sealed: Path) -> None:
    bundle = Bundle.load(sealed)
    phrase = bundle.intent.vocabulary[0]
    arrays = [bundle.default_pose, bundle.kp, bundle.kd, bundle.action_scale, bundle.intent.stand]
    arrays += [phrase.z, phrase.velocity, bundle.envelope.lower, bundle.golden()["policy"]["noise"]]
    assert not any(array.flags.writeable for array in arrays)
    with pytest.raises(dataclasses.FrozenInstanceError):
        bundle.name = "other"  # type: ignore[misc]
    for mapping in (
        bundle.files,
        bundle.policy.inputs,
        bundle.tolerance,
        bundle.robustness,
        bundle.latency_budget_ms["cpu-x86"],
    ):
        with pytest.raises(TypeError, match="does not support item assignment"):
            mapping["new"] = 1  # type: ignore[index]


def test_a_pickled_bundle_is_the_same_bundle(sealed: Path) -> None:
    bundle = Bundle.load(sealed)
    again = pickle.loads(pickle.dumps(bundle))
    assert again.files == bundle.files
    assert again.policy == bundle.policy


def test_action_scale_may_differ_by_joint(tmp_path: Path) -> None:
    says = bundles.manifest()
    says["robot"]["action_scale"] = [0.25 + joint for joint in range(29)]
    bundle = Bundle.load(bundles.make(tmp_path / "tiny", says))
    assert bundle.action_scale.tolist() == says["robot"]["action_scale"]


# Sources


def test_a_packed_bundle_is_the_directory(sealed: Path, tmp_path: Path) -> None:
    pack(sealed, tmp_path / "tiny.rmedge")
    assert Bundle.load(tmp_path / "tiny.rmedge").files == Bundle.load(sealed).files


def test_equal_bundles_pack_to_equal_bytes(sealed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in sorted(sealed.iterdir(), reverse=True):
        (other / path.name).write_bytes(path.read_bytes())
        (other / path.name).chmod(0o600)
    pack(sealed, tmp_path / "one.rmedge")
    pack(other, tmp_path / "two.rmedge")
    assert (tmp_path / "one.rmedge").read_bytes() == (tmp_path / "two.rmedge").read_bytes()


def test_pack_wants_the_suffix_that_load_knows(sealed: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError, match=r"expected a path that ends in \.rmedge, got '.*tiny\.zip'"):
        pack(sealed, tmp_path / "tiny.zip")


def test_a_shipped_name_is_a_source(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rmedge.bundle, "_SHIPPED", sealed.parent)
    assert Bundle.names() == ("tiny",)
    assert Bundle.load("tiny").name == "tiny"
    with pytest.raises(errors.InputError) as caught:
        Bundle.load("walker")
    assert str(caught.value) == "bundle: expected a directory, a .rmedge file or one of tiny, got 'walker'"


def test_every_shipped_bundle_loads() -> None:
    for name in Bundle.names():
        assert Bundle.load(name).name == name


@pytest.mark.parametrize("name", ["missing", "missing.rmedge", "bundle.yaml", "nul\0", ""])
def test_other_sources_are_refused(sealed: Path, name: str) -> None:
    source = str(sealed / name) if name else str(sealed / "bundle.yaml" / "x")
    with pytest.raises(errors.InputError, match=r"bundle: expected a directory, a \.rmedge file or one of"):
        Bundle.load(source)


def test_the_robot_that_is_asked_for_is_the_robot_that_is_driven(sealed: Path) -> None:
    assert Bundle.load(sealed, robot="g1").robot.name == "g1"
    with pytest.raises(errors.UsageError, match="bundle: expected one for robot t1, got g1; choose"):
        Bundle.load(sealed, robot="t1")


def test_an_unknown_graph_lists_the_graphs(sealed: Path) -> None:
    with pytest.raises(
        errors.UsageError, match="graph: expected one of encoder, policy, readout, got 'decoder'"
    ):
        Bundle.load(sealed).graph("decoder")


# Sealing


def test_seal_refuses_what_would_not_load(sealed: Path) -> None:
    (sealed / "bundle.yaml").unlink()
    says = bundles.manifest()
    del says["robot"]["kp"]
    with pytest.raises(errors.BundleError, match=r"bundle\.robot\.kp"):
        seal(sealed, says)
    assert not (sealed / "bundle.yaml").exists()


@pytest.mark.parametrize("value", [np.float32(1.0), np.ones(29), float("nan"), {1, 2}, b"x"])
def test_seal_wants_plain_values(sealed: Path, value: Any) -> None:
    with pytest.raises(errors.BundleError, match="expected finite numbers, texts, lists and mappings"):
        seal(sealed, {**bundles.manifest(), "quality": {"parity": value}})


def test_sealing_again_changes_nothing(sealed: Path) -> None:
    before = (sealed / "bundle.yaml").read_bytes()
    seal(sealed, yaml.safe_load(before))
    assert (sealed / "bundle.yaml").read_bytes() == before


def test_figures_are_added_to_a_sealed_bundle(sealed: Path) -> None:
    before = Bundle.load(sealed)
    amend(sealed, {"drop": 0.75, "noise": np.float64(3)})
    after = Bundle.load(sealed)
    assert {**after.robustness} == {"delay_ms": 60.0, "drop": 0.75, "noise": 3.0}
    assert after.files.keys() == before.files.keys()
    assert {name for name in after.files if after.files[name] != before.files[name]} == {"bundle.yaml"}
    amend(sealed, before.robustness)
    says = yaml.load(before.files["bundle.yaml"], Loader=LOADER)
    says["robustness"]["noise"] = 3.0
    assert yaml.load((sealed / "bundle.yaml").read_bytes(), Loader=LOADER) == says


@pytest.mark.parametrize("value", [-1.0, float("nan"), True, "much", np.ones(2)])
def test_a_figure_that_is_none_changes_nothing(sealed: Path, value: Any) -> None:
    before = (sealed / "bundle.yaml").read_bytes()
    with pytest.raises(errors.BundleError):
        amend(sealed, {"drop": value})
    assert (sealed / "bundle.yaml").read_bytes() == before


def test_figures_are_added_to_ones_own_directory_alone(
    sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "tiny.rmedge"
    pack(sealed, packed)
    monkeypatch.setattr(rmedge.bundle, "_SHIPPED", sealed.parent)
    for source in ("tiny", packed):
        with pytest.raises(errors.UsageError) as caught:
            amend(source, {"drop": 1.0})
        assert str(caught.value) == (
            f"bundle: expected a directory to write into, got {str(source)!r}; unzip or copy it into one"
        )
    with pytest.raises(errors.InputError, match="bundle: expected a directory"):
        amend(tmp_path / "missing", {"drop": 1.0})


def test_a_bundle_that_was_tampered_with_is_not_sealed_again(sealed: Path) -> None:
    (sealed / "policy.onnx").write_bytes(b"another")
    with pytest.raises(errors.IntegrityError):
        amend(sealed, {"drop": 1.0})


# The manifest's fields


@pytest.mark.parametrize("path", KEYS, ids=dotted)
def test_every_key_is_needed(sealed: Path, path: tuple[Any, ...]) -> None:
    rewrite(sealed, lambda says: at(says, path[:-1]).pop(path[-1]))
    with pytest.raises(errors.BundleError, match=r"^bundle.*: expected .*; \w+") as caught:
        Bundle.load(sealed)
    if path[:-1] not in {("files",), ("latency_budget_ms",)}:  # their keys are the bundle's own choice
        assert str(caught.value).startswith(f"{dotted(path)}: expected ")
        assert "got nothing" in str(caught.value)


@pytest.mark.parametrize("path", [(), *MAPPINGS], ids=dotted)
def test_every_unknown_key_is_refused(sealed: Path, path: tuple[Any, ...]) -> None:
    rewrite(sealed, lambda says: at(says, path).update(surprise=1))
    with pytest.raises(errors.BundleError, match="surprise"):
        Bundle.load(sealed)


@pytest.mark.parametrize("path", LEAVES, ids=dotted)
def test_every_leaf_has_a_kind(sealed: Path, path: tuple[Any, ...]) -> None:
    good = (sealed / "bundle.yaml").read_bytes()
    for bad in (None, True, float("nan"), float("inf"), "", "a\nb", [], {}, 10**400):
        (sealed / "bundle.yaml").write_bytes(good)
        rewrite(sealed, lambda says, bad=bad: put(says, path, bad))
        with pytest.raises(errors.BundleError) as caught:
            Bundle.load(sealed)
        assert str(caught.value).startswith(f"{dotted(path)}: expected "), bad
        assert "\n" not in str(caught.value)


WORDS = "none, " + ", ".join(LABELS)
DISAGREEMENTS = [
    ("name", "../g1", "expected a simple name (letters, digits, '.', '_', '-'), got '../g1'"),
    ("robot.name", "h1", f"expected one of {', '.join(robots.names())}, got 'h1'"),
    ("robot.joint_names[3]", "knee", "expected left_knee_joint, joint 3 of g1, got 'knee'"),
    ("robot.joint_names", ["knee"], "expected the 29 joints of g1, got 1"),
    ("robot.kp", [1.0] * 28, "expected a list of 29 numbers, got 28"),
    ("robot.kd[2]", 0.0, "expected a number above 0, got 0.0"),
    ("robot.kd[2]", -1, "expected a number above 0, got -1"),
    ("robot.action_scale", [0.25], "expected a list of 29 numbers, got 1"),
    ("encoder.file", "x", "expected one of encoder.onnx, golden.npz, policy.onnx, readout.onnx, got 'x'"),
    ("encoder.rate_hz", 5000, "expected 0.1 to 1000.0 Hz, got 5000"),
    ("encoder.inputs.features", [1, 3, 8, 9], "expected [1, 3, 8, 8], got [1, 3, 8, 9]"),
    ("encoder.image.motion", "raft", "expected one of dis_flow, none, got 'raft'"),
    ("encoder.outputs.next_state", [1, 7], "expected [1, 6], got [1, 7]"),
    ("encoder.outputs.intent", [1, 5], "expected [1, 4], got [1, 5]"),
    ("policy.inputs.intent", [1, 5], "expected [1, 4], got [1, 5]"),
    ("readout.inputs.intent", [1, 5], "expected [1, 4], got [1, 5]"),
    ("policy.inputs.proprio", [1, 186], "expected [1, 194], got [1, 186]"),
    ("policy.inputs.noise", [1, 3, 29], "expected [1, 2, 29], got [1, 3, 29]"),
    ("policy.outputs.action_chunk", [2, 29], "expected [1, n, 29], got [2, 29]"),
    (
        "policy.outputs.action_chunk",
        [1, 2**20, 29],
        "expected at most 16777216 numbers, got [1, 1048576, 29]",
    ),
    ("policy.observation.terms[2].size", 28, "expected 29, got 28"),
    ("policy.observation.terms[5].size", 2, "expected 4, got 2"),
    ("policy.observation.clock_s", 0.0, "expected a number above 0, got 0.0"),
    (
        "policy.sampler.name",
        "euler",
        "expected one of consistency, flow, ddim, ddpm, regression, got 'euler'",
    ),
    ("policy.sampler.steps", 0, "expected a whole number from 1 to 16777216, got 0"),
    ("policy.sampler.steps", 1.0, "expected a whole number from 1 to 16777216, got 1.0"),
    ("readout.labels[1]", "moonwalk", f"expected one of {WORDS}, got 'moonwalk'"),
    ("readout.labels[1]", "none", "expected something not listed before, got 'none'"),
    ("intent.stand", [0.0] * 5, "expected a list of 4 numbers, got 5"),
    ("intent.stand", [1e39] * 4, "expected numbers that float32 can hold, got [1e+39, 1e+39, 1e+39, 1e+39]"),
    ("intent.vocabulary[0].z", [0.0], "expected a list of 4 numbers, got 1"),
    ("intent.vocabulary[0].gait", "hop", "expected one of stand, walk, got 'hop'"),
    ("intent.vocabulary[0].gesture", "bow", "expected one of none, wave, got 'bow'"),
    ("latency_budget_ms.cpu-x86.encode", 0, "expected a number above 0, got 0"),
    ("robustness", [60.0], "expected a mapping, got [60.0]"),
    ("robustness", {"../drop": 1}, "expected a simple name (letters, digits, '.', '_', '-'), got '../drop'"),
    ("robustness.drop", -0.5, "expected a number from 0 up, got -0.5"),
    ("quality", {"parity": [float("nan")]}, "expected a finite number, got nan"),
]


@pytest.mark.parametrize(("where", "value", "message"), DISAGREEMENTS)
def test_a_field_that_disagrees_is_named(sealed: Path, where: str, value: Any, message: str) -> None:
    path = tuple(int(key) if key.isdigit() else key for key in re.findall(r"[\w-]+", where))
    rewrite(sealed, lambda says: put(says, path, value))
    with pytest.raises(errors.BundleError) as caught:
        Bundle.load(sealed)
    assert str(caught.value) == f"bundle.{where}: {message}; correct bundle.yaml and seal the bundle again"


def test_a_newer_schema_asks_for_a_newer_rmedge(sealed: Path) -> None:
    rewrite(sealed, lambda says: says.update(schema=2))
    with pytest.raises(errors.BundleError, match=r"bundle\.schema: expected 1, .*, got 2; update rmedge"):
        Bundle.load(sealed)


def test_ddpm_draws_a_noise_for_every_step(sealed: Path) -> None:
    says = bundles.manifest()
    says["policy"]["sampler"].update(name="ddpm", steps=3)
    rewrite(sealed, lambda old: old["policy"]["sampler"].update(name="ddpm", steps=3))
    with pytest.raises(errors.BundleError, match=r"policy\.inputs\.noise: expected \[1, 6, 29\]"):
        Bundle.load(sealed)
    says["policy"]["inputs"]["noise"] = [1, 6, 29]
    (sealed / "golden.npz").unlink()
    bundle = Bundle.load(bundles.make(sealed, says))
    assert (bundle.policy.sampler.draws, bundle.policy.inputs["noise"]) == (3, (1, 6, 29))


def test_an_encoder_may_see_no_motion(sealed: Path) -> None:
    def colours_alone(says: dict[str, Any]) -> None:
        says["encoder"]["image"]["motion"] = "none"
        says["encoder"]["inputs"]["features"] = [1, 1, 8, 8]

    rewrite(sealed, colours_alone)
    with pytest.raises(errors.BundleError, match=r"encoder\.image: expected no other keys, got 'flow_scale'"):
        Bundle.load(sealed)
    says = bundles.manifest()
    colours_alone(says)
    del says["encoder"]["image"]["flow_scale"]
    (sealed / "golden.npz").unlink()
    assert Bundle.load(bundles.make(sealed, says)).encoder.image.channels == 1


def test_a_bundle_may_say_what_it_was_made_for(sealed: Path) -> None:
    assert Bundle.load(sealed).target is None
    target = {
        "name": "orin-tensorrt",
        "provider": "tensorrt",
        "options": {"trt_fp16_enable": "1"},
        "unverified": ["latency"],
    }
    seal(sealed, {**bundles.manifest(), "target": target})
    made_for = Bundle.load(sealed).target
    assert made_for is not None
    assert (made_for.name, made_for.provider, made_for.unverified) == (
        "orin-tensorrt",
        "tensorrt",
        ("latency",),
    )
    assert {**made_for.options} == {"trt_fp16_enable": "1"}
    seal(sealed, {**bundles.manifest(), "target": {"name": "cpu-x86", "provider": "cpu", "unverified": []}})
    made_for = Bundle.load(sealed).target
    assert made_for is not None and not made_for.unverified and not made_for.options
    # a provider would load that library, and write that file
    hostile = [{"trt_extra_plugin_lib_paths": "/tmp/a.so"}, {"trt_engine_cache_path": "/etc"}]
    for wrong in (
        {"name": "cpu-x86"}, {**target, "options": {"a": 1}}, {**target, "unverified": "all"}, 3,
        *({**target, "options": options} for options in hostile),
    ):  # fmt: skip
        with pytest.raises(errors.BundleError, match=r"^bundle\.target"):
            seal(sealed, {**bundles.manifest(), "target": wrong})


def test_quality_is_added_to_a_sealed_bundle(sealed: Path) -> None:
    amend(sealed, {}, quality={"closed_loop": {"fell": 0}})
    quality = Bundle.load(sealed).quality
    assert quality["closed_loop"] == {"fell": 0}
    assert quality["parity"] == {"encoder": 1.0e-6}


@pytest.mark.parametrize(
    ("name", "steps"), [("consistency", 2), ("flow", 32), ("ddim", 10), ("regression", 1)]
)
def test_samplers_differ_in_steps_and_regression_has_one(sealed: Path, name: str, steps: int) -> None:
    rewrite(sealed, lambda says: says["policy"]["sampler"].update(name=name, steps=steps))
    sampler = Bundle.load(sealed).policy.sampler
    assert (sampler.name, sampler.steps) == (name, steps)
    rewrite(sealed, lambda says: says["policy"]["sampler"].update(name="regression", steps=2))
    with pytest.raises(errors.BundleError, match=r"bundle\.policy\.sampler\.steps: expected 1, got 2"):
        Bundle.load(sealed)


def test_robustness_may_be_unknown_yet(sealed: Path) -> None:
    rewrite(sealed, lambda says: says.update(robustness={}))
    assert {**Bundle.load(sealed).robustness} == {}


def test_words_and_logits_must_agree(sealed: Path) -> None:
    rewrite(sealed, lambda says: says["readout"].update(gaits=["walk"]))
    with pytest.raises(errors.BundleError, match=r"gait_logits: expected \[1, 1\], got \[1, 2\]"):
        Bundle.load(sealed)


def test_a_term_is_observed_once(sealed: Path) -> None:
    again = {"name": "base_ang_vel", "size": 3, "scale": 1.0, "clip": 1.0}
    rewrite(sealed, lambda says: says["policy"]["observation"]["terms"].append(again))
    with pytest.raises(errors.BundleError, match=r"terms\[6\]: expected something not listed before"):
        Bundle.load(sealed)


def test_limits_leave_room_for_the_default_pose(sealed: Path) -> None:
    rewrite(sealed, lambda says: put(says, ("envelope", "upper", 0), -3.0))
    with pytest.raises(
        errors.BundleError, match=r"the default pose between them, got \[-2\.5307, -0\.312, -3\.0\]"
    ):
        Bundle.load(sealed)


# What may be left out: limits of speed and jerk, what is done beyond a limit, and the budgets


def test_without_them_there_are_no_such_limits_and_the_budgets_are_the_defaults(sealed: Path) -> None:
    bundle = Bundle.load(sealed)
    assert (bundle.envelope.velocity_limit, bundle.envelope.jerk_limit) == (None, None)
    assert (dict(bundle.envelope.on_violation), bundle.budgets) == ({}, Budgets())


def test_limits_and_budgets_are_said_as_they_were_sealed(sealed: Path) -> None:
    limits = {"velocity_limit": [20.1] * 29, "jerk_limit": [1.6e7] * 29}
    policies = {"jerk": "reject", "position": "clamp"}
    told = {**dataclasses.asdict(Budgets()), "hold_ms": 40.5, "flail_joints": 4}
    amend(sealed, {}, envelope={**limits, "on_violation": policies}, budgets=told)
    bundle = Bundle.load(sealed)
    for name, values in limits.items():
        array = getattr(bundle.envelope, name)
        assert array.tolist() == values and not array.flags.writeable
    assert dict(bundle.envelope.on_violation) == policies
    with pytest.raises(TypeError):
        bundle.envelope.on_violation["rate"] = "reject"  # type: ignore[index]
    assert dataclasses.asdict(bundle.budgets) == told
    before = (sealed / "bundle.yaml").read_bytes()
    amend(sealed, {}, budgets={"hold_ms": 40.5})
    seal(sealed, yaml.safe_load(before))
    assert (sealed / "bundle.yaml").read_bytes() == before
    assert Bundle.load(sealed).robustness == {"delay_ms": 60.0, "drop": 0.5}


BEYOND: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"velocity_limit": [1.0] * 28}, {}, "envelope.velocity_limit: expected a list of 29 numbers, got 28"),
    ({"jerk_limit": [0.0] * 29}, {}, "envelope.jerk_limit[0]: expected a number above 0, got 0.0"),
    ({"jerk_limit": None}, {}, "envelope.jerk_limit: expected a list of 29 numbers, got None"),
    ({"snap_limit": [1.0] * 29}, {}, "envelope: expected no other keys, got 'snap_limit'"),
    ({"on_violation": {"rate": "warn"}}, {}, "envelope.on_violation.rate: expected one of clamp, reject"),
    ({"on_violation": {"speed": "clamp"}}, {}, "envelope.on_violation: expected no other keys"),
    ({"on_violation": {"jerk": "clamp"}}, {}, "envelope.on_violation: expected no other keys"),
    ({"on_violation": "reject"}, {}, "envelope.on_violation: expected a mapping, got 'reject'"),
    ({}, {"hold": 1.0}, "budgets: expected no other keys, got 'hold'"),
    ({}, {"hold_ms": -1.0}, "budgets.hold_ms: expected a number above 0, got -1.0"),
]  # fmt: skip


@pytest.mark.parametrize(("envelope", "budgets", "message"), BEYOND)
def test_limits_and_budgets_that_make_no_sense_are_named(
    sealed: Path, envelope: dict[str, Any], budgets: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.BundleError) as caught:
        amend(sealed, {}, envelope=envelope, budgets=budgets)
    assert str(caught.value).startswith(f"bundle.{message}")


def test_budgets_are_a_mapping(sealed: Path) -> None:
    rewrite(sealed, lambda says: says.update(budgets=[20.0]))
    with pytest.raises(errors.BundleError, match=r"^bundle\.budgets: expected a mapping, got \[20\.0\]"):
        Bundle.load(sealed)


@pytest.mark.parametrize("name", ["x", "../x", "/etc/passwd", "bundle.yaml"])
def test_only_files_of_the_bundle_are_listed(sealed: Path, name: str) -> None:
    rewrite(sealed, lambda says: says["files"].update({name: "0" * 64}))
    with pytest.raises(errors.BundleError, match=rf"bundle\.files: expected .*, got '{name}'"):
        Bundle.load(sealed)


# YAML


def laughs() -> bytes:
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)]
    return b"\n".join(lines)


HOSTILE = [
    (laughs(), "bundle.yaml line 1: expected no anchors, aliases or tags, got 'a0'"),
    (b"name: *a", "bundle.yaml line 1: expected no anchors, aliases or tags, got 'a'"),
    (b"x: 1\ny: !!python/object/apply:os.system [ls]", "line 2: expected no anchors, aliases or tags"),
    (b"name: !!str tiny", "expected no anchors, aliases or tags"),
    (b"name: ! tiny", "expected no anchors, aliases or tags"),
    (b"!!map {a: 1}", "expected no anchors, aliases or tags"),
    (b"name: a\nname: a", "bundle.yaml line 2: expected every key once, got 'name'"),
    (b"quality: {a: {b: 1, b: 2}}", "expected every key once, got 'b'"),
    (b"<<: {name: a}", "expected YAML"),
    (b"1: a", "expected keys that are text, got 1"),
    (b"[a]: a", r"expected keys that are text, got \['a'\]"),
    (b"[" * 100_000, "expected at most 16 collections within collections"),
    (b"{a: " * 100_000, "expected at most 16 collections within collections"),
    (b"name: " + b"9" * 5000, "expected at most 2048 characters in one value"),
    (b"name: " + b"1:" * 1000 + b"1", "bundle.schema: expected 1"),
    (b"#" * (1 << 20) + b"#", "bundle.yaml: expected at most 1048576 bytes, got 1048577"),
    (b"a: 1\n---\na: 1", "bundle.yaml: expected one document"),
    (b"name: 2026-13-45", "bundle.yaml: expected YAML"),
    (b"name: [", "bundle.yaml: expected YAML"),
    (b"\xff\xfe\xff", "bundle.yaml: expected YAML"),
    (b"name: \x00", "bundle.yaml: expected YAML"),
    (b"", "bundle: expected a mapping, got None"),
    (b"- a", r"bundle: expected a mapping, got \['a'\]"),
]


@pytest.mark.parametrize(("text", "message"), HOSTILE, ids=[str(text[:16]) for text, _ in HOSTILE])
@pytest.mark.parametrize("loader", ["SafeLoader", "CSafeLoader"])
def test_hostile_yaml_is_refused(
    sealed: Path, text: bytes, message: str, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(yaml, loader):
        pytest.skip("PyYAML was built without its C library")
    monkeypatch.setattr(document, "_SafeLoader", getattr(yaml, loader))
    (sealed / "bundle.yaml").write_bytes(text)
    with pytest.raises(errors.BundleError, match=message) as caught:
        Bundle.load(sealed)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_date_in_a_free_mapping_must_be_quoted(sealed: Path) -> None:
    path = sealed / "bundle.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("'2026-01-01'", "2026-01-01"), encoding="utf-8")
    with pytest.raises(errors.BundleError, match=r"bundle\.provenance: expected texts.*quote a date"):
        Bundle.load(sealed)


# Bytes


@pytest.mark.parametrize("name", GRAPH_FILES)
def test_every_flipped_byte_is_noticed(sealed: Path, name: str) -> None:
    good = (sealed / name).read_bytes()
    for position in {0, len(good) - 1, *np.random.default_rng(2).integers(0, len(good), 10).tolist()}:
        bad = bytearray(good)
        bad[position] ^= 1
        (sealed / name).write_bytes(bad)
        with pytest.raises(errors.IntegrityError, match=rf"bundle\.files\.{name}: expected sha256 .*; fetch"):
            Bundle.load(sealed)


def test_a_flipped_byte_of_the_manifest_is_refused_or_another_bundle(sealed: Path) -> None:
    good = (sealed / "bundle.yaml").read_bytes()
    known = Bundle.load(sealed).sha256
    refused = 0
    random = np.random.default_rng(3)
    for position in random.integers(0, len(good), 100).tolist():
        bad = bytearray(good)
        bad[position] ^= 1 << int(random.integers(8))
        (sealed / "bundle.yaml").write_bytes(bad)
        try:
            assert Bundle.load(sealed).sha256 != known
        except errors.RmedgeError:
            refused += 1
    assert refused > 30


def test_a_flipped_byte_of_a_zip_is_refused_or_harmless(sealed: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.rmedge"
    pack(sealed, path)
    good, files = path.read_bytes(), Bundle.load(sealed).files
    random = np.random.default_rng(4)
    directory = good.index(b"PK\x01\x02")  # few bytes, much meaning
    positions = [random.integers(0, directory, 30), random.integers(directory, len(good), 60)]
    refused = 0
    for position in np.concatenate(positions).tolist():
        bad = bytearray(good)
        bad[position] ^= 1 << int(random.integers(8))
        path.write_bytes(bad)
        try:
            assert Bundle.load(path).files == files
        except errors.RmedgeError:
            refused += 1
    assert refused > 30


def test_a_truncated_zip_is_refused(sealed: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.rmedge"
    pack(sealed, path)
    good = path.read_bytes()
    for length in (0, 1, 100, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:length])
        with pytest.raises(errors.InputError, match="bundle: expected an intact zip file"):
            Bundle.load(path)


# Directories


def test_an_unlisted_file_is_refused(sealed: Path) -> None:
    (sealed / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(
        errors.BundleError, match=r"expected only files that bundle\.yaml lists, got 'notes\.txt'"
    ):
        Bundle.load(sealed)


@pytest.mark.parametrize("name", GRAPH_FILES)
def test_a_missing_file_is_named(sealed: Path, name: str) -> None:
    (sealed / name).unlink()
    with pytest.raises(errors.BundleError, match=f"got '{name}'; add it"):
        Bundle.load(sealed)


def test_a_directory_without_a_manifest_says_so(sealed: Path) -> None:
    (sealed / "bundle.yaml").unlink()
    with pytest.raises(errors.BundleError, match=r"expected bundle\.yaml in it, got none; write it with"):
        Bundle.load(sealed)


def test_links_folders_and_hidden_files_are_refused(sealed: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    outside.write_bytes((sealed / "encoder.onnx").read_bytes())
    makers: list[Callable[[Path], Any]] = [
        lambda path: path.symlink_to(outside),
        lambda path: path.symlink_to(sealed / "policy.onnx"),
        lambda path: path.mkdir(),
    ]
    for maker in makers:
        odd = sealed / "odd.onnx"
        maker(odd)
        with pytest.raises(errors.BundleError, match=r"expected plain files .* got 'odd\.onnx'"):
            Bundle.load(sealed)
        odd.rmdir() if odd.is_dir() else odd.unlink()
    (sealed / ".hidden").write_bytes(b"")
    with pytest.raises(errors.BundleError, match=r"expected plain files .* got '\.hidden'"):
        Bundle.load(sealed)


def test_a_directory_may_not_be_endless(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MOST_BYTES", 1000)
    with pytest.raises(errors.BundleError, match="MiB in all"):
        Bundle.load(sealed)
    monkeypatch.undo()
    monkeypatch.setattr(archive, "_MOST_FILES", 4)
    with pytest.raises(errors.BundleError, match="expected at most 4 files"):
        Bundle.load(sealed)


# Zips


def member(name: str, mode: int = stat.S_IFREG | 0o644, how: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    info.compress_type = how
    return info


def zipped(path: Path, *members: tuple[zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive_:
        for info, data in members:
            archive_.writestr(info, data)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../x.onnx",
        "/etc/passwd",
        "a/b.onnx",
        "a\\b.onnx",
        "C:x",
        "..",
        ".x",
        "",
        "x\n.onnx",
        "ü.onnx",
        "x" * 101,
    ],
)
def test_members_that_escape_are_refused(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "bad.rmedge", (member(name), b"x"))
    with pytest.raises(errors.BundleError, match="expected plain files with simple names"):
        Bundle.load(path)


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR])
def test_members_that_are_no_files_are_refused(tmp_path: Path, mode: int) -> None:
    path = zipped(tmp_path / "bad.rmedge", (member("x.onnx", mode | 0o644), b"/etc/passwd"))
    with pytest.raises(errors.BundleError, match=r"expected plain files .* got 'x\.onnx'"):
        Bundle.load(path)


def test_duplicate_members_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zipped(tmp_path / "bad.rmedge", (member("x.onnx"), b"1"), (member("x.onnx"), b"2"))
    with pytest.raises(errors.BundleError, match=r"expected each file once, got 'x\.onnx' twice"):
        Bundle.load(path)


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bad.rmedge", (member("x.onnx"), b"1"))
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flags of the member, then those of the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(errors.BundleError, match=r"got 'x\.onnx' encrypted"):
        Bundle.load(path)


def test_rare_compressions_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bad.rmedge", (member("x.onnx", how=zipfile.ZIP_LZMA), b"1"))
    with pytest.raises(errors.BundleError, match="expected files stored or deflated"):
        Bundle.load(path)


def test_a_declared_flood_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MOST_BYTES", 64 << 20)  # less of a flood, for the sake of the test
    zeros = bytes((64 << 20) + 1)
    path = zipped(tmp_path / "bad.rmedge", (member("x.onnx", how=zipfile.ZIP_DEFLATED), zeros))
    assert path.stat().st_size < 100_000
    with pytest.raises(errors.BundleError, match="expected at most 64 MiB in all"):
        Bundle.load(path)


@pytest.mark.parametrize("claimed", [0, 1, 999, 2**32 - 2])
def test_a_size_that_lies_is_refused(tmp_path: Path, claimed: int) -> None:
    path = zipped(tmp_path / "bad.rmedge", (member("x.onnx", how=zipfile.ZIP_DEFLATED), bytes(1000)))
    data = bytearray(path.read_bytes())
    for start in (22, data.index(b"PK\x01\x02") + 24):
        data[start : start + 4] = claimed.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(errors.UsageError):
        archive.read(path)


def test_many_members_are_refused(tmp_path: Path) -> None:
    for count in (65, 1000):
        path = zipped(tmp_path / "bad.rmedge", *((member(f"x{n}"), b"") for n in range(count)))
        with pytest.raises(errors.BundleError, match="expected at most 64 files"):
            Bundle.load(path)


def test_a_large_file_is_no_zip_worth_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MOST_BYTES", 100)
    (tmp_path / "bad.rmedge").write_bytes(bytes(101))
    with pytest.raises(errors.BundleError, match="MiB in all"):
        Bundle.load(tmp_path / "bad.rmedge")


# Golden arrays


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            "policy.noise",
            None,
            r"bundle\.golden: expected every input and output .* got \['policy\.noise\.npy'\]",
        ),
        ("policy.more", np.ones(3), r"bundle\.golden: expected every input .* got \['policy\.more\.npy'\]"),
        ("policy.noise", np.ones((3, 2, 28), "f4"), r"policy\.noise: expected float32 \(cases, 2, 29\)"),
        ("policy.noise", np.ones((4, 2, 29), "f4"), r"policy\.noise: expected .* as many cases"),
        ("policy.noise", np.ones((3, 2, 29)), r"policy\.noise: expected .* got 'float64"),
        ("policy.noise", np.ones((3, 2, 29), ">f4"), r"policy\.noise: expected .* got '>f4"),
        ("policy.noise", np.float32(1), r"policy\.noise: expected float32"),
        ("policy.noise", np.full((3, 2, 29), np.nan, "f4"), r"policy\.noise: expected finite numbers"),
        (
            "policy.noise",
            np.array([print], object),
            r"policy\.noise: expected an array as np\.savez writes it",
        ),
        ("encoder.features", np.ones((0, 3, 8, 8), "f4"), r"encoder\.features: expected float32"),
    ],
)
def test_golden_arrays_must_fit_the_graphs(sealed: Path, name: str, array: Any, message: str) -> None:
    arrays = bundles.golden(bundles.manifest())
    arrays.pop(name, None)
    np.savez(sealed / "golden.npz", **arrays, **({} if array is None else {name: array}))
    with pytest.raises(errors.BundleError, match=message):
        Bundle.load(rehash(sealed))


def test_golden_arrays_may_not_promise_more_than_they_hold(sealed: Path) -> None:
    arrays = bundles.golden(bundles.manifest())
    header = io.BytesIO()
    shape = (2**40, 2, 29)
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    members = []
    for name, array in arrays.items():
        data = io.BytesIO()
        np.save(data, array)
        members.append(
            (member(f"{name}.npy"), header.getvalue() if name == "policy.noise" else data.getvalue())
        )
    zipped(sealed / "golden.npz", *members)
    with pytest.raises(errors.BundleError, match=r"policy\.noise: expected an array"):
        Bundle.load(rehash(sealed))


def test_a_flipped_byte_of_a_golden_header_raises_nothing_foreign(sealed: Path) -> None:
    arrays = archive.unzip((sealed / "golden.npz").read_bytes(), "golden")
    random = np.random.default_rng(5)
    for name in [*arrays] * 2:
        bad = bytearray(arrays[name])
        bad[int(random.integers(100))] = int(random.choice([*b"([{'\\\0"]))
        archive.write(sealed / "golden.npz", {**arrays, name: bytes(bad)})
        with contextlib.suppress(errors.RmedgeError):
            Bundle.load(rehash(sealed))


def test_a_golden_file_that_is_no_zip_is_refused(sealed: Path) -> None:
    (sealed / "golden.npz").write_bytes(b"not a zip")
    with pytest.raises(errors.InputError, match=r"bundle\.golden: expected an intact zip file"):
        Bundle.load(rehash(sealed))


def test_exit_codes_follow_the_contract() -> None:
    assert (errors.InputError.exit_code, errors.BundleError.exit_code, errors.IntegrityError.exit_code) == (
        2,
        2,
        1,
    )
