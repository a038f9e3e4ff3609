"""Evaluate in closed loop: the policy on commands, the bundle on labelled videos, all of it under faults."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from rmedge.cli import command
from rmedge.errors import AbsentError, UsageError

if TYPE_CHECKING:
    from rmedge.benchmarks.pool import Pool
    from rmedge.bundle import Bundle

EXAMPLES = """examples:
  rmedge-bench eval policy                  twelve commands, three seeds, beside the teachers
  rmedge-bench eval policy --perturbed --seeds 25 --beside many-step/ --page report.html
  rmedge-bench eval policy --perturbed --physics second --json
  rmedge-bench eval policy --withhold three-in-a-row
  rmedge-bench eval policy --bundle mine/ --sweep delay --write
  rmedge-bench eval policy --ray            over Ray; --ray HOST:PORT for a cluster of yours
  rmedge-bench eval apart                   is waving told from walking, one gait from the other
  rmedge-bench eval faults --faults 100     break camera, encoder, policy, robot and boards while it walks
  rmedge-bench eval faults --realtime 20    kill and freeze its processes, in real time
  rmedge-bench eval video clips/            every clip of clips/manifest.csv, with a robot behind it
  rmedge-bench eval video --synthetic 300 --work build/work --page report.html
  rmedge-bench eval video clips/ --synthetic 300 --work build/work --beside pose-velocity
