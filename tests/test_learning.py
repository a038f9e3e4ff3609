"""The recipe's parts keep their promises: data stays within bounds, samplers and resumption are exact."""

from __future__ import annotations

import math
import re

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from rmedge import robots
from rmedge.errors import CheckError
from rmedge.export import clips, consistency, graphs, motion, rollouts, teachers, training, understanding
from rmedge.export.denoiser import CHUNK, HISTORY, Chunks, Denoiser, OneStep, flow_loss, sample
from rmedge.labels import LABELS

ROBOT = robots.load("g1")
JOINTS, TICK = 3, 7  # of the made-up robot
PATH = re.compile(rb"\.py\b|site-packages|/(home|root|tmp|usr)/")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def ticks(seed, trials=6):
    """Made-up ticks that say where they come from: proprio and label their row, intent their segment."""
    rng = np.random.default_rng(seed)
    trial, segment = [], []
    for number in range(trials):
        for _ in range(rng.integers(1, 4)):
            length = int(rng.integers(1, 250)) if rng.random() < 0.6 else int(rng.integers(1, 8))
            trial += [number] * length
            segment += [segment[-1] + 1 if segment else 0] * length
    count = len(trial)
    row = np.arange(count, dtype=np.float32)[:, None]
    segments = np.array(segment, np.int32)
    return rollouts.Ticks(
        proprio=np.tile(row, (1, TICK)),
        label=np.tile(row, (1, JOINTS)),
        motion=rng.normal(size=(count, 37)).astype(np.float32),
        trial=np.array(trial, np.int32),
        segment=segments,
        teacher=np.zeros(count, np.int8),
        command=np.zeros((count, 3), np.float32),
        intent=np.tile(100 * segments[:, None], (1, motion.Z)).astype(np.float32),
        fell=np.zeros(trials, bool),
    )


def denoiser(width=16):
    model = Denoiser(TICK, JOINTS, width, depth=1)
    model.action_std.copy_(torch.tensor([0.5, 1.0, 2.0]))
    model.action_mean.copy_(torch.tensor([0.1, -0.2, 0.3]))
    return model


def inputs(count=5):
    return torch.randn(count, HISTORY * TICK), torch.randn(count, motion.Z), torch.randn(count, CHUNK, JOINTS)


# teachers and rollouts


def test_the_gait_clock_stands_starts_and_restarts():
    clock = teachers.Clock(np.full((2, 2), math.pi))
    walking, standing = np.array([True, False]), np.array([False, False])
    step = 2 * math.pi / teachers.PHASE_PERIOD_TICKS
    track = [clock.advance(walking) for _ in range(2 * teachers.PHASE_PERIOD_TICKS)]
    for tick, phase in enumerate(track):
        np.testing.assert_array_equal(phase[1], math.pi)
        expected = np.array([0.0, math.pi]) + tick * step
        np.testing.assert_allclose(np.exp(1j * phase[0]), np.exp(1j * expected), atol=1e-9)
        assert (np.abs(phase[0]) <= math.pi).all()
        assert not (phase[0] == math.pi).all()  # that marks standing
    np.testing.assert_array_equal(clock.advance(standing)[0], math.pi)
    np.testing.assert_allclose(np.exp(1j * clock.advance(walking)[0]), (1, -1), atol=1e-9)  # begins anew


def test_the_teacher_observes_its_terms_in_alphabetical_order():
    teacher = object.__new__(teachers.Teacher)
    teacher.robot = ROBOT
    n = len(ROBOT.joints)
    seen = teacher.observe(
        last_action=np.full((1, n), 1.0), base_ang_vel=np.full((1, 3), 4.0), command=np.array([[5.0, 6, 7]]),
        phase=np.array([[0.0, math.pi / 2]]), joint_pos=ROBOT.default_pose[None] + 2.0,
        joint_vel=np.full((1, n), 20.0), projected_gravity=np.array([[0.0, 0.0, -1.0]]),
    )  # fmt: skip
    expected = [*[1.0] * n, 1, 1, 1, 7, 5, 6, 1, 0, *[2.0] * n, *[1.0] * n, 0, 0, -1, 0, 1]
    assert seen.shape == (1, 100)
    np.testing.assert_allclose(seen[0], expected, atol=1e-6)


