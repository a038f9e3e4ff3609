"""The tables of faults: what was injected, what became of it, and what must hold, for people."""

from __future__ import annotations

from typing import Any, Mapping

from rmedge.benchmarks.policies.tables import figure
from rmedge.cli import terminal

__all__ = ["show_claims", "show_faults", "show_processes"]


def show_faults(told: Mapping[str, Any]) -> None:
    """A row a kind, all of them, and the claims."""
    rows = {**told["by_kind"], "vision's deaths": told["deaths"], "all": told["all"]}
    terminal.table(
        "faults while walking",
        ("kind", ">times", ">falls", ">95 %", ">damped", ">ms", ">unsafe", ">torn", ">taken"),
        [
            (
                kind, row["injected"], row["falls"], "{:.2f}-{:.2f}".format(*row["interval"]), row["damped"],
                figure(row["damping_ms"], ".0f"), row["unsafe"], row["torn"], row["torn_accepted"],
            )
            for kind, row in rows.items()
        ],
        "falls: while it had commands; what collapses when it is damped is no fall\n"
        "ms: at worst, from the last valid action to damping\n"
        "torn: slots refused, at every look; taken: torn records that were believed",
    )  # fmt: skip
    terminal.table(
        "when it is blind, and when it sees again",
        ("kind", ">stood", ">m/s", ">rad/s", ">still", ">p50 s", ">max s", ">walks on"),
        [
            (
                kind, _of(row["stood"]),
                figure(row["drift_max_m_s"], ".3f"), figure(row["drift_max_rad_s"], ".3f"), _of(row["still"]),
                figure(row["still_p50_s"], ".2f"), figure(row["still_max_s"], ".2f"),
                _of(row["resumed"]),
            )
            for kind, row in rows.items()
            if row["resumed"][1]
        ],
        "stood: from 1.5 s after it was blind, what it did in any second has the label stand\n"
        "m/s, rad/s: the most of any such second's mean; stand is below 0.1 and 0.15\n"
        "still: so many did not even sway faster than that at any instant; when they ceased to",
    )  # fmt: skip
    show_claims(told["claims"])
    if told["not_hit"]:
        terminal.say(f"{told['not_hit']} faults hit nothing and do not count")
    if told["stop_reason"]:
        terminal.say(f"stopped: {told['stop_reason']}; these are the trials until then")


def show_claims(claims: Any) -> None:
    """What must hold, and whether it does."""
    terminal.say("what must hold", "bold")
    for row in claims:
        terminal.say(f"  {'ok    ' if row['holds'] else 'BROKEN'}  {row['claim']}: {row['got']}")
    terminal.say()


def show_processes(told: Mapping[str, Any]) -> None:
    """What became of real processes."""
    terminal.table(
        "faults of processes, in real time",
        ("what", ">times", "fell", "ended in", ">took s"),
        [
            (
                row["kind"], row["injected"], {None: "-", True: "yes", False: "no"}[row["fell"]],
                row["state"], figure(row["took_s"], ".2f"),
            )
            for row in told["runs"]
        ],
        "took: the whole run, or from the blow to its end",
    )  # fmt: skip
    show_claims(told["claims"])


def _of(share: Any) -> str:
    return "-" if not share[1] else f"{share[0]}/{share[1]}"
