"""holosoma-inference: its own control loop on its own policy file, beside rmedge's tick on the bundle's."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping

import numpy as np

from rmedge.benchmarks.environment import Environment
from rmedge.benchmarks.peers import holosoma_worker
from rmedge.benchmarks.peers.comparison import Comparison, ratio
from rmedge.benchmarks.peers.floor import bare
from rmedge.benchmarks.peers.process import Peer
from rmedge.benchmarks.peers.tick import Tick
from rmedge.benchmarks.statistics import summary
from rmedge.errors import AbsentError
from rmedge.runtimes.pairing import WARM_UP, pair

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["environment", "measure"]

PACKAGE = "holosoma-inference==0.1.3"  # as in `export.teachers`, which a robot has no need of
SAME = ("onnxruntime", "numpy")  # as here, so that no version makes the difference
BLOCK = 100  # pairs of one side before the other's turn; each turn warms up anew


def environment() -> Environment:
    """Where it lives: with all that it asks for, which is more than a robot's own environment should have."""
    return Environment(
        "peers",
        "holosoma-0.1.3",
        (PACKAGE, *(f"{name}=={version}" for name, version in _versions().items())),
        "python -m rmedge.benchmarks.peers install holosoma",
        "evdev and netifaces are built from source: apt-get install gcc python3-dev; and check the network",
    )


def measure(
    bundle: Bundle, provider: str, threads: int, samples: int, on_pair: Callable[[int], Any]
) -> Comparison:
    """Ticks of both, each in pairs with the bare call of its own graph; the two take turns by blocks.

    Where the bundle was imported from the very file, its bare call is that file's, so whatever the import
    added to the graph counts as rmedge's.
    """
    if provider != "cpu":
        raise AbsentError(f"holosoma: expected the provider cpu, got {provider}: its policies name no other")
    python, name = environment().interpreter(), bundle.robot.name
    with Peer("holosoma", python, holosoma_worker.__file__, name, str(threads)) as peer:
        file = Path(peer.about["model"]).read_bytes()
        same = _imported(bundle, hashlib.sha256(file).hexdigest())
        call = bare(file if same else bundle.graph("policy"), provider, threads)
        tick = Tick(bundle, provider, threads, samples + (samples // BLOCK + 1) * WARM_UP)

        def ours(count: int) -> np.ndarray:
            spent = pair(tick.policy, call, count, tick.writes)
            stages = tick.stages_ns(count)
            return np.stack([*spent, stages["observe"] + stages["policy"]])

        def theirs(count: int) -> np.ndarray:
            return np.array(peer.ask(count), np.int64).T

        taken: dict[Callable[[int], np.ndarray], list[np.ndarray]] = {ours: [], theirs: []}
        for done in range(0, samples, BLOCK):
            for side in (ours, theirs) if done // BLOCK % 2 else (theirs, ours):
                taken[side].append(side(min(BLOCK, samples - done)))
            on_pair(min(done + BLOCK, samples) - 1)
        rows = {
            **_rows("rmedge", np.concatenate(taken[ours], axis=1)),
            **_rows("holosoma", np.concatenate(taken[theirs], axis=1)),
        }
        return Comparison(
            f"holosoma: {PACKAGE} on {Path(peer.about['model']).name}",
            rows,
            {
                "same_file": same,
                "holosoma_difference_by_rmedge_p50": ratio(
                    rows["holosoma_difference"], rows["rmedge_difference"]
                ),
                "holosoma_to_action_by_rmedge_p50": ratio(
                    rows["holosoma_to_action_difference"], rows["rmedge_to_action_difference"]
                ),
                "joints_clamped": tick.clamped,
            },
            tuple(_notes(same, peer.about["versions"])),
        )


def _imported(bundle: Bundle, sha256: str) -> bool:
    """Whether the bundle's policy is this very file; one that was merely taught by it is not."""
    records = (bundle.provenance, *bundle.provenance.values())
    return any(
        isinstance(record, Mapping) and record.get("format") == "holosoma" and record.get("sha256") == sha256
        for record in records
    )


def _rows(who: str, spent_ns: np.ndarray) -> dict[str, dict[str, Any]]:
    """Of (3, samples): tick, bare call, and the part of the tick from the state to the action [ns]."""
    tick_ns, bare_ns, action_ns = spent_ns
    return {
        f"{who}_onnxruntime": summary(bare_ns),
        f"{who}_tick": summary(tick_ns),
        f"{who}_difference": summary(tick_ns - bare_ns),
        f"{who}_to_action_difference": summary(action_ns - bare_ns),
    }


def _notes(same: bool, versions: Mapping[str, str]) -> list[str]:
    notes = [
        "holosoma: its own run loop with a stopwatch for its rate limiter, a robot that always tells the "
        "same state and swallows the command, and rmedge's session options; that favours it",
        "a tick of rmedge has a monitor, a plan and an envelope too, which holosoma has not; "
        "to_action: from the state to the policy's answer, which both have",
    ]
    if not same:
        notes.append(
            "not the same network: rmedge ran the bundle's; --bundle takes one imported from holosoma's file"
        )
    theirs = {name: versions.get(name) for name in _versions()}
    if theirs != _versions():
        notes.append(
            f"not the same versions: holosoma has {theirs}, rmedge {_versions()}; "
            f"delete {environment().folder} and install it again"
        )
    return notes


def _versions() -> dict[str, str]:
    """Of what both need, where it is a plain wheel here."""
    found = {}
    for name in SAME:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # a vendor's build, which pip could not fetch anyway
            continue
    return found
