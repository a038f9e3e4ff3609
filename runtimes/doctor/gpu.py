"""The GPU: its driver, its libraries, and whether onnxruntime has code for it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from rmedge.runtimes.doctor import engine as engines
from rmedge.runtimes.doctor import jetson
from rmedge.runtimes.doctor.engine import PROBE, Engine, last_line, loaded
from rmedge.runtimes.doctor.finding import FAILURE, Finding, failure, not_here, ok, unknown, warning
from rmedge.runtimes.doctor.system import System

__all__ = ["cuda", "cudnn", "gpu", "kernels", "name_of_gpu", "on_cuda", "providers", "tensorrt"]

NVIDIA = "0x10de"
DISPLAY = ("0x0300", "0x0302")  # of PCI's classes: a display, a 3D controller


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU that a driver answers for."""

    name: str
    architecture: int | None  # 87 for sm_87; None: nobody says
    tegra: bool
    cuda: tuple[int, int] | None = None  # the newest that the driver serves; None: nobody says


def _gpu(system: System) -> Gpu | None:
    tegra = jetson.is_jetson(system)
    chip = jetson.chip(system) if tegra else None
    if chip is not None:
        return Gpu(chip, jetson.ARCHITECTURES[chip], True)
    answer = system.run("nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader")
    if answer is None or answer.code != 0 or not answer.out:
        return Gpu("a Jetson's", None, True) if tegra else None
    name, _, capability = answer.out.splitlines()[0].rpartition(",")
    number = re.fullmatch(r"\s*(\d{1,2})\.(\d)\s*", capability)
    header = system.run("nvidia-smi")
    serves = re.search(r"CUDA Version:\s*(\d{1,3})\.(\d{1,3})", header.out if header else "")
    return Gpu(
        name.strip() or "an NVIDIA GPU",
        int(number.group(1) + number.group(2)) if number else None,
        tegra,
        (int(serves.group(1)), int(serves.group(2))) if serves else None,
    )


def name_of_gpu(system: System) -> str | None:
    """What the driver or the board calls the NVIDIA GPU; None: there is none that anything answers for."""
    found = _gpu(system)
    return None if found is None else found.name


def gpu(system: System) -> Finding:
    """A driver answers for the NVIDIA GPU, where there is one."""
    found = _gpu(system)
    if found is not None:
        architecture = f"sm_{found.architecture}" if found.architecture else "of unknown architecture"
        serves = f", driver for CUDA {found.cuda[0]}.{found.cuda[1]}" if found.cuda else ""
        return ok(f"{found.name}, {architecture}{serves}")
    cards = [
        path
        for path in system.glob("/sys/bus/pci/devices/*/vendor")
        if system.read(path) == NVIDIA
        and (system.read(os.path.dirname(path) + "/class") or "").startswith(DISPLAY)
    ]
    answer = system.run("nvidia-smi")
    if answer is not None and answer.code != 0:
        said = "did not end in time" if answer.code is None else last_line(answer.out or answer.err)
        return warning(
            f"nvidia-smi: {said}", "sudo reboot; if that does not help, sudo ubuntu-drivers install"
        )
    if cards and not system.read("/proc/driver/nvidia/version"):
        return warning("an NVIDIA GPU without its driver", "sudo ubuntu-drivers install && sudo reboot")
    if cards:
        return unknown("an NVIDIA GPU with a driver, but no nvidia-smi to ask")
    return not_here("no NVIDIA GPU")


def providers(system: System) -> Finding:
    """An onnxruntime with CUDA, where there is a GPU."""
    engine, found = loaded(system), _gpu(system)
    if engine is None:
        return unknown("onnxruntime does not load; see onnxruntime and numpy")
    here = ", ".join(
        name[: -len("ExecutionProvider")] for name in engine.providers if name.endswith("Provider")
    )
    if found is not None and "CUDAExecutionProvider" not in engine.providers:
        return warning(f"{here}; the GPU is idle", _gpu_wheel(system))
    return ok(here)


def _gpu_wheel(system: System) -> str:
    if jetson.is_jetson(system):
        return f"pip uninstall -y onnxruntime onnxruntime-gpu && {jetson.wheel(system)}"
    return "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"


def _subject(system: System, provider: str = "CUDA") -> Engine | Finding:
    """The engine whose provider can be looked at, or why there is none."""
    if _gpu(system) is None:
        return not_here("no GPU that a driver answers for")
    engine = loaded(system)
    if engine is None:
        return unknown("onnxruntime does not load; see onnxruntime and numpy")
    if f"{provider}ExecutionProvider" not in engine.providers:
        return not_here(f"this onnxruntime has no {provider} provider")
    return engine


def _needs(system: System, library: str) -> tuple[list[str], list[str]] | None:
    """What a provider's library wants from the loader: what is there, what is not; None: nobody says."""
    answer = system.run("ldd", library)
    if answer is None or answer.code != 0:
        return None
    wanted = re.findall(r"^\s*(lib\S+) => (not found|\S+)", answer.out, re.MULTILINE)
    lacking = [name for name, where in wanted if where == "not found"]
    return [name for name, where in wanted if where != "not found"], lacking