def test_commands_are_within_reach_and_of_every_kind():
    rng = np.random.default_rng(0)
    drawn = np.array([rollouts.sample_command(rng) for _ in range(500)])
    assert (np.abs(drawn) <= 1.0).all()
    kinds = {tuple(row) for row in np.sign(drawn).astype(int).tolist()}
    alone = {
        (0, 0, 0),
        (1, 0, 0),
        (-1, 0, 0),
        (0, 1, 0),
        (0, -1, 0),
        (0, 0, 1),
        (0, 0, -1),
        (1, 0, 1),
        (1, 0, -1),
    }
    assert alone <= kinds


def test_a_roll_is_seeded_and_its_rows_belong_together(monkeypatch):
    assert list((teachers.cache() / "teachers").glob("*.whl")), "run: python -m rmedge.export teachers"
    monkeypatch.setattr(rollouts, "TRIAL_TICKS", 60)
    monkeypatch.setattr(rollouts, "SEGMENT_TICKS", (15, 30))

    def ask(rng):
        return rollouts.Segment(int(rng.integers(2)), rollouts.sample_command(rng), np.full(2, rng.random()))

    one, same, other = (rollouts.roll(ROBOT, seed, 3, ask) for seed in (1, 1, 2))
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(same, name))
    assert not np.array_equal(one.label, other.label)
    count = len(one.trial)
    assert count <= 180 and one.proprio.shape == (count, 93) and one.motion.shape == (count, 37)
    for number in np.unique(one.segment):
        rows = one.segment == number
        for value in (one.trial, one.teacher, one.command, one.intent):
            assert len(np.unique(value[rows], axis=0)) == 1
    joined = rollouts.Ticks.join([one, other])
    assert len(np.unique(joined.segment)) == len(np.unique(one.segment)) + len(np.unique(other.segment))
    assert np.unique(joined.trial).tolist() == list(range(6))
    assert len(joined.fell) == 6


# motion


@pytest.mark.parametrize("seed", range(4))
def test_steady_windows_lie_within_a_segment_after_its_start(seed):
    data = ticks(seed)
    firsts = set(motion.steady_windows(data).tolist())
    for row in range(len(data.segment)):
        window = data.segment[row : row + motion.WINDOW]
        settled = row >= 25 and data.segment[row - 25] == data.segment[row]
        steady = len(window) == motion.WINDOW and (window == window[0]).all() and settled
        assert (row in firsts) == steady
    assert firsts


# the diffusion policy


@pytest.mark.parametrize("seed", range(6))
def test_chunks_never_cross_a_segments_or_a_trials_bounds(seed):
    data = ticks(seed)
    chunks = Chunks(data)
    last = len(data.segment) - CHUNK + 1
    whole = [row for row in range(last) if len(set(data.segment[row : row + CHUNK].tolist())) == 1]
    assert chunks.rows.tolist() == whole
    proprio, intent, chunk = chunks.batch(np.random.default_rng(seed), 400, torch.device("cpu"))
    history = proprio.view(400, HISTORY, TICK)[:, :, 0].long().numpy()
    played = chunk[:, :, 0].long().numpy()
    np.testing.assert_array_equal(history[:, -1], played[:, 0])
    np.testing.assert_array_equal(np.diff(played, axis=1), 1)
    assert (data.segment[played] == data.segment[played[:, :1]]).all()
    assert (data.trial[history] == data.trial[played[:, :1]]).all()
    begin = np.searchsorted(data.trial, data.trial[played[:, 0]])
    expected = np.maximum(played[:, :1] + np.arange(1 - HISTORY, 1), begin[:, None])
    np.testing.assert_array_equal(history, expected)  # before a trial's first tick: the first again
    np.testing.assert_array_equal((intent[:, 0] / 100).round().long().numpy(), data.segment[played[:, 0]])


