"""Weighing: the graphs of our own bundle in every format of a target, from what the recipe has trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rmedge.export.graphs import Feed, proof, trials
from rmedge.export.graphs.trials import Trial
from rmedge.export.motions.teachers import ACTION_SCALE
from rmedge.export.networks.understanding import STATE
from rmedge.export.packing import Parts, encoder_feeds, plain_encoder, plain_policy, policy_feeds

__all__ = ["weigh", "weigh_encoder", "weigh_policy"]

CALLS = 64  # of the policy, to calibrate on, and as many others to prove on
Advance = Callable[[float], None]


def weigh(parts: Parts, target: str, seed: int, progress: Advance) -> dict[str, list[Trial]]:
    """The trials of the encoder and of the policy that ships; nothing is packed."""
    (sampler, *_) = parts.policies.values()
    feeds = policy_feeds(parts.practice, 2 * CALLS, seed)
    return {
        "policy": weigh_policy(
            plain_policy(parts, sampler)[0], feeds, target, lambda done: progress(0.1 * done)
        ),
        "encoder": weigh_encoder(
            plain_encoder(parts.eyes.encoder)[0],
            parts.eyes.streams,
            target,
            lambda done: progress(0.1 + 0.9 * done),
        ),
    }


def weigh_encoder(graph: bytes, streams: np.ndarray, target: str, progress: Advance) -> list[Trial]:
    """Calibrated on two clips of five, as when it is packed, and proved on the others."""
    known = len(streams) * 2 // 5
    seen = encoder_feeds(graph, streams[:known])
    error = proof.error_of_intents(graph, list(streams[known:].astype(np.float32)), STATE)
    held = encoder_feeds(graph, streams[known : known + 4])
    return trials.weigh(
        graph, held, error, proof.BUDGETS["encoder"], target, seen[: len(seen) // 2], progress=progress
    )


def weigh_policy(graph: bytes, feeds: Sequence[Feed], target: str, progress: Advance) -> list[Trial]:
    """Calibrated on half of these inputs, and proved on the others."""
    held = feeds[1::2]
    error = proof.error_of_actions(graph, held, np.float64(ACTION_SCALE))
    return trials.weigh(graph, held, error, proof.BUDGETS["policy"], target, feeds[::2], progress=progress)
