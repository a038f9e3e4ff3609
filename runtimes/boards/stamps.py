"""How old a stamp from another process is, which may be wrong in every way."""

from __future__ import annotations

__all__ = ["SKEW_NS", "fresh"]

SKEW_NS = 10_000_000  # a reader may look at its clock before it looks at the board; five ticks at most


def fresh(stamp_ns: int, now_ns: int, budget_ns: int) -> bool:
    """The stamp is no older than the budget, nor of a future that this clock has not."""
    return -SKEW_NS <= now_ns - stamp_ns <= budget_ns
