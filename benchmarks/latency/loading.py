"""Loading: reports that strangers wrote, as what their ticks say and as nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Iterator, Mapping, NoReturn

import numpy as np

from rmedge.benchmarks.latency import schema
from rmedge.benchmarks.latency.report import SCHEMA, Ticks
from rmedge.benchmarks.statistics import QUANTILES, floor
from rmedge.errors import InputError

__all__ = ["WHOLE", "load", "rounds", "rows", "samples"]

WHOLE = ("tick", "own", "sensor_to_actuator", "intent_age")  # rows that are no stage
_MOST_BYTES = 1 << 27  # of JSON; a million ticks of every stage
_MOST_DIGITS = 20  # of a whole number: a longer one is slow to read and no count of anything
_ROUNDED_US = 1.0  # what is written is written to a tenth, and ten stages make a tick


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A report that is of the schema and whose figures follow from its ticks.

    Raises:
        InputError: it cannot be read, is no such report, or contradicts itself.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        _refuse(path, "a report that can be read", error.strerror or str(error))
    if len(data) > _MOST_BYTES:
        _refuse(path, f"at most {_MOST_BYTES} bytes", "more")
    try:
        told = json.loads(data.decode("utf-8"), parse_constant=_no_number, parse_int=_whole)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        _refuse(path, "JSON", str(error))
    version = told.get("schema") if isinstance(told, dict) else None
    if version != SCHEMA:
        _refuse(path, f"schema {SCHEMA}", repr(version)[:80], "measure again with rmedge-bench run --out")
    name = Path(path).name
    schema.check(told, path=name)
    names = [variant["name"] for variant in told["variants"]]
    for index, variant in enumerate(told["variants"]):
        where = f"{name}.variants[{index}]"
        if variant["name"] in names[:index]:
            _refuse(f"{where}.name", "a name that no other variant has", repr(variant["name"]))
        _check_ticks(variant, where)
        _check_figures(variant, where)
    return dict(told)


def samples(variant: Mapping[str, Any]) -> dict[str, list[np.ndarray]]:
    """Row -> (N,) [us] of each round, of every stage and of `WHOLE`; a round that has none is left out."""
    told: dict[str, list[np.ndarray]] = {}
    for part in rounds(variant):
        whole = {name: getattr(part, f"{name}_us") for name in WHOLE}
        for name, spent_us in {**part.spent_us, **whole}.items():
            ran = spent_us[np.isfinite(spent_us)]
            told.setdefault(name, []).extend([ran] if len(ran) else [])
    return told


def rows(variant: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Row -> count, quantiles and the rest, of every stage and of `WHOLE`."""
    return {**variant["stages"], **{name: variant[name] for name in WHOLE}}


def rounds(variant: Mapping[str, Any]) -> Iterator[Ticks]:
    """The ticks of each round, in the order in which they were measured."""
    ticks = variant["ticks"]
    of = np.array(ticks["round"], np.int64)
    spent = {stage: np.array(column, np.float64) for stage, column in ticks["spent_us"].items()}
    columns = {
        key: np.array(ticks[key], np.float64)
        for key in ("start_ms", "tick_us", "sensor_to_actuator_us", "intent_age_us")
    }
    for number in np.unique(of):
        mine = of == number
        yield Ticks(
            spent_us={stage: column[mine] for stage, column in spent.items()},
            **{key: column[mine] for key, column in columns.items()},
        )


def _check_ticks(variant: Mapping[str, Any], where: str) -> None:
    """One value a tick in every column, and rounds one after another."""
    ticks = variant["ticks"]
    count = len(ticks["round"])
    columns = {**{f"spent_us.{stage}": column for stage, column in ticks["spent_us"].items()}, **ticks}
    for key, column in columns.items():
        if key != "spent_us" and len(column) != count:
            _refuse(f"{where}.ticks.{key}", f"a value for each of {count} ticks", str(len(column)))
    if count and (np.diff(ticks["round"]) < 0).any():
        _refuse(f"{where}.ticks.round", "rounds one after another", "one that comes back")
    if set(ticks["spent_us"]) != set(variant["stages"]):
        _refuse(f"{where}.ticks.spent_us", "the stages that have rows", ", ".join(ticks["spent_us"]))


def _check_figures(variant: Mapping[str, Any], where: str) -> None:
    """What is printed is what was measured: nobody mended a figure by hand."""
    taken = samples(variant)
    for name, row in rows(variant).items():
        every = np.concatenate([*taken.get(name, ()), np.zeros(0)])
        if row["count"] != len(every):
            _refuse(f"{where}.{name}.count", f"the {len(every)} of its ticks", str(row["count"]))
        for quantile, share in QUANTILES.items():
            figure = row[f"{quantile}_us"]
            if figure is None:
                continue
            if len(every) < floor(share):
                _refuse(f"{where}.{name}.{quantile}_us", f"null, of {len(every)} samples", f"{figure:g}")
            if not abs(figure - np.quantile(every, share)) <= _ROUNDED_US:
                expected = f"{np.quantile(every, share):.1f}, as its ticks have it"
                _refuse(f"{where}.{name}.{quantile}_us", expected, f"{figure:g}")
    tick_us, period_us = np.array(variant["ticks"]["tick_us"], np.float64), variant["period_us"]
    surely, perhaps = (int((tick_us > period_us + slack).sum()) for slack in (_ROUNDED_US, -_ROUNDED_US))
    if not surely <= variant["deadlines"]["misses"] <= perhaps:
        got = str(variant["deadlines"]["misses"])
        _refuse(f"{where}.deadlines.misses", f"the {surely} of its ticks", got)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _refuse(
    where: object, expected: str, got: str, remedy: str = "take the file as rmedge-bench run wrote it"
) -> NoReturn:
    raise InputError(f"{where}: expected {expected}, got {got}; {remedy}")