"""
SWEEPS = ("delay", "drop", "noise", "steps")
BESIDE = ("pose-joints", "pose-velocity", "pose-head", "pixels-velocity")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    suites = parser.add_subparsers(dest="suite", metavar="SUITE", required=True)
    suite = partial(suites.add_parser, epilog=EXAMPLES)
    policy = suite("policy", help="commands given as intents, beside the teachers")
    policy.add_argument(
        "--seeds", type=command.whole, help="starts and noises of each caption (3; 2 for a sweep)"
    )
    policy.add_argument("--seconds", type=command.positive, default=10.0, help="of each trial (10)")
    policy.add_argument(
        "--captions", default="commands", choices=("commands", "gestures", "all"),
        help="of the bundle's vocabulary: twelve commands, what has a gesture, or all (commands)",
    )  # fmt: skip
    policy.add_argument(
        "--beside", action="append", default=[], metavar="BUNDLE",
        help="another policy in the same cells, in rows under its directory's name; may be repeated",
    )  # fmt: skip
    policy.add_argument(
        "--physics",
        action="append",
        default=[],
        metavar="NAME",
        help="second, soft or the path of a published model (MJCF .xml), beside the reference",
    )
    policy.add_argument(
        "--withhold", default="none", choices=("none", "every-second", "three-in-a-row"),
        help="results of the policy that are never delivered, again and again (none)",
    )  # fmt: skip
    policy.add_argument("--sweep", choices=SWEEPS, help="success against more and more of it")
    policy.add_argument(
        "--write", action="store_true", help="write what was borne into the bundle, a directory"
    )
    apart = suite("apart", help="intents of one velocity: is the motion nearer to the one that was asked")
    apart.add_argument("--seeds", type=command.whole, default=3, help="starts and noises of each caption (3)")
    apart.add_argument("--seconds", type=command.positive, default=6.0, help="of each motion (6)")
    video = suite("video", help="from pixels to physics: labelled videos, held-out painted clips, or both")
    video.add_argument("folder", type=Path, nargs="?", help="with the clips and their manifest.csv")
    video.add_argument(
        "--synthetic", type=command.whole, metavar="N", help="so many held-out painted clips a view, too"
    )
    video.add_argument(
        "--work", type=Path, metavar="FOLDER",
        help="of the recipe: what can be acted out, and the teachers' motion",
    )  # fmt: skip
    video.add_argument(
        "--beside", action="append", default=[], choices=BESIDE,
        help="another way from pictures to motion, on the same clips; may be repeated",
    )  # fmt: skip
    faults = suite("faults", help="break each part while the robot walks, and count what falls")
    faults.add_argument("--faults", type=command.whole, default=1100, help="to inject, one a trial (1100)")
    faults.add_argument("--seed", type=int, default=0, help="of what breaks, when and for how long (0)")
    faults.add_argument(
        "--work", type=Path, metavar="FOLDER", help="for the boards of a trial (where temporary files go)"
    )
    faults.add_argument(
        "--realtime", type=command.positive, metavar="SECONDS",
        help="of each run: break the processes themselves instead, in real time",
    )  # fmt: skip
    for closed_loop in (policy, apart):
        closed_loop.add_argument(
            "--perturbed", action="store_true", help="pushes, friction, mass, gains, delay and noise"
        )
    for closed_loop in (policy, video, faults):
        closed_loop.add_argument(
            "--out", type=Path, metavar="FILE.json", help="write the JSON object there, too"
        )
    for closed_loop in (policy, video):
        closed_loop.add_argument("--page", type=Path, metavar="FILE.html", help="write a page with plots")
    for closed_loop in (policy, apart, video, faults):
        where = closed_loop.add_mutually_exclusive_group()
        where.add_argument("--processes", type=command.whole, help="on this machine (one a processor)")
        where.add_argument(
            "--ray", nargs="?", const="local", metavar="ADDRESS", help="over a Ray cluster, or a local one"
        )
    for any_suite in (policy, apart, video, faults):
        any_suite.add_argument(
            "--bundle", default=command.BUNDLE, help="a shipped name, directory or .rmedge file"
        )
        command.add_json(any_suite)


def main(args: argparse.Namespace) -> int:
    """Evaluate, as tables or one JSON object; 1 where a claim does not hold."""
    from rmedge import Bundle
    from rmedge.benchmarks.endurance import fault_tables
    from rmedge.benchmarks.policies import tables
    from rmedge.benchmarks.videos import video_tables
    from rmedge.cli import terminal

    bundle = Bundle.load(args.bundle)
    with terminal.progress("%") as show:

        def advance(done: float) -> None:
            show(100 * done, 100.0, args.suite)

        try:
            suites = {"policy": policy, "apart": apart, "video": video, "faults": faults}
            told = suites[args.suite](bundle, args, advance)
        except ModuleNotFoundError as error:
            raise AbsentError(
                f'eval: expected {error.name}, got none; pip install "rmedge[cpu,sim]"'
            ) from error
    told["bundle"] = {"name": bundle.name, "sha256": bundle.sha256}
    if args.json:
        terminal.emit(told)
    else:
        tell = {
            "policy": tables.show_policy, "apart": tables.show_apart, "video": video_tables.show_video,
            "faults": fault_tables.show_processes if args.suite == "faults" and args.realtime
            else fault_tables.show_faults,
        }  # fmt: skip
        tell[args.suite](told)
    if args.suite != "apart":
        _keep(told, args)
    return 0 if all(row["holds"] for row in told.get("claims", ())) else 1


def policy(bundle: Bundle, args: argparse.Namespace, advance: Callable[[float], None]) -> dict[str, Any]:
    """The closed-loop figures of the policy; the student's own stand at the top."""
    from rmedge.benchmarks.context import context
    from rmedge.benchmarks.policies import closed_loop, grid, report, sweep
    from rmedge.benchmarks.policies.withholding import WITHHOLDINGS

    bundles = {closed_loop.STUDENT: bundle, **_beside(bundle, args.beside)}
    kind = sweep.KINDS.get(args.sweep)
    _check(bundle, args, kind)
    machine = context()  # before the evaluation itself makes the load
    physics = list(dict.fromkeys([grid.REFERENCE, *args.physics]))
    seeds = args.seeds or (2 if args.sweep else 3)
    captions = grid.captions(bundle, args.captions)
    cells = grid.cells(captions, seeds, args.perturbed, physics, WITHHOLDINGS[args.withhold])
    cells = sweep.spread(kind, cells) if kind else cells
    trials = closed_loop.evaluate(bundles, cells, args.seconds, _pool(args), advance)
    calm = sweep.undisturbed(kind, trials) if kind else trials
    usual = [trial for trial in calm if trial.cell.physics == grid.REFERENCE]
    rows = report.by_policy(usual)
    found: dict[str, Any] | None = None
    if kind:
        points = sweep.points(kind, trials)
        found = {"kind": args.sweep, "unit": kind.unit, "points": points, "budget": sweep.budget(points)}
    elif args.sweep:
        points = sweep.by_steps(rows, bundles)
        found = {"kind": args.sweep, "unit": "steps", "points": points, "budget": None}
    return {
        **rows[closed_loop.STUDENT],
        "by_policy": rows,
        "by_caption": report.by_caption(usual),
        "by_physics": report.by_physics(calm),
        "trials_each": [trial.told() for trial in trials],
        "sweep": found,
        "stop_reason": "" if len({trial.cell for trial in trials}) == len(cells) else "interrupted",
        "seeds": seeds,
        "seconds": args.seconds,
        "perturbed": args.perturbed,
        "withheld": args.withhold,
        "command": _command(),
        "context": machine,
    }


def apart(bundle: Bundle, args: argparse.Namespace, advance: Callable[[float], None]) -> dict[str, Any]:
    """The share of motions that are nearer to what was asked."""
    from rmedge.benchmarks.context import context
    from rmedge.benchmarks.policies import apart as told_apart

    machine = context()
    comparisons = told_apart.evaluate(bundle, args.seeds, args.seconds, args.perturbed, _pool(args), advance)
    each = [{**asdict(comparison), "right": comparison.right} for comparison in comparisons]
    return {**told_apart.summary(comparisons), "comparisons": each, "context": machine}


