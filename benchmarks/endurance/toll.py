"""The toll: what the faults of a campaign cost, kind by kind, and whether what must hold does."""

from __future__ import annotations

from collections import Counter
from typing import Any, Iterable, Sequence

import numpy as np

from rmedge.benchmarks.endurance.faults import ALL, BLIND, DEATHS, SENSED, UNHEARD
from rmedge.benchmarks.endurance.ordeal import STAND_S, Outcome
from rmedge.benchmarks.statistics import wilson

__all__ = ["summary"]

LONGEST_TIMEOUT_S = 0.12  # the robot's own; what nobody hears for less time than that, nobody notices
LATEST_MS = 100.5  # a hundred, and a clock that counts in steps


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A row for every kind, all of them together, and the claims that must hold."""
    hit = [outcome for outcome in outcomes if outcome.hits]
    kinds = {kind: [o for o in hit if o.blow.kind == kind] for kind in ALL}
    rows = {kind: {**_row(mine), "must": ALL[kind].must} for kind, mine in kinds.items() if mine}
    deaths = [o for o in hit if o.blow.kind in DEATHS]
    return {
        "by_kind": rows,
        "all": _row(hit),
        "deaths": _row(deaths),
        "not_hit": len(outcomes) - len(hit),
        "claims": _claims(hit, deaths),
    }


def _row(mine: Sequence[Outcome]) -> dict[str, Any]:
    falls = sum(o.fell_at_s is not None for o in mine)
    damping = [o.damping_ms for o in mine if o.damping_ms is not None]
    still = [o.still_s for o in mine if o.still_s is not None]
    unsafe: Counter[str] = Counter()
    for outcome in mine:
        unsafe.update(outcome.unsafe)
    return {
        "injected": len(mine),
        "falls": falls,
        "fall_rate": falls / len(mine) if mine else None,
        "interval": wilson(falls, len(mine)),
        "damped": sum(o.damped_at_s is not None for o in mine),
        "damping_ms": max(damping, default=None),
        "late": sum(o.late for o in mine),
        "broken": sum(not o.unbroken for o in mine),
        "commands": sum(o.commands for o in mine),
        "unsafe": sum(unsafe.values()),
        "unsafe_by": dict(unsafe),
        "torn": sum(o.torn for o in mine),
        "torn_accepted": sum(o.torn_accepted for o in mine),
        "stood": _share(o.stood for o in mine),
        "still": _share(o.still_s is not None and o.still_s <= STAND_S for o in mine if o.stood is not None),
        "drift_max_m_s": max((o.drift_m_s for o in mine if o.drift_m_s is not None), default=None),
        "drift_max_rad_s": max((o.drift_rad_s for o in mine if o.drift_rad_s is not None), default=None),
        "still_p50_s": float(np.quantile(still, 0.5)) if still else None,
        "still_max_s": max(still, default=None),
        "resumed": _share(o.resumed for o in mine),
    }


def _share(answers: Iterable[bool | None]) -> tuple[int, int]:
    """(how many were true, of how many that were asked)."""
    asked = [answer for answer in answers if answer is not None]
    return sum(asked), len(asked)


def _claims(hit: Sequence[Outcome], deaths: Sequence[Outcome]) -> list[dict[str, Any]]:
    every, dead = _row(hit), _row(deaths)
    blind = _row([o for o in hit if o.blow.kind in BLIND])
    doomed = [
        o
        for o in hit
        if o.blow.kind in SENSED or (o.blow.kind in UNHEARD and o.blow.for_s > LONGEST_TIMEOUT_S)
    ]
    saved = sum(o.damped_at_s is not None for o in doomed)
    late, worst_ms = every["late"], every["damping_ms"] or 0.0
    zero = {
        "no command outside the envelope, not finite, or after a stop": every["unsafe"],
        "no torn record accepted": every["torn_accepted"],
        "no fall when vision dies, freezes or slows down": dead["falls"],
        "no stop when vision dies, freezes or slows down": dead["damped"],
        "damping is streamed: nothing else comes, and no step without it": every["broken"],
    }
    whole = {
        f"from {STAND_S:g} s after going blind on, what it does has the label stand": blind["stood"],
        "it walks on when vision returns": dead["resumed"],
        "it is damped when it tilts, flails, overheats, or nobody is heard": (saved, len(doomed)),
    }
    return [
        *({"claim": claim, "holds": found == 0, "got": found} for claim, found in zero.items()),
        *(
            {"claim": claim, "holds": done == asked, "got": f"{done} of {asked}"}
            for claim, (done, asked) in whole.items()
        ),
        {
            "claim": "it is damped within 100 ms of having no valid action",
            "holds": not late and worst_ms <= LATEST_MS,
            "got": f"{late} late, {worst_ms:.0f} ms at worst",
        },
    ]