def test_normalising_gives_the_datas_statistics():
    data, model = ticks(1), denoiser()
    Chunks(data).normalise(model)
    np.testing.assert_allclose(model.action_mean.numpy(), data.label.mean(0), rtol=1e-4)
    np.testing.assert_allclose(
        model.proprio_std.numpy(), np.tile(data.proprio.std(0, ddof=1), HISTORY), rtol=1e-4
    )


def test_one_step_of_the_sampler_is_the_deployed_graph():
    model = denoiser()
    proprio, intent, noise = inputs()
    with torch.no_grad():
        torch.testing.assert_close(
            sample(model, proprio, intent, noise, 1), OneStep(model)(proprio, intent, noise)
        )


class Oracle(Denoiser):
    """Knows the clean chunk."""

    def __init__(self, clean):
        super().__init__(TICK, JOINTS, 8, 1)
        self.clean = clean
        self.times = []

    def forward(self, x, t, proprio, intent):
        self.times.append(float(t[0, 0]))
        return self.clean


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 37])
def test_a_flow_that_knows_the_clean_chunk_reaches_it_in_any_number_of_steps(steps):
    proprio, intent, noise = inputs()
    clean = torch.randn_like(noise)
    oracle = Oracle(clean)
    oracle.action_std.fill_(2.0)
    torch.testing.assert_close(sample(oracle, proprio, intent, noise, steps), 2.0 * clean)
    np.testing.assert_allclose(oracle.times, np.arange(steps) / steps, atol=1e-6)
    t = torch.linspace(0, 0.9, 5)[:, None]  # and from any point on the way, its end is named at once
    way = noise + t[:, :, None] * (clean - noise)
    torch.testing.assert_close(consistency.end_point(oracle, way, t, proprio, intent), clean)


def test_the_flows_end_is_its_own_end_point():
    model = denoiser()
    proprio, intent, x = inputs()
    with torch.no_grad():
        torch.testing.assert_close(consistency.end_point(model, x, torch.ones(5, 1), proprio, intent), x)
        start = consistency.end_point(model, x, torch.zeros(5, 1), proprio, intent)
        torch.testing.assert_close(start, model(x, torch.zeros(5, 1), proprio, intent))


# training


def interrupted(train, monkeypatch, path, at):
    """Run ``train(path)`` until its loss is asked for the ``at``-th time, then again to its end."""
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 5)
    real, calls = training.np.random.default_rng, []

    def count(seed):
        if isinstance(seed, tuple):  # (seed, step): what `train` gives its loss
            calls.append(seed)
        if len(calls) == at:
            raise KeyboardInterrupt
        return real(seed)

    monkeypatch.setattr(training.np.random, "default_rng", count)
    with pytest.raises(KeyboardInterrupt):
        train(path)
    calls.clear()
    at = -1
    result = train(path)
    return result, len(calls)


def same_weights(one, other):
    for (name, left), (other_name, right) in zip(
        sorted(one.state_dict().items()), sorted(other.state_dict().items()), strict=True
    ):
        assert name == other_name
        assert torch.equal(left, right), name


def fit_line(path, steps=23):
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 1))

    def loss(network, rng):
        x = torch.from_numpy(rng.normal(size=(16, 4)).astype(np.float32))
        noisy = x.sum(1, keepdim=True) + 0.1 * torch.randn(16, 1)
        return (network(x) - noisy).square().mean()

    return training.train(model, loss, steps, path, learning_rate=1e-2, bfloat16=False)


def distil(path):
    torch.manual_seed(5)
    data = ticks(0)
    data.label, data.proprio = np.sin(data.label), np.cos(data.proprio)
    return consistency.distil(denoiser(), Chunks(data), 23, path, batch=32)


@pytest.mark.parametrize("train", [fit_line, distil])
def test_an_interrupted_training_ends_in_the_same_weights(train, monkeypatch, tmp_path):
    whole = train(tmp_path / "whole.pt")
    resumed, steps = interrupted(train, monkeypatch, tmp_path / "resumed.pt", at=13)
    assert steps == 13  # from the checkpoint at ten, not from nought
    same_weights(whole, resumed)
    assert not list(tmp_path.glob("*.partial"))


