"""The page, the trace and the Markdown of a latency report: its own figures, none lost, nothing fetched."""

from __future__ import annotations

import copy
import json
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Iterator, Mapping

import browser
import latency_reports
import pytest

from rmedge.benchmarks.latency import markdown, page, perfetto
from rmedge.benchmarks.latency.page.figures import ABSENT, duration, microseconds, significant
from rmedge.benchmarks.statistics import QUANTILES

NEVER_CLOSED = {"meta"}
UNITS = {"µs": 1.0, "ms": 1e3, "s": 1e6}
EVIL = "\"><script>alert(1)</script></script><!--'|*`&amp;\\1"
SIZES = [(1280, False), (1280, True), (390, False), (390, True)]


class Reader(HTMLParser):
    """A page's elements and its figures; refuses what is not closed, and what stands twice."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.figures: list[tuple[str, str]] = []  # place in the report, and what is written
        self.told: dict[str, Any] = {}
        self.feed(text)
        self.close()
        assert self.open == []
        names = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        assert len(names) == len(set(names))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len(dict(attributes)) == len(attributes)
        self.elements.append((tag, dict(attributes)))
        if tag not in NEVER_CLOSED:
            self.open.append((tag, dict(attributes)))
        if "data-key" in dict(attributes):
            self.figures.append((str(dict(attributes)["data-key"]), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        attributes = self.open[-1][1] if self.open else {}
        if "data-key" in attributes:
            key, text = self.figures[-1]
            self.figures[-1] = key, text + data
        elif attributes.get("id") == "report":
            self.told = json.loads(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def written(report: Mapping[str, Any], folder: Path) -> str:
    page.write(report, folder / "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


def at(report: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) points to."""
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        report = report[int(step)] if isinstance(report, list) else report[step]
    return report


def numbers(text: str) -> Iterator[tuple[float, float]]:
    """Every number that is written, and half of its last digit; a unit behind the text counts for all."""
    plain = text.replace("\u202f", " ")
    unit = next((many for word, many in UNITS.items() if plain.endswith(f" {word}")), None)
    for digits in re.findall(r"(?<![\d.])-?\d[\d ]*(?:\.\d+)?", plain):
        digits = digits.replace(" ", "")
        half = 0.5 * 10.0 ** -len(digits.partition(".")[2])
        yield float(digits) * (unit or 1.0), half * (unit or 1.0)


def agree(text: str, value: Any, key: str) -> bool:
    """Whether a figure reads as its value does, to its last digit."""
    if value is None:
        return text in (ABSENT, "–")
    if key.endswith("_ms") and "s" in text:
        value *= 1e3  # a time [ms] with a unit of its own
    values = value if isinstance(value, list) else [value]
    read = [*numbers(text)]
    return len(read) == len(values) and all(
        abs(number - each) <= half * (1 + 1e-9) for (number, half), each in zip(read, values)
    )


def test_every_figure_is_the_report_s(tmp_path: Path) -> None:
    report = latency_reports.make(variants=2, misses=3)
    read = Reader(written(report, tmp_path))
    kept = copy.deepcopy(report)
    for variant in kept["variants"]:
        del variant["ticks"], variant["gauges"]
    assert read.told == kept
    wrong = [(key, text, at(kept, key)) for key, text in read.figures if not agree(text, at(kept, key), key)]
    assert wrong == []
    seen = {key for key, _ in read.figures}
    for index, variant in enumerate(kept["variants"]):
        rows = [f"stages/{stage}" for stage in variant["stages"]]
        for row in [*rows, "tick", "own", "sensor_to_actuator", "intent_age"]:
            columns = ["count", "max_us", "jitter_us", *(f"{name}_us" for name in QUANTILES)]
            columns += [f"interval_us/{name}" for name in ("p50", "p90", "p95")]
            assert {f"/variants/{index}/{row}/{column}" for column in columns} <= seen
        for row in ("deadlines/misses", "deadlines/longest_streak", "throughput_hz", "cold_start/4/total_ms"):
            assert f"/variants/{index}/{row}" in seen


def test_a_figure_that_is_off_by_its_last_digit_does_not_agree() -> None:
    assert agree("1.94\u202fms", 1940.2, "/tick/p50_us") and not agree("1.94\u202fms", 1945.2, "/tick/p50_us")
    assert agree("1\u202f940", 1940.2, "p50_us") and not agree("1\u202f940", 1941.0, "p50_us")
    assert agree("42.1–43.0", [42.1, 43.0], "p50") and not agree("42.1–43.0", [42.1, 43.1], "p50")
    assert agree(ABSENT, None, "p99_us") and not agree("1.00", None, "p99_us")


