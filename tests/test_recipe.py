"""The recipe as a command: everything, small, from the teachers to sealed bundles that load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from rmedge import Bundle, robots
from rmedge.errors import UsageError
from rmedge.export import packing, recipe
from rmedge.export.motions.phrases import PHRASES
from rmedge.export.motions.rollouts import TERMS
from rmedge.export.motions.teachers import CLOCK_S
from rmedge.export.motions.troupe import gestures_of
from rmedge.export.networks.denoiser import CHUNK, HISTORY

QUICK_S = 300
# name -> sampler and steps
VARIANTS = {
    "float32": ("flow", 1),
    "naive-two-step": ("flow", 2),
    "many-step": ("flow", recipe.MANY),
    "distilled-one-step": ("consistency", 1),
    "distilled-two-step": ("consistency", 2),
    "regression": ("regression", 1),
}


def command(*asked: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rmedge.export", *asked],
        capture_output=True, text=True, timeout=2 * QUICK_S, check=False, env=dict(os.environ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recipe")
    done = command("g1-mirror", "--out", str(out), "--quick")
    assert done.returncode == 0, done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def bundle(made: Path) -> Bundle:
    return Bundle.load(made / "g1-mirror")


def test_every_robot_has_a_command_and_an_effort() -> None:
    told = command("--help").stdout
    for robot in robots.names():
        assert f"{robot}-mirror" in told
        assert "--quick" in command(f"{robot}-mirror", "--help").stdout
    assert set(recipe.FULL) == set(robots.names())


def test_the_quick_recipe_makes_a_bundle_that_loads_and_says_where_it_comes_from(bundle: Bundle) -> None:
    assert bundle.name == "g1-mirror"
    assert bundle.size < 10_000_000
    assert bundle.provenance["recipe"] == "python -m rmedge.export g1-mirror"
    assert bundle.provenance["seed"] == recipe.SEED
    assert bundle.provenance["effort"]["encoder_steps"] == recipe.QUICK.encoder_steps
    assert "synthetic" in bundle.provenance["training_data"]
    of_its_own = {"package", "licence"}
    assert set(bundle.provenance["teachers"]) - of_its_own == {"fastsac", "ppo", "dance_one", "dance_two"}


def test_the_bundle_says_what_its_policy_sees_and_plans(bundle: Bundle) -> None:
    policy = bundle.policy
    assert [(term.name, term.scale) for term in policy.observation.terms] == list(TERMS)
    assert (policy.observation.clock_s, policy.observation.history) == (CLOCK_S, HISTORY)
    assert policy.outputs["action_chunk"] == (1, CHUNK, 29)
    assert {phrase.gesture for phrase in bundle.intent.vocabulary} == set(gestures_of(robots.load("g1")))
    assert len(bundle.intent.vocabulary) > 0.8 * len(PHRASES)


def test_every_variant_is_a_bundle_of_the_same_eyes_with_a_sampler_of_its_own(
    made: Path, bundle: Bundle
) -> None:
    assert {folder.name for folder in (made / "variants").iterdir()} == set(VARIANTS)
    policies = {}
    for name, sampler in VARIANTS.items():
        variant = Bundle.load(made / "variants" / name)
        assert (variant.name, variant.policy.sampler.name, variant.policy.sampler.steps) == (name, *sampler)
        for graph in ("encoder", "readout"):
            assert variant.graph(graph) == bundle.graph(graph)
        assert set(onnx_inputs(variant.graph("policy"))) == {"proprio", "intent", "noise"}
        assert int8_weights(variant.graph("policy")) == 0
        policies[variant.graph("policy")] = name
    assert len(policies) == len(VARIANTS)
    assert (bundle.policy.sampler.name, bundle.policy.sampler.steps) == VARIANTS["float32"]
    small, whole = (one.graph("policy") for one in (bundle, Bundle.load(made / "variants" / "float32")))
    assert int8_weights(small) >= 5 and len(small) < 0.4 * len(whole)


def onnx_inputs(graph: bytes) -> list[str]:
    return [value.name for value in onnx.load_from_string(graph).graph.input]


def int8_weights(graph: bytes) -> int:
    weights = onnx.load_from_string(graph).graph.initializer
    return sum(w.data_type == onnx.TensorProto.INT8 and len(w.dims) > 1 for w in weights)


def test_float_graphs_equal_torch_and_the_encoder_is_quantised(bundle: Bundle) -> None:
    assert max(bundle.quality["parity_max_abs_error"].values()) < 1e-4
    assert bundle.quality["int8_intent_cosine"]["mean"] >= 0.99
    assert int8_weights(bundle.graph("encoder")) >= 5


def test_a_second_run_resumes_and_gives_the_same_graphs(made: Path) -> None:
    before = {name: Bundle.load(made / "g1-mirror").graph(name) for name in ("policy", "readout")}
    spent = (made / "work" / "spent.json").stat().st_mtime
    folder = recipe.make("g1", made, recipe.QUICK)
    after = Bundle.load(folder)
    assert (made / "work" / "spent.json").stat().st_mtime > spent
    assert {name: after.graph(name) for name in before} == before


def test_other_eyes_leave_a_bundles_policy_and_words_to_the_byte(
    made: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made / "work", tmp_path / "work")
    after = Bundle.load(recipe.refit(bundle, tmp_path, recipe.QUICK))
    for graph in ("policy", "readout"):
        assert after.graph(graph) == bundle.graph(graph)
    assert after.graph("encoder") == bundle.graph("encoder")  # the same work makes the same eyes
    assert [p.z.tolist() for p in after.intent.phrases] == [p.z.tolist() for p in bundle.intent.phrases]
    assert after.golden().keys() == bundle.golden().keys()
    encoder = {"int8_intent_cosine", "held_out_clips", "parity_max_abs_error"}
    assert {key: value for key, value in after.quality.items() if key not in encoder} == {
        key: value for key, value in bundle.quality.items() if key not in encoder
    }
    told = bundle.quality["held_out_clips"]["encoder"], after.quality["held_out_clips"]["encoder"]
    for before, now in zip(*(told[n].values() for n in range(2)), strict=True):
        assert now == pytest.approx(before, abs=1e-3)  # read by the walker's graph, not by torch
    assert after.provenance["recipe"] == "python -m rmedge.export refit g1-mirror"
    assert after.provenance["walker"]["sha256"] == bundle.sha256
    sealed: list[dict[str, Any]] = []
    monkeypatch.setattr(packing, "refit", lambda *given: sealed.append(given[-1]) or given[-2])
    recipe.refit(after, tmp_path, recipe.QUICK)
    assert sealed[0]["walker"] == after.provenance["walker"]  # who made the policy, however often


def test_a_walker_that_means_something_else_by_its_intents_is_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "work", tmp_path / "work")
    with pytest.raises(UsageError, match="refit: expected a walker whose intents the recipe finds again"):
        recipe.refit(Bundle.load("g1-mirror"), tmp_path, recipe.QUICK)
    done = command("refit", str(made / "nothing"), "--out", str(tmp_path), "--quick")
    assert done.returncode == 2 and "bundle: expected" in done.stderr


@pytest.mark.parametrize(("robot", "seed"), [("g1", 1), ("t1", recipe.SEED)])
def test_another_effort_or_robot_in_the_same_folder_is_refused(made: Path, robot: str, seed: int) -> None:
    with pytest.raises(UsageError, match="an empty folder or one of the same robot and effort"):
        recipe.make(robot, made, recipe.QUICK, seed=seed)


def test_weights_are_finite_and_loaded_without_pickle(made: Path) -> None:
    for path in (made / "work").glob("*.pt"):
        saved = torch.load(path, weights_only=True)
        assert all(
            np.isfinite(value.numpy()).all()
            for value in saved["average"].values()
            if value.is_floating_point()
        )
