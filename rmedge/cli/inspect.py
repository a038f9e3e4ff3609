"""Print what a bundle says about itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Mapping

from rmedge.cli import command

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

EXAMPLES = """examples:
  rmedge inspect g1-mirror
  rmedge inspect my.rmedge --json | python -m json.tool
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's flags."""
    command.add_bundle(parser)
    command.add_json(parser)


def main(args: argparse.Namespace) -> int:
    """The manifest, which was checked when the bundle was loaded."""
    from rmedge import Bundle
    from rmedge.cli import terminal

    bundle = Bundle.load(args.bundle)
    if args.json:
        terminal.emit(_told(bundle))
    else:
        _show(bundle)
    return 0


def _told(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.name,
        "sha256": bundle.sha256,
        "bytes": bundle.size,
        "robot": {
            "name": bundle.robot.name,
            "joint_names": bundle.joint_names,
            "default_pose": bundle.default_pose,
            "kp": bundle.kp,
            "kd": bundle.kd,
            "action_scale": bundle.action_scale,
        },
        "encoder": bundle.encoder,
        "policy": bundle.policy,
        "readout": bundle.readout,
        "intent": bundle.intent,
        "envelope": bundle.envelope,
        "budgets": bundle.budgets,
        "latency_budget_ms": bundle.latency_budget_ms,
        "tolerance": bundle.tolerance,
        "robustness": bundle.robustness,
        "quality": bundle.quality,
        "target": bundle.target,
        "licence": bundle.licence,
        "provenance": bundle.provenance,
        "files": {name: len(data) for name, data in bundle.files.items()},
    }


def _show(bundle: Bundle) -> None:
    from rmedge.cli import built, terminal

    image, policy, observation = bundle.encoder.image, bundle.policy, bundle.policy.observation
    rows, joints = policy.outputs["action_chunk"][1:]
    terminal.facts(
        bundle.name,
        {
            "robot": f"{bundle.robot.name}, {joints} joints",
            "encoder": f"{bundle.encoder.rate_hz:g} Hz, {image.width} x {image.height} {image.colour} with "
            f"{image.motion}, features {image.feature_width} x {image.feature_height}",
            "intent": f"{bundle.intent.size} numbers",
            "policy": f"{policy.rate_hz:g} Hz, chunks of {rows}",
            "sampler": f"{policy.sampler.name}, steps {policy.sampler.steps}, seed {policy.sampler.seed}",
            "observation": f"{observation.history} ticks ({observation.order}, {observation.layout}) of "
            + ", ".join(f"{term.name} {term.size}" for term in observation.terms),
            "clock": f"{observation.clock_s:g} s",
            "labels": ", ".join(bundle.readout.labels),
            "gaits": ", ".join(bundle.readout.gaits),
            "gestures": ", ".join(bundle.readout.gestures),
            "target": "any" if bundle.target is None else bundle.target.name,
            "licence": bundle.licence,
            "sha256": bundle.sha256,
        },
    )
    terminal.table("files", ("", ">bytes"), [*_sizes(bundle), ("all", bundle.size)])
    terminal.table(
        "vocabulary",
        ("caption", "label", "gait", "gesture", ">vx m/s", ">vy m/s", ">yaw rad/s"),
        [
            (
                phrase.caption,
                phrase.label,
                phrase.gait,
                phrase.gesture,
                *(f"{component:+.2f}" for component in phrase.velocity),
            )
            for phrase in bundle.intent.vocabulary
        ],
    )
    if bundle.intent.taught:
        terminal.table(
            "taught",
            ("name", "what the robot does", "label", "gesture", ">radius"),
            [
                (
                    taught.name,
                    taught.phrase.caption,
                    taught.phrase.label,
                    taught.phrase.gesture,
                    f"{taught.radius:.3g}",
                )
                for taught in bundle.intent.taught
            ],
        )
    _show_limits(bundle)
    terminal.facts(
        "latency budget",
        {
            target: ", ".join(f"{stage} {budget:g} ms" for stage, budget in budgets.items())
            for target, budgets in bundle.latency_budget_ms.items()
        },
    )
    built.show(bundle)
    quality = {name: told for name, told in bundle.quality.items() if name not in built.PARTS}
    for title, told in (
        ("robustness", bundle.robustness), ("quality", quality), ("provenance", bundle.provenance)
    ):  # fmt: skip
        if told:
            terminal.facts(title, _flat(told))


def _show_limits(bundle: Bundle) -> None:
    """The envelope joint by joint, and the budgets."""
    from rmedge.cli import terminal

    envelope, policies = bundle.envelope, bundle.envelope.on_violation
    shown: dict[str, Any] = {
        "lower rad": envelope.lower,
        "upper rad": envelope.upper,
        "rate rad/s": envelope.rate_limit,
    }
    shown.update({"velocity rad/s": envelope.velocity_limit, "torque N m": envelope.torque_limit})
    shown["jerk rad/s^3"] = envelope.jerk_limit
    columns = {name: limits for name, limits in shown.items() if limits is not None}
    terminal.table(
        "envelope",
        ("joint", *(f">{name}" for name in columns)),
        [
            (joint, *(f"{limits[number]:.4g}" for limits in columns.values()))
            for number, joint in enumerate(bundle.joint_names)
        ],
    )
    if policies:
        terminal.facts("a command beyond the envelope", {limit: policies[limit] for limit in policies})
    terminal.facts("budgets", {name: f"{value:g}" for name, value in vars(bundle.budgets).items()})


def _sizes(bundle: Bundle) -> list[tuple[str, int]]:
    return [(name, len(data)) for name, data in sorted(bundle.files.items())]


def _flat(free: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in free.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = f"{value:.4g}" if isinstance(value, float) else value
    return flat
