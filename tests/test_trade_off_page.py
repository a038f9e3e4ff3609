"""The page of an export stands alone, shows every format of every graph, and trusts no name in it."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from rmedge.benchmarks import trade_off_page
from rmedge.bundle import Bundle
from rmedge.manifest import TargetSpec

pytest.importorskip("matplotlib")


def row(format, **more):
    counts = [0, 3, 1] if format != "float32" else [0, 0, 0]
    return {
        "format": format, "budget": 0.01, "size": 1_000_000, "p50_us": 50.0, "ratio_to_float32": 1.25,
        "error": 0.0 if format == "float32" else 0.004, "chosen": False, "why": f"why {format}",
        "verified": True, "method": "", "kept_float": [], "losses": [],
        "histogram": {"from": 1e-6, "to": 10.0, "counts": counts}, **more,
    }  # fmt: skip


LOSSES = [{"weight": "eye.<b>stem</b>", "error": 0.02}, {"weight": "judge", "error": 0.001}]
ROWS = {
    "encoder": [
        row("float32", size=9_000_000),
        row("int8-static", chosen=True, kept_float=["eye.<b>stem</b>"], losses=LOSSES),
        row("float16", size=0, error=None, p50_us=None, ratio_to_float32=None, why="refused: <script>"),
    ],
    "policy": [row("float32", chosen=True)],
    "readout": [],
}


def page(tmp_path, rows=None, target=None):
    shipped = Bundle.load("g1-mirror")
    bundle = replace(shipped, quality={"trials": ROWS if rows is None else rows}, target=target)
    trade_off_page.write(bundle, tmp_path / "page.html", {"threads": 1}, "rmedge export mine.yaml")
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_every_format_of_every_graph_is_there(tmp_path):
    told = page(tmp_path)
    for text in (
        "The encoder in every format",
        "The policy in every format",
        "1.25",
        "9.0 × smaller",
        "why int8-static",
    ):
        assert text in told
    assert "The readout" not in told
    assert told.count("<svg") == 3  # the policy has no errors to draw
    assert "encoder: sensitivity of layers" in told and "policy: sensitivity" not in told


def test_names_are_words_and_nothing_is_fetched(tmp_path):
    told = page(tmp_path)
    assert "<script" not in told and "<b>stem" not in told
    assert "&lt;b&gt;stem" in told
    sources = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attributes: sources.extend(
        value for name, value in attributes if name in ("src", "href") and not str(value).startswith("#")
    )
    reader.feed(told)
    assert sources == []


def test_a_target_that_nobody_timed_is_drawn_by_size(tmp_path):
    untimed = [
        row("float32", ratio_to_float32=None, p50_us=None),
        row("float16", ratio_to_float32=None, p50_us=None, chosen=True),
    ]
    target = TargetSpec("orin-tensorrt", "tensorrt", {}, ("latency",))
    told = page(tmp_path, {"policy": untimed}, target)
    assert "not timed on its target" in told and "Nobody has timed them on this target" in told
    assert "size [MB]" in told and "orin-tensorrt" in told


def test_powers_of_ten_are_plain_figures(tmp_path):
    assert "mathdefault" not in page(tmp_path)


def test_a_bundle_without_trials_says_so(tmp_path):
    assert "No formats were tried." in page(tmp_path, {})
