"""A verdict: what one rule asks of a device, whether it holds, and what to do where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Sequence

from rmedge.errors import AbsentError

__all__ = ["Rule", "Unchecked", "Verdict", "judge", "require", "rule"]


@dataclass(frozen=True)
class Verdict:
    """One line of the pass/fail list."""

    name: str
    passed: bool | None  # None: it does not apply, or could not be checked; ``got`` says why
    expected: str
    got: str
    remedy: str  # what to do when it fails


@dataclass(frozen=True)
class Rule:
    """What must hold of a device; ``check`` says what it found, or raises what it found wrong."""

    name: str
    expected: str
    remedy: str
    check: Callable[[Any], str]


class Unchecked(Exception):
    """A rule that does not apply here, and why."""


def rule(
    rules: list[Rule], name: str, expected: str, remedy: str
) -> Callable[[Callable[[Any], str]], Callable[[Any], str]]:
    """Put a check on the list; rules are judged in their order."""

    def enter(check: Callable[[Any], str]) -> Callable[[Any], str]:
        rules.append(Rule(name, expected, remedy, check))
        return check

    return enter


def require(holds: bool, what: str, expected: Any, got: Any) -> None:
    """Find a device out.

    Raises:
        AssertionError: it does not hold.
    """
    if not holds:  # not a bare assert: `python -O` strips those
        raise AssertionError(f"{what}: expected {expected}, got {got}")


def judge(rules: Sequence[Rule], bench: Any) -> list[Verdict]:
    """Every rule's verdict; what a device raises where nothing was wrong is its own failure.

    Raises:
        AbsentError: the device is not there.
    """
    verdicts = []
    for each in rules:
        passed: bool | None = True
        try:
            got = each.check(bench)
        except AbsentError:
            raise
        except Unchecked as why:
            passed, got = None, str(why)
        except AssertionError as error:
            passed, got = False, str(error)
        except Exception as error:  # a vendor's device may raise anything
            passed, got = False, f"{type(error).__name__}: {error}"
        verdicts.append(Verdict(each.name, passed, each.expected, got, each.remedy))
    return verdicts
