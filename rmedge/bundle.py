"""The Bundle: everything a robot needs to follow a video, checked once and held in memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Mapping

import numpy as np
import yaml

from rmedge import archive, robots
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
    Taught,
    read_body,
    read_encoder,
    read_envelope,
    read_intent,
    read_policy,
    read_readout,
)

__all__ = ["GRAPHS", "STAGES", "Bundle", "amend", "enrich", "pack", "seal"]

GRAPHS = ("encoder", "policy", "readout")
STAGES = ("encode", "policy")  # what a latency budget bounds
_SHIPPED = Path(__file__).parent / "bundles"

# PyYAML's C library where it was built with it: ten times as fast
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_MOST_BYTES = 1 << 20  # of YAML; ten times a large vocabulary
_LONGEST = 2048  # characters in one scalar: a longer integer is slow to read and fails to print
_DEEPEST = 16  # collections within collections


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
    files[MANIFEST] = _unparse({**manifest, "files": hashes})
    _assemble(files)
    (directory / MANIFEST).write_bytes(files[MANIFEST])


def amend(
    directory: str | os.PathLike[str],
    robustness: Mapping[str, float],
    envelope: Mapping[str, Any] = MappingProxyType({}),
    budgets: Mapping[str, Any] = MappingProxyType({}),
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
    says = _parse(bundle.files[MANIFEST])
    says["robustness"] = {**bundle.robustness, **robustness}
    says["envelope"] = {**says["envelope"], **envelope}
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
    says = _parse(bundle.files[MANIFEST])
    entry = {
        "name": taught.name,
        **{key: getattr(phrase, key) for key in ("caption", "label", "gait", "gesture")},
        **{key: getattr(phrase, key).tolist() for key in ("velocity", "z")},
        **{key: getattr(taught, key).tolist() for key in ("centre", "weight")},
        "radius": float(taught.radius),
    }
    says["intent"]["taught"] = [*says["intent"].get("taught", []), entry]
    enriched = _assemble({**bundle.files, MANIFEST: _unparse(says)})  # all checked before anything is written
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
    with Fields(_parse(files[MANIFEST]), "bundle") as top:
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
            licence=top.take("licence", text),
            provenance=top.take("provenance", free),
            files=MappingProxyType(dict(files)),
            _golden=_golden(files[top.take("golden", own_file)], graphs),
        )


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


def _unparse(value: Mapping[str, Any]) -> bytes:
    """A mapping of plain values as YAML, floats in full precision, one line to each innermost list."""
    try:
        plain = json.loads(json.dumps(value, allow_nan=False))  # shares no list, so no aliases are written
    except (TypeError, ValueError) as error:
        expected = "finite numbers, texts, lists and mappings"
        raise refusal(MANIFEST, expected, str(error), "convert it first (arrays have .tolist())") from error
    layout: Any = {"default_flow_style": None, "sort_keys": False, "allow_unicode": True, "width": 110}
    return bytes(yaml.dump(plain, Dumper=_SafeDumper, **layout), "utf-8")


def _parse(data: bytes) -> Any:
    """The one document in ``data``, without tags, anchors, aliases or a key given twice."""
    if len(data) > _MOST_BYTES:
        raise refusal(MANIFEST, f"at most {_MOST_BYTES} bytes", len(data))
    try:
        loader = _SafeLoader(data)
        loader.get_event()  # the stream's start
        if isinstance(loader.get_event(), yaml.StreamEndEvent):  # else the document's start
            return None
        value = _parse_value(loader, depth=0)
        loader.get_event()  # the document's end
        if not loader.check_event(yaml.StreamEndEvent):
            raise refusal(MANIFEST, "one document", "more")
        return value
    except BundleError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: dates and digits that are none
        raise refusal(MANIFEST, "YAML", " ".join(str(error).split())) from error


def _parse_value(loader: Any, depth: int) -> Any:
    event = loader.get_event()
    where = f"{MANIFEST} line {event.start_mark.line + 1}"
    if isinstance(event, yaml.AliasEvent) or event.anchor or event.tag:
        raise refusal(where, "no anchors, aliases or tags", event.anchor or event.tag)
    if isinstance(event, yaml.ScalarEvent):
        if len(event.value) > _LONGEST:
            raise refusal(where, f"at most {_LONGEST} characters in one value", event.value)
        tag = loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        return loader.construct_object(yaml.ScalarNode(tag, event.value))
    if depth == _DEEPEST:
        raise refusal(where, f"at most {_DEEPEST} collections within collections", "more")
    if isinstance(event, yaml.SequenceStartEvent):
        values = []
        while not loader.check_event(yaml.SequenceEndEvent):
            values.append(_parse_value(loader, depth + 1))
        loader.get_event()
        return values
    found: dict[str, Any] = {}
    while not loader.check_event(yaml.MappingEndEvent):
        where = f"{MANIFEST} line {loader.peek_event().start_mark.line + 1}"
        key = _parse_value(loader, depth + 1)
        if not isinstance(key, str):
            raise refusal(where, "keys that are text", key)
        if key in found:
            raise refusal(where, "every key once", key)
        found[key] = _parse_value(loader, depth + 1)
    loader.get_event()
    return found