@pytest.mark.parametrize(
    ("us", "text"),
    [(0.0, "0 µs"), (9.96, "10.0 µs"), (99.96, "100 µs"), (999.4, "999 µs"), (999.6, "1.00 ms")]
    + [(1940.0, "1.94 ms"), (999_600.0, "1.00 s"), (-5.31, "-5.3 µs"), (6e8, "600 s"), (4e9, "4 000 s")],
)
def test_a_time_has_three_digits_and_its_unit(us: float, text: str) -> None:
    assert duration(us).replace("\u202f", " ") == text
    assert microseconds(12_345.6).replace("\u202f", " ") == "12 346" and significant(0.04) == "0.04"


def test_what_is_not_established_is_said(tmp_path: Path) -> None:
    report = latency_reports.make(rounds=2, ticks=50)
    text = written(report, tmp_path)
    read = Reader(text)
    tick = [text for key, text in read.figures if key == "/variants/0/tick/p99_us"]
    assert tick and set(tick) == {ABSENT}
    heading = re.search("<h1>(.*?)</h1>", text)
    assert heading and "at p99" not in heading[1] and "median" in heading[1]
    assert "by MLPerf's rule a quantile needs so many samples" in text and "p99 662" in text


def test_the_heading_is_the_answer(tmp_path: Path) -> None:
    report = latency_reports.make(misses=3, throttled=True, context={"governor": "powersave"})
    text = written(report, tmp_path)
    heading = re.search("<h1>(.*?)</h1>", text)
    assert heading
    tick = report["variants"][0]["tick"]
    said = re.sub("<[^>]*>", "", heading[1])
    assert said == (
        f"A tick of g1-mirror takes {duration(tick['p50_us'])} at the median, {duration(tick['p99_us'])} at "
        "p99; 3 of 2\u202f000 missed 20 ms."
    )
    warned = re.findall('<li class="warn">(.*?)</li>', text)
    assert warned == [
        "throttling: the processor&#x27;s clock fell from 2000 to 1400 MHz",
        "governor powersave",
        "synthetic camera",
    ]
    assert report["context"]["machine_id"] in text and report["variants"][0]["bundle"]["sha256"] in text
    assert "synthetic camera" not in written(latency_reports.make(synthetic=False), tmp_path)


def test_the_variant_with_the_lowest_median_answers(tmp_path: Path) -> None:
    report = latency_reports.make(variants=3)
    report["variants"] = report["variants"][::-1]
    heading = re.search("<h1>(.*?)</h1>", written(report, tmp_path))
    assert heading and "Lowest median of 3, cpu · 1 thread: a tick of" in heading[1]
    assert 'data-key="/variants/2/tick/p50_us"' in heading[1]


def test_nothing_is_fetched_and_every_drawing_says_what_it_shows(tmp_path: Path) -> None:
    text = written(latency_reports.make(variants=2), tmp_path)
    for word in ("http:", "https:", "//", "src=", "@import", "<link", "url("):
        assert word not in re.sub("(?s)<script>.*?</script>", "", text)
    assert "fetch" not in text and "import(" not in text
    read = Reader(text)
    assert all(str(each["href"]).startswith("#v") for each in read.all("a"))
    assert len(read.all("svg")) > 60
    assert all(each["role"] == "img" and each["aria-label"] for each in read.all("svg"))


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    report = latency_reports.make(variants=2, rounds=2, ticks=30, throttled=True)
    for index, variant in enumerate(report["variants"]):
        variant.update(name=f"{EVIL}{index}", engine=EVIL, provider=EVIL, actuator=EVIL, power_mode=EVIL)
        variant["bundle"].update(name=EVIL, robot=EVIL)
        variant["camera"].update(name=EVIL, synthetic=False)
        variant["precision"]["policy"] = EVIL
        variant["throttling"]["why"] = EVIL
        for stages in (variant["stages"], variant["ticks"]["spent_us"]):
            stages[EVIL] = stages.pop("plan")
        variant["worst"][0]["stage"] = EVIL
        variant["graphs"][EVIL] = variant["graphs"].pop("policy")
    report["made"].update(command=EVIL, commit=EVIL)
    report["context"].update(machine=EVIL, governor=EVIL, libraries={EVIL: EVIL}, container=EVIL, gpu=EVIL)
    read = Reader(written(report, tmp_path))
    assert len(read.all("script")) == 2
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)
    assert read.told["variants"][0]["name"] == f"{EVIL}0"
    text = markdown.text(report)
    assert "<script" not in text.replace("\\<", "")


