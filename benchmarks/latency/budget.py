"""A budget: the most that a figure of a report may be, by a file, by a bundle, or by what it was before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

import numpy as np

from rmedge import document
from rmedge.benchmarks.latency import loading
from rmedge.benchmarks.latency.bootstrap import LEAST_US
from rmedge.benchmarks.latency.drift import drift
from rmedge.benchmarks.latency.matching import Pair
from rmedge.benchmarks.latency.report import Rules, row
from rmedge.bundle import STAGES, Bundle
from rmedge.errors import BundleError, InputError, UsageError
from rmedge.runtimes.gate import TARGETS

__all__ = ["Judged", "against", "by_bundle", "by_file", "read"]

FAST = 0.1  # the share of a round's ticks that are faster than the figure that is compared
LEAST_SHARE = 0.05  # of all ticks' time: a stage that takes less is judged only where a bundle bounds it
TIMED = {"encode": ("preprocess", "encode"), "policy": ("observe", "policy")}  # as the arming gate has it
_MOST_BYTES = 1 << 20  # of YAML, as of a bundle's
_NOWHERE = math.nan


@dataclass(frozen=True)
class Judged:
    """One figure of one variant, and the most that it may be."""

    variant: str
    row: str
    measured: float | None
    most: float | None
    passed: bool
    why: str  # beyond that the one is above the other
    ratio: float | None = None  # to what it was
    drift: float | None = None  # of the machine itself meanwhile; None: not known


def read(path: str) -> dict[str, float]:
    """A file's budgets, by the place of the figure, such as ``tick.p99_us: 15000``.

    Raises:
        InputError: it cannot be read, or is no mapping of such places to numbers from 0 up.
    """
    try:
        with open(path, "rb") as file:
            found = document.parse(file.read(_MOST_BYTES + 1), path)
    except OSError as error:
        raise InputError(f"{path}: expected a file that can be read, got {error.strerror}") from error
    except BundleError as error:
        raise InputError(
            f"{str(error).rpartition('; ')[0]}; write lines such as tick.p99_us: 15000"
        ) from error
    if not (isinstance(found, dict) and found):
        raise InputError(
            f"{path}: expected a mapping, got {str(found)[:80]!r}; write lines such as tick.p99_us: 15000"
        )
    for place, most in found.items():
        number = isinstance(most, (int, float)) and not isinstance(most, bool)
        if not (number and 0 <= most < math.inf):
            got = repr(str(most)[:80])
            raise InputError(
                f"{path}: {place}: expected a number from 0 up, got {got}; write what it may be at most"
            )
    return {place: float(most) for place, most in found.items()}


def by_file(variants: Sequence[Mapping[str, Any]], most: Mapping[str, float]) -> Iterator[Judged]:
    """Every budget on every variant.

    Raises:
        UsageError: a place where no variant has a figure.
    """
    for place in most:
        if all(_figure(one, place) is _NOWHERE for one in variants):
            raise UsageError(
                f"budget: expected the place of a figure, such as tick.p99_us, deadlines.misses or "
                f"graphs.policy.overhead.p50_us, got {place!r}; look for it in the report"
            )
    for variant in variants:
        for place, limit in most.items():
            figure = _figure(variant, place)
            if figure is _NOWHERE:
                yield Judged(variant["name"], place, None, limit, False, "not measured")
            else:
                yield _limited(variant, place, figure, limit)


def by_bundle(
    report: Mapping[str, Any], variants: Sequence[Mapping[str, Any]], bundle: Bundle, target: str | None
) -> Iterator[Judged]:
    """What the bundle promises for a kind of computer: p99 of what its arming gate times.

    Args:
        target: the kind; by default that of the processor on which the report was made.

    Raises:
        UsageError: another bundle was measured, or it promises nothing for that kind.
    """
    machine = report["context"]["architecture"]
    target = target or TARGETS.get(machine, machine)
    promised = bundle.latency_budget_ms.get(target)
    if promised is None:
        known = ", ".join(bundle.latency_budget_ms)
        raise UsageError(
            f"budget: expected one of {bundle.name} for {target}, got some for {known}; "
            "take --target, --budget or --against"
        )
    rules = Rules(**report["rules"])
    for variant in variants:
        if variant["bundle"]["sha256"] != bundle.sha256:
            got = variant["bundle"]["sha256"][:12]
            raise UsageError(
                f"budget: expected figures of {bundle.name} {bundle.sha256[:12]}, got some of {got}; "
                "name the bundle that was measured with --bundle"
            )
        for stage, most_ms in promised.items():
            figure = _together(variant, rules, TIMED[stage])
            yield _limited(variant, f"{' + '.join(TIMED[stage])} p99_us", figure, 1e3 * most_ms)


def against(
    before: Mapping[str, Any], now: Mapping[str, Any], pairs: Sequence[Pair], tolerance: float
) -> Iterator[Judged]:
    """The tick and every stage that counts, beside what they were before.

    What disturbs a machine only adds, and often to all of a process: so the fast tenth of the least disturbed
    round is judged, which is the build left alone (after Chen & Revels, "Robust benchmarking in noisy
    environments", 2016, who take the least of all). What bare onnxruntime took longer meanwhile is the
    machine's. Tails are for budgets to judge: no machine holds them still from one run to the next.

    Args:
        pairs: variants of the one and of the other.
        tolerance: how much more is borne, as a share.
    """
    for pair in pairs:
        drifted = drift(before, now, pair)
        taken, rows = [loading.samples(one) for one in pair], [loading.rows(one) for one in pair]
        for name in ("tick", *_heavy(taken[0])):
            # what the tenth from below needs is what the tenth from above needs
            if any(of.get(name, {}).get("p90_us") is None for of in rows):
                why = "not established in both reports"
                yield Judged(pair[1]["name"], f"{name} p10", None, None, False, why)
            elif min(len(of[name]) for of in taken) < 2:
                why = "one round alone says nothing"
                yield Judged(pair[1]["name"], f"{name} p10", _best(taken[1][name]), None, False, why)
            else:
                was, is_now = (_best(of[name]) for of in taken)
                # a machine that seems quicker now is no reason to blame what took as long as before
                most = max((1 + tolerance) * (drifted or 1.0), 1 + tolerance / 2) * was
                ratio = is_now / was
                yield Judged(pair[1]["name"], f"{name} p10", is_now, most, is_now <= most, "", ratio, drifted)


def _best(rounds: Sequence[np.ndarray]) -> float:
    """The fast tenth of the round in which it is least [us]."""
    return max(min(float(np.quantile(part, FAST)) for part in rounds), LEAST_US)


def _heavy(taken: Mapping[str, Sequence[np.ndarray]]) -> list[str]:
    """The stages that a tick's time goes into, and those that bundles bound; the physics is no part of it."""
    spent = {name: sum(part.sum() for part in parts) for name, parts in taken.items()}
    stages = [name for name in spent if name not in (*loading.WHOLE, "physics")]
    return [name for name in stages if name in STAGES or spent[name] >= LEAST_SHARE * spent["tick"]]


def _limited(variant: Mapping[str, Any], place: str, figure: float | None, most: float) -> Judged:
    passed = figure is not None and figure <= most
    why = "not established, or not known" if figure is None else ""
    return Judged(variant["name"], place, figure, most, passed, why)


def _together(variant: Mapping[str, Any], rules: Rules, stages: Sequence[str]) -> float | None:
    """p99 of these stages as one [us]; None where it is not established."""
    parts = [np.sum([part.spent(stage) for stage in stages], axis=0) for part in loading.rounds(variant)]
    seconds = sum(each["seconds"] for each in variant["rounds"])
    figure = row(parts, seconds, rules)["p99_us"]
    return None if figure is None else float(figure)


def _figure(variant: Mapping[str, Any], place: str) -> float | None:
    """The number there; of a list the greatest. None: it says null; `_NOWHERE`: there is no such place."""
    figures = {key: value for key, value in variant.items() if key != "ticks"}
    return _walk({**figures, **loading.rows(variant)}, place)


def _walk(value: Any, rest: str) -> float | None:
    if isinstance(value, list):
        found = [_walk(item, rest) for item in value]
        numbers = [one for one in found if one is not None]
        return max(numbers) if numbers else None
    if isinstance(value, dict) and rest:
        head, _, tail = (rest, "", "") if rest in value else rest.partition(".")  # p99.9_us has a dot in it
        return _walk(value[head], tail) if head in value else _NOWHERE
    if value is None or (not rest and isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    return _NOWHERE