def test_a_finished_training_is_not_done_again(tmp_path, monkeypatch):
    first = fit_line(tmp_path / "done.pt")
    monkeypatch.setattr(torch.optim.AdamW, "step", None)
    second = fit_line(tmp_path / "done.pt")
    same_weights(first, second)
    assert int(first[2].num_batches_tracked) == 23  # what is no weight comes along too
    assert not second.training and not any(p.requires_grad for p in second.parameters())


def test_training_learns(tmp_path):
    data = ticks(0)
    data.label, data.proprio = np.sin(0.1 * data.label), np.cos(0.1 * data.proprio)
    chunks, model = Chunks(data), denoiser(32)
    chunks.normalise(model)
    loss = flow_loss(chunks, 256)

    def value(network):
        torch.manual_seed(1)
        with torch.no_grad():
            return float(loss(network, np.random.default_rng(1)))

    before = value(model)
    after = value(training.train(model, loss, 150, tmp_path / "flow.pt", 3e-3, bfloat16=False))
    assert after < 0.6 * before


# clips


@pytest.fixture(scope="module")
def tracks():
    rng = np.random.default_rng(0)
    count, frames, n = 12, clips.FRAMES, len(ROBOT.joints)
    label = np.repeat([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 4], frames).reshape(count, frames)
    z = rng.normal(size=(count, frames, motion.Z)).astype(np.float32)
    return clips.Tracks(
        velocity=rng.uniform(-0.5, 0.5, (count, frames, 3)).astype(np.float32),
        joints=(ROBOT.default_pose + 0.1 * rng.normal(size=(count, frames, n))).astype(np.float32),
        z=z,
        z_mirrored=-z,
        label=label,
        names=ROBOT.joint_names,
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_clip_is_a_function_of_its_seed(tracks, seed):
    one, same, other = (clips.film(s, tracks) for s in (seed, seed, seed + 1000))
    assert len(one[0]) == clips.FRAMES
    for picture, again in zip(one[0], same[0], strict=True):
        assert picture.shape == (clips.PIXELS, clips.PIXELS, 3) and picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, again)
    assert one[1:3] == same[1:3]
    np.testing.assert_array_equal(one[3], same[3])
    assert one[3].shape == (clips.FRAMES, 2)
    assert not np.array_equal(one[0][0], other[0][0])


@pytest.mark.parametrize("weight", [{}, {"walk_forward": 4.0}])
def test_clips_are_drawn_by_the_weight_of_their_label(tracks, weight):
    rng = np.random.default_rng(0)
    drawn = [int(tracks.label[clips._drawn(rng, tracks.label, weight), 0]) for _ in range(900)]
    shares = np.array([weight.get(LABELS[label], 1.0) for label in (0, 1, 4)])
    for label, share in zip((0, 1, 4), shares / shares.sum(), strict=True):
        assert drawn.count(label) == pytest.approx(900 * share, abs=60)


# the encoder


def encoder(count=6, side=16):
    table = np.random.default_rng(0).normal(size=(count, motion.Z))
    return understanding.StreamingEncoder(table, np.arange(count) % 3, side).eval()


