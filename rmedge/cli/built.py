"""What a build wrote into a bundle's quality, as tables: proof, formats, closed loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from rmedge.cli import terminal

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["PARTS", "show"]

PARTS = ("proof", "trials", "closed_loop")  # of a bundle's quality


def show(bundle: Bundle) -> None:
    """The tables that a bundle has figures for; whatever else stands in their place is named, not read."""
    for part, draw in {"proof": _proof, "trials": _trials, "closed_loop": _closed_loop}.items():
        told = bundle.quality.get(part)
        if told:
            try:
                draw(told)
            except (
                AttributeError,
                IndexError,
                KeyError,
                TypeError,
                ValueError,
            ):  # quality is anybody's to write
                terminal.say(f"quality.{part}: not as a build writes it")


def _proof(told: Mapping[str, Any]) -> None:
    terminal.table(
        "proof: largest difference and cosine",
        ("graph", "output", ">ONNX from torch", ">cosine", ">shipped from float32", ">cosine"),
        [
            (graph, output, *_cells(proof["from_torch"], output), *_cells(proof["from_float32"], output))
            for graph, proof in told.items()
            for output in proof["from_torch"] or proof["from_float32"]
        ],
        "; ".join(f"{graph}: proved on {one['proved_on']}" for graph, one in told.items()),
    )


def _cells(drifts: Mapping[str, Any] | None, output: str) -> tuple[str, str]:
    if not drifts or output not in drifts:
        return "-", "-"
    return f"{drifts[output]['max_error']:.1e}", f"{drifts[output]['cosine']:.6f}"


def _trials(told: Mapping[str, Any]) -> None:
    styles = {"p50_us": ".1f", "ratio_to_float32": ".2f", "error": ".2g"}
    for graph, rows in told.items():
        terminal.table(
            f"{graph}: formats",
            ("", "format", ">bytes", ">p50 µs", ">pace", ">error"),
            [
                (
                    "*" if row["chosen"] else "",
                    row["format"],
                    row["size"] or "-",
                    *(_figure(row[name], style) for name, style in styles.items()),
                )
                for row in rows
            ],
            "pace: calls of float32 in the time of one, paired, one thread",
        )
        terminal.facts(f"{graph}: why", {row["format"]: row["why"] for row in rows})


def _closed_loop(walked: Mapping[str, Any]) -> None:
    terminal.table(
        f"closed loop: {walked['seconds']:g} s of each command",
        ("policy", ">stood", ">trials", ">velocity error"),
        [
            (name, f"{row['success']:.1%}", row["trials"], _figure(row["velocity_error_mean"], ".3f"))
            for name, row in walked.items()
            if isinstance(row, Mapping)
        ],
    )


def _figure(value: float | None, style: str) -> str:
    return "-" if value is None else format(value, style)
