"""What all commands share: the parser, common flags, and how an error becomes a line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable, NoReturn, Sequence

from rmedge.errors import RmedgeError, UsageError

if TYPE_CHECKING:
    from rmedge.words import Command

__all__ = [
    "Parser",
    "add_bundle",
    "add_engine",
    "add_json",
    "add_provider",
    "complain",
    "guard",
    "heard",
    "positive",
    "whole",
]

BUNDLE = "g1-mirror"  # the one that ships
INTERRUPTED = 130  # what a shell reports after Ctrl-C


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def __init__(
        self, prog: str, description: str | None = None, epilog: str | None = None, **rest: Any
    ) -> None:
        layout: Any = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
        super().__init__(prog, description=description, epilog=epilog, **layout, **rest)

    def verbs(self, *modules: ModuleType) -> None:
        """Each module is one verb, named as its file: ``EXAMPLES``, ``arguments(parser)``, ``main(args)``."""
        verbs = self.add_subparsers(metavar="COMMAND", required=True)
        for module in modules:
            name = module.__name__.rpartition(".")[2].rstrip("_")  # import_ is a verb that Python has taken
            does = str(module.__doc__)
            brief = does[0].lower() + does[1:].rstrip(".")
            verb = verbs.add_parser(name, help=brief, description=does, epilog=module.EXAMPLES)
            module.arguments(verb)
            verb.set_defaults(main=module.main)

    def run(self, argv: Sequence[str]) -> int:
        """Do what a command line asks."""
        args = self.parse_args(argv)
        return int(args.main(args))

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def guard(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Run a command; errors of ours become one line on stderr and their exit code, never a traceback."""
    try:
        code = main(argv)
        sys.stdout.flush()
        return code
    except RmedgeError as error:
        complain(error)
        return error.exit_code
    except SystemExit as stop:  # --help, --version
        return int(stop.code or 0)
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # `rmedge ... | head`: whoever read us has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def complain(what: object) -> None:
    """One line on stderr."""
    print("rmedge:", *str(what).split(), file=sys.stderr)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """A bundle and where its graphs run."""
    parser.add_argument(
        "--bundle", default=BUNDLE, help=f"a shipped name, directory or .rmedge file ({BUNDLE})"
    )
    add_provider(parser)


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """A bundle, which the command is about."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a shipped name, directory or .rmedge file")


def add_provider(parser: argparse.ArgumentParser) -> None:
    """Where graphs run."""
    parser.add_argument(
        "--provider", default="cpu", help="cpu, cuda or tensorrt; never another in its place (cpu)"
    )
    parser.add_argument("--threads", type=whole, default=1, help="of onnxruntime, for each graph (1)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """For machines."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def heard(text: str, command: Command) -> dict[str, Any]:
    """What words were taken for, for machines."""
    phrase = command.phrase
    return {
        "words": text,
        "followed": command.recipe,
        "exact": command.exact,
        "parts": [{"weight": weight, "caption": caption} for weight, caption in command.parts],
        **{key: getattr(phrase, key) for key in ("label", "gait", "gesture", "velocity")},
    }


def positive(text: str) -> float:
    """A flag's finite number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def whole(text: str) -> int:
    """A flag's whole number above zero."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)
