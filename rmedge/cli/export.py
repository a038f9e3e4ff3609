"""Train, export and seal a bundle, on a workstation."""

from __future__ import annotations

import argparse
import sys
from typing import Sequence

from rmedge.errors import AbsentError

EXAMPLES = """flags of its own: rmedge export --help"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """None here: `run` takes the command line before it is parsed."""


def run(argv: Sequence[str]) -> int:
    """What ``python -m rmedge.export`` does."""
    if sys.version_info < (3, 11):
        raise AbsentError(
            f"export: expected Python 3.11 or newer, got {sys.version.split()[0]}; use another one"
        )
    try:
        from rmedge.export.__main__ import main as export

        return export(argv)
    except ImportError as error:
        if isinstance(error, AbsentError):
            raise
        raise AbsentError(
            f'export: expected torch and onnx, got: {error}; pip install "rmedge[export]"'
        ) from error


def main(args: argparse.Namespace) -> int:
    """``rmedge export`` alone."""
    return run([])
