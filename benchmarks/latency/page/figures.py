"""Figures: how the numbers and names of a report are written, and each figure's place in it."""

from __future__ import annotations

import math
from html import escape
from typing import Any, Callable, Iterator, Mapping, Sequence

from rmedge.benchmarks.sheet import Html

__all__ = [
    "ABSENT", "WHOLE", "Place", "count", "duration", "median_start", "microseconds", "milliseconds",
    "quantile", "setting", "significant",
]  # fmt: skip

WHOLE = {  # a variant's rows that are no stages
    "tick": "tick",
    "own": "rmedge's own",
    "sensor_to_actuator": "sensor to actuator",
    "intent_age": "intent's age at use",
}
ABSENT = "not est."  # a quantile that so few samples, or so short a time, do not establish
NARROW = "\u202f"  # stands between thousands and never breaks


def significant(value: float, decimals: int = 2) -> str:
    """Three digits that count, more only where there are more before the point."""
    if not value:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    digits -= round(abs(value), digits) >= 10.0 ** (3 - digits)  # 9.996 is 10.0
    return f"{value:,.{min(max(digits, 0), decimals)}f}".replace(",", NARROW)


def duration(us: float) -> str:
    """A time [us] in the unit that suits it."""
    for unit, many in (("s", 1e6), ("ms", 1e3)):
        if abs(us) >= 0.9995 * many:
            return f"{significant(us / many)}{NARROW}{unit}"
    return f"{microseconds(us)}{NARROW}µs"


def milliseconds(ms: float) -> str:
    """A time [ms] in the unit that suits it."""
    return duration(1e3 * ms)


def microseconds(us: float) -> str:
    """A time [us] without its unit, as a column of such times has it; a report tells no more than tenths."""
    return significant(us, 1)


def count(many: float) -> str:
    return f"{many:,.0f}".replace(",", NARROW)


def _interval(ends_us: Any) -> str:
    return "–".join(map(microseconds, ends_us))


def setting(variant: Mapping[str, Any]) -> list[str]:
    """On what a variant ran."""
    camera, threads = variant["camera"], variant["threads"]
    return [
        variant["engine"],
        f"{threads} thread{'s' if threads != 1 else ''}",
        "a synthetic camera" if camera["synthetic"] else f"camera {camera['name']}",
        f"{variant['actuator']} actuator",
    ]


def median_start(cold_starts: Sequence[Mapping[str, Any]]) -> int | None:
    """Which of the cold starts is the median one."""
    totals = [row["total_ms"] for row in cold_starts]
    return sorted(range(len(totals)), key=totals.__getitem__)[len(totals) // 2] if totals else None


class Place:
    """A value of a report, and where it stands there: a JSON pointer (RFC 6901)."""

    def __init__(self, value: Any, at: str = "") -> None:
        self.value, self.at = value, at

    def __getitem__(self, key: Any) -> Place:
        step = str(key).replace("~", "~0").replace("/", "~1")
        return Place(self.value[key], f"{self.at}/{step}")

    def __iter__(self) -> Iterator[Place]:
        """The places of a list."""
        return (self[index] for index in range(len(self.value)))

    def items(self) -> Iterator[tuple[str, Place]]:
        """The places of a mapping, by name."""
        return ((key, self[key]) for key in self.value)

    def shown(self, form: Callable[[Any], str] = str, absent: str = ABSENT) -> Html:
        """The figure as HTML that says where it is from, so that a reader, or a test, can find it."""
        key = escape(self.at)
        if self.value is None:
            return Html(f'<span class="absent" data-key="{key}">{escape(absent)}</span>')
        return Html(f'<data data-key="{key}" value="{_exact(self.value)}">{escape(form(self.value))}</data>')


def quantile(row: Place, name: str) -> Html:
    """A cell: the quantile [us], and its interval under it."""
    ends = row["interval_us"][name]
    small = f"<small>{ends.shown(_interval)}</small>" if ends.value else ""
    return Html(f"{row[f'{name}_us'].shown(microseconds)}{small}")


def _exact(value: Any) -> str:
    return escape(" ".join(map(repr, value)) if isinstance(value, (list, tuple)) else str(value))
