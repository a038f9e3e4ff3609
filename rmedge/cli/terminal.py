"""The terminal: tables and progress for people, one strict JSON object for machines."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, Iterable, Iterator, Mapping, Protocol, Sequence

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = ["emit", "facts", "latency", "plain", "progress", "say", "table"]


class Show(Protocol):
    """What moves a progress bar."""

    def __call__(self, done: float, total: float | None, word: str = "") -> None: ...


# no markup: a path may hold brackets
_out = Console(markup=False, highlight=False)
_err = Console(markup=False, highlight=False, stderr=True)


def emit(value: Mapping[str, Any]) -> None:
    """Print one JSON object; what is not a number is null."""
    print(json.dumps(plain(value), allow_nan=False))


def plain(value: Any) -> Any:
    """The same in what JSON knows: mappings, lists, finite numbers, texts, true, false and null."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def say(text: str = "", style: str | None = None) -> None:
    """A line, whole however long it is."""
    _out.print(text, style=style, soft_wrap=True)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], note: str | None = None
) -> None:
    """A table; a column whose name starts with ``>`` stands to the right."""
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption=note,
        caption_justify="left",
        box=None,
        pad_edge=False,
    )
    for column in columns:
        drawn.add_column(
            column.lstrip(">"), justify="right" if column.startswith(">") else "left", no_wrap=True
        )
    for row in rows:
        drawn.add_row(*map(str, row))
    _out.print(drawn)
    _out.print()


def facts(title: str, rows: Mapping[str, object]) -> None:
    """Names and what they are."""
    _out.print(title, style="bold")
    width = max(map(len, rows))
    for name, value in rows.items():
        _out.print(f"  {name:<{width}}  {value}", soft_wrap=True)
    _out.print()


def latency(
    title: str,
    rows: Mapping[str, Mapping[str, Any]],
    quantiles: Sequence[str] = ("p50", "p95", "p99", "max"),
) -> None:
    """Rows of count and, for every quantile, such as p50_us; what is None was not measured often enough."""
    keys = [f"{name}_us" for name in quantiles]
    missing = any(row.get(key) is None for row in rows.values() for key in keys)
    table(
        title,
        ("", ">count", *(f">{name} µs" for name in quantiles)),
        [(name, row["count"], *(_figure(row.get(key)) for key in keys)) for name, row in rows.items()],
        "not est.: not established by so few samples" if missing else None,
    )


def _figure(value: float | None) -> str:
    return "not est." if value is None else f"{value:.1f}"


@contextmanager
def progress(unit: str = "s") -> Iterator[Show]:
    """A bar on stderr, on a terminal only: call it with how much of how much, and a word."""
    if not _err.is_terminal:
        yield lambda done, total, word="": None
        return
    columns = (
        BarColumn(),
        TextColumn("{task.completed:.1f}{task.fields[of]} " + unit),
        TextColumn("{task.description}", style="bold"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_err, transient=True) as bar:
        task = bar.add_task("", total=None, of="")

        def show(done: float, total: float | None, word: str = "") -> None:
            of = "" if total is None else f" of {total:.1f}"
            bar.update(task, completed=done, total=total, description=word, of=of)

        yield show
