"""The Bundle: everything a robot needs to follow a video, checked once and held in memory."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Mapping

import numpy as np

from rmedge import archive, document, robots
from rmedge.budgets import Budgets, read_budgets
from rmedge.errors import BundleError, InputError, IntegrityError, UsageError
from rmedge.fields import (
    MANIFEST,
    Fields,
    amount,
    choice,
    count,
    digest,
    each,
    free,
    mapping,
    positive,
    refusal,
    simple_name,
    text,
)
from rmedge.manifest import (
    EncoderSpec,
    EnvelopeSpec,
    IntentSpec,
    PolicySpec,
    ReadoutSpec,
    TargetSpec,
    Taught,
    read_body,
    read_encoder,
    read_envelope,
    read_intent,
    read_policy,
    read_readout,
    read_target,
)

__all__ = ["GRAPHS", "STAGES", "Bundle", "amend", "enrich", "pack", "seal"]

GRAPHS = ("encoder", "policy", "readout")
STAGES = ("encode", "policy")  # what a latency budget bounds
_SHIPPED = Path(__file__).parent / "bundles"


@dataclass(frozen=True, eq=False, repr=False)
class Bundle:
    """A robot's eyes and body as one sealed thing: graphs, gains, limits, words and promises."""

    name: str
    robot: robots.Robot
    joint_names: tuple[str, ...]
    default_pose: np.ndarray  # (Da,) [rad]
    kp: np.ndarray  # (Da,) [N m/rad]
    kd: np.ndarray  # (Da,) [N m s/rad]
    action_scale: np.ndarray  # (Da,) [rad]
    encoder: EncoderSpec
    policy: PolicySpec
    readout: ReadoutSpec
    intent: IntentSpec
    envelope: EnvelopeSpec
    budgets: Budgets
    latency_budget_ms: Mapping[str, Mapping[str, float]]  # target -> stage -> [ms]
    tolerance: Mapping[str, float]  # graph -> greatest error that `verify` allows
    robustness: Mapping[str, float]  # disturbance -> the most of it that was borne in closed loop
    quality: Mapping[str, Any]
    target: TargetSpec | None  # None: made for no computer in particular
    licence: str
    provenance: Mapping[str, Any]
    files: Mapping[str, bytes]  # name -> the very bytes that were hashed, the manifest's too
    _golden: Mapping[str, Mapping[str, np.ndarray]]

    @classmethod
    def load(cls, source: str | os.PathLike[str], robot: str | None = None) -> Bundle:
        """The bundle of a shipped name, a directory or a ``.rmedge`` file.

        A text that is a shipped name means that one; ``./name`` means a directory.

        Args:
            source: what to load.
            robot: the robot it must drive, where that matters.

        Raises:
            InputError: nothing readable is there.
            BundleError: it does not say what it must.
            IntegrityError: its bytes are not those that were sealed.
            UsageError: it drives another robot.
        """
        path = _SHIPPED / source if source in cls.names() else Path(source)
        if not (path.is_dir() or (path.suffix == ".rmedge" and path.is_file())):
            shipped = ", ".join(cls.names())
            raise InputError(
                f"bundle: expected a directory, a .rmedge file or one of {shipped}, got {str(source)!r}"
            )
        bundle = _assemble(archive.read(path))
        if robot is not None and robot != bundle.robot.name:
            raise UsageError(
                f"bundle: expected one for robot {robot}, got {bundle.robot.name}; "
                f"choose a bundle that was exported for {robot}"
            )
        return bundle

    @staticmethod
    def names() -> tuple[str, ...]:
        """The bundles that ship with rmedge."""
        return tuple(sorted(path.parent.name for path in _SHIPPED.glob(f"*/{MANIFEST}")))

    def graph(self, name: str) -> bytes:
        """The ONNX bytes of ``encoder``, ``policy`` or ``readout``."""
        if name not in GRAPHS:
            raise UsageError(f"graph: expected one of {', '.join(GRAPHS)}, got {name!r}")
        return self.files[getattr(self, name).file]

    def golden(self) -> dict[str, dict[str, np.ndarray]]:
        """Graph -> tensor name -> (cases, ...) float32: inputs, and the outputs they must give."""
        return {graph: dict(arrays) for graph, arrays in self._golden.items()}

    @property
    def sha256(self) -> str:
        """One hash for everything: the manifest's, which names the hash of every other file."""
        return _sha256(self.files[MANIFEST])

    @property
    def size(self) -> int:
        """All files together [bytes]."""
        return sum(map(len, self.files.values()))

    def __repr__(self) -> str:
        return f"Bundle({self.name!r}, robot={self.robot.name!r}, sha256={self.sha256[:12]!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _assemble, (dict(self.files),)  # another process checks it again


