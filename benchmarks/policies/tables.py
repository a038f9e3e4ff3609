"""The tables: what an evaluation found, for people."""

from __future__ import annotations

from typing import Any, Mapping

from rmedge.cli import terminal

__all__ = ["figure", "share", "show_apart", "show_policy"]


def show_policy(told: Mapping[str, Any]) -> None:
    """Policies beside each other: success and velocity, how they moved, and each disturbance."""
    rows = told["by_policy"]
    terminal.table(
        "success, and mean velocity error after the first second",
        ("policy", ">success", ">95 %", ">trials", ">fell at s", ">error", ">ratio"),
        [
            (
                *share(name, row),
                figure(row["fall_time_s"], ".1f"),
                figure(row["velocity_error_mean"], ".3f"),
                figure(row["velocity_error_ratio"], ".2f"),
            )
            for name, row in rows.items()
        ],
        f"ratio: to {told['reference']}, the better teacher of walking; errors: of trials without a fall",
    )
    terminal.table(
        "errors",
        ("policy", ">vx m/s", ">vy m/s", ">yaw rad/s", ">heading rad", ">body mm", ">upper mm"),
        [
            (
                name,
                *(figure(error, ".3f") for error in row["velocity_error"]),
                figure(row["heading_error"], ".3f"),
                figure(row["mpjpe_mm"], ".1f"),
                figure(row["upper_mpjpe_mm"], ".1f"),
            )
            for name, row in rows.items()
        ],
        "body, upper: E_mpjpe to the caption's own teacher, from the same start",
    )
    terminal.table(
        "effort",
        ("policy", ">slip m/s", ">rate rad/s", ">jerk rad/s³", ">torque", ">power W"),
        [
            (
                name,
                figure(row["foot_slip"], ".3f"),
                figure(row["action_rate"], ".2f"),
                figure(row["jerk"], ".0f"),
                figure(row["torque"], ".3f"),
                figure(row["power"], ".1f"),
            )
            for name, row in rows.items()
        ],
        "of trials without a fall; torque: as a share of its limit",
    )
    terminal.table(
        "by caption: success, and mean velocity error",
        ("caption", *(f">{name}" for name in rows)),
        [
            (
                caption,
                *(f"{r['success']:.2f} {figure(r['velocity_error_mean'], '.2f')}" for r in mine.values()),
            )
            for caption, mine in told["by_caption"].items()
        ],
    )
    if len(told["by_physics"]) > 1:
        terminal.table(
            "by physics",
            ("physics", "policy", ">success", ">95 %", ">trials", ">gap"),
            [
                (physics, *share(name, row), f"{row['gap']:+.3f}")
                for physics, mine in told["by_physics"].items()
                for name, row in mine.items()
            ],
            "gap: by how much more succeed in the reference physics",
        )
    sweep = told["sweep"]
    if sweep:
        names = dict.fromkeys(name for point in sweep["points"] for name in point["by_policy"])
        terminal.table(
            f"success by {sweep['kind']}",
            (f">{sweep['unit']}", *(f">{name}" for name in names)),
            [
                (
                    f"{point['value']:g}",
                    *(figure(point["by_policy"].get(name, {}).get("success"), ".3f") for name in names),
                )
                for point in sweep["points"]
            ],
            None if sweep["budget"] is None else f"borne: {sweep['budget']:g} {sweep['unit']}",
        )
    if told["stop_reason"]:
        terminal.say(f"stopped: {told['stop_reason']}; these are the trials until then")


def show_apart(told: Mapping[str, Any]) -> None:
    """The share of motions that are nearer to what was asked."""
    terminal.table(
        "nearer to its own teacher than to the other's",
        ("asked | other", ">right", ">95 %", ">trials"),
        [
            (name, f"{row['right']:.3f}", "{:.3f}-{:.3f}".format(*row["interval"]), row["trials"])
            for name, row in {**told["by_pair"], **told["by_path"], "all": told}.items()
        ],
        f"upper-body E_mpjpe, from the same start; {told['falls']} falls count as wrong",
    )


def share(name: str, row: Mapping[str, Any]) -> tuple[object, ...]:
    return name, f"{row['success']:.3f}", "{:.3f}-{:.3f}".format(*row["interval"]), row["trials"]


def figure(value: float | None, form: str) -> str:
    return "-" if value is None or value != value else format(value, form)
