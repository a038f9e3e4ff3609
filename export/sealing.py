"""Sealing: graphs and a draft become a bundle's directory, whole or not at all."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import rmedge
from rmedge import bundle as bundles
from rmedge.bundle import GRAPHS, STAGES
from rmedge.errors import UsageError
from rmedge.export import graphs
from rmedge.export.draft import Draft
from rmedge.export.graphs import targets
from rmedge.export.making import Made
from rmedge.fields import MANIFEST

__all__ = ["refuse_other", "seal"]

GOLDEN = 8  # cases
PACKAGES = ("torch", "onnx", "onnxruntime", "numpy")
STAGE_OF = dict(zip(("encoder", "policy"), STAGES))


def refuse_other(folder: Path) -> None:
    """Only a new directory, an empty one or a bundle is written over.

    Raises:
        UsageError: something else is there.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"out: expected a directory, got {str(folder)!r}, which is none; name another")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise UsageError(
            f"out: expected a new directory or a bundle's, got {str(folder)!r} with other files; name another"
        )


def seal(folder: Path, draft: Draft, made: Mapping[str, Made], target: str) -> None:
    """Write the bundle; what the directory held of an older one goes when the new one is whole."""
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        built = Path(scratch) / folder.name
        built.mkdir()
        says = _says(folder.name, draft, made, target)
        golden = {f"{graph}.{name}": array for graph in GRAPHS for name, array in _golden(graph, draft, made)}
        for graph in GRAPHS:
            onnx = made[graph].onnx if graph in made else draft.base.graph(graph)
            (built / f"{graph}.onnx").write_bytes(onnx)
        np.savez_compressed(built / "golden.npz", **golden)  # type: ignore[arg-type]
        bundles.seal(built, says)
        if folder.exists():
            shutil.rmtree(folder)
        built.rename(folder)


def _golden(graph: str, draft: Draft, made: Mapping[str, Made]) -> list[tuple[str, np.ndarray]]:
    if graph not in made:
        return list(draft.base.golden()[graph].items())
    one = made[graph]
    cases = list(one.feeds[:: max(1, len(one.feeds) // GOLDEN)][:GOLDEN])
    return list(graphs.golden(one.onnx, one.spec.inputs, one.spec.outputs, cases).items())


def _says(name: str, draft: Draft, made: Mapping[str, Made], target: str) -> dict[str, Any]:
    base, spec, kind = draft.base, draft.spec, targets.find(target)
    says = draft.sealed()
    says.pop("files", None)
    kept = [graph for graph in GRAPHS if graph not in made]
    says["name"] = spec.get("name", name)
    says["golden"] = "golden.npz"
    says["tolerance"] = {
        **base.tolerance, **{graph: one.tolerance for graph, one in made.items()}, **spec.get("tolerance", {})
    }  # fmt: skip
    if "latency_budget_ms" not in spec:
        says["latency_budget_ms"] = {target: _budget_ms(draft, made, target)}
    if "robustness" not in spec and "policy" in made:
        says["robustness"] = {}  # what the base's policy bore says nothing about this one
    says["licence"] = spec.get("licence", f"not stated, but for what is from {base.name}: {base.licence}")
    said = {graph: one.told() for graph, one in made.items()}
    known = {graph: name for graph, name in base.quality.get("precision", {}).items() if graph in kept}
    says["quality"] = {
        # the base's own figures, of what is still the base's
        "base": dict(base.quality),
        "precision": {**known, **{graph: one["precision"] for graph, one in said.items()}},
        "proof": {
            graph: {key: one[key] for key in ("proved_on", "from_torch", "from_float32")}
            for graph, one in said.items()
        },
        "trials": {graph: one["trials"] for graph, one in said.items() if one["trials"]},
    }
    says["target"] = {
        "name": kind.name, "provider": kind.provider, "options": dict(kind.options),
        "unverified": [] if kind.here else [f"{graph} on {kind.name}: answers, latency" for graph in GRAPHS],
    }  # fmt: skip
    says["provenance"] = {
        "made_by": "rmedge.export.build",
        "rmedge": rmedge.__version__,
        "date": datetime.date.today().isoformat(),
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "base": {"name": base.name, "sha256": base.sha256, "graphs": kept},
        "graphs": {
            graph: {"source": one.source, "float32_sha256": hashlib.sha256(one.float32).hexdigest()}
            for graph, one in made.items()
        },
        **spec.get("provenance", {}),
    }
    return says


def _budget_ms(draft: Draft, made: Mapping[str, Made], target: str) -> dict[str, float]:
    """A base's budget for what is the base's; of what is new, half the time between two calls."""
    declared = draft.base.latency_budget_ms.get(target, {})
    rates = {graph: float(draft.says[graph]["rate_hz"]) for graph in STAGE_OF}
    return {
        stage: declared[stage] if graph not in made and stage in declared else 500.0 / rates[graph]
        for graph, stage in STAGE_OF.items()
    }
