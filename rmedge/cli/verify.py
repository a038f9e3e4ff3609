"""Check that this machine computes what a bundle promises."""

from __future__ import annotations

import argparse

from rmedge.cli import command
from rmedge.errors import CheckError

EXAMPLES = """examples:
  rmedge verify g1-mirror
  rmedge verify my.rmedge --provider cuda --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    command.add_bundle(parser)
    command.add_provider(parser)
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """Golden inputs in, golden outputs out, or exit code 1."""
    from rmedge import Bundle
    from rmedge.cli import terminal
    from rmedge.runtimes import verified
    from rmedge.runtimes.verify import verify

    bundle = Bundle.load(args.bundle)
    rows = verify(bundle, args.provider, args.threads)
    failed = [row for row in rows if not row.ok]
    if bundle.target is not None and bundle.target.unverified:  # the arming gate will ask
        (verified.forget if failed else verified.keep)(bundle, args.provider)
    if args.json:
        sealed = {"name": bundle.name, "sha256": bundle.sha256}
        terminal.emit({"ok": not failed, "outputs": rows, "bundle": sealed, "provider": args.provider})
    else:
        terminal.table(
            f"{bundle.name} {bundle.sha256[:12]} on {args.provider}",
            ("graph", "output", ">cases", ">max error", ">tolerance", "ok"),
            [
                (
                    row.graph,
                    row.output,
                    row.cases,
                    f"{row.max_error:.1e}",
                    f"{row.tolerance:.1e}",
                    _mark(row.ok),
                )
                for row in rows
            ],
        )
    if failed:
        worst = failed[0]
        raise CheckError(
            f"verify: expected {worst.graph}.{worst.output} within {worst.tolerance:g} of its golden "
            f"vectors, got {worst.max_error:g} "
            f"({len(failed)} of {len(rows)} outputs failed); try another onnxruntime"
        )
    return 0


def _mark(ok: bool) -> str:
    return "yes" if ok else "NO"
