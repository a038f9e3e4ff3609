"""How well a watcher understands clips it has never seen, by view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from rmedge.export.motions.motion import Readout
from rmedge.export.watchers.harvest import Harvest
from rmedge.export.watchers.reader import Reader, TrainedWatcher

__all__ = ["TOLERANCE", "Report", "judged", "score", "table"]

SETTLED_S = 1.0  # after the first second, as all measures of velocity (contracts, section 2)
TOLERANCE = np.array([0.2, 0.15, 0.25])  # [m/s, m/s, rad/s] contracts: success from pixels
RANK = 3
Report = dict[str, dict[str, float]]  # by view


def score(watcher: TrainedWatcher, harvest: Harvest, readout: Readout, rate_hz: float) -> Report:
    """Figures by view of held-out clips at ``rate_hz``, see `judged`."""
    z, logits = watcher.read(harvest.tokens)
    return judged(z, logits, watcher.reader, harvest, readout, rate_hz)


@torch.inference_mode()
def judged(
    z: np.ndarray, logits: np.ndarray, reader: Reader, harvest: Harvest, readout: Readout, rate_hz: float
) -> Report:
    """Figures by view of what was said, intents (N, n, Z) and logits (N, n, C) of the reader's captions.

    ``within`` is the share of clips whose mean error is within tolerance in all three components: what a
    robot could be asked for, before it walks. ``r3`` asks whether the true caption's prototype is among the
    three nearest to the intent, alike for everyone; ``r3_words`` the same of the words that were said.
    """
    velocity, label = (part.numpy() for part in readout(torch.from_numpy(z))[:2])
    late = harvest.at[0] >= SETTLED_S * rate_hz
    values = {
        "error": np.abs(velocity - harvest.seen("asked")),
        "right": label.argmax(-1) == harvest.seen("label"),
        "cosine": _cosine(z, harvest.seen("z")),
        "r3": _within_rank(reader.near(torch.from_numpy(z)).numpy(), reader, harvest),
        "r3_words": _within_rank(logits, reader, harvest),
    }
    values = {name: value[:, late] for name, value in values.items()}
    return {
        str(view): _figures({name: value[harvest.view == view] for name, value in values.items()})
        for view in np.unique(harvest.view)
    }


def _figures(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    error = values["error"].mean(1)  # (N, 3)
    named = zip(("mae_vx", "mae_vy", "mae_yaw_rate"), error.mean(0), strict=True)
    return {
        "clips": float(len(error)),
        **{name: float(e) for name, e in named},
        "within": float((error <= TOLERANCE).all(1).mean()),
        **{name: float(values[name].mean()) for name in ("right", "cosine", "r3", "r3_words")},
    }


def _cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return (one * other).sum(-1) / np.maximum(length, 1e-9)


def _within_rank(logits: np.ndarray, reader: Reader, harvest: Harvest) -> np.ndarray:
    """(N, n) whether the true caption is among the first three of logits (N, n, C)."""
    true = harvest.spoken(reader.captions)
    best = np.argsort(-logits, axis=-1)[..., :RANK]
    return (best == true[..., None]).any(-1)


def table(reports: Mapping[str, Report]) -> str:
    """Reports by name and view as a table in Markdown."""
    names: Sequence[str] = list(next(iter(next(iter(reports.values())).values())))
    lines = ["| objective | view | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]
    for objective, views in reports.items():
        for view, figures in views.items():
            cells = [f"{figures[name]:.0f}" if name == "clips" else f"{figures[name]:.3f}" for name in names]
            lines.append(f"| {objective} | {view} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