def test_a_hundred_thousand_ticks_stay_small_and_the_one_that_missed_is_seen(tmp_path: Path) -> None:
    few, many = (latency_reports.make(rounds=5, ticks=ticks, misses=1) for ticks in (400, 20_000))
    small, large = written(few, tmp_path), written(many, tmp_path)
    assert len(large) < 300_000 and len(large) < 1.6 * len(small)
    for text in (small, large):
        late = re.findall(r'<path class="dot late" d="([^"]*)"', text)
        assert len(late) == 1 and late[0].count("h0") == 1
    quiet = written(latency_reports.make(), tmp_path)
    assert re.findall(r'<path class="dot late" d="([^"]*)"', quiet) == [""]


def test_a_cell_of_the_timeline_holds_every_tick(tmp_path: Path) -> None:
    report = latency_reports.make(rounds=1, ticks=1000)
    ticks = report["variants"][0]["ticks"]["tick_us"]
    columns = re.search('data-columns="([^"]*)"', written(report, tmp_path))
    assert columns
    told = columns[1].split("|")
    assert len(told) == 140
    first, last = told[0], told[-1]
    assert first.startswith(f"{duration(min(ticks[:8]))}–{duration(max(ticks[:8]))}, ticks 0–7, round 1")
    assert "–999, round 1" in last


def test_the_waterfall_is_the_worst_tick_end_to_end(tmp_path: Path) -> None:
    report = latency_reports.make(misses=1)
    ticks = report["variants"][0]["ticks"]
    worst = max(range(len(ticks["tick_us"])), key=ticks["tick_us"].__getitem__)
    text = written(report, tmp_path)
    card = text[text.index("<h3>The worst tick</h3>") :]
    card = card[: card.index("</section>")]
    bars = re.findall(r'class="bar (\w+)" d="M([\d.]+) 4h([\d.]+)V', card)
    spent = [told[worst] for told in ticks["spent_us"].values() if told[worst] is not None]
    begin = 0.0
    for us, (_, left, wide) in zip(spent, bars):
        assert float(left) == pytest.approx(1000 * begin / sum(spent), abs=0.3)
        assert float(wide) == pytest.approx(max(1000 * us / sum(spent), 1.5), abs=0.1)
        begin += us
    assert len(bars) == len(spent) and card.count('class="over"') == 1  # the stall alone
    assert f"<p>{duration(ticks['tick_us'][worst])}, tick 200 of round 1</p>" in card


def test_the_shares_are_of_all_the_time(tmp_path: Path) -> None:
    report = latency_reports.make(slow={"policy": 3.0})
    spent = report["variants"][0]["ticks"]["spent_us"]
    sums = {stage: sum(us for us in told if us is not None) for stage, told in spent.items()}
    shares = re.search('<div class="shares" role="img" aria-label="([^"]*)">', written(report, tmp_path))
    assert shares
    expected = [f"{stage} {us / sum(sums.values()):.1%}" for stage, us in sums.items()]
    assert shares[1] == ", ".join(expected)


@pytest.mark.parametrize(("rounds", "ticks"), [(1, 1), (1, 2), (3, 1), (12, 7)])
def test_the_least_that_can_be_measured_is_a_page(rounds: int, ticks: int, tmp_path: Path) -> None:
    report = latency_reports.make(rounds=rounds, ticks=ticks)
    gauges = report["variants"][0]["gauges"]
    report["variants"][0]["gauges"] = {name: told[:1] for name, told in gauges.items()}
    text = written(report, tmp_path)
    read = Reader(text)
    assert "nan" not in " ".join(str(each.get("d")) for each in read.all("path"))
    assert f">{rounds * ticks}</data>" in text
    assert traced(report, tmp_path)["traceEvents"] and markdown.text(report)


def test_what_the_machine_does_not_tell_is_said(tmp_path: Path) -> None:
    report = latency_reports.make()
    gauges = report["variants"][0]["gauges"]
    gauges.update({name: [None] * len(gauges["at_ms"]) for name in ("temperature_c", "power_w")})
    assert "This machine does not tell: temperature, power." in written(report, tmp_path)
    report["variants"][0].update(gauges={name: [] for name in gauges}, cold_start=[], graphs={})
    text = written(report, tmp_path)
    Reader(text)
    assert "From a cold start" not in text and "What rmedge adds to a call" not in text


