"""The engine: Python, NumPy, onnxruntime, and whether the shipped bundles compute what they promise."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from rmedge.bundle import Bundle
from rmedge.runtimes.doctor.finding import Finding, failure, not_here, ok, unknown, warning
from rmedge.runtimes.doctor.jetson import is_jetson, wheel
from rmedge.runtimes.doctor.system import Answer, System

__all__ = [
    "Engine",
    "bundles",
    "golden",
    "last_line",
    "loaded",
    "numpy",
    "onnxruntime",
    "opencv",
    "own",
    "python",
]

PROBE = ("python", "-m", "rmedge.runtimes.doctor.probes")
OLDEST, NEWEST = (3, 8), (3, 13)  # tested
# wheels that put their files into the same folder onnxruntime/
ENGINES = (
    *("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml", "onnxruntime-rocm"),
    *("onnxruntime-training", "onnxruntime-qnn", "onnxruntime-migraphx", "ort-nightly", "ort-nightly-gpu"),
)
OPENCVS = tuple(f"opencv-{kind}python{head}" for kind in ("", "contrib-") for head in ("", "-headless"))


@dataclass(frozen=True)
class Engine:
    """An onnxruntime that loads."""

    version: str
    providers: tuple[str, ...]
    folder: str
    cuda: str  # that it was built for; empty: none, or it does not say

    def library(self, provider: str) -> str:
        """The file of a provider."""
        return os.path.join(self.folder, "capi", f"libonnxruntime_providers_{provider}.so")


def loaded(system: System) -> Engine | None:
    """The onnxruntime that Python finds; None: it does not load."""
    answer = system.run(*PROBE, "engine")
    try:
        said = json.loads(last_line(answer.out)) if answer and answer.code == 0 else {}
        providers = tuple(str(each) for each in said["providers"])
        return Engine(str(said["version"]), providers, str(said["folder"]), str(said["cuda"] or ""))
    except (ValueError, KeyError, TypeError):
        return None


def last_line(text: str) -> str:
    """The line in which a traceback says what happened."""
    return text.strip().rpartition("\n")[2]


def python(system: System) -> Finding:
    """Python 3.8 to 3.13 on x86-64 or aarch64."""
    found = f"Python {'.'.join(map(str, system.python))} on {system.machine}"
    if system.python[:2] < OLDEST:
        return failure(found, "sudo apt install python3.8 python3.8-venv, and make an environment with it")
    if system.python[:2] > NEWEST:
        return warning(f"{found}, newer than what was tested", "python3.13 -m venv .venv, and install there")
    if system.machine not in ("x86_64", "aarch64"):
        return warning(
            f"{found}, a processor that onnxruntime has no wheels for", "use a 64-bit x86 or ARM system"
        )
    return ok(found)


def onnxruntime(system: System) -> Finding:
    """One wheel of onnxruntime, 1.16 or newer, and it loads."""
    wheels = [name for name in ENGINES if name in system.packages]
    answer = system.run(*PROBE, "engine")
    here = ", ".join(f"{name} {system.packages[name]}" for name in wheels)
    if len(wheels) > 1:
        keep = next((name for name in wheels if name != "onnxruntime"), wheels[0])
        anew = wheel(system) if is_jetson(system) else f"pip install {keep}=={system.packages[keep]}"
        return failure(
            f"{here}: each wrote over the other's files", f"pip uninstall -y {' '.join(wheels)} && {anew}"
        )
    engine = loaded(system)
    if engine is None and answer is not None and answer.code is None:
        return unknown(f"{here or 'no wheel'}: it did not load in time", 'python -c "import onnxruntime"')
    if engine is None and _strife(answer):
        return unknown(f"{here}: it does not load; see numpy")
    if engine is None and not wheels:
        return failure("none", _wheel(system))
    again = (
        f"pip install --force-reinstall --no-deps {wheels[0]}=={system.packages[wheels[0]]}" if wheels else ""
    )
    if engine is None:
        said = answer.err if answer else ""
        crash = f"signal {-answer.code}" if answer and answer.code and answer.code < 0 else "no answer"
        return failure(f"{here} does not load: {last_line(said) or crash}", again)
    if wheels and system.packages[wheels[0]].partition("+")[0] != engine.version.partition("+")[0]:
        return failure(
            f"{here} by its wheel, {engine.version} by its files: another wheel wrote over them", again
        )
    if _number(engine.version) < (1, 16):
        return failure(f"onnxruntime {engine.version}, older than 1.16", _wheel(system))
    return ok(here or f"onnxruntime {engine.version}, no wheel of ours")


def own(system: System) -> Finding:
    """rmedge's own loops over joints, compiled."""
    answer = system.run(*PROBE, "own")
    said = last_line(answer.out) if answer else ""
    if said == "compiled":
        return ok("compiled")
    if said == "plain":
        return warning(
            "numpy's, which take 55 us longer a tick",
            "sudo apt install gcc python3-dev && "
            "pip install --force-reinstall --no-deps --no-binary rmedge rmedge",
        )
    return unknown("no answer", "python -m rmedge.runtimes.doctor.probes own")


