"""The sweep: one disturbance, more and more of it, until the robot falls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Callable, Mapping, Sequence

from rmedge.benchmarks.policies.closed_loop import STUDENT, Trial
from rmedge.benchmarks.policies.grid import REFERENCE, Cell
from rmedge.benchmarks.policies.report import by_policy
from rmedge.bundle import Bundle

__all__ = ["KINDS", "Disturbance", "budget", "by_steps", "points", "spread", "undisturbed"]

BORNE = 0.95  # the least success at which a disturbance counts as borne
TICK_MS = 20
ROW = ("success", "interval", "trials", "velocity_error_mean")


@dataclass(frozen=True)
class Disturbance:
    """One kind of trouble: how much of it is tried, and where a cell holds it."""

    unit: str
    borne: str  # what the bundle calls the most that was borne
    values: tuple[float, ...]  # the first is none at all
    put: Callable[[Cell, float], Cell]
    read: Callable[[Cell], float]


def _late(cell: Cell, delay_ms: float) -> Cell:
    return replace(cell, withholding=replace(cell.withholding, late=round(delay_ms / TICK_MS)))


def _lost(cell: Cell, drop: float) -> Cell:
    return replace(cell, withholding=replace(cell.withholding, drop=drop))


def _noisy(cell: Cell, noise: float) -> Cell:
    seed = cell.perturbation.seed or cell.seed  # a calm one has none of its own
    return replace(cell, perturbation=replace(cell.perturbation, sensor_noise=noise, seed=seed))


KINDS: Mapping[str, Disturbance] = MappingProxyType(
    {
        "delay": Disturbance(
            "ms", "delay_ms", tuple(float(TICK_MS * ticks) for ticks in range(9)),
            _late, lambda cell: float(TICK_MS * cell.withholding.late),
        ),
        "drop": Disturbance(
            "share of results", "drop", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
            _lost, lambda cell: cell.withholding.drop,
        ),
        "noise": Disturbance(
            "times the sensors' usual", "noise", (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
            _noisy, lambda cell: cell.perturbation.sensor_noise,
        ),
    }
)  # fmt: skip


def spread(kind: Disturbance, cells: Sequence[Cell]) -> list[Cell]:
    """The same cells under every value, value by value; other physics only undisturbed."""
    return [
        kind.put(cell, value)
        for value in kind.values
        for cell in cells
        if value == kind.values[0] or cell.physics == REFERENCE
    ]


def undisturbed(kind: Disturbance, trials: Sequence[Trial]) -> list[Trial]:
    """The trials of the first value."""
    return [trial for trial in trials if kind.read(trial.cell) == kind.values[0]]


def points(kind: Disturbance, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Value by value: success of every policy; values that nothing was tried under are left out."""
    found = []
    for value in kind.values:
        mine = [t for t in trials if t.cell.physics == REFERENCE and kind.read(t.cell) == value]
        if mine:
            found.append({"value": value, "by_policy": _rows(by_policy(mine))})
    return found


def by_steps(rows: Mapping[str, Mapping[str, Any]], bundles: Mapping[str, Bundle]) -> list[dict[str, Any]]:
    """The same figures by the number of steps that each bundle's policy takes."""
    steps = {name: bundle.policy.sampler.steps for name, bundle in bundles.items()}
    return [
        {"value": value, "by_policy": _rows({name: rows[name] for name in steps if steps[name] == value})}
        for value in sorted(set(steps.values()))
    ]


def budget(points: Sequence[Mapping[str, Any]], policy: str = STUDENT) -> float | None:
    """The greatest value that was borne, as was every smaller one; None: not even the first."""
    borne = None
    for point in points:
        if not point["by_policy"][policy]["success"] >= BORNE:
            break
        borne = point["value"]
    return borne


def _rows(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: row[key] for key in ROW} for name, row in rows.items()}
