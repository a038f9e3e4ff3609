"""Verification passes what the bundle promises and catches what is off."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from rmedge.bundle import GRAPHS, Bundle
from rmedge.runtimes import verify as room
from rmedge.runtimes.verify import verify


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load("g1-mirror")


def altered(bundle: Bundle, graph: str, output: str, by: float) -> Bundle:
    golden = bundle.golden()
    golden[graph][output] = golden[graph][output] + np.float32(by)
    return dataclasses.replace(bundle, _golden=golden)


def test_the_shipped_bundle_computes_what_it_promises(bundle: Bundle) -> None:
    rows = verify(bundle)
    wanted = [(graph, output) for graph in GRAPHS for output in getattr(bundle, graph).outputs]
    assert [(row.graph, row.output) for row in rows] == wanted
    assert all(row.ok and row.cases >= 1 for row in rows)


@pytest.mark.parametrize(("graph", "output"), [("encoder", "next_state"), ("policy", "action_chunk")])
def test_one_output_beyond_its_tolerance_is_found(bundle: Bundle, graph: str, output: str) -> None:
    by = 2 * bundle.tolerance[graph]
    failed = [row for row in verify(altered(bundle, graph, output, by)) if not row.ok]
    assert [(row.graph, row.output) for row in failed] == [(graph, output)]
    assert failed[0].max_error >= bundle.tolerance[graph]


def test_an_engine_that_answers_nan_fails(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(
            self, graph: bytes, inputs: Any, outputs: dict[str, tuple[int, ...]], *rest: Any
        ) -> None:
            self.shapes = list(outputs.values())

        def run(self, feed: Any) -> list[np.ndarray]:
            return [np.full(shape, np.nan, np.float32) for shape in self.shapes]

    monkeypatch.setattr(room, "Session", Broken)
    assert not any(row.ok for row in verify(bundle))