def _wheel(system: System) -> str:
    return wheel(system) if is_jetson(system) else 'pip install "rmedge[cpu]"'


def _number(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (1, 16) for 1.16rc1."""
    numbers = []
    for part in version.split(".")[:2]:
        digits = "".join(c for c in part if c.isdigit())
        numbers.append(int(digits[:6] or 0))
    return tuple(numbers)


def _strife(answer: Answer | None) -> str:
    """Which NumPy an onnxruntime complains about: "newer" than its own, "older", or neither."""
    said = answer.err if answer else ""
    if "compiled using NumPy 1.x" in said or "_ARRAY_API not found" in said:
        return "newer"
    if "multiarray failed to import" in said or "compiled against A" in said or "dtype size changed" in said:
        return "older"
    return ""


def numpy(system: System) -> Finding:
    """The NumPy that onnxruntime was built for."""
    here = f"NumPy {system.packages.get('numpy', 'of unknown version')}"
    answer = system.run(*PROBE, "engine")
    strife = _strife(answer)
    if strife == "newer":
        return failure(f"{here}, and an onnxruntime that was built for NumPy 1", 'pip install "numpy<2"')
    if strife == "older":
        return failure(
            f"{here}, and an onnxruntime that was built for a newer one", "pip install --upgrade numpy"
        )
    if loaded(system) is None:
        return unknown(f"{here}; no onnxruntime loads that could complain")
    return ok(f"{here}; onnxruntime loads with it")


def opencv(system: System) -> Finding:
    """At most one wheel of OpenCV."""
    wheels = [name for name in OPENCVS if name in system.packages]
    here = ", ".join(f"{name} {system.packages[name]}" for name in wheels)
    if len(wheels) > 1:
        return warning(
            f"{here}: each wrote over the other's files",
            f"pip uninstall -y {' '.join(wheels)} && pip install opencv-python-headless",
        )
    return ok(here) if wheels else not_here("none of its wheels is installed")


def bundles(system: System) -> Finding:
    """Every byte of the shipped bundles has its hash."""
    remedy = "pip install --force-reinstall --no-deps rmedge"
    return _each(system, ("inspect",), "whole", remedy)


def golden(system: System, provider: str = "cpu") -> Finding:
    """The shipped bundles give their golden outputs on the CPU."""
    if loaded(system) is None:
        return unknown("onnxruntime does not load; see onnxruntime and numpy")
    remedy = f"do not arm on {provider}: install another onnxruntime; rmedge verify says more"
    return _each(system, ("verify", "--provider", provider), f"golden on {provider}", remedy)


def _each(system: System, verb: tuple[str, ...], well: str, remedy: str) -> Finding:
    """What a verb of our own says about every shipped bundle."""
    names = Bundle.names()
    for name in names:
        answer = system.run("python", "-m", "rmedge", *verb, name, "--json")
        if answer is None or answer.code is None:
            return unknown(f"rmedge {verb[0]} {name} did not end in time", f"rmedge {' '.join(verb)} {name}")
        if answer.code != 0:
            said = last_line(answer.err) or f"exit code {answer.code}"
            return failure(f"{name}: {said[8:] if said.startswith('rmedge: ') else said}", remedy)
    return ok(f"{', '.join(names)}: {well}")
