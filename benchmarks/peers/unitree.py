"""Unitree's Python SDK: what its own codec costs a write, beside the time that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from rmedge.benchmarks.environment import Environment
from rmedge.benchmarks.peers import unitree_worker
from rmedge.benchmarks.peers.comparison import Comparison
from rmedge.benchmarks.peers.process import Peer
from rmedge.benchmarks.statistics import summary

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["environment", "measure"]

WRITE_US = 2000.0  # at 500 Hz
BLOCK = 100


def environment() -> Environment:
    """Where it lives. Unitree's own wheel lacks the CRC libraries that its code loads; this one has them."""
    return Environment(
        "peers",
        "unitree-sdk2py-1.0.3",
        ("unitree-sdk2py-dimos==1.0.3", "numpy"),
        "python -m rmedge.benchmarks.peers install unitree",
        "cyclonedds has wheels for x86-64 alone: elsewhere it is built from source; and check the network",
    )


def measure(
    bundle: Bundle, provider: str, threads: int, samples: int, on_pair: Callable[[int], Any]
) -> Comparison:
    """A state decoded and a command encoded, in turns; nothing of rmedge, which has no such codec."""
    with Peer("unitree", environment().interpreter(), unitree_worker.__file__) as peer:
        blocks = []
        for done in range(0, samples, BLOCK):
            blocks.append(np.array(peer.ask(min(BLOCK, samples - done)), np.int64))
            on_pair(min(done + BLOCK, samples) - 1)
        told = " ".join(f"{name} {version}" for name, version in peer.about["versions"].items())
    spent_ns = np.concatenate(blocks)
    rows = {
        "lowstate_decode": summary(spent_ns[:, 0]),
        "lowcmd_encode": summary(spent_ns[:, 1]),
        "both": summary(spent_ns.sum(1)),
    }
    both_us = rows["both"]["p50_us"]
    return Comparison(
        "unitree: the stock codec of its messages",
        rows,
        {"both_of_a_500_hz_write_p50": both_us / WRITE_US if both_us is not None else None},
        (
            told,
            "rmedge has no codec of its own for these messages: nothing stands beside it",
        ),
    )