@torch.inference_mode()
def test_frame_by_frame_is_the_whole_clip():
    model = encoder()
    features = torch.randn(2, 12, 3, 16, 16)
    whole = model.conclude(model.logits(features))
    state = torch.zeros(2, understanding.STATE)
    for frame in range(12):
        *said, state = model(features[:, frame], state)
        for part, expected in zip(said, whole, strict=True):
            torch.testing.assert_close(part, expected[:, frame], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_intents_lie_among_the_prototypes_and_certainty_is_a_share():
    model = encoder(count=8)
    logits = torch.cat([scale * torch.randn(50, 9) for scale in (0.0, 1.0, 10.0, 1000.0)])
    intent, certainty, presence = model.conclude(logits)
    assert ((certainty >= 0) & (certainty <= 1)).all() and ((presence >= 0) & (presence <= 1)).all()
    # eight prototypes in 32 dimensions are independent: the weights of a hull's point are unique
    weights, *_ = np.linalg.lstsq(
        model.prototype.numpy().T.astype(float), intent.numpy().T.astype(float), rcond=None
    )
    np.testing.assert_allclose(model.prototype.numpy().T @ weights, intent.numpy().T, atol=1e-4)
    assert (weights > -1e-5).all()
    np.testing.assert_allclose(weights.sum(0), 1.0, atol=1e-4)


@torch.inference_mode()
def test_who_is_sure_says_one_prototype_and_who_is_not_the_middle():
    model = encoder(count=4)  # words 0, 1, 2, 0
    sure = torch.full((1, 5), -30.0)
    sure[0, 2] = 30.0
    intent, certainty, presence = model.conclude(sure)
    torch.testing.assert_close(intent[0], model.prototype[2])
    assert float(certainty) == pytest.approx(1, abs=1e-4) and float(presence) == pytest.approx(1, abs=1e-6)
    intent, certainty, presence = model.conclude(torch.zeros(1, 5))
    # all four alike: the word with two of them has half of the probability and draws with its square
    drawn = torch.tensor([4.0, 1.0, 1.0, 4.0]) / 10
    torch.testing.assert_close(intent[0], drawn @ model.prototype)
    assert float(certainty) == pytest.approx(0.8 * 0.5 + 0.2 * 0.25)
    assert float(presence) == pytest.approx(0.8, abs=1e-5)
    nobody = torch.zeros(1, 5)
    nobody[0, 4] = 30.0
    assert float(model.conclude(nobody)[2]) < 1e-6


def test_who_hardly_moves_is_told_to_stand_still():
    model = encoder(count=6)  # words 0, 1, 2, 0, 1, 2; 0 is to stand
    before = model.prototype.clone()
    model.settle(np.full(motion.Z, 0.5))
    assert (model.prototype[[0, 3]] == 0.5).all()
    torch.testing.assert_close(model.prototype[[1, 2, 4, 5]], before[[1, 2, 4, 5]])


def test_prototypes_stand_for_every_word(tracks):
    table, word = understanding.prototypes(tracks)
    assert word.tolist() == [0] * 10 + [1] * 10 + [4] * 10
    assert table.dtype == np.float32 and table.shape == (3 * understanding.A_LABEL, motion.Z)
    for number, label in enumerate((0, 1, 4)):
        mine = tracks.z[tracks.label == label]
        part = table[number * 10 : number * 10 + 10]
        assert np.abs(part.mean(0) - mine.mean(0)).max() < 0.6
        assert ((part >= mine.min(0) - 1e-6) & (part <= mine.max(0) + 1e-6)).all()
    np.testing.assert_array_equal(table, understanding.prototypes(tracks)[0])


def held_out(count=60):
    rng = np.random.default_rng(3)
    frames = clips.FRAMES
    return clips.Clips(
        **{
            "features": np.zeros((count, frames, 3, 1, 1), np.int8),
            "z": np.zeros((count, frames, motion.Z)),
            "z_mirrored": np.zeros((count, frames, motion.Z)),
            "facing": np.zeros((count, frames, 2)),
            "velocity": rng.normal(0, 0.4, (count, frames, 3)),
            "label": np.tile(rng.integers(len(LABELS), size=(count, 1)), (1, frames)),
            "view": np.arange(count) % 3,
        }
    )


def test_scores_are_one_for_the_truth_and_nought_for_the_mean():
    data = held_out()
    right = understanding.score(data.velocity, data.label, data)
    mean = np.broadcast_to(data.velocity[data.view == 0, 10:].mean((0, 1)), data.velocity.shape)
    wrong = understanding.score(mean, (data.label + 1) % len(LABELS), data)
    for name in ("vx", "vy", "yaw_rate"):
        assert right["third"][f"mae_{name}"] == 0.0 and right["ego"][f"r2_{name}"] == 1.0
        assert wrong["third"][f"r2_{name}"] == pytest.approx(0.0, abs=1e-9)
    assert right["ego"]["label_accuracy"] == right["ego"]["label_macro_average"] == 1.0
    assert wrong["third"]["label_accuracy"] == 0.0
    guess = understanding.constant(data, data)
    assert guess["third"]["r2_vx"] < 0.01
    assert guess["third"]["label_accuracy"] < 0.5


# graphs


class Tiny(nn.Module):
    """Two inputs, two outputs, a convolution and a product."""

    def __init__(self):
        super().__init__()
        self.see = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten())
        self.judge = nn.Linear(8 * 16 + 4, 4)

    def forward(self, features, state):
        state = torch.tanh(self.judge(torch.cat([self.see(features), state], 1)))
        return state.sum(1, keepdim=True), state


