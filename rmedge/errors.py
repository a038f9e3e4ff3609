"""What can go wrong, as one tree; each error knows the exit code a command gives it.

::

    RmedgeError (Exception)
    ├── UsageError (ValueError)            exit 2: a bad flag, file, robot or specification
    │   ├── InputError                     exit 2: an input file that is missing or cannot be decoded
    │   └── BundleError                    exit 2: a bundle that does not say what it must
    ├── CheckError (ValueError)            exit 1: a check that ran and failed
    │   ├── IntegrityError                 exit 1: bytes that do not match their hash
    │   └── ArmingError                    exit 1: the robot may not be armed
    ├── AbsentError (ImportError)          exit 3: a library, provider, camera or interface that is not here
    └── SafetyStop (RuntimeError)          exit 4: the robot was stopped to keep it safe

Messages read *what: expected X, got Y*, then what to do.
"""

from __future__ import annotations

__all__ = [
    "AbsentError",
    "ArmingError",
    "BundleError",
    "CheckError",
    "InputError",
    "IntegrityError",
    "LayoutError",
    "RmedgeError",
    "SafetyStop",
    "UsageError",
    "WriterError",
]


class RmedgeError(Exception):
    """Any error that rmedge raises on purpose."""

    exit_code = 1


class UsageError(RmedgeError, ValueError):
    """A request that cannot be carried out as it was made."""

    exit_code = 2


class InputError(UsageError):
    """An input file that is missing or cannot be decoded."""


class BundleError(UsageError):
    """A bundle that does not say what it must, or says it wrongly."""


class CheckError(RmedgeError, ValueError):
    """A check that ran and failed."""


class IntegrityError(CheckError):
    """Bytes that do not match the hash that was promised for them."""


class ArmingError(CheckError):
    """The gate before the motors stayed shut."""


class BoardError(CheckError):
    """Shared memory that is not what both sides agreed on."""


class LayoutError(BoardError):
    """A board that another version laid out."""


class WriterError(BoardError):
    """A board that somebody else writes to."""


class AbsentError(RmedgeError, ImportError):
    """A library, provider, device or interface that is not on this machine."""

    exit_code = 3


class SafetyStop(RmedgeError, RuntimeError):
    """A stop that was made to keep the robot and the people around it safe."""

    exit_code = 4