def seal(directory: str | os.PathLike[str], manifest: Mapping[str, Any]) -> None:
    """Write a directory's ``bundle.yaml``, with the hash of every file there; refuse what would not load."""
    directory = Path(directory)
    files = archive.read(directory)
    files.pop(MANIFEST, None)
    hashes = {name: _sha256(files[name]) for name in sorted(files)}
    files[MANIFEST] = document.unparse({**manifest, "files": hashes}, MANIFEST)
    _assemble(files)
    (directory / MANIFEST).write_bytes(files[MANIFEST])


def amend(
    directory: str | os.PathLike[str],
    robustness: Mapping[str, float],
    envelope: Mapping[str, Any] = MappingProxyType({}),
    budgets: Mapping[str, Any] = MappingProxyType({}),
    quality: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Add figures to a sealed directory's bundle, in place of older ones of the same name.

    Raises:
        UsageError: it is packed or shipped, and not to be written into.
        RmedgeError: as `Bundle.load` and `seal` raise.
    """
    path = Path(directory)
    if directory in Bundle.names() or path.is_file():
        raise UsageError(
            f"bundle: expected a directory to write into, got {str(directory)!r}; unzip or copy it into one"
        )
    bundle = Bundle.load(path)
    says = document.parse(bundle.files[MANIFEST], MANIFEST)
    says["robustness"] = {**bundle.robustness, **robustness}
    says["envelope"] = {**says["envelope"], **envelope}
    says["quality"] = {**says["quality"], **quality}
    if budgets:
        says["budgets"] = {**says.get("budgets", {}), **budgets}
    seal(path, says)


def enrich(bundle: Bundle, taught: Taught, directory: str | os.PathLike[str]) -> Bundle:
    """Write a copy of a bundle that knows one more motion into a new directory; returns the copy.

    Raises:
        UsageError: something is there already, or the bundle has that name.
        BundleError: what was taught does not fit the bundle.
    """
    directory, phrase = Path(directory), taught.phrase
    if directory.exists() or directory.is_symlink():
        raise UsageError(
            f"bundle: expected a new directory, got {str(directory)!r}, which is there; name another"
        )
    if taught.name.lower() in {known.caption.lower() for known in bundle.intent.phrases}:
        raise UsageError(
            f"name: expected one that the bundle does not have, got {taught.name!r}; choose another"
        )
    says = document.parse(bundle.files[MANIFEST], MANIFEST)
    entry = {
        "name": taught.name,
        **{key: getattr(phrase, key) for key in ("caption", "label", "gait", "gesture")},
        **{key: getattr(phrase, key).tolist() for key in ("velocity", "z")},
        **{key: getattr(taught, key).tolist() for key in ("centre", "weight")},
        "radius": float(taught.radius),
    }
    says["intent"]["taught"] = [*says["intent"].get("taught", []), entry]
    checked = {**bundle.files, MANIFEST: document.unparse(says, MANIFEST)}
    enriched = _assemble(checked)  # before anything is written
    try:
        directory.mkdir(parents=True)
        for name, data in enriched.files.items():
            (directory / name).write_bytes(data)
    except OSError as error:
        raise UsageError(
            f"bundle: expected a directory that can be written, got {str(directory)!r} ({error.strerror})"
        ) from error
    return enriched


def pack(directory: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Zip a sealed directory to a ``.rmedge`` file; equal bundles give equal bytes."""
    path = Path(path)
    if path.suffix != ".rmedge":
        raise UsageError(f"bundle: expected a path that ends in .rmedge, got {str(path)!r}")
    archive.write(path, Bundle.load(Path(directory)).files)


def _assemble(files: Mapping[str, bytes]) -> Bundle:
    """The bundle that these bytes are."""
    if MANIFEST not in files:
        raise BundleError(f"bundle: expected {MANIFEST} in it, got none; write it with rmedge.bundle.seal")
    with Fields(document.parse(files[MANIFEST], MANIFEST), "bundle") as top:
        top.take("schema", _schema)
        _check_hashes(files, top.take("files", mapping(digest)))
        own_file = choice(*sorted(set(files) - {MANIFEST}))
        body = read_body(top.take("robot", Fields))
        joints = len(body["joint_names"])
        intent_fields = top.take("intent", Fields)
        size = intent_fields.take("size", count)
        readout = read_readout(top.take("readout", Fields), own_file, size)
        graphs: dict[str, Any] = {
            "encoder": read_encoder(top.take("encoder", Fields), own_file, size),
            "policy": read_policy(top.take("policy", Fields), own_file, size, joints),
            "readout": readout,
        }
        return Bundle(
            name=top.take("name", simple_name),
            **body,
            **graphs,
            intent=read_intent(intent_fields, size, readout, graphs["encoder"].inputs["state"][1]),
            envelope=read_envelope(top.take("envelope", Fields), body["default_pose"]),
            budgets=read_budgets(top.take_or("budgets", Fields, Fields({}, "bundle.budgets"))),
            latency_budget_ms=top.take("latency_budget_ms", mapping(each(STAGES, positive))),
            tolerance=top.take("tolerance", each(GRAPHS, positive)),
            robustness=top.take("robustness", mapping(amount, empty=True)),
            quality=top.take("quality", free),
            target=top.take_or("target", _target, None),
            licence=top.take("licence", text),
            provenance=top.take("provenance", free),
            files=MappingProxyType(dict(files)),
            _golden=_golden(files[top.take("golden", own_file)], graphs),
        )


def _target(value: Any, path: str) -> TargetSpec | None:
    return read_target(Fields(value, path))


def _schema(value: Any, path: str) -> None:
    if type(value) is not int or value != 1:
        raise refusal(
            path, "1, the one this rmedge reads", value, "update rmedge, or export the bundle again"
        )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_hashes(files: Mapping[str, bytes], hashes: Mapping[str, str]) -> None:
    for name in sorted(set(files) - {MANIFEST} - set(hashes)):
        raise BundleError(
            f"bundle: expected only files that {MANIFEST} lists, got {name!r}; remove it or seal again"
        )
    for name, promised in hashes.items():
        if name == MANIFEST or name not in files:
            raise BundleError(
                f"bundle.files: expected files of the bundle, got {name!r}; add it or seal again"
            )
        actual = _sha256(files[name])
        if actual != promised:
            raise IntegrityError(
                f"bundle.files.{name}: expected sha256 {promised}, got {actual}; fetch the bundle again"
            )


def _golden(data: bytes, graphs: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """Every input and output of every graph, by the careful reader; the batch axis counts the cases."""
    members = archive.unzip(data, "bundle.golden")
    wanted = {
        f"{graph}.{name}.npy" for graph, spec in graphs.items() for name in {**spec.inputs, **spec.outputs}
    }
    if set(members) != wanted:
        strange = sorted(set(members) ^ wanted)
        raise refusal("bundle.golden", "every input and output of every graph", strange, "record it again")
    return {
        graph: _golden_graph(members, graph, {**spec.inputs, **spec.outputs})
        for graph, spec in graphs.items()
    }


def _golden_graph(
    members: Mapping[str, bytes], graph: str, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        where = f"bundle.golden.{graph}.{name}"
        array = _array(members[f"{graph}.{name}.npy"], where)
        cases = len(next(iter(arrays.values()), array)) if array.ndim else 0
        if cases < 1 or array.shape != (cases, *shape[1:]) or array.dtype != np.float32:
            expected = f"float32 (cases, {', '.join(map(str, shape[1:]))}), as many cases as its neighbours"
            raise refusal(where, expected, f"{array.dtype} {array.shape}", "record it again")
        if not np.isfinite(array).all():
            raise refusal(where, "finite numbers", "others", "record it again")
        array.setflags(write=False)
        arrays[name] = array
    return arrays


def _array(data: bytes, where: str) -> np.ndarray:
    try:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # numpy lets through what its tokenizer, parser and allocator raise
        raise refusal(where, "an array as np.savez writes it", str(error), "record it again") from error
