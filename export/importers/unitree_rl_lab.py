"""Policies of unitree_rl_lab (Isaac Lab): ``params/deploy.yaml`` beside ``exported/policy.onnx``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rmedge import robots
from rmedge.errors import InputError, UsageError
from rmedge.export.importers import tagged
from rmedge.export.importers.facts import Facts
from rmedge.export.importers.foreign import Foreign, Term
from rmedge.export.importers.kinds import flag, interval, limits, one_or_each, settings, term
from rmedge.export.importers.network import Network, read_file
from rmedge.fields import Kind, choice, items, positive, refusal, text, vector

__all__ = ["find", "read"]

SENSES = {
    "base_ang_vel": "base_ang_vel",
    "projected_gravity": "projected_gravity",
    "velocity_commands": "command",
    "joint_pos_rel": "joint_pos",
    "joint_vel_rel": "joint_vel",
    "last_action": "actions",
    "gait_phase": "gait_phase",
}
DESCRIPTION, POLICY = "deploy.yaml", "policy.onnx"
AXES = ("lin_vel_x", "lin_vel_y", "ang_vel_z")
ROUNDING = (5e-3, 0.0)  # the exporter writes three significant digits
SWITCHES = ("use_gym_history", "scale_first")  # beside the terms, in the same mapping
ALL = tagged.Tagged("object/apply:builtins.slice", [None, None, None])


def find(path: Path) -> tuple[Path, Path] | None:
    """Where the description and its policy lie, given a folder or either file; None: not here."""
    folder = path if path.is_dir() else path.parent
    for root in (folder, folder.parent):
        for described in (root / DESCRIPTION, root / "params" / DESCRIPTION):
            for policy in (root / POLICY, root / "exported" / POLICY):
                if described.is_file() and policy.is_file():
                    return described, policy
    return None


def read(path: Path, told: Mapping[str, Any]) -> Foreign:
    """A velocity policy and its description.

    ``joint_ids_map`` says which of the robot's joints each of the policy's is. Gains are in the robot's
    order, all else is in the policy's. A history comes term by term, or tick by tick with
    ``use_gym_history``.
    """
    found = find(path)
    if found is None:
        raise InputError(
            f"{path.name}: expected params/{DESCRIPTION} and exported/{POLICY}, got none; name their folder"
        )
    file = found[0].name
    document = tagged.load(read_file(found[0]), file)
    if not isinstance(document, dict):
        raise InputError(f"{file}: expected a mapping, got {type(document).__name__}")
    data = read_file(found[1])
    network = Network(data, found[1].name)
    says = _flat(document, file)
    facts = Facts(file, says, told, {"robot": "g1"}, ROUNDING, "the only one of its robots here")
    robot = robots.load(facts.take("robot", choice(*robots.names())))
    joints = len(robot.joint_names)
    order = np.array(facts.take("joint_ids_map", items(choice(*range(joints)))))
    if len(order) != joints:
        raise UsageError(
            f"{file}: joint_ids_map: expected each of the {joints} joints of {robot.name}, got {len(order)}; "
            "a policy for fewer joints leaves open what the others do: export it for all"
        )
    facts.take("joint_ids", _all(joints))
    offset = facts.take("action_offset", vector(joints))
    pose = facts.take("default_pose", vector(joints))
    if np.allclose(pose[order], offset) and not np.allclose(pose, offset):
        pose = pose[order]  # some forks write it in the robot's order; the offset tells which
    terms = facts.take("terms", _terms(joints, file))
    phased = any(term.sense == "gait_phase" for term in terms)
    foreign = Foreign(
        format="unitree_rl_lab",
        file=file,
        robot=robot,
        joint_names=tuple(robot.joint_names[index] for index in order),
        default_pose=pose,
        kp=facts.take("kp", vector(joints, positive))[order],
        kd=facts.take("kd", vector(joints, positive))[order],
        action_scale=facts.take("action_scale", one_or_each(joints)),
        action_offset=offset,
        rate_hz=1.0 / facts.take("step_dt", positive),
        inputs={network.sole_input(file): terms},
        shapes=network.inputs,
        output=network.action_output(joints, file),
        graph=data,
        command_limits=facts.take("command_limits", limits),
        layout="time_major" if facts.take("use_gym_history", flag) else "term_major",
        scale_first=facts.take("scale_first", flag),
        target_clip=facts.take("target_clip", _clips(joints)),
        gait_period_s=facts.take("gait_period_s", positive) if phased else None,
        licence=facts.take_or("licence", text, ""),
        sources=facts.sources,
    )
    facts.finish()
    return foreign


def _flat(document: dict[str, Any], file: str) -> dict[str, Any]:
    """What the document says, by the names of facts."""

    def within(*keys: str) -> Any:
        value: Any = document
        for depth, key in enumerate(keys):
            if not (isinstance(value, dict) and key in value):
                raise UsageError(
                    f"{file}: {'.'.join(keys[: depth + 1])}: expected it there, got nothing; export it again"
                )
            value = value[key]
        return value

    actions = within("actions")
    if not (isinstance(actions, dict) and list(actions) == ["JointPositionAction"]):
        raise UsageError(
            f"{file}: actions: expected JointPositionAction alone, got {actions!r:.80}; "
            "rmedge commands joint positions"
        )
    observed = within("observations")
    if not isinstance(observed, dict):
        raise UsageError(f"{file}: observations: expected a mapping, got {observed!r:.80}; export it again")
    observed = dict(observed)
    switches = {name: observed.pop(name, False) for name in SWITCHES}
    if observed and not any("scale" in said for said in observed.values() if isinstance(said, dict)):
        raise UsageError(
            f"{file}: observations: expected one group of terms, got {', '.join(map(str, observed))}; "
            "rmedge's policies have one observation"
        )
    ranges = within("commands", "base_velocity", "ranges")
    action = {key: within("actions", "JointPositionAction", key) for key in ("scale", "offset", "clip")}
    period = _period(observed.get("gait_phase"))
    return {
        "joint_ids_map": within("joint_ids_map"),
        "joint_ids": actions["JointPositionAction"].get("joint_ids"),
        "step_dt": within("step_dt"),
        "kp": within("stiffness"),
        "kd": within("damping"),
        "default_pose": within("default_joint_pos"),
        "action_scale": action["scale"],
        "action_offset": action["offset"],
        "target_clip": action["clip"],
        "command_limits": [ranges.get(axis) for axis in AXES] if isinstance(ranges, dict) else ranges,
        "terms": observed,
        **({} if period is None else {"gait_period_s": period}),
        **switches,
    }


def _period(said: Any) -> Any:
    params = said.get("params") if isinstance(said, dict) else None
    return params.get("period") if isinstance(params, dict) else None


def _terms(joints: int, file: str) -> Kind[tuple[Term, ...]]:
    """The terms in their order; ``params`` may name joints, which must be all of them."""

    def read(value: Any, path: str) -> tuple[Term, ...]:
        terms = []
        for name, said in settings(value, path).items():
            rest = said
            if isinstance(said, dict):
                params = said.get("params")
                asset = params.get("asset_cfg") if isinstance(params, dict) else None
                ids = asset.get("joint_ids") if isinstance(asset, dict) else None
                _all(joints)(ids, f"{path}.{name}.params.asset_cfg.joint_ids")
                rest = {key: each for key, each in said.items() if key != "params" and each is not None}
                rest["history"] = rest.pop("history_length", 1)
            terms.append(term(name, SENSES, rest, joints, file))
        return tuple(terms)

    return read


def _all(joints: int) -> Kind[None]:
    """All joints: nothing, a slice without ends, or every index in turn."""

    def read(value: Any, path: str) -> None:
        if not (value is None or value == ALL or value == list(range(joints))):
            raise refusal(path, f"all {joints} joints", value)

    return read


def _clips(joints: int) -> Kind[np.ndarray | None]:
    """(joints, 2) limits of the targets, or none."""

    def read(value: Any, path: str) -> np.ndarray | None:
        if value is None:
            return None
        if not (isinstance(value, list) and len(value) == joints):
            raise refusal(path, f"a pair [least, most] for each of {joints} joints", value)
        return np.array([interval(row, f"{path}[{joint}]") for joint, row in enumerate(value)])

    return read
