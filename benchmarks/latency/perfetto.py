"""The trace: a latency report as Chrome trace events, which ui.perfetto.dev opens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator, Mapping

__all__ = ["write"]

COUNTERS = {
    "cpu_percent": "processor time [%]",
    "resident_mb": "resident memory [MB]",
    "frequency_mhz": "processor's clock [MHz]",
    "temperature_c": "temperature [°C]",
    "power_w": "power [W]",
}
Event = Mapping[str, Any]


def write(report: Mapping[str, Any], path: Path) -> None:
    """Write every tick of every variant in the Trace Event Format's JSON object form.

    A variant is a process and a round is a thread of it. A tick is a span (``ph`` X) with a span for each of
    its stages within; a missed deadline is an instant (``i``) and a gauge a counter (``C``). Times are
    [us] since the run began. A stage that comes more than once in a tick is one span, as long as all.
    """
    about = {"schema": report["schema"], **report["made"], **_flat(report["context"])}
    head = json.dumps({"displayTimeUnit": "ms", "otherData": about}, allow_nan=False)
    with Path(path).open("w", encoding="utf-8") as file:  # one event at a time: there may be a million
        file.write(f'{head[:-1]}, "traceEvents": [\n')
        for index, event in enumerate(_events(report)):
            file.write((",\n" if index else "") + json.dumps(event, separators=(",", ":"), allow_nan=False))
        file.write("\n]}\n")


def _flat(context: Mapping[str, Any]) -> dict[str, str]:
    """The viewer shows texts."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in context.items()
        if value is not None
    }


def _events(report: Mapping[str, Any]) -> Iterator[Event]:
    for pid, variant in enumerate(report["variants"], 1):
        yield _name("process_name", variant["name"], pid)
        yield {"ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0, "args": {"sort_index": pid}}
        for each in variant["rounds"]:
            yield _name("thread_name", f"round {each['round'] + 1}", pid, each["round"] + 1)
        yield from _ticks(variant, pid)
        yield from _counters(variant["gauges"], pid)


def _name(kind: str, name: str, pid: int, tid: int = 0) -> Event:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}}


def _ticks(variant: Mapping[str, Any], pid: int) -> Iterator[Event]:
    ticks, period_us = variant["ticks"], variant["period_us"]
    begun_us = {each["round"]: 1e3 * each["start_ms"] for each in variant["rounds"]}
    free_us = dict.fromkeys(begun_us, 0.0)  # when each round's last span ended: spans may not overlap
    numbers = dict.fromkeys(begun_us, 0)
    stages = {stage: told for stage, told in ticks["spent_us"].items() if stage != "physics"}
    physics = ticks["spent_us"].get("physics")
    for index, number in enumerate(ticks["round"]):
        at_us = max(begun_us[number] + 1e3 * ticks["start_ms"][index], free_us[number])
        spent = {stage: told[index] for stage, told in stages.items() if told[index] is not None}
        tick_us = max(ticks["tick_us"][index], sum(spent.values()))  # each was rounded by itself
        place = {"pid": pid, "tid": number + 1}
        missed = ticks["tick_us"][index] > period_us
        args = {"tick": numbers[number], "missed": missed}
        args.update({key: ticks[key][index] for key in ("sensor_to_actuator_us", "intent_age_us")})
        yield _span("tick", at_us, tick_us, {**place, "args": args})
        start_us = at_us
        for stage, us in spent.items():
            yield _span(stage, start_us, us, place)
            start_us += us
        free_us[number] = at_us + tick_us
        if missed:
            yield {"ph": "i", "s": "t", "name": "missed deadline", "ts": round(at_us + period_us, 1), **place}
        if physics is not None and physics[index] is not None:
            yield _span("physics", free_us[number], physics[index], place)
            free_us[number] += physics[index]
        numbers[number] += 1


def _span(name: str, start_us: float, us: float, more: Mapping[str, Any]) -> Event:
    """Ends are rounded, not lengths, so that one that ends where the next begins still does."""
    start, end = round(start_us, 1), round(start_us + us, 1)
    return {"ph": "X", "cat": "rmedge", "name": name, "ts": start, "dur": round(end - start, 1), **more}


def _counters(gauges: Mapping[str, Any], pid: int) -> Iterator[Event]:
    for key, name in COUNTERS.items():
        for at_ms, value in zip(gauges["at_ms"], gauges[key]):
            if value is not None:
                yield {
                    "ph": "C", "name": name, "pid": pid, "ts": round(1e3 * at_ms, 1), "args": {"value": value}
                }  # fmt: skip
