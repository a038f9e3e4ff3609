"""How old a picture is whose stamp was made by a clock elsewhere."""

from __future__ import annotations

__all__ = ["SenderClock"]

FORGET = 20  # the quickest delivery is forgotten by a twentieth of the time: clocks drift, cheap ones so much


class SenderClock:
    """Compares a sender's stamps with their arrivals; the quickest delivery of late counts as immediate.

    Nobody set the two clocks alike, so a delay that never varies cannot be seen. One that grows can: what
    a stalled network hands over in a burst is as old as it is, not fresh because it has just arrived.
    """

    def __init__(self) -> None:
        self._stamp_ns = self._arrived_ns = self._apart_ns = 0
        self._begun = False

    def age_ns(self, stamp_ns: int, arrived_ns: int) -> int:
        """By how much this delivery took longer than the quickest [ns]; never negative."""
        apart_ns = arrived_ns - stamp_ns
        if self._begun and stamp_ns > self._stamp_ns:
            forgotten_ns = self._apart_ns + (arrived_ns - self._arrived_ns) // FORGET
            self._apart_ns = min(apart_ns, forgotten_ns)
        else:  # the first, or a clock that was set back
            self._apart_ns = apart_ns
        self._begun, self._stamp_ns, self._arrived_ns = True, stamp_ns, arrived_ns
        return apart_ns - self._apart_ns
