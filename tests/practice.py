"""Makes up what networks learn from: control ticks, a library of motions, and a small denoiser."""

from __future__ import annotations

import numpy as np
import torch

from rmedge import robots
from rmedge.export.motions import motion, rollouts, teachers
from rmedge.export.motions.gestures import NONE
from rmedge.export.networks.composer import Composer
from rmedge.export.networks.denoiser import CHUNK, HISTORY, Denoiser
from rmedge.export.world import acts

torch.set_num_threads(1)  # sums in one order, and room for the other tests

ROBOT = robots.load("g1")
JOINTS, TICK = 3, 7  # of the made-up robot
GESTURES = (NONE, "wave", "dance_one")
COMMANDS = ((0, 0, 0), (0.5, 0, 0), (1, 0, 0), (-0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.8))


def wheel() -> bool:
    """Whether the pretrained teachers are in the cache."""
    return teachers.WHEEL.path.exists()


NO_WHEEL = "no teachers in the cache: python -m rmedge.export teachers"


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
        gait=np.zeros(count, np.int8),
        gesture=np.zeros(count, np.int8),
        command=np.zeros((count, 3), np.float32),
        intent=np.tile(100 * segments[:, None], (1, motion.Z)).astype(np.float32),
        fell=np.zeros(trials, bool),
    )


def steady(gestures=GESTURES, gaits=teachers.NAMES):
    """Ticks of every gait, command and gesture, a segment each, of bodies that do as they are told."""
    rng = np.random.default_rng(0)
    told = [
        (gait, gesture, command)
        for gait in range(len(gaits))
        for gesture, name in enumerate(gestures)
        for command in (COMMANDS[:1] * 2 if name.startswith("dance") else COMMANDS)
    ]
    length, count = 90, len(told)
    segment = np.repeat(np.arange(count, dtype=np.int32), length)
    gait, gesture = (np.array([row[n] for row in told], np.int8)[segment] for n in (0, 1))
    command = np.array([row[2] for row in told], np.float32)[segment]
    did = rng.normal(0, 0.1, (count, 37))[segment] + rng.normal(0, 0.02, (len(segment), 37))
    did[:, :3] = command
    return rollouts.Ticks(
        proprio=np.zeros((len(segment), TICK), np.float32),
        label=np.zeros((len(segment), JOINTS), np.float32),
        motion=did.astype(np.float32), trial=segment, segment=segment, gait=gait, gesture=gesture,
        command=command, intent=np.zeros((len(segment), 0), np.float32), fell=np.zeros(count, bool),
    )  # fmt: skip


def library(gestures=GESTURES):
    """Of those motions; the latent is an autoencoder's that has learnt nothing."""
    torch.manual_seed(0)
    return motion.Library(steady(gestures), motion.MotionAutoencoder(37), gestures)


def denoiser(width=16):
    torch.manual_seed(0)
    model = Denoiser(TICK, JOINTS, width, depth=1)
    model.action_std.copy_(torch.tensor([0.5, 1.0, 2.0]))
    model.action_mean.copy_(torch.tensor([0.1, -0.2, 0.3]))
    return model


def inputs(count=5):
    """Proprio, intent and noise."""
    torch.manual_seed(1)
    return torch.randn(count, HISTORY * TICK), torch.randn(count, motion.Z), torch.randn(count, CHUNK, JOINTS)


def repertoire(shown=()):
    """A repertoire with a made-up composer: three gestures, no photographs."""
    torch.manual_seed(0)
    gestures = ("none", "wave", "dance_one")
    reach = np.array([[-0.5, -0.25, -0.8], [0.66, 0.25, 0.8]])
    return acts.Repertoire(ROBOT, gestures, reach, Composer(len(gestures)).eval(), shown)


def shown(frames=200):
    """A robot that walks straight on, waving, in two trials."""
    return acts.Performance(
        velocity=np.tile(np.float16([0.5, 0.0, 0.0]), (frames, 1)),
        joints=np.tile(ROBOT.default_pose.astype(np.float16), (frames, 1)),
        gesture=np.ones(frames, np.int8),
        begins=np.arange(frames) % 100 == 0,
    )
