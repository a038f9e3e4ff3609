"""Facts about a foreign policy: what its file says, what its package publishes, and what the user tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from rmedge.errors import BundleError, UsageError
from rmedge.fields import Kind

__all__ = ["Facts"]

T = TypeVar("T")


class Facts:
    """Takes fact by fact: from the file, else as it was told, else as the format's package publishes it.

    A file that writes rounded numbers may be told the exact ones; a told fact that contradicts the file is
    refused, and so is one that nobody needs. What nobody says is demanded, never guessed.

    Args:
        rounding: (relative, absolute) error of the file's numbers.
        package: who publishes what is neither in the file nor told.
    """

    def __init__(
        self,
        file: str,
        says: Mapping[str, Any],
        told: Mapping[str, Any],
        published: Mapping[str, Any] | None = None,
        rounding: tuple[float, float] = (0.0, 0.0),
        package: str = "",
    ):
        self.file = file
        self.sources: dict[str, str] = {}
        self._says, self._told, self._published = says, dict(told), published or {}
        self._package = package
        self._relative, self._absolute = rounding

    def take(self, name: str, kind: Kind[T], hint: str = "") -> T:
        """The fact, read by its kind; ``hint``: what to tell where nobody says it.

        Raises:
            UsageError: nobody says it, or somebody says what it cannot be.
        """
        told = self._told.pop(name, None)
        if name in self._says:
            value = self._read(name, self._says[name], kind, "correct the file")
            self.sources[name] = "file"
            if told is None:
                return value
            exact = self._read(name, told, kind, "tell it otherwise")
            if not self._agree(value, exact):
                raise UsageError(
                    f"{self.file}: {name}: expected what the file says, {_short(value)}, got {_short(exact)} "
                    "told; leave it out, or correct the file"
                )
            self.sources[name] = "told, finer than the file"
            return exact
        if told is not None:
            self.sources[name] = "told"
            return self._read(name, told, kind, "tell it otherwise")
        if name in self._published:
            self.sources[name] = self._package
            return self._read(name, self._published[name], kind, "tell it")
        raise UsageError(
            f"{self.file}: {name}: expected it in the file or told, got neither; "
            f"--tell {hint or name + '=...'}"
        )

    def take_or(self, name: str, kind: Kind[T], otherwise: T) -> T:
        """The same of a fact that nobody need say."""
        said = (self._says, self._told, self._published)
        return self.take(name, kind) if any(name in facts for facts in said) else otherwise

    def finish(self) -> None:
        """Refuse what was told and nobody took."""
        for name in self._told:
            raise UsageError(
                f"{self.file}: {name}: expected only facts that this format leaves open, got it told; "
                f"leave it out (it needs {', '.join(self.sources)})"
            )

    def _read(self, name: str, value: Any, kind: Kind[T], remedy: str) -> T:
        try:
            return kind(value, f"{self.file}: {name}")
        except BundleError as error:  # the kinds are a bundle's, and so is the remedy that they name
            raise UsageError(f"{str(error).rpartition('; ')[0]}; {remedy}") from error

    def _agree(self, first: Any, second: Any) -> bool:
        if isinstance(first, (np.ndarray, float, int)):
            one, other = np.asarray(first, float), np.asarray(second, float)
            return one.shape == other.shape and np.allclose(
                one, other, self._relative, self._absolute + 1e-12
            )
        return bool(first == second)


def _short(value: Any) -> str:
    shown = repr(value.tolist() if isinstance(value, np.ndarray) else value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
