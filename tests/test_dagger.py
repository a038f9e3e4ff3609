"""What is asked for in training: motions of the library, and intents that lie between them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from practice import COMMANDS, GESTURES, JOINTS, ROBOT, TICK, denoiser, library

from rmedge.export.motions import teachers
from rmedge.export.motions.dances import DANCES
from rmedge.export.motions.motion import Z
from rmedge.export.motions.troupe import gestures_of
from rmedge.export.networks import dagger
from rmedge.export.networks.denoiser import CHUNK, HISTORY, Sampler

COUNT = 600


@pytest.fixture(scope="module")
def shelf():
    return library()


def asked(shelf):
    repertoire, rng = dagger.Repertoire(shelf), np.random.default_rng(0)
    return [repertoire.ask(rng) for _ in range(COUNT)]


def rows_of(shelf, segment):
    """The library's rows of a segment's gait and gesture."""
    motion = segment.motion
    return np.flatnonzero(
        (shelf.gesture == shelf.gestures.index(motion.gesture))
        & (shelf.walker == teachers.NAMES.index(motion.gait))
    )


def between(point, ends):
    """How a point (Z,) divides the way between the nearest pair of ends (N, Z): (rows, share), or None."""
    for a in range(len(ends)):
        way = ends[a + 1 :] - ends[a]
        share = np.clip((way @ (point - ends[a])) / np.maximum((way**2).sum(1), 1e-12), 0, 1)
        off = np.abs(ends[a] + share[:, None] * way - point).max(1, initial=0.0)
        found = np.flatnonzero(off < 1e-5)
        if len(found):
            return (a, a + 1 + int(found[0])), float(share[found[0]])
    return None


def test_plain_motions_are_the_librarys_own(shelf, monkeypatch):
    monkeypatch.setattr(dagger, "MIXED", 0.0)
    monkeypatch.setattr(dagger, "OPEN", 0.0)
    plain = 0
    for segment in asked(shelf):
        row = int(np.flatnonzero((shelf.z == segment.z).all(1))[0])
        assert row in rows_of(shelf, segment)
        np.testing.assert_array_equal(segment.motion.command, shelf.command[row])
        plain += segment.motion.gesture == GESTURES[0]
    others = len(GESTURES) - 1
    share = dagger.PLAIN + (1 - dagger.PLAIN) / (others + 1)  # a drawn gesture may be none, too
    assert plain / COUNT == pytest.approx(share, abs=0.06)


def test_what_is_mixed_lies_between_two_motions_of_one_gait(shelf, monkeypatch):
    monkeypatch.setattr(dagger, "MIXED", 1.0)
    shares = []
    for segment in asked(shelf)[:200]:
        gait = teachers.NAMES.index(segment.motion.gait)
        mine = np.flatnonzero(shelf.walker == gait)
        (one, other), share = between(segment.z, shelf.z[mine])
        one, other = mine[one], mine[other]
        wanted = shelf.command[one] + share * (shelf.command[other] - shelf.command[one])
        if np.linalg.norm(wanted) < dagger.STILL:
            wanted = np.zeros(3)
        np.testing.assert_allclose(segment.motion.command, wanted, atol=1e-3)
        # the teacher of the nearer one labels
        nearer = one if share < 0.5 else other
        assert segment.motion.gesture == shelf.gestures[shelf.gesture[nearer]] or abs(share - 0.5) < 1e-3
        # and the other one is another path of the same gesture, or plain standing
        if shelf.gesture[one] != shelf.gesture[other]:
            plain = one if shelf.gesture[one] == 0 else other
            assert shelf.gesture[plain] == 0 and shelf.gait[plain] == 0
        shares.append(share)
    assert np.ptp(shares) > 0.9


def test_what_is_open_lies_midway_between_the_gaits_and_either_is_asked_for(shelf, monkeypatch):
    monkeypatch.setattr(dagger, "MIXED", 0.0)
    monkeypatch.setattr(dagger, "OPEN", 1.0)
    gaits = []
    for segment in asked(shelf)[:200]:
        gesture = shelf.gestures.index(segment.motion.gesture)
        first, second = (np.flatnonzero((shelf.gesture == gesture) & (shelf.walker == n)) for n in (0, 1))
        middle = (shelf.z[first][:, None] + shelf.z[second]) / 2
        a, b = np.unravel_index(np.abs(middle - segment.z).max(2).argmin(), middle.shape[:2])
        np.testing.assert_allclose(middle[a, b], segment.z, atol=1e-6)
        # the same path in both gaits, and the command is the one's whose gait is asked for
        np.testing.assert_allclose(shelf.velocity[first[a]], shelf.velocity[second[b]], atol=1e-5)
        chosen = (first[a], second[b])[teachers.NAMES.index(segment.motion.gait)]
        np.testing.assert_array_equal(segment.motion.command, shelf.command[chosen])
        gaits.append(segment.motion.gait)
    assert min(gaits.count(name) for name in teachers.NAMES) > 60


def test_a_small_library_leaves_nothing_open_that_one_gait_alone_can_do(monkeypatch):
    monkeypatch.setattr(dagger, "MIXED", 0.0)
    monkeypatch.setattr(dagger, "OPEN", 1.0)
    shelf = library(GESTURES[:2])
    waving = shelf.gesture == 1
    slow = int(np.flatnonzero(waving & (shelf.walker == 0) & (shelf.gait != 0))[0])
    shelf.label[slow] = shelf.label[shelf.gait == 0][0]  # it was told to walk, and hardly moved
    keep = ~(waving & (shelf.walker == 1) & (shelf.gait != 0))
    for name in ("z", "velocity", "walker", "gesture", "command", "segment", "label", "gait"):
        setattr(shelf, name, getattr(shelf, name)[keep])
    asked(shelf)


def test_as_many_are_mixed_and_open_as_is_said_and_dances_only_stand(shelf):
    segments = asked(shelf)
    own = {row.tobytes() for row in shelf.z}
    plain = sum(segment.z.tobytes() in own for segment in segments)
    assert plain / COUNT == pytest.approx(1 - dagger.MIXED - dagger.OPEN, abs=0.06)
    danced = [segment.motion for segment in segments if segment.motion.gesture in DANCES]
    assert danced and not any(motion.command.any() for motion in danced)
    assert {segment.motion.gesture for segment in segments} == set(GESTURES)


def test_words_come_as_often_as_each_other(shelf, monkeypatch):
    monkeypatch.setattr(dagger, "MIXED", 0.0)
    monkeypatch.setattr(dagger, "OPEN", 0.0)
    words = [
        int(shelf.label[(shelf.z == segment.z).all(1)][0])
        for segment in asked(shelf)
        if segment.motion.gesture == GESTURES[0]
    ]
    counts = np.bincount(words)
    counts = counts[counts > 0]
    assert len(counts) == len(set(shelf.label.tolist())) and counts.min() > 0.6 * counts.mean()


def test_anything_is_every_gait_and_gesture_and_dances_stand():
    names = gestures_of(ROBOT)
    everything = dagger.Anything(names)
    rng = np.random.default_rng(0)
    motions = [everything.ask(rng).motion for _ in range(COUNT)]
    assert {(m.gait, m.gesture) for m in motions} == {(g, n) for g in teachers.NAMES for n in names}
    assert not any(m.command.any() for m in motions if m.gesture in DANCES)
    assert all(np.abs(m.command).max() <= 1.0 for m in motions)
    plain = np.mean([m.gesture == names[0] for m in motions])
    assert plain == pytest.approx(dagger.PLAIN + (1 - dagger.PLAIN) / len(names), abs=0.06)


@pytest.mark.parametrize("sampler", ["flow", "regression"])
def test_a_student_out_of_its_weights_is_the_sampler_with_noise_of_its_seed(sampler):
    model = denoiser()
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    rng = np.random.default_rng(0)
    history = rng.normal(size=(4, HISTORY, TICK)).astype(np.float32)
    intent = rng.normal(size=(4, Z)).astype(np.float32)
    one, same, other = (dagger.student_from(weights, sampler, seed) for seed in (1, 1, 2))
    plan = one(history, intent)
    assert plan.shape == (4, CHUNK, JOINTS)
    np.testing.assert_array_equal(plan, same(history, intent))
    alike = np.array_equal(plan, other(history, intent))
    assert alike == (sampler == "regression")
    noise = torch.randn(4, CHUNK, JOINTS, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        said = Sampler(model, sampler)(torch.from_numpy(history).flatten(1), torch.from_numpy(intent), noise)
    np.testing.assert_allclose(plan, said.numpy(), atol=1e-6)


def test_the_commands_of_the_made_up_library_are_of_different_words(shelf):
    assert len(set(shelf.label.tolist())) == len(COMMANDS)
