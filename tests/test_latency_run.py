"""The latency report: what a figure needs, what is planted shows, and how a run is made and ends."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import bundles
import latency_reports
import numpy as np
import patients
import pytest
import stand_ins

import rmedge
from rmedge import runtimes
from rmedge.benchmarks import cli
from rmedge.benchmarks.context import context, facts
from rmedge.benchmarks.latency import graphs, report
from rmedge.benchmarks.latency.campaign import Campaign, without_password
from rmedge.benchmarks.latency.gauges import Gauges
from rmedge.benchmarks.latency.job import Job, Outcome
from rmedge.benchmarks.latency.power_mode import power_modes
from rmedge.benchmarks.latency.report import Round, Rules, Ticks, row, variant_of
from rmedge.benchmarks.latency.round import measure
from rmedge.benchmarks.latency.variants import variants
from rmedge.benchmarks.statistics import floor
from rmedge.bundle import Bundle
from rmedge.errors import AbsentError, CheckError, InputError, UsageError
from rmedge.runtimes import Loop
from rmedge.runtimes.actuators.null import NullActuator
from rmedge.runtimes.doctor import Answer, ThisSystem

SCHEMA = Path(report.__file__).with_name("report.schema.json")
FREE = Rules(rounds=1, min_seconds=0.0, min_ticks=40, warm_up_ticks=5)
SECOND = 1_000_000_000


# what a figure needs


def test_a_quantile_needs_samples_and_time() -> None:
    rules = Rules(min_seconds=10.0)
    enough = np.arange(1.0, floor(0.99) + 1)
    told = row([enough], 10.0, rules)
    assert told["p99_us"] is not None and told["p99.9_us"] is None
    assert row([enough[:-1]], 10.0, rules)["p99_us"] is None
    hasty = row([enough], 9.99, rules)
    assert all(hasty[f"{name}_us"] is None for name in ("p50", "p90", "p95", "p99"))
    assert hasty["interval_us"] == told["interval_us"]  # where it lies is known all the same
    assert hasty["max_us"] == len(enough)
    nothing = row([np.full(3, np.nan)], 10.0, rules)
    assert nothing["count"] == 0 and nothing["max_us"] is nothing["jitter_us"] is None


@pytest.mark.parametrize("seed", range(4))
def test_an_interval_holds_the_quantile_that_the_samples_came_from(seed: int) -> None:
    samples = np.random.default_rng(seed).exponential(1000.0, 3000)
    told = row([samples], 1.0, Rules(min_seconds=1.0))
    for name, quantile in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        low, high = told["interval_us"][name]
        assert low <= -1000.0 * math.log(1 - quantile) <= high
        assert low <= told[f"{name}_us"] <= high


def test_jitter_and_streaks_do_not_reach_over_from_round_to_round() -> None:
    told = row([np.array([1.0, np.nan, 3.0, 2.0]), np.array([100.0, 100.0])], 1.0, FREE)
    assert told["jitter_us"] == 1.0  # of 2, 1 and 0
    late, fine = np.full(3, 30_000.0), np.full(2, 10.0)
    made = variant([np.r_[fine, late], np.r_[late[:2], fine, late[:1]]])
    assert made["deadlines"] == {"misses": 6, "longest_streak": 3}


def test_the_longest_ticks_name_the_stage_that_was_to_blame() -> None:
    stages = {"encode": np.full(50, 500.0), "policy": np.full(50, 100.0)}
    stages["policy"][31] = 450.0  # less than the encoder's usual, and four times its own
    stages["encode"][::2] = np.nan
    stages["encode"][7] = 900.0
    made = variant([np.nansum(list(stages.values()), axis=0)], spent_us=stages)
    worst = made["worst"]
    assert len(worst) == report.WORST
    assert (worst[0]["tick"], worst[0]["stage"], worst[0]["stage_us"]) == (7, "encode", 900.0)
    assert (worst[1]["tick"], worst[1]["stage"]) == (31, "policy")
    assert worst[1]["at_ms"] == 31.0


def test_the_report_is_of_the_published_shape() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    for made in (
        latency_reports.make(),
        latency_reports.make(variants=3, misses=4, throttled=True, synthetic=False),
        latency_reports.make(rounds=1, ticks=2, rules=Rules()),
    ):
        check.validate(json.loads(json.dumps(made, allow_nan=False)))
    broken = latency_reports.make()
    broken["variants"][0]["tick"]["p50_us"] = "fast"
    assert not check.is_valid(broken)
    assert latency_reports.make(seed=3) == latency_reports.make(seed=3) != latency_reports.make(seed=4)


def variant(
    parts: list[np.ndarray], spent_us: dict[str, np.ndarray] | None = None, rules: Rules = FREE
) -> dict[str, Any]:
    """A report's variant of rounds that took so long a tick."""
    rounds = [
        Round(
            ticks=Ticks(
                start_ms=np.arange(float(len(part))),
                spent_us=spent_us or {"policy": part},
                tick_us=part,
                sensor_to_actuator_us=part,
                intent_age_us=np.zeros(len(part)),
            ),
            seconds=float(len(part)),
        )
        for part in parts
    ]
    return variant_of(rounds, rules, 20_000.0, {"name": "made up"})


