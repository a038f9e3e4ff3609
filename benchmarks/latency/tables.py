"""The tables: a latency report for people at a terminal."""

from __future__ import annotations

import shutil
import statistics
from typing import Any, Mapping

from rmedge.benchmarks.context import facts
from rmedge.cli import terminal

__all__ = ["show"]

WIDE = ("p50", "p90", "p95", "p99", "p99.9", "max", "jitter")
NARROW = ("p50", "p99", "p99.9", "max", "jitter")  # what 80 columns hold
WIDTH = 94


def show(report: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """All variants, then on what and how; ``files`` are named, by what they are."""
    for variant in report["variants"]:
        _show_variant(variant)
    rules, made = report["rules"], report["made"]
    terminal.facts("measured on", facts(report["context"]))
    how = {
        "rounds": f"{rules['rounds']}, each a process of its own",
        "warm-up": f"{rules['warm_up_ticks']} ticks a round, in no figure",
        "loop": "in real time" if rules["paced"] else "one tick after the other",
        "commit": made["commit"] or "none: installed",
        **files,
    }
    if made["stop_reason"]:
        how["stopped"] = made["stop_reason"]
    terminal.facts("how", how)


def _show_variant(variant: Mapping[str, Any]) -> None:
    camera = variant["camera"]
    seen = f"camera {camera['name']} ({'synthetic' if camera['synthetic'] else 'real'})"
    terminal.latency(
        f"{variant['name']}: {seen}, actuator {variant['actuator']}",
        {
            **variant["stages"],
            "tick": variant["tick"],
            "own cost": variant["own"],
            "light to motor": variant["sensor_to_actuator"],
            "intent's age": variant["intent_age"],
        },
        WIDE if shutil.get_terminal_size().columns >= WIDTH else NARROW,
    )
    rows = {}
    for graph, measured in variant["graphs"].items():
        rows[f"{graph}: onnxruntime"] = measured["bare"]
        rows[f"{graph}: rmedge's call"] = measured["call"]
        rows[f"{graph}: difference"] = measured["overhead"]
    if rows:
        terminal.latency("graphs, in pairs", rows)
    terminal.facts("in words", _words(variant))


def _words(variant: Mapping[str, Any]) -> dict[str, str]:
    """What the figures say."""
    tick, missed = variant["tick"], variant["deadlines"]
    told = {
        "a tick": ", ".join(_between(tick, name) for name in ("p50", "p99")),
        "deadlines": f"{missed['misses']} of {tick['count']} ticks took longer than their "
        f"{variant['period_us'] / 1e3:g} ms, {missed['longest_streak']} in a row at most",
        "throughput": f"{variant['throughput_hz']:.0f} ticks a second",
        "engine": f"{variant['engine']}, threads: {variant['threads']}, weights: "
        + ", ".join(f"{graph} {kind or 'unknown'}" for graph, kind in variant["precision"].items()),
    }
    if variant["cold_start"]:
        cold = sorted(variant["cold_start"], key=lambda row: row["total_ms"])[len(variant["cold_start"]) // 2]
        told["cold start"] = (
            f"{cold['total_ms']:.0f} ms to the first command: imports {cold['import_ms']:.0f}, "
            f"bundle {cold['bundle_ms']:.0f}, load {cold['load_ms']:.0f}, first tick {cold['first_ms']:.0f}"
        )
    told.update(_gauged(variant))
    worst = variant["worst"][0]
    told["longest tick"] = (
        f"{worst['tick_us']:.0f} µs (number {worst['tick']} of round {worst['round']}), for its "
        f"{worst['stage']}, {worst['stage_us']:.0f} µs"
    )
    bundle = variant["bundle"]
    told["bundle"] = f"{bundle['name']} {bundle['sha256'][:12]} for {bundle['robot']}"
    return told


def _between(row: Mapping[str, Any], quantile: str) -> str:
    """A quantile and where it really lies."""
    value, interval = row[f"{quantile}_us"], row["interval_us"][quantile]
    told = f"{quantile} not established" if value is None else f"{quantile} {value:.0f} µs"
    return told + (f" ({interval[0]:.0f} to {interval[1]:.0f})" if interval else "")


def _gauged(variant: Mapping[str, Any]) -> dict[str, str]:
    """What the gauges showed, where there were any."""
    told = {}
    units = {
        "cpu_percent": ("processor", "% of a core"),
        "resident_mb": ("memory", "MB"),
        "frequency_mhz": ("clock", "MHz"),
        "temperature_c": ("temperature", "°C"),
        "power_w": ("power", "W"),
    }
    for name, (what, unit) in units.items():
        known = [value for value in variant["gauges"][name] if value is not None]
        if known:
            told[what] = f"{statistics.median(known):.0f} {unit}, at most {max(known):.0f}"
    if variant["energy_mj_per_tick"] is not None:
        told["energy"] = f"{variant['energy_mj_per_tick']:.1f} mJ a tick, of everything that the meter sees"
    slowed = variant["throttling"]
    seen = {True: f"YES: {slowed['why']}", False: "none seen", None: slowed["why"]}
    told["throttling"] = seen[slowed["seen"]]
    return told