SHAPES = {"features": (1, 3, 8, 8), "state": (1, 4)}


def feeds(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(2)
    model = Tiny().eval()
    return model, graphs.export(model, SHAPES, ("sum", "next_state"))


def test_the_exported_graph_says_what_torch_says(tiny):
    model, graph = tiny
    assert graphs.parity(model, graph, feeds(10), ("sum", "next_state")) < 1e-5
    with torch.no_grad():
        model.judge.bias += 0.01
        try:
            assert graphs.parity(model, graph, feeds(10), ("sum", "next_state")) > 1e-3
        finally:
            model.judge.bias -= 0.01


def test_the_exported_graph_is_static_whole_and_tells_nothing_of_this_machine(tiny):
    _, graph = tiny
    model = onnx.load_from_string(graph)
    shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in model.graph.input}
    assert shapes == SHAPES
    assert [v.name for v in model.graph.output] == ["sum", "next_state"]
    assert all(t.data_location == onnx.TensorProto.DEFAULT for t in model.graph.initializer)
    assert model.opset_import[0].version == graphs.OPSET
    assert not PATH.search(graph)


def test_stripping_takes_out_every_note(tiny):
    model = onnx.load_from_string(tiny[1])
    secret = "/home/somebody/train.py"
    graph = model.graph
    for holder in (model, graph.node[0], graph.input[0], graph.output[0], graph.initializer[0]):
        holder.doc_string = secret
        holder.metadata_props.add(key="where", value=secret)
    graph.metadata_props.add(key="where", value=secret)
    graph.value_info.add(name="between", doc_string=secret)
    marked = model.SerializeToString()
    assert secret.encode() in marked
    assert secret.encode() not in graphs._strip(marked)


def test_quantising_makes_small_weights_that_say_much_the_same(tiny):
    _, graph = tiny
    small = graphs.quantise(graph, feeds(40))
    assert graphs.quantised_weights(graph) == 0
    assert graphs.quantised_weights(small) == 2
    names, cases = ("next_state",), feeds(20, seed=1)
    exact, rough = (np.ravel(graphs.infer(g, cases, names)) for g in (graph, small))
    assert exact @ rough / np.linalg.norm(exact) / np.linalg.norm(rough) > 0.99
    assert not np.array_equal(exact, rough)
    assert not PATH.search(small)


def test_what_is_named_stays_in_float(tiny):
    _, graph = tiny
    model = onnx.load_from_string(graph)
    (kernel,) = (t.name for t in model.graph.initializer if len(t.dims) == 4)
    assert graphs.quantised_weights(graphs.quantise(graph, feeds(8), keep_float=[kernel])) == 1


def test_quantising_nothing_is_no_success():
    with pytest.raises(CheckError, match="quantisation: expected INT8 weights, got none"):
        graphs.quantise(
            graphs.export(nn.ReLU(), {"state": (1, 4)}, ("out",)), [{"state": np.ones((1, 4), np.float32)}]
        )


def test_golden_vectors_are_the_graphs_own(tiny):
    _, graph = tiny
    arrays = graphs.golden(graph, SHAPES, {"sum": (1, 1), "next_state": (1, 4)}, feeds(3))
    assert set(arrays) == {"features", "state", "sum", "next_state"}
    assert all(len(array) == 3 for array in arrays.values())
    np.testing.assert_allclose(arrays["next_state"].reshape(3, 4).sum(1), arrays["sum"].ravel(), atol=1e-5)
