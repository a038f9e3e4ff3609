"""Six models of others go through the one path that ours goes: exported, proved, weighed, sealed, driven."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import foreign
import numpy as np
import pytest
import torch
from torch import nn

from rmedge import runtimes
from rmedge.bundle import Bundle
from rmedge.export.build import build
from rmedge.export.foreign import encoders, policies
from rmedge.runtimes.verify import verify
from rmedge.specs import Frame, RobotState

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def siglip(folder: Path) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    vision = {**foreign.SMALL, "image_size": foreign.SIDE, "patch_size": 8}
    words = {**foreign.SMALL, "vocab_size": 64, "max_position_embeddings": 8, "projection_size": 32}
    config = transformers.SiglipConfig(text_config=words, vision_config=vision)
    return _saved(transformers.SiglipModel(config), folder)


def vit(folder: Path) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(**foreign.SMALL, image_size=foreign.SIDE, patch_size=8)
    return _saved(transformers.ViTForImageClassification(config), folder)  # it has no pooler


def _saved(model: Any, folder: Path) -> nn.Module:
    """As somebody publishes it, and as a build finds it."""
    from rmedge.export.foreign import hugging_face

    model.save_pretrained(folder)
    says = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(says))
    return hugging_face.load(str(folder), head=nn.Linear(foreign.SMALL["hidden_size"], foreign.INTENT))


ENCODERS = {
    "siglip": siglip,
    "vit": vit,
    "convnet": lambda folder: encoders.Glimpse(foreign.ConvNet(), mean=foreign.MEAN, std=foreign.STD),
}
POLICIES = {
    "denoiser": lambda: policies.Denoised(foreign.Denoiser(), foreign.DDIM, chunk=8),
    "chunker": foreign.Chunker,
    "mlp": foreign.MLP,
}


def drive(bundle: Bundle) -> Iterator[np.ndarray]:
    """What the robot would be told, tick by tick, while it watches noise."""
    mirror = runtimes.load(bundle, write_hz=50)
    rng = np.random.default_rng(0)
    for tick in range(12):
        now_ns = tick * 20_000_000
        if tick % 5 == 0:
            pixels = rng.integers(0, 256, (48, 64, 3), np.uint8)
            intent = mirror.watch(Frame(pixels, now_ns, now_ns, tick // 5))
            assert (
                intent.certainty == pytest.approx(1.0) or bundle.provenance["base"]["graphs"][0] == "encoder"
            )
        pose = bundle.default_pose
        down = np.array([0.0, 0.0, -1.0])
        yield mirror.act(RobotState(pose, np.zeros_like(pose), np.zeros(3), down, now_ns)).joint_pos


# some are weighed in every format, others made in one, so that this stays quick
PRECISION = {"siglip": "int8-dynamic", "vit": "float32", "chunker": "int8-weights"}
WEIGHED = {"float32", "int8-dynamic", "int8-static", "float16"}


def prove(bundle: Bundle, graph: str, kind: str) -> None:
    """What every build must leave behind, and that a robot can be driven with it."""
    quality, proof = bundle.quality, bundle.quality["proof"][graph]
    assert set(proof["from_torch"]) == set(getattr(bundle, graph).outputs)
    assert all(drift["relative"] < 1e-4 for drift in proof["from_torch"].values())
    rows = quality["trials"][graph]
    (chosen,) = (row for row in rows if row["chosen"])
    asked = PRECISION.get(kind)
    assert {row["format"] for row in rows} >= ({asked, "float32"} if asked else WEIGHED)
    assert chosen["format"] == quality["precision"][graph] == (asked or chosen["format"])
    assert chosen["error"] <= 0.01
    assert all(row["why"] for row in rows)
    assert all(row.ok for row in verify(bundle))
    assert set(quality["precision"]) == {graph}
    assert sorted([graph, *bundle.provenance["base"]["graphs"]]) == ["encoder", "policy", "readout"]
    targets = np.array(list(drive(bundle)))
    assert np.isfinite(targets).all()
    assert ((targets >= bundle.envelope.lower) & (targets <= bundle.envelope.upper)).all()


@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_of_others_becomes_a_bundle(kind: str, tmp_path: Path) -> None:
    network = ENCODERS[kind](tmp_path / "published")
    spec = {} if kind != "convnet" else {"encoder": {"image": foreign.IMAGE}}
    recorded = {"encoder": foreign.streams()}
    bundle = build(
        tmp_path / kind,
        encoder=network,
        spec=spec,
        calibration=recorded,
        precision=PRECISION.get(kind, "auto"),
    )
    assert bundle.encoder.image.motion == "none"
    assert bundle.encoder.inputs == {"features": (1, 3, 32, 32), "state": (1, 1)}
    prove(bundle, "encoder", kind)
    assert bundle.robustness == foreign.BASE.robustness


@pytest.mark.parametrize("kind", POLICIES)
def test_a_policy_of_others_becomes_a_bundle(kind: str, tmp_path: Path) -> None:
    rows = {"denoiser": 8, "chunker": 8, "mlp": 1}[kind]
    network = POLICIES[kind]()
    recorded = {"policy": foreign.calls()}
    bundle = build(
        tmp_path / kind, policy=network, calibration=recorded, precision=PRECISION.get(kind, "auto")
    )
    assert bundle.policy.outputs["action_chunk"] == bundle.policy.inputs["noise"] == (1, rows, foreign.JOINTS)
    expected = ("ddim", 4) if kind == "denoiser" else ("regression", 1)
    assert (bundle.policy.sampler.name, bundle.policy.sampler.steps) == expected
    prove(bundle, "policy", kind)
    refused = [row["why"] for row in bundle.quality["trials"]["policy"] if not row["size"]]
    assert not refused  # layers that every unrolled step shares are quantised, too
    assert not bundle.robustness


def test_pictures_are_normalised_as_the_network_was_trained(tmp_path: Path) -> None:
    """From a picture of one colour to what the network is given, through the runtime's own features."""
    from dataclasses import replace

    from rmedge.runtimes.features import Features

    pytest.importorskip("cv2")
    image = replace(foreign.BASE.encoder.image, **foreign.IMAGE)
    given = encoders.Glimpse(nn.Flatten(2), mean=foreign.MEAN, std=foreign.STD)
    colour = np.array([10, 128, 250], np.uint8)
    features = Features(image, 1).push(np.tile(colour, (40, 40, 1)), 0)
    seen = given(torch.from_numpy(features), torch.zeros(1, 1))[0][0].mean(1)
    np.testing.assert_allclose(seen, (colour / 255 - foreign.MEAN) / foreign.STD, atol=1e-4)
