"""Proof: how far a graph is from the network it came from, and from itself in fewer bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from rmedge.export import graphs
from rmedge.export.graphs import Feed
from rmedge.export.graphs.drift import Drift, drift

__all__ = ["BUDGETS", "Streams", "against_torch", "error_of_actions", "error_of_intents"]

Streams = Sequence[np.ndarray]  # of features (T, C, h, w), each what an encoder sees of one clip

# the greatest error that fewer bits may cost: of the encoder 1 - cosine of its intents, of the policy the
# root mean square [rad] of the joint that is worst off (half a degree and less is within a gear's play)
BUDGETS = {"encoder": 0.01, "policy": 0.01}


def against_torch(
    network: nn.Module, graph: bytes, feeds: Sequence[Feed], outputs: Sequence[str]
) -> dict[str, Drift]:
    """How far each output of a graph is from the network's own, over all feeds."""
    with torch.inference_mode():
        rows = [network(*(torch.from_numpy(array) for array in feed.values())) for feed in feeds]
    true = [row if isinstance(row, tuple) else (row,) for row in rows]
    said = graphs.infer(graph, feeds, outputs)
    return {
        name: drift(
            np.concatenate([np.ravel(row[column].numpy()) for row in true]).astype(float),
            np.concatenate([np.ravel(row[column]) for row in said]).astype(float),
        )
        for column, name in enumerate(outputs)
    }


def error_of_intents(graph: bytes, streams: Streams, memory: int) -> Callable[[bytes], float]:
    """1 - mean cosine of an encoder's intents with this one's, each streaming with a memory of its own."""
    true = _intents(graph, streams, memory)

    def error(other: bytes) -> float:
        said = _intents(other, streams, memory)
        sizes = np.linalg.norm(true, axis=1) * np.linalg.norm(said, axis=1)
        return float(1 - ((true * said).sum(1) / np.maximum(sizes, 1e-12)).mean())

    return error


def _intents(graph: bytes, streams: Streams, memory: int) -> np.ndarray:
    """(frames, Z) of all streams."""
    step, rows = graphs.stream(graph), []
    for stream in streams:
        state = np.zeros((1, memory), np.float32)
        for frame in stream:
            intent, state = step(frame[None], state)
            rows.append(intent[0])
    return np.array(rows, np.float64)


def error_of_actions(graph: bytes, feeds: Sequence[Feed], scale: np.ndarray) -> Callable[[bytes], float]:
    """Root mean square [rad] of a policy's actions off this one's, of the joint that is worst off.

    Args:
        scale: (Da,) [rad] of an action.
    """

    def actions(one: bytes) -> np.ndarray:
        return np.concatenate([row[0][0] for row in graphs.infer(one, feeds, ["action_chunk"])])

    true = actions(graph).astype(np.float64)

    def error(other: bytes) -> float:
        off = (actions(other) - true) * scale  # (calls * Ta, Da)
        return float(np.sqrt(np.square(off).mean(0)).max())

    return error