# what is planted shows


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(bundles.make(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, tiny: Bundle) -> runtimes.Mirror:
    pytest.importorskip("cv2")
    stand_ins.install(monkeypatch)
    return runtimes.load(tiny)


class Slow(NullActuator):
    """A robot whose bus hangs at some writes; a tick has ten of them."""

    def __init__(self, robot: Any, stalls: dict[int, float]) -> None:
        super().__init__(robot)
        self.writes, self._stalls = 0, stalls

    def write(self, target: Any) -> Any:
        until = time.monotonic_ns() + self._stalls.get(self.writes // 10, 0.0) * 1e3
        self.writes += 1
        if self.writes % 10 == 1:
            while time.monotonic_ns() < until:
                pass
        return super().write(target)


def test_a_planted_stall_is_a_missed_deadline_the_longest_tick_and_its_stage(mirror: Any) -> None:
    robot = Slow(mirror.bundle.robot, {5 + 20: 30_000.0, 5 + 21: 25_000.0})
    made = measure(lambda: Loop(runtimes.open_camera("synthetic"), mirror, robot), FREE)
    told = variant_of([made], FREE, 20_000.0, {"name": "stalls"})
    assert told["tick"]["count"] == 40 and told["warm_up"]["ticks"] == 5
    assert told["deadlines"]["misses"] >= 2 and told["deadlines"]["longest_streak"] >= 2
    first, second = told["worst"][:2]
    assert [(each["tick"], each["stage"]) for each in (first, second)] == [(20, "write"), (21, "write")]
    assert first["stage_us"] >= 30_000.0
    assert told["ticks"]["start_ms"][21] - told["ticks"]["start_ms"][20] >= 30.0
    assert told["ticks"]["round"] == [0] * 40
    assert told["stages"]["encode"]["count"] == 8
    assert told["ticks"]["spent_us"]["encode"][1] is None


class Ending:
    """A camera whose pictures end after so many."""

    def __init__(self, pictures: int) -> None:
        self._camera, self._left, self.ended = runtimes.open_camera("synthetic"), pictures, False

    def attach(self, clock: Any) -> None:
        self._camera.attach(clock)

    def read(self, max_age_ns: int) -> Any:
        self._left -= 1
        self.ended = self._left < 0
        return None if self.ended else self._camera.read(max_age_ns)


def test_pictures_that_end_begin_again_and_half_a_tick_is_none(mirror: Any) -> None:
    cameras: list[Ending] = []

    def make_loop() -> Loop:
        cameras.append(Ending(3))  # 15 ticks
        return Loop(cameras[-1], mirror, NullActuator(mirror.bundle.robot))

    made = measure(make_loop, FREE)
    assert len(cameras) == 1 + 3  # of the warm-up, then 15, 15 and 10 ticks
    assert len(made.ticks.tick_us) == 40 and (made.ticks.tick_us > 0).all()
    assert (np.diff(made.ticks.start_ms) > 0).all()
    with pytest.raises(InputError, match="expected pictures"):
        measure(lambda: Loop(Ending(0), mirror, NullActuator(mirror.bundle.robot)), FREE)


def test_seconds_are_waited_for_as_ticks_are(mirror: Any) -> None:
    rules = Rules(rounds=2, min_seconds=0.2, min_ticks=2, warm_up_ticks=1)
    made = measure(
        lambda: Loop(runtimes.open_camera("null"), mirror, NullActuator(mirror.bundle.robot)), rules
    )
    assert made.seconds >= 0.1 and len(made.ticks.tick_us) > 1
    assert np.isnan(made.ticks.intent_age_us).all()


class Deaf(NullActuator):
    """A robot that never says how it is."""

    def read(self) -> Any:
        raise OSError("no cable")


def test_a_stop_leaves_what_was_measured_and_a_damped_robot_leaves_nothing(mirror: Any) -> None:
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 5 + 7

    make_loop = lambda: Loop(runtimes.open_camera("null"), mirror, NullActuator(mirror.bundle.robot))  # noqa: E731
    made = measure(make_loop, FREE, stop)
    assert made.interrupted and len(made.ticks.tick_us) == 7
    with pytest.raises(KeyboardInterrupt):
        measure(make_loop, FREE, lambda: True)
    with pytest.raises(CheckError, match="damped"):
        measure(lambda: Loop(runtimes.open_camera("null"), mirror, Deaf(mirror.bundle.robot)), FREE)


# the machine


STAT = "{pid} (py thon) x) S 1 " + "0 " * 9 + "{user} {kernel} " + "0 " * 23 + "{core} 0 0"
HOT = {
    "/sys/class/thermal/thermal_zone0/temp": "41000",
    "/sys/class/thermal/thermal_zone1/temp": "66500",
    "/sys/class/thermal/thermal_zone2/temp": "-256000",  # a sensor that is not there
}
CLOCK = "/sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq"
COUNTER = "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
RAPL = "/sys/class/powercap/intel-rapl:0"


class Machine:
    """A simulated system whose files change as time goes by."""

    def __init__(self, **files: Any) -> None:
        self.patient, self.now_ns = patients.LAPTOP.but(files={**HOT, **files}), 0

    def read(self, path: str) -> str | None:
        return self.patient.read(path)

    def glob(self, pattern: str) -> list[str]:
        return self.patient.glob(pattern)

    def gauges(self, change: Callable[[int], dict[str, str]], samples: int = 30) -> Gauges:
        """Five samples a second, before each of which the files change."""
        gauges = Gauges(self, 0, lambda: self.now_ns)  # type: ignore[arg-type]
        gauges.follow(42)
        for sample in range(samples):
            self.now_ns = sample * SECOND // 5
            spent = {"/proc/42/stat": STAT.format(pid=42, user=10 * sample, kernel=5 * sample, core=3)}
            self.patient = self.patient.but(files={**spent, "/proc/42/statm": "9 25600 1", **change(sample)})
            gauges.sample()
        return gauges


ALWAYS = [(0.0, 1e6)]


def test_a_processes_gauges_are_read_from_outside() -> None:
    told = Machine().gauges(lambda sample: {CLOCK: "2400000"}).told(ALWAYS, 100)
    gauges = told["gauges"]
    assert gauges["at_ms"][:3] == [0.0, 200.0, 400.0]
    assert gauges["cpu_percent"][0] is None
    assert gauges["cpu_percent"][1] == pytest.approx(100 * 0.15 / 0.2 * 100 / os.sysconf("SC_CLK_TCK"))
    assert gauges["resident_mb"][0] == pytest.approx(25600 * os.sysconf("SC_PAGE_SIZE") / 1e6, abs=0.01)
    assert gauges["temperature_c"][0] == 66.5
    assert gauges["frequency_mhz"][0] == 2400.0
    assert gauges["power_w"] == [None] * 30 and told["energy_mj_per_tick"] is None
    assert told["throttling"] == {"seen": False, "why": ""}


def test_throttling_is_seen_by_the_kernels_counters_or_by_the_clock() -> None:
    counted = Machine(**{COUNTER: "7"}).gauges(lambda sample: {COUNTER: "9"} if sample > 20 else {})
    assert counted.told(ALWAYS, 1)["throttling"] == {"seen": True, "why": f"{COUNTER} rose by 2"}
    slowed = Machine().gauges(lambda sample: {CLOCK: "2400000" if sample < 20 else "1900000"})
    seen = slowed.told(ALWAYS, 1)["throttling"]
    assert seen == {"seen": True, "why": "the clock fell from 2400 to 1900 MHz after 4.0 s"}
    assert slowed.told([(0.0, 3900.0)], 1)["throttling"]["seen"] is False  # not while anything was measured
    once = Machine().gauges(lambda sample: {CLOCK: "1900000" if sample == 20 else "2400000"})
    assert once.told(ALWAYS, 1)["throttling"]["seen"] is False
    blind = Machine().gauges(lambda sample: {}).told(ALWAYS, 1)["throttling"]
    assert blind["seen"] is None and "can be read" in blind["why"]


def test_an_over_current_event_of_a_jetson_is_throttling() -> None:
    path = "/sys/class/hwmon/hwmon3/oc3_event_cnt"
    machine = Machine(**{path: "0"}).gauges(lambda sample: {path: str(sample)}, 4)
    assert machine.told(ALWAYS, 1)["throttling"] == {"seen": True, "why": f"{path} rose by 3"}


def test_a_virtual_machines_clock_is_not_believed() -> None:
    cores = "\n\n".join(
        f"processor\t: {core}\ncpu MHz\t\t: 260{core}.5\nflags\t\t: {{}}" for core in range(4)
    )
    for flags, expected in (("fpu sse", 2603.5), ("fpu hypervisor sse", None)):
        about = cores.format(*[flags] * 4)
        told = Machine(**{"/proc/cpuinfo": about}).gauges(lambda sample: {}, 2).told(ALWAYS, 1)
        assert told["gauges"]["frequency_mhz"] == [expected] * 2


def test_rapl_counters_give_watts_also_when_they_begin_again() -> None:
    files = {
        f"{RAPL}/energy_uj": "0",
        f"{RAPL}/max_energy_range_uj": "10000000",
        f"{RAPL}:0/energy_uj": "123",  # a part of the package: it is in it already
    }
    machine = Machine(**files)
    gauges = machine.gauges(lambda sample: {f"{RAPL}/energy_uj": str(sample * 3_000_000 % 10_000_000)}, 11)
    told = gauges.told([(0.0, 2000.0)], 50)
    assert told["gauges"]["power_w"] == [None] + [15.0] * 10  # 3 J in 0.2 s
    assert told["energy_mj_per_tick"] == pytest.approx(15.0 * 2.0 / 50 * 1e3)


def test_a_jetsons_rails_give_watts() -> None:
    home = "/sys/class/hwmon/hwmon1"
    rails = {f"{home}/name": "ina3221"}
    for number, (label, mv, ma) in enumerate([("VDD_IN", 5000, 1500), ("VDD_CPU_GPU_CV", 5000, 600)], 1):
        rails.update(
            {
                f"{home}/in{number}_label": label,
                f"{home}/in{number}_input": str(mv),
                f"{home}/curr{number}_input": str(ma),
            }
        )
    rails["/sys/class/hwmon/hwmon0/name"] = "coretemp"
    assert Machine(**rails).gauges(lambda sample: {}, 2).told(ALWAYS, 1)["gauges"]["power_w"] == [7.5] * 2
    rails[f"{home}/in1_label"] = "VDD_GPU_SOC"  # an AGX has no rail that feeds all
    assert Machine(**rails).gauges(lambda sample: {}, 2).told(ALWAYS, 1)["gauges"]["power_w"] == [10.5] * 2


def test_the_context_names_machine_and_versions_and_no_host() -> None:
    told = context()
    assert told["libraries"]["numpy"] == np.__version__
    assert told["cores"] >= 1 and told["python"] and told["architecture"]
    assert re.fullmatch("[0-9a-f]{16}", told["machine_id"])
    lines = facts(told)
    assert lines["numpy"] == np.__version__ and "libraries" not in lines and "None" not in lines.values()


def test_a_machine_is_the_same_however_busy_it_is_and_another_with_less_memory() -> None:
    jetson = patients.JETPACK_6.but(
        files={
            "/proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit",
            "/proc/meminfo": "MemTotal:       31337000 kB",
            "/proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x41\n"
            "CPU part\t: 0xd42\nCPU variant\t: 0x0\nCPU revision\t: 1\n\nprocessor\t: 1",
        }
    )
    told = context(jetson)
    assert told["machine"] == "NVIDIA Jetson AGX Orin Developer Kit"
    assert told["processor"] == "ARM 0x41 0xd42 0x0 1" and told["cores"] == 2
    assert told["cpu_flags"] == ["asimd", "asimddp"]
    assert told["power_mode"] == "MAXN_SUPER" and told["clocks_locked"] is True
    assert told["gpu"] == "tegra234" and told["container"] is None and told["swap"] is not None
    busy = context(
        jetson.but(files={"/proc/loadavg": "9.00 8.00 7.00 1/2 3", patients.CPUS.format(0) + "min_freq": "1"})
    )
    assert busy["load_average"] == [9.0, 8.0, 7.0] and busy["clocks_locked"] is False
    assert busy["machine_id"] == told["machine_id"]
    small = context(jetson.but(files={"/proc/meminfo": "MemTotal:       15337000 kB"}))
    assert small["machine_id"] != told["machine_id"]


class Nvpmodel:
    """A Jetson's program, which keeps its mode."""

    def __init__(self, refuses: str = "") -> None:
        self.mode, self._refuses, self.said = "2", refuses, []

    def run(self, *argv: str) -> Answer:
        self.said.append(argv)
        if argv[1] == "-m" and argv[2] != self._refuses:
            self.mode = argv[2]
        return Answer(0, f"NV Power Mode: MODE_{self.mode}\n{self.mode}")


def test_a_power_mode_is_chosen_and_given_back() -> None:
    jetson = Nvpmodel(refuses="7")
    make: Any = lambda: jetson  # noqa: E731
    with power_modes(make) as choose:
        assert choose("0") == "MODE_0" and jetson.mode == "0"
        with pytest.raises(UsageError, match="mode 7, got mode 0"):
            choose("7")
    assert jetson.mode == "2"
    with pytest.raises(AbsentError, match="expected a Jetson"), power_modes(lambda: patients.LAPTOP):
        pass


# what is measured


def test_variants_are_every_combination_each_with_a_name_of_its_own(tmp_path: Path) -> None:
    one, two = (bundles.make(tmp_path / name) for name in "ab")
    found = variants([str(one)], ["cpu", "cuda"], [1, 2], [])
    assert [each.name for each in found] == [
        "tiny · cpu · 1 thread", "tiny · cpu · 2 threads",
        "tiny · cuda · 1 thread", "tiny · cuda · 2 threads",
    ]  # fmt: skip
    assert variants([str(one)], ["cpu"], [1], ["0", "2"])[1].name == "tiny · cpu · 1 thread · power mode 2"
    with pytest.raises(UsageError, match="each once"):
        variants([str(one), str(two)], ["cpu"], [1], [])  # the same bytes under two names
    with pytest.raises(UsageError, match="expected some of cpu, cuda, tensorrt, got 'tpu'"):
        variants([str(one)], ["tpu"], [1], [])


def test_precision_is_read_and_not_guessed() -> None:
    pytest.importorskip("onnxruntime")
    bundle = Bundle.load("g1-mirror")
    told = graphs.precision(bundle)
    assert told["policy"] == bundle.quality["policy_weights"]
    assert told["encoder"] == "int8" and told["readout"] is None


# how it ends


def job(out: Path, rules: Rules = FREE, **how: Any) -> Job:
    given: dict[str, Any] = {
        "bundle": "g1-mirror", "provider": "cpu", "threads": 1, "camera": "synthetic", "actuator": "null",
        "pairs": 2, "parent": os.getppid(), "spawned_ns": time.monotonic_ns(),
    }  # fmt: skip
    return Job(**{**given, **how, "rules": vars(rules), "out": str(out)})


def test_a_round_of_a_video_says_how_long_decoding_took(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("av")
    clip = Path(rmedge.__file__).parent / "samples" / "walk.mp4"
    job(tmp_path / "out.json", camera=str(clip)).do()
    outcome = Outcome.read(str(tmp_path / "out.json"), 0)
    made = outcome.measured
    assert np.isfinite(made.ticks.spent("decode")).sum() == np.isfinite(made.ticks.spent("encode")).sum() == 8
    assert np.nanmedian(made.ticks.spent("decode")) > np.nanmedian(made.ticks.spent("capture"))
    assert outcome.synthetic and not outcome.paced and outcome.period_us == 20_000.0
    assert len(made.graphs["policy"]["bare"]) == 2
    assert made.cold_start["total_ms"] > made.cold_start["load_ms"] > 0  # type: ignore[operator]


def test_a_benchmark_moves_no_robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "firmware.py").write_text("class Robot:\n    def __init__(self, robot): pass\n"
        "    def __enter__(self): return self\n    def __exit__(self, *exc): pass\n")  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="moves no robot"):
        job(tmp_path / "out.json", actuator="firmware:Robot").do()


def test_a_live_camera_without_a_picture_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "dark.py").write_text(DARK)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("rmedge.benchmarks.latency.job.PATIENCE_S", 0.1)
    with pytest.raises(AbsentError, match=r"a picture within 0\.1 s, got none: .*it is dark"):
        job(tmp_path / "out.json", camera="dark:make").do()


