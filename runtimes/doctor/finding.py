"""A finding: what one check found on one computer, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "FAILURE",
    "NOT_HERE",
    "OK",
    "UNKNOWN",
    "WARNING",
    "Finding",
    "failure",
    "not_here",
    "ok",
    "unknown",
    "warning",
]

OK, WARNING, FAILURE = "ok", "warning", "failure"
UNKNOWN = "unknown"  # it could not be found out
NOT_HERE = "-"  # there is nothing of the kind to be found out about


@dataclass(frozen=True)
class Finding:
    """What was found; a warning or failure has its remedy, a command wherever there is one."""

    verdict: str
    found: str
    remedy: str = ""


def ok(found: str) -> Finding:
    """All is well."""
    return Finding(OK, found)


def warning(found: str, remedy: str) -> Finding:
    """It works, but worse than it could."""
    return Finding(WARNING, found, remedy)


def failure(found: str, remedy: str) -> Finding:
    """Something that rmedge needs, or that was asked for, does not work."""
    return Finding(FAILURE, found, remedy)


def unknown(why: str, remedy: str = "") -> Finding:
    """It could not be found out."""
    return Finding(UNKNOWN, why, remedy)


def not_here(why: str) -> Finding:
    """There is nothing to be checked."""
    return Finding(NOT_HERE, why)