def faults(bundle: Bundle, args: argparse.Namespace, advance: Callable[[float], None]) -> dict[str, Any]:
    """What became of every fault, and whether what must hold does."""
    from rmedge.benchmarks.context import context
    from rmedge.benchmarks.endurance import kills, ordeal, toll
    from rmedge.benchmarks.endurance.faults import plan

    _writable(args)
    if args.work and not args.work.is_dir():
        raise UsageError(f"--work: expected a directory, got {str(args.work)!r}; make it first")
    told = {"command": _command(), "context": context(), "seed": args.seed}
    if args.realtime:
        return {**kills.evaluate(args.bundle, args.realtime, args.seed, advance), **told}
    blows = plan(args.seed, args.faults, joints=len(bundle.joint_names))
    outcomes = ordeal.evaluate(bundle, blows, _pool(args), advance, args.work)
    return {
        **toll.summary(outcomes),
        "outcomes_each": [asdict(outcome) for outcome in outcomes],
        "stop_reason": "" if len(outcomes) == len(blows) else "interrupted",
        **told,
    }


def video(bundle: Bundle, args: argparse.Namespace, advance: Callable[[float], None]) -> dict[str, Any]:
    """The figures on labelled clips, on painted ones, and on both side by side."""
    from rmedge.benchmarks.context import context
    from rmedge.benchmarks.videos import pixels
    from rmedge.benchmarks.videos import video as videos
    from rmedge.benchmarks.videos.follower import OWN

    if args.folder is None and not args.synthetic:
        raise UsageError("eval video: expected a folder of clips or --synthetic N, got neither; name one")
    if args.synthetic and args.work is None:
        raise UsageError("--synthetic: expected the recipe's folder, got none; add --work FOLDER")
    if args.synthetic:
        pixels.needed(args.work)
    _writable(args)
    told: dict[str, Any] = {"command": _command(), "context": context()}
    share = 0.2 if args.folder and args.synthetic else 1.0  # of the time, for the real clips
    if args.folder:
        drives = videos.evaluate(
            bundle, args.folder, args.beside, _pool(args), lambda done: advance(share * done)
        )
        real = {
            name: videos.summary([drive for drive in drives if drive.system == name])
            for name in dict.fromkeys(drive.system for drive in drives)
        }
        told = {**real[OWN], "drives": [asdict(drive) for drive in drives], "real_by_system": real, **told}
    if args.synthetic:
        begun = share if args.folder else 0.0
        told["synthetic"] = pixels.evaluate(
            bundle, args.work, args.synthetic, args.beside, pool=_pool(args),
            progress=lambda done: advance(begun + (1 - begun) * done),
        )  # fmt: skip
    return {**told, "beside": pixels.beside(told)}


def _beside(bundle: Bundle, sources: list[str]) -> dict[str, Bundle]:
    """Bundles by the name of their directory or file."""
    from rmedge import Bundle
    from rmedge.benchmarks.policies.closed_loop import STUDENT, TEACHER
    from rmedge.export.motions.teachers import NAMES

    found: dict[str, Bundle] = {}
    for source in sources:
        name = Path(source).resolve().name
        name = name[: -len(".rmedge")] if name.endswith(".rmedge") else name
        if name in (STUDENT, TEACHER, *NAMES, *found):
            raise UsageError(f"--beside: expected a name of its own, got a second {name!r}; rename it")
        found[name] = Bundle.load(source, bundle.robot.name)
    return found


def _command() -> str:
    """What was typed."""
    return shlex.join(["rmedge-bench", *sys.argv[1:]])


def _writable(args: argparse.Namespace) -> None:
    """What could not be written in the end is refused now."""
    from rmedge.benchmarks import sheet

    for flag in ("out", "page"):
        path = getattr(args, flag, None)
        if path and not path.parent.is_dir():
            raise UsageError(f"--{flag}: expected a file in a directory that exists, got {str(path)!r}")
    if getattr(args, "page", None):
        sheet.needed()


def _check(bundle: Bundle, args: argparse.Namespace, kind: Any) -> None:
    """What would be refused after the evaluation is refused before it."""
    from rmedge.bundle import amend
    from rmedge.runtimes.actuators.sim import SimActuator

    SimActuator(bundle.robot)  # says what is absent
    from rmedge.runtimes.physics import build, choose

    for name in args.physics:
        build(bundle.robot, choose(name))  # says what is wrong with a published model
    _writable(args)
    if args.write:
        if kind is None:
            raise UsageError("--write: expected a sweep's budget, got none; add --sweep delay, drop or noise")
        amend(args.bundle, {})


def _pool(args: argparse.Namespace) -> Pool:
    from rmedge.benchmarks import pool

    if args.ray:
        return partial(pool.cluster, address=args.ray)
    return pool.here if args.processes == 1 else partial(pool.processes, count=args.processes)


def _keep(told: dict[str, Any], args: argparse.Namespace) -> None:
    """Write what is to be written."""
    from rmedge.benchmarks.policies import page, sweep
    from rmedge.benchmarks.videos import video_page
    from rmedge.bundle import amend
    from rmedge.cli import terminal

    if args.out:
        args.out.write_text(json.dumps(terminal.plain(told), allow_nan=False) + "\n", encoding="utf-8")
    if getattr(args, "page", None):
        {"policy": page, "video": video_page}[args.suite].write(terminal.plain(told), args.page)
    if (
        args.suite == "policy"
        and args.write
        and not told["stop_reason"]
        and told["sweep"]["budget"] is not None
    ):
        amend(args.bundle, {sweep.KINDS[args.sweep].borne: told["sweep"]["budget"]})