def _libraries(system: System, engine: Engine, provider: str, pattern: str) -> Finding:
    """Whether the loader finds the libraries of that pattern that a provider wants."""
    needs = _needs(system, engine.library(provider))
    if needs is None:
        return unknown("ldd does not say what the provider needs", f"ldd {engine.library(provider)}")
    there, lacking = ([name for name in names if re.match(pattern, name)] for names in needs)
    if not lacking:
        return ok(f"{', '.join(there[:3]) or 'none needed'}{', ...' if len(there) > 3 else ''}")
    site = os.path.dirname(engine.folder)
    by_pip = system.glob(f"{site}/nvidia/*/lib/*.so*")
    aside = sorted({os.path.dirname(path) for path in by_pip if os.path.basename(path) in lacking})
    stems = {name.partition(".")[0] for name in lacking}
    listing = system.run("ldconfig", "-p")
    others = re.findall(r"^\s*(lib[^\s.]+)(\.so\.\S+)", listing.out if listing else "", re.MULTILINE)
    instead = sorted({stem + version for stem, version in others if stem in stems})
    found = (
        f"onnxruntime {engine.version} wants {', '.join(lacking[:3])}{', ...' if len(lacking) > 3 else ''}"
    )
    found += f"; here is {', '.join(instead[:3])}" if instead else "; here is none"
    if aside:
        return failure(
            f"{found} in the loader's path", f"export LD_LIBRARY_PATH={':'.join(aside)}:$LD_LIBRARY_PATH"
        )
    if jetson.is_jetson(system):
        return failure(found, _gpu_wheel(system))
    return failure(found, 'pip install "onnxruntime-gpu[cuda,cudnn]", then ask the doctor again for the path')


def cuda(system: System) -> Finding:
    """The CUDA that onnxruntime was built for: by the driver, and by the loader."""
    engine = _subject(system)
    if isinstance(engine, Finding):
        return engine
    found = _gpu(system)
    built = re.match(r"\d{1,3}", engine.cuda)
    if found and found.cuda and built and int(built.group()) > found.cuda[0]:
        return failure(
            f"onnxruntime {engine.version} was built for CUDA {engine.cuda}, the driver serves "
            f"{found.cuda[0]}.{found.cuda[1]}",
            "sudo ubuntu-drivers install && sudo reboot",
        )
    return _libraries(system, engine, "cuda", r"lib(?!cudnn)(cu|nvrtc|nvJitLink)")


def cudnn(system: System) -> Finding:
    """The cuDNN that onnxruntime was built for."""
    engine = _subject(system)
    return engine if isinstance(engine, Finding) else _libraries(system, engine, "cuda", r"libcudnn")


def tensorrt(system: System) -> Finding:
    """The TensorRT that onnxruntime was built for."""
    engine = _subject(system, "Tensorrt")
    if isinstance(engine, Finding):
        return engine
    found = _libraries(system, engine, "tensorrt", r"lib(nvinfer|nvonnxparser)")
    if found.verdict != FAILURE:
        return found
    remedy = (
        _gpu_wheel(system)
        if jetson.is_jetson(system)
        else "pip install tensorrt-cu12, or use --provider cuda"
    )
    return warning(found.found, remedy)  # CUDA does without


def kernels(system: System) -> Finding:
    """The CUDA provider of onnxruntime has code for this GPU's architecture."""
    engine, found = _subject(system), _gpu(system)
    if isinstance(engine, Finding):
        return engine
    if found is None or found.architecture is None:
        return unknown(
            "nobody says which architecture this GPU has", "rmedge verify g1-mirror --provider cuda"
        )
    answer = system.run(*PROBE, "kernels", engine.library("cuda"))
    listed = re.findall(r"\b(sm|ptx)_(\d{2,3})\b", answer.out if answer and answer.code == 0 else "")
    if not listed:
        return unknown("the provider's library does not say", "rmedge verify g1-mirror --provider cuda")
    here = ", ".join(f"{kind}_{n}" for kind, n in sorted(listed, key=lambda each: (each[0], int(each[1]))))
    own = found.architecture
    # a Tegra runs its own code alone, a desktop's GPU its generation's up to its own, any GPU older PTX
    if any(
        kind == "sm" and (int(n) == own or (not found.tegra and int(n) // 10 == own // 10 and int(n) <= own))
        for kind, n in listed
    ):
        return ok(f"sm_{own} is served by {here}")
    if any(kind == "ptx" and int(n) <= own for kind, n in listed):
        return warning(
            f"sm_{own} is served by PTX alone ({here}): the first start compiles for minutes",
            "start once before it counts: rmedge verify g1-mirror --provider cuda",
        )
    newer = own > max(int(n) for _, n in listed)
    elsewhere = f"pip install {'--upgrade' if newer else 'an older'} onnxruntime-gpu, or use --provider cpu"
    remedy = _gpu_wheel(system) if found.tegra else elsewhere
    return failure(f"code for {here}, none for this GPU's sm_{own}", remedy)


def on_cuda(system: System) -> Finding:
    """The shipped bundles give their golden outputs on CUDA."""
    engine = _subject(system)
    if isinstance(engine, Finding):
        return engine
    for name, check in (("cuda", cuda), ("cudnn", cudnn), ("gpu kernels", kernels)):
        if check(system).verdict == FAILURE:
            return unknown(f"not tried; see {name}")
    return engines.golden(system, "cuda")