DARK = """
from rmedge.runtimes.cameras.live import Live

class Cellar:
    name = "cellar"
    def open(self): raise OSError("it is dark")
    def close(self): pass
    def interrupt(self): pass

def make():
    return Live(Cellar())
"""


CAMERAS = """
import os, signal, sys
from rmedge.runtimes.cameras.synthetic import SyntheticCamera

class Deadly(SyntheticCamera):
    def read(self, max_age_ns):
        print("the driver says goodbye", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

class Tired(SyntheticCamera):
    reads = 0
    def read(self, max_age_ns):
        self.reads += 1
        if self.reads == 20:  # as if somebody had pressed Ctrl-C
            os.kill(os.getppid(), signal.SIGINT)
        return super().read(max_age_ns)
"""


@pytest.fixture
def own_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cameras_of_ours.py").write_text(CAMERAS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return tmp_path


def campaign(camera: str, rules: Rules) -> Campaign:
    return Campaign(variants(["g1-mirror"], ["cpu"], [1], []), rules, camera, "null", ThisSystem())


def test_a_process_that_dies_is_told_with_its_last_words(own_cameras: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(CheckError, match=r"round 1 of g1-mirror.*signal 9 \(SIGKILL\): .*says goodbye"):
        campaign("cameras_of_ours:Deadly", FREE).run()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C reaches us, even where a shell that put us into its background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_reports_what_was_measured(own_cameras: Path) -> None:
    pytest.importorskip("onnxruntime")
    made = campaign("cameras_of_ours:Tired", Rules(rounds=3, min_ticks=60_000, min_seconds=0.0))
    made.run()
    told = made.told()
    assert made.stop_reason == "interrupted"
    assert len(told) == 1 and len(told[0]["rounds"]) == 1
    assert 20 < told[0]["tick"]["count"] < 20_000


def test_what_a_round_refuses_is_the_commands_own_error(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    assert cli.main(["run", "--camera", "nowhere.mp4", "--rounds", "1"]) == 2
    assert "nowhere.mp4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["--provider", "tpu"], 2, "expected some of"),
        (["--threads", "1,0"], 2, "whole number"),
        (["--power-mode", "fast"], 2, "expected numbers"),
        (["--out", "no/such/folder/report.json"], 2, "--out: expected a folder"),
        (["--power-mode", "0"], 3, "expected a Jetson"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_measured(
    argv: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", *argv]) == code
    out, err = capsys.readouterr()
    assert out == "" and says in err and err.count("\n") == 1


def test_no_password_goes_into_a_report() -> None:
    assert without_password("run --camera rtsp://me:secret@camera/1") == "run --camera rtsp://camera/1"


def test_a_run_writes_one_report_in_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    paths = {flag: tmp_path / flag for flag in ("out", "page", "trace", "markdown")}
    flags = [word for flag, path in paths.items() for word in (f"--{flag}", str(path))]
    assert cli.main(["run", "--rounds", "2", "--ticks", "140", "--seconds", "0.1", "--json", *flags]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert out.count("\n") == 1 and err == ""
    assert json.loads(paths["out"].read_text("utf-8")) == told
    assert all(path.stat().st_size > 100 for path in paths.values())
    (made,) = told["variants"]
    assert made["engine"] == "CPUExecutionProvider" and made["name"] == "g1-mirror · cpu · 1 thread"
    assert made["camera"] == {"name": "synthetic", "synthetic": True}
    assert [each["round"] for each in made["rounds"]] == [0, 1]
    assert made["rounds"][1]["start_ms"] > made["rounds"][0]["start_ms"] + 1e3 * made["rounds"][0]["seconds"]
    assert made["warm_up"]["ticks"] == 100
    assert made["tick"]["count"] == sum(each["ticks"] for each in made["rounds"]) >= 140
    assert made["tick"]["p90_us"] is not None and made["tick"]["p99.9_us"] is None
    assert len(made["cold_start"]) == 2
    for cold in made["cold_start"]:
        parts = sum(cold[name] for name in ("import_ms", "bundle_ms", "load_ms", "first_ms"))
        assert 0 < parts < cold["total_ms"] and cold["engine_build_ms"] is None
    for pairs in made["graphs"].values():
        assert pairs["bare"]["count"] == pairs["overhead"]["count"] == 140
    assert made["gauges"]["resident_mb"] and max(made["gauges"]["resident_mb"]) > 10
    own = np.array(made["ticks"]["tick_us"])
    for stage in ("capture", "encode", "policy"):
        own = own - np.nan_to_num(np.array(made["ticks"]["spent_us"][stage], float))
    assert made["own"]["p50_us"] == pytest.approx(np.median(own), abs=0.5)
    pytest.importorskip("jsonschema").validate(told, json.loads(SCHEMA.read_text("utf-8")))


def test_a_run_is_told_in_tables(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    assert cli.main(["run", "--rounds", "1", "--ticks", "20", "--seconds", "0.01"]) == 0
    out = capsys.readouterr().out
    for word in ("own cost", "light to motor", "not est.", "onnxruntime", "p50", "cold start", "throttling"):
        assert word in out
    assert "…" not in out.split("in words")[0]
