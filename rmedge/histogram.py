"""A histogram of nanoseconds whose memory never grows, however long a robot runs."""

from __future__ import annotations

import math
from array import array

__all__ = ["QUANTILES", "Histogram"]

QUANTILES = (0.5, 0.9, 0.99, 0.999)

_BITS = 6  # of a duration are kept: 64 buckets an octave, so none is more than 0.8 % from its middle
_OCTAVES = 40  # beyond the exact ones: up to three days; what lasts longer is counted as that long


class Histogram:
    """Counts durations in buckets that are as wide as a 64th of what they hold.

    Durations below 128 ns are exact, a larger one is known to 1 %; the largest is always exact. Below zero
    counts as zero.
    """

    def __init__(self) -> None:
        self.count = 0
        self.max_ns = 0
        self._counts = array("q", bytes(8 * ((_OCTAVES + 2) << _BITS)))

    def add(self, duration_ns: int) -> None:
        """One more."""
        if duration_ns > self.max_ns:
            self.max_ns = duration_ns
        shift = duration_ns.bit_length() - _BITS - 1
        if duration_ns <= 0:
            bucket = 0
        elif shift <= 0:
            bucket = duration_ns
        elif shift <= _OCTAVES:
            bucket = (shift << _BITS) + (duration_ns >> shift)
        else:
            bucket = len(self._counts) - 1
        self._counts[bucket] += 1
        self.count += 1

    def merge(self, other: Histogram) -> None:
        """Add what another one counted."""
        for bucket, count in enumerate(other._counts):
            self._counts[bucket] += count
        self.count += other.count
        self.max_ns = max(self.max_ns, other.max_ns)

    def quantile(self, share: float) -> int | None:
        """The duration [ns] that this share of all do not exceed, 0 to 1.

        None where too few were counted to know: the rarest one in a thousand shows only in a thousand.
        """
        if not self.count * (1.0 - share) >= 1.0 - 1e-9:
            return self.max_ns if self.count and share == 1.0 else None
        rank, seen = max(1, math.ceil(self.count * share - 1e-9)), 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                shift = max(0, (bucket >> _BITS) - 1)
                low = (bucket - (shift << _BITS)) << shift
                return min(low + (1 << shift >> 1), self.max_ns)
        raise AssertionError("counted more than the buckets hold")

    def told(self) -> dict[str, int | None]:
        """Count, quantiles and the largest [ns], as plain values; None where nobody knows."""
        told: dict[str, int | None] = {"count": self.count}
        told.update({f"p{100 * share:g}_ns": self.quantile(share) for share in QUANTILES})
        told["max_ns"] = self.max_ns if self.count else None
        return told
