"""The recipe as a command: everything, small, from the teachers to a sealed bundle that loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from rmedge import Bundle
from rmedge.errors import UsageError
from rmedge.export import recipe

QUICK_S = 300


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recipe")
    command = [sys.executable, "-m", "rmedge.export", "g1-mirror", "--out", str(out), "--quick"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=2 * QUICK_S, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def test_the_quick_recipe_makes_a_bundle_that_loads_and_says_where_it_comes_from(made: Path) -> None:
    bundle = Bundle.load(made / "g1-mirror")
    assert bundle.name == "g1-mirror"
    assert bundle.size < 10_000_000
    assert bundle.provenance["seed"] == recipe.SEED
    assert bundle.provenance["effort"]["encoder_steps"] == recipe.QUICK.encoder_steps
    assert "synthetic" in bundle.provenance["training_data"]


def test_float_graphs_equal_torch_and_the_encoder_is_quantised(made: Path) -> None:
    bundle = Bundle.load(made / "g1-mirror")
    assert max(bundle.quality["parity_max_abs_error"].values()) < 1e-4
    assert bundle.quality["int8_intent_cosine"]["mean"] >= 0.99
    weights = onnx.load_from_string(bundle.graph("encoder")).graph.initializer
    assert sum(w.data_type == onnx.TensorProto.INT8 for w in weights) >= 5


def test_a_second_run_resumes_and_gives_the_same_graphs(made: Path) -> None:
    before = {name: Bundle.load(made / "g1-mirror").graph(name) for name in ("policy", "readout")}
    spent = (made / "work" / "spent.json").stat().st_mtime
    folder = recipe.make(made, recipe.QUICK)
    after = Bundle.load(folder)
    assert (made / "work" / "spent.json").stat().st_mtime > spent
    assert {name: after.graph(name) for name in before} == before


def test_another_effort_in_the_same_folder_is_refused(made: Path) -> None:
    with pytest.raises(UsageError, match="an empty folder or one of the same effort"):
        recipe.make(made, recipe.QUICK, seed=1)


def test_weights_are_finite_and_loaded_without_pickle(made: Path) -> None:
    for path in (made / "work").glob("*.pt"):
        saved = torch.load(path, weights_only=True)
        assert all(
            np.isfinite(value.numpy()).all()
            for value in saved["average"].values()
            if value.is_floating_point()
        )
