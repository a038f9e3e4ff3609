"""Examine this computer: what keeps it from running a robot, and the command that mends it."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict

from rmedge.cli import command
from rmedge.errors import CheckError

EXAMPLES = """examples:
  rmedge doctor
  rmedge doctor --network eth0 --camera /dev/video0
  rmedge doctor --boards /dev/shm/robot --json

exit codes: 1 where a check failed, 0 with warnings alone; docs/doctor.md has them all
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    parser.add_argument("--network", metavar="IFACE", help="interface of the robot's network, such as eth0")
    parser.add_argument("--camera", metavar="NAME", help="as of rmedge run (any /dev/video*)")
    parser.add_argument("--boards", metavar="DIR", help="shared memory that will be used (/dev/shm)")
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """A line for every check, and exit code 1 where one failed."""
    from rmedge.cli import terminal
    from rmedge.runtimes import doctor

    findings = {}
    width = max(map(len, doctor.CHECKS))
    styles = {doctor.OK: "green", doctor.WARNING: "yellow", doctor.FAILURE: "red"}
    for name, finding in doctor.examine(doctor.ThisSystem(), args.network, args.camera, args.boards):
        findings[name] = finding
        if not args.json:
            style = styles.get(finding.verdict, "dim")
            terminal.say(f"{name:<{width}}  {finding.verdict:<7}  {finding.found}", style)
            if finding.remedy:
                terminal.say(f"{'':<{width}}  {'':<7}  to do: {finding.remedy}")
    counts = Counter(finding.verdict for finding in findings.values())
    failed = [(name, finding) for name, finding in findings.items() if finding.verdict == doctor.FAILURE]
    if args.json:
        told = {name: asdict(finding) for name, finding in findings.items()}
        terminal.emit({"ok": not failed, "counts": counts, "findings": told})
    else:
        terminal.say(f"\n{', '.join(f'{count} {verdict}' for verdict, count in counts.most_common())}")
    if failed:
        name, worst = failed[0]
        raise CheckError(
            f"doctor: {name}: {worst.found} ({len(failed)} of {len(findings)} checks failed); {worst.remedy}"
        )
    return 0
