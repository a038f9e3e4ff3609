"""Matching: which variants of two reports belong together, and whether they may be compared at all."""

from __future__ import annotations

from typing import Any, Mapping, Sequence, Tuple

from rmedge.errors import UsageError

__all__ = ["Pair", "changes", "chosen", "demand_alike", "matched", "unlike"]

Pair = Tuple[Mapping[str, Any], Mapping[str, Any]]

SURROUNDINGS = (
    "machine_id",
    "architecture",
    "cores_allowed",
    "governor",
    "clocks_locked",
    "power_mode",
    "gpu",
)
CONDITIONS = ("power_mode", "camera", "actuator", "period_us")


def matched(
    first: Mapping[str, Any], second: Mapping[str, Any], names: Sequence[str] = ()
) -> tuple[list[Pair], list[str]]:
    """The pairs, and the names of the variants that found no partner.

    Args:
        names: of variants, or ``NAME=OTHER`` where the second report's bears another one. Without them what
            has the same bundle (by name: its bytes may differ), provider, threads and power mode is a pair.

    Raises:
        UsageError: a name is unknown, or no two variants are a pair.
    """
    if names:
        sides = [name.partition("=")[::2] for name in names]
        return [(_named(first, name), _named(second, other or name)) for name, other in sides], []
    ours, theirs = _by_key(first), _by_key(second)
    pairs = [(ours[key], theirs[key]) for key in ours if key in theirs]
    every = [*first["variants"], *second["variants"]]
    if not pairs:
        raise UsageError(
            f"variants: expected one that is in both reports, got {', '.join(one['name'] for one in every)}; "
            "name two with --variant NAME=OTHER"
        )
    paired = [one for pair in pairs for one in pair]
    return pairs, [one["name"] for one in every if not any(one is other for other in paired)]


def unlike(first: Mapping[str, Any], second: Mapping[str, Any], pairs: Sequence[Pair]) -> list[str]:
    """What makes figures of the two no figures of one thing: each difference in a few words."""
    sides = [{key: report["context"][key] for key in SURROUNDINGS} for report in (first, second)]
    told = _differences(
        *({**side, "paced": of["rules"]["paced"]} for side, of in zip(sides, (first, second)))
    )
    if sides[0]["machine_id"] != sides[1]["machine_id"]:
        told.insert(0, f"machine {first['context']['machine']!r} and {second['context']['machine']!r}")
    for pair in pairs:
        told += _differences(*({key: one[key] for key in CONDITIONS} for one in pair))
    return list(dict.fromkeys(told))


def changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """What a comparison may be about: versions and commits, where they differ."""
    sides = [
        {
            "commit": report["made"]["commit"],
            "python": report["context"]["python"],
            "kernel": report["context"]["kernel"],
            **dict.fromkeys((*first["context"]["libraries"], *second["context"]["libraries"])),
            **report["context"]["libraries"],
        }
        for report in (first, second)
    ]
    return _differences(*sides)


def demand_alike(differences: Sequence[str], force: bool) -> None:
    """Refuse to take two machines, or one in two moods, for one.

    Raises:
        UsageError: there are differences, and nobody forces it.
    """
    if differences and not force:
        raise UsageError(
            f"reports: expected the same machine in the same conditions, got {'; '.join(differences)}; "
            "measure both alike, or --force"
        )


def chosen(report: Mapping[str, Any], names: Sequence[str] = ()) -> list[Mapping[str, Any]]:
    """The variants of these names; without names all.

    Raises:
        UsageError: a name is unknown.
    """
    return [_named(report, name) for name in names] or list(report["variants"])


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    keys = [key for key in first if first[key] != second[key]]
    return [f"{key} {_shown(first[key])} and {_shown(second[key])}" for key in keys]


def _shown(value: Any) -> str:
    if isinstance(value, dict):  # a camera
        return f"{value['name']!r}{' (synthetic)' * value['synthetic']}"
    return "none" if value is None else str(value)


def _by_key(report: Mapping[str, Any]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """What there is but one of, by what it is."""
    keys = [
        (one["bundle"]["name"], one["provider"], one["threads"], one["power_mode"])
        for one in report["variants"]
    ]
    return {key: one for key, one in zip(keys, report["variants"]) if keys.count(key) == 1}


def _named(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for one in report["variants"]:
        if one["name"] == name:
            return dict(one)
    choices = ", ".join(one["name"] for one in report["variants"])
    raise UsageError(f"--variant: expected one of {choices}, got {name!r}")