def test_a_gauge_s_line_is_broken_where_nobody_looked(tmp_path: Path) -> None:
    report = latency_reports.make()
    gauges = report["variants"][0]["gauges"]
    length = len(gauges["at_ms"])
    gauges["at_ms"] = [
        at + (30_000.0 if at > gauges["at_ms"][length // 2] else 0.0) for at in gauges["at_ms"]
    ]
    gauges["power_w"][3] = None
    text = written(report, tmp_path)
    lines = {
        title: re.search(f"<h3>{title}</h3>.*?</svg>", text)[0].count('class="edge v0"')  # type: ignore[index]
        for title in ("Temperature", "Power")
    }
    assert lines == {"Temperature": 2, "Power": 3}


def test_it_needs_no_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing it fails
    assert "<svg" in written(latency_reports.make(rounds=1, ticks=20), tmp_path)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    if browser.program() is None:
        pytest.skip("no Chromium on PATH: apt-get install chromium")
    with browser.Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    report = latency_reports.make(variants=3, misses=2, throttled=True)
    path = tmp_path_factory.mktemp("shown") / "page.html"
    page.write(report, path)
    return path, report


FIGURES = "[...document.querySelectorAll('[data-key]')].map((e) => [e.dataset.key, e.textContent])"
SHOWN = "[...document.querySelectorAll('article')].map((one) => one.offsetHeight > 0)"


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_a_browser_shows_it_without_complaint_network_or_overflow(
    chromium: browser.Browser, shown: tuple[Path, dict[str, Any]], width: int, dark: bool
) -> None:
    path, report = shown
    chromium.open(path, width, dark=dark)
    assert chromium.value("innerWidth") == width
    assert chromium.value("document.documentElement.scrollWidth") <= width
    told = chromium.value("JSON.parse(document.getElementById('report').textContent)")
    figures = chromium.value(FIGURES)
    assert len(figures) > 500
    assert [text for key, text in figures if not agree(text, at(told, key), key)] == []
    assert told["variants"][2]["tick"] == report["variants"][2]["tick"]
    light = sum(
        map(int, re.findall(r"\d+", chromium.value("getComputedStyle(document.body).backgroundColor")))
    )
    assert (light < 200) is dark
    assert chromium.said == []
    assert set(chromium.asked) == {path.resolve().as_uri()}


def test_one_variant_is_shown_at_a_time(
    chromium: browser.Browser, shown: tuple[Path, dict[str, Any]]
) -> None:
    chromium.open(shown[0], 1280)
    assert chromium.value(SHOWN) == [True, False, False]
    chromium.value("document.querySelectorAll('nav.tabs a')[2].click()")
    chromium.value("new Promise((done) => setTimeout(done))")  # the address has changed by then
    assert chromium.value(SHOWN) == [False, False, True]
    assert (
        chromium.value("document.querySelector('nav.tabs [aria-current]').textContent") == "cuda · 1 thread"
    )
    hover = "dispatchEvent(new PointerEvent('pointermove', {clientX: 600, clientY: 300, bubbles: true}))"
    chromium.value(f"document.querySelectorAll('svg[data-columns]')[2].{hover}")
    assert re.search(r"ticks \d+–\d+, round \d", chromium.value("document.querySelector('.tip').textContent"))
    assert chromium.said == []


def test_without_scripts_every_variant_is_shown(
    chromium: browser.Browser, shown: tuple[Path, dict[str, Any]]
) -> None:
    chromium.tell("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.open(shown[0], 390)
        assert chromium.value(SHOWN) == [True, True, True]
        assert chromium.value("document.documentElement.scrollWidth") <= 390
    finally:
        chromium.tell("Emulation.setScriptExecutionDisabled", value=False)


def traced(report: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    perfetto.write(report, folder / "trace.json")
    text = (folder / "trace.json").read_text(encoding="utf-8")
    return dict(json.loads(text, parse_constant=refuse))


def test_the_trace_is_of_the_published_format(tmp_path: Path) -> None:
    # Trace Event Format, "JSON Object Format": what each kind of event has to say of itself
    needs = {
        "X": {"name", "cat", "ts", "dur", "pid", "tid"},
        "M": {"name", "pid", "tid", "args"},
        "C": {"name", "ts", "pid", "args"},
        "i": {"name", "ts", "pid", "tid", "s"},
    }
    told = traced(latency_reports.make(variants=2, misses=3, throttled=True), tmp_path)
    assert set(told) == {"traceEvents", "displayTimeUnit", "otherData"} and told["displayTimeUnit"] == "ms"
    for event in told["traceEvents"]:
        assert needs[event["ph"]] <= set(event)
        assert all(isinstance(event[key], int) for key in ("pid", "tid") if key in event)
        assert all(math.isfinite(event[key]) and event[key] >= 0 for key in ("ts", "dur") if key in event)
        if event["ph"] == "C":
            assert all(isinstance(value, (int, float)) for value in event["args"].values())
    names = [event["args"]["name"] for event in told["traceEvents"] if event["name"] == "process_name"]
    assert names == ["g1-mirror · cpu · 1 thread", "g1-mirror · cpu · 2 threads"]
    assert sum(event["ph"] == "i" for event in told["traceEvents"]) == 2 * 3


def test_spans_lie_within_each_other_or_apart(tmp_path: Path) -> None:
    report = latency_reports.make(misses=2)
    report["variants"][0]["ticks"]["spent_us"]["physics"] = [12.3] * 2000
    threads: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for event in traced(report, tmp_path)["traceEvents"]:
        if event["ph"] == "X":
            threads.setdefault((event["pid"], event["tid"]), []).append(event)
    assert len(threads) == 5
    for spans in threads.values():
        open_until = [math.inf]
        for span in spans:  # as written: in the order of their begins, the outer first
            begin, end = round(span["ts"] * 10), round((span["ts"] + span["dur"]) * 10)
            while begin >= open_until[-1]:
                open_until.pop()
            assert end <= open_until[-1]
            open_until.append(end)


def test_the_trace_holds_every_tick_and_reading(tmp_path: Path) -> None:
    report = latency_reports.make(rounds=2, ticks=50)
    variant = report["variants"][0]
    events = traced(report, tmp_path)["traceEvents"]
    ticks = [event for event in events if event["name"] == "tick"]
    spent = [event for event in events if event["name"] == "encode"]
    expected = [us for us in variant["ticks"]["spent_us"]["encode"] if us is not None]
    assert [tick["dur"] for tick in ticks] == pytest.approx(variant["ticks"]["tick_us"], abs=0.6)
    assert [span["dur"] for span in spent] == pytest.approx(expected, abs=0.11)
    assert [tick["args"]["tick"] for tick in ticks] == [*range(50), *range(50)]
    assert ticks[50]["ts"] == pytest.approx(1e3 * variant["rounds"][1]["start_ms"], abs=0.1)
    watts = [event["args"]["value"] for event in events if event["name"] == "power [W]"]
    assert watts == [watt for watt in variant["gauges"]["power_w"] if watt is not None]


def test_markdown_is_a_table_with_machine_and_hash() -> None:
    report = latency_reports.make(variants=2, misses=3, rounds=2, ticks=100, context={"machine": "a|b*"})
    report["variants"][0]["name"] = "x|y\n<b>"
    text = markdown.text(report)
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(tables) == 2 * (2 + 14) and {line.count(" | ") for line in tables} == {7}
    assert (
        "a\\|b\\*" in text and "x\\|y \\<b\\>" in text and report["variants"][0]["bundle"]["sha256"] in text
    )
    assert "3 of 200 ticks missed 20 ms (longest streak 3)" in text
    tick = report["variants"][0]["tick"]
    row = next(line for line in tables if line.startswith("| **tick** |"))
    assert row.split(" | ")[2] == microseconds(tick["p50_us"]) and row.split(" | ")[4] == ABSENT


def test_a_report_is_shown_again(tmp_path, capsys):
    """What `run` wrote, `show` makes the same files of; what is no report is refused."""
    from rmedge.benchmarks.cli import main

    path, page_path, table = (tmp_path / name for name in ("report.json", "page.html", "table.md"))
    report = latency_reports.make()
    path.write_text(json.dumps(report), "utf-8")
    assert main(["show", str(path), "--page", str(page_path), "--markdown", str(table)]) == 0
    assert report["variants"][0]["name"] in capsys.readouterr().out
    assert table.read_text("utf-8") == markdown.text(report)
    page.write(report, tmp_path / "again.html")
    assert page_path.read_bytes() == (tmp_path / "again.html").read_bytes()
    path.write_text("[]", "utf-8")
    assert main(["show", str(path)]) == 2
    assert main(["show", str(path), "--page", str(tmp_path / "none" / "p.html")]) == 2
