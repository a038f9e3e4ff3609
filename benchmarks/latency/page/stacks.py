"""The stacks: what a time is made of, part after part, as bars on one scale."""

from __future__ import annotations

from html import escape
from typing import Any, Mapping, Sequence

import numpy as np

from rmedge.benchmarks.latency.page.axes import Linear, round_time
from rmedge.benchmarks.latency.page.drawing import box, grid, strips, svg, upright
from rmedge.benchmarks.latency.page.figures import duration
from rmedge.benchmarks.latency.page.plots import kind_of

__all__ = ["cold_starts", "shares", "waterfall"]


def shares(spent: Mapping[str, np.ndarray]) -> str:
    """Whose all the time was: one bar, by stage.

    Args:
        spent: (N,) [us] of each stage, NaN where it did not run.
    """
    sums = {stage: float(np.nansum(us)) for stage, us in spent.items() if stage != "physics"}
    whole = sum(sums.values()) or 1.0
    shared = {stage: us / whole for stage, us in sums.items()}
    said = ", ".join(f"{stage} {share:.1%}" for stage, share in shared.items())
    parts = (
        f'<span class="{kind_of(stage)}" style="flex:{share:.4f}" title="{escape(stage)} {share:.1%}">'
        f"<em>{escape(stage)} {share:.0%}</em></span>"
        for stage, share in shared.items()
    )
    return f'<div class="shares" role="img" aria-label="{escape(said)}">{"".join(parts)}</div>'


def waterfall(
    spent: Mapping[str, float], median: Mapping[str, float], tick_us: float, period_us: float
) -> str:
    """One tick's stages [us], one after another; a tick mark is where each ends at its own median."""
    axis = Linear(0.0, tick_us, round_time, most=3)
    rows, start = [], 0.0
    for stage, us in spent.items():
        tip = f"{stage}: {duration(us)}; its median is {duration(median[stage])}"
        parts = [
            grid(axis, 20),
            box(axis.at(start), axis.at(start + us), 4, 16, f"bar {kind_of(stage)}", tip),
        ]
        usual = axis.at(start + median[stage])
        if us > 2 * median[stage]:
            parts.append(box(usual, axis.at(start + us), 4, 16, "over", tip))
        elif usual <= 1:
            parts.append(upright(usual, 18, "usual", tip, top=2))
        if tick_us > period_us:
            parts.append(upright(axis.at(period_us), 20, "deadline"))
        rows.append((stage, svg(20, tip, parts), duration(us)))
        start += us
    return strips(rows, axis)


def cold_starts(rows: Sequence[Mapping[str, Any]], parts: Mapping[str, str], totals: Sequence[str]) -> str:
    """Each process from its start to its first command [ms], by part; the rest is the interpreter's.

    Args:
        parts: what to draw, key to word, in its order.
        totals: what is written behind each, as HTML.
    """
    axis = Linear(0.0, max(row["total_ms"] for row in rows) or 1.0, lambda ms: round_time(1e3 * ms))
    drawn = []
    for row, total in zip(rows, totals):
        start, boxes, said = 0.0, [grid(axis, 22)], []
        known = {word: row[key] or 0.0 for key, word in parts.items()}
        known["interpreter"] = max(0.0, row["total_ms"] - sum(known.values()))
        for index, (word, ms) in enumerate(known.items()):
            if ms:
                said.append(f"{word} {duration(1e3 * ms)}")
                boxes.append(box(axis.at(start), axis.at(start + ms), 3, 19, f"bar f{index}", said[-1]))
            start += ms
        drawn.append((f"round {row['round'] + 1}", svg(22, ", ".join(said), boxes), total))
    return strips(drawn, axis)
