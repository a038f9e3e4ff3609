"""Computers that never were: what the doctor would see on them, and what may be wrong with them."""

from __future__ import annotations

import dataclasses
import json
from fnmatch import fnmatch
from typing import Any, Callable, Mapping

from rmedge.bundle import Bundle
from rmedge.runtimes.doctor import Answer

PROBE = "python -m rmedge.runtimes.doctor.probes"
SITE = "/site"
CUDA = f"{SITE}/onnxruntime/capi/libonnxruntime_providers_cuda.so"
TENSORRT = f"{SITE}/onnxruntime/capi/libonnxruntime_providers_tensorrt.so"
VIDEO = "/dev/video0"


@dataclasses.dataclass(frozen=True)
class Patient:
    """A simulated system, made of what it would answer."""

    name: str
    python: tuple[int, int, int]
    machine: str
    env: Mapping[str, str]
    packages: Mapping[str, str]
    files: Mapping[str, str]  # by path; what only exists holds an empty text
    answers: Mapping[str, Answer]  # by command line
    rooms: Mapping[str, int]
    shut: frozenset[str] = frozenset()
    asked: Mapping[str, str] = dataclasses.field(default_factory=dict)  # what the user names

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def glob(self, pattern: str) -> list[str]:
        parts = pattern.split("/")
        depth = len(parts)
        heads = {tuple(path.split("/")[:depth]) for path in self.files}
        return sorted(
            "/".join(head) for head in heads if len(head) == depth and all(map(fnmatch, head, parts))
        )

    def usable(self, path: str) -> bool:
        return path not in self.shut

    def room(self, path: str) -> int | None:
        return self.rooms.get(path)

    def run(self, *argv: str) -> Answer | None:
        return self.answers.get(" ".join(argv))

    def but(self, **changes: Any) -> Patient:
        """The same one with other facts; one that is None is taken away."""
        merged = {
            key: {k: v for k, v in {**getattr(self, key), **value}.items() if v is not None}
            if isinstance(value, dict)
            else value
            for key, value in changes.items()
        }
        return dataclasses.replace(self, **merged)


def engine(version: str, *providers: str, cuda: str | None = None) -> dict[str, Answer]:
    """An onnxruntime that loads."""
    listed = [f"{name}ExecutionProvider" for name in (*providers, "CPU")]
    said = {"version": version, "providers": listed, "folder": f"{SITE}/onnxruntime", "cuda": cuda}
    return {f"{PROBE} engine": Answer(0, json.dumps(said))}


def broken(error: str, code: int = 1) -> dict[str, Answer]:
    """An onnxruntime that does not load."""
    return {f"{PROBE} engine": Answer(code, err=error)}


def ldd(*names: str, lacking: tuple[str, ...] = ()) -> Answer:
    """What the loader says about a library's needs."""
    lines = [f"\t{name} => /usr/lib/{name} (0x0)" for name in names]
    return Answer(0, "\n".join(lines + [f"\t{name} => not found" for name in lacking]))


def cache(name: str) -> dict[str, Answer]:
    """What the loader knows of."""
    return {"ldconfig -p": Answer(0, f"\t{name} (libc6) => /usr/lib/{name}")}


def said(verb: str, *flags: str, answer: Answer = Answer(0, "{}")) -> dict[str, Answer]:  # noqa: B008
    """What a verb of our own says about each shipped bundle."""
    return {" ".join(("python -m rmedge", verb, *flags, name, "--json")): answer for name in Bundle.names()}


WELL = {
    **said("inspect"),
    **said("verify", "--provider", "cpu"),
    f"{PROBE} fifo 50": Answer(0),
    f"{PROBE} own": Answer(0, "compiled"),
}
LIMITS = "Limit  Soft Limit  Hard Limit  Units\n{}Max realtime priority     {}                   {}      \n"


def limits(locked: str = "unlimited", priority: int = 99) -> str:
    return LIMITS.format(f"Max locked memory         {locked:<20} {locked:<20} bytes\n", priority, priority)


def status(cores: str = "0-7", groups: str = "44 1000", capable: int = 0) -> str:
    return f"Groups:\t{groups} \nCapEff:\t{capable:016x}\nCpus_allowed_list:\t{cores}"


SWAPS = "Filename\tType\tSize\tUsed\tPriority\n"
ANYWHERE = {
    "/proc/self/limits": limits(),
    "/proc/self/status": status(),
    "/proc/swaps": SWAPS.strip(),
    "/proc/meminfo": "MemTotal:       32000000 kB",
    "/proc/mounts": "/dev/sda1 / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0",
    "/proc/1/cgroup": "0::/init.scope",
    "/etc/group": "root:x:0:\nvideo:x:44:robot",
    "/dev/shm": "",
}
CAMERA = {
    VIDEO: "",
    "/dev/video1": "",
    "/sys/class/video4linux/video0/index": "0",
    "/sys/class/video4linux/video1/index": "1",
    "/dev/v4l/by-id/usb-Camera-video-index0": "",
}
WIRE = {
    "/sys/class/net/eth0/flags": "0x1003",
    "/sys/class/net/eth0/carrier": "1",
    "/sys/class/net/lo/flags": "0x9",
}
ADDRESS = "ip -4 -o addr show dev eth0"
ROOMS = {".": 40 << 30, "/dev/shm": 4 << 30}


CPUS = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_"


def clocks(gpu: str) -> dict[str, str]:
    """Clocks that jetson_clocks locked."""
    files = {}
    for stem in map(CPUS.format, range(8)):
        files.update(
            {f"{stem}min_freq": "1984000", f"{stem}max_freq": "1984000", f"{stem}governor": "schedutil"}
        )
    return {**files, f"/sys/class/devfreq/{gpu}/min_freq": "918", f"/sys/class/devfreq/{gpu}/max_freq": "918"}


MODES = "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"

JETPACK_6 = Patient(
    "a Jetson Orin with JetPack 6",
    (3, 10, 12),
    "aarch64",
    {"USER": "robot"},
    {"numpy": "1.26.4", "onnxruntime-gpu": "1.23.0", "opencv-python-headless": "4.11.0"},
    {
        **ANYWHERE,
        **CAMERA,
        **WIRE,
        **clocks("17000000.gpu"),
        "/etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic",
        "/etc/nvpmodel.conf": MODES,
        "/proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0000\0nvidia,p3767-0000\0nvidia,tegra234",
        "/proc/sys/kernel/osrelease": "5.15.148-tegra",
        "/proc/swaps": SWAPS + "/dev/zram0\tpartition\t964000\t9000\t5",
    },
    {
        **WELL,
        **engine("1.23.0", "Tensorrt", "CUDA", cuda="12.6"),
        **said("verify", "--provider", "cuda"),
        f"ldd {CUDA}": ldd("libcublas.so.12", "libcudart.so.12", "libcudnn.so.9", "libc.so.6"),
        f"ldd {TENSORRT}": ldd("libnvinfer.so.10", "libcudart.so.12"),
        f"{PROBE} kernels {CUDA}": Answer(0, "sm_87"),
        "nvpmodel -q": Answer(0, "NV Power Mode: MAXN_SUPER\n2"),
        ADDRESS: Answer(0, "2: eth0    inet 192.168.123.164/24 brd 192.168.123.255 scope global eth0"),
    },
    ROOMS,
    asked={"network": "eth0"},
)

JETPACK_5 = JETPACK_6.but(
    name="a Jetson Orin with JetPack 5",
    python=(3, 8, 10),
    packages={"numpy": "1.22.4", "onnxruntime-gpu": "1.16.0"},
    files={
        **dict.fromkeys(clocks("17000000.gpu")),
        **clocks("17000000.ga10b"),
        "/etc/nv_tegra_release": "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref",
        "/proc/sys/kernel/osrelease": "5.10.120-tegra",
    },
    answers={
        **engine("1.16.0", "Tensorrt", "CUDA", cuda="11.4"),
        f"ldd {CUDA}": ldd("libcublas.so.11", "libcudart.so.11.0", "libcudnn.so.8"),
        f"ldd {TENSORRT}": ldd("libnvinfer.so.8", "libcudart.so.11.0"),
        f"{PROBE} kernels {CUDA}": Answer(0, "ptx_87 sm_72 sm_87"),
        "nvpmodel -q": Answer(0, "NVPM WARN: fan mode is not set!\nNV Power Mode: MAXN\n0"),
    },
)

NVIDIA_SMI = "| NVIDIA-SMI 550.54.15    Driver Version: 550.54.15    CUDA Version: 12.4     |"
LAPTOP = Patient(
    "a laptop with an NVIDIA GPU",
    (3, 12, 3),
    "x86_64",
    {"USER": "robot", "DISPLAY": ":0", "MUJOCO_GL": "egl"},
    {"numpy": "2.2.6", "onnxruntime-gpu": "1.22.0", "opencv-python": "4.12.0", "mujoco": "3.3.0"},
    {
        **ANYWHERE,
        **CAMERA,
        **WIRE,
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance",
        "/sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de",
        "/sys/bus/pci/devices/0000:01:00.0/class": "0x030000",
        "/proc/sys/kernel/osrelease": "6.8.0-45-generic",
        "/proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15",
        "/proc/swaps": SWAPS + "/swapfile\tfile\t2097148\t0\t-2",
    },
    {
        **WELL,
        **engine("1.22.0", "Tensorrt", "CUDA", cuda="12.2"),
        **said("verify", "--provider", "cuda"),
        "nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader": Answer(0, "NVIDIA RTX A1000, 8.6"),
        "nvidia-smi": Answer(0, NVIDIA_SMI),
        f"ldd {CUDA}": ldd("libcublas.so.12", "libcudart.so.12", "libcudnn.so.9"),
        f"ldd {TENSORRT}": ldd("libnvinfer.so.10"),
        f"{PROBE} kernels {CUDA}": Answer(0, "ptx_90 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90"),
        f"{PROBE} library libEGL.so.1": Answer(0),
    },
    ROOMS,
)

CONTAINER = Patient(
    "a container without a GPU",
    (3, 11, 9),
    "x86_64",
    {},
    {"numpy": "2.2.6", "onnxruntime": "1.22.0", "opencv-python-headless": "4.12.0", "pyzmq": "26.0"},
    {
        **ANYWHERE,
        "/.dockerenv": "",
        "/sys/fs/cgroup/cpu.max": "max 100000",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance",
        "/proc/mounts": "overlay / overlay rw 0 0\nshm /dev/shm tmpfs rw 0 0",
    },
    {**WELL, **engine("1.22.0")},
    {**ROOMS, "/dev/shm": 64 << 20},
    asked={"camera": "teleimager:192.168.123.164"},
)

HEALTHY = (JETPACK_6, JETPACK_5, LAPTOP, CONTAINER)


@dataclasses.dataclass(frozen=True)
class Fault:
    """One thing wrong with one computer, and which check must say so."""

    name: str
    check: str
    patient: Patient
    plant: Callable[[Patient], Patient]
    hides: tuple[str, ...] = ()  # what can no longer be told


def fault(name: str, check: str, patient: Patient, *hides: str, **changes: Any) -> Fault:
    return Fault(name, check, patient, lambda healthy: healthy.but(**changes), hides)


NO_ENGINE = ("golden vectors", "providers")
NO_CUDA = ("cuda", "cudnn", "tensorrt", "gpu kernels", "golden on cuda")
ABI = "A module that was compiled using NumPy 1.x cannot be run in\nNumPy 2.2.6 as it may crash.\nImportError"
OLD_ABI = (
    "RuntimeError: module compiled against API version 0xf but this version of numpy is 0xd\nImportError"
)
SMI = "nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader"
WRONG = Answer(
    1, err="rmedge: verify: expected policy.actions within 0.001, got 0.31; try another onnxruntime"
)
FLIPPED = Answer(1, err="rmedge: bundle: expected sha256 12ab for policy.onnx, got 34cd; get it again")

FAULTS = (
    fault("a Python that is too old", "python", LAPTOP, python=(3, 7, 17)),
    fault("a Python that nobody tried", "python", LAPTOP, python=(3, 15, 0)),
    fault("a 32-bit system", "python", CONTAINER, machine="armv7l"),
    fault("no onnxruntime", "onnxruntime", CONTAINER, *NO_ENGINE, "numpy",
          packages={"onnxruntime": None}, answers=broken("ModuleNotFoundError: no onnxruntime")),
    fault("two wheels of onnxruntime", "onnxruntime", LAPTOP, packages={"onnxruntime": "1.22.0"}),
    fault("two wheels of onnxruntime on a Jetson", "onnxruntime", JETPACK_5,
          packages={"onnxruntime": "1.16.3"}),
    fault("one wheel over the other's files", "onnxruntime", CONTAINER, answers=engine("1.17.0")),
    fault("an onnxruntime that crashes", "onnxruntime", CONTAINER, *NO_ENGINE, "numpy",
          answers=broken("", -11)),
    fault("an onnxruntime of last year", "onnxruntime", CONTAINER,
          packages={"onnxruntime": "1.15.1"}, answers=engine("1.15.1")),
    fault("NumPy 2 under a build for NumPy 1", "numpy", JETPACK_6, "onnxruntime", *NO_ENGINE, *NO_CUDA,
          packages={"numpy": "2.2.6"}, answers=broken(ABI)),
    fault("a NumPy older than the build", "numpy", JETPACK_5, "onnxruntime", *NO_ENGINE, *NO_CUDA,
          answers=broken(OLD_ABI)),
    fault("two wheels of OpenCV", "opencv", LAPTOP, packages={"opencv-python-headless": "4.12.0"}),
    fault("no compiler at the installation", "own kernels", JETPACK_5,
          answers={f"{PROBE} own": Answer(0, "plain")}),
    fault("a flipped byte in a bundle", "bundles", LAPTOP, answers=said("inspect", answer=FLIPPED)),
    fault("an engine that computes something else", "golden vectors", LAPTOP,
          answers=said("verify", "--provider", "cpu", answer=WRONG)),
    fault("a GPU without a driver", "gpu", LAPTOP, *NO_CUDA,
          answers={SMI: None, "nvidia-smi": None}, files={"/proc/driver/nvidia/version": None}),
    fault("a driver that was updated under way", "gpu", LAPTOP, *NO_CUDA,
          answers=dict.fromkeys(
              (SMI, "nvidia-smi"), Answer(18, "Failed to initialize NVML: Driver/library version mismatch"))),
    fault("a CPU build on a computer with a GPU", "providers", LAPTOP, *NO_CUDA,
          packages={"onnxruntime-gpu": None, "onnxruntime": "1.22.0"}, answers=engine("1.22.0")),
    fault("PyPI's CPU build on a Jetson", "providers", JETPACK_6, *NO_CUDA,
          packages={"onnxruntime-gpu": None, "onnxruntime": "1.23.0"}, answers=engine("1.23.0")),
    fault("a build for another CUDA", "cuda", JETPACK_6, "golden on cuda",
          answers={f"ldd {CUDA}": ldd("libcudnn.so.9", lacking=("libcudart.so.13", "libcublas.so.13")),
                   **cache("libcudart.so.12")}),
    fault("a driver older than the build's CUDA", "cuda", LAPTOP, "golden on cuda",
          answers=engine("1.22.0", "Tensorrt", "CUDA", cuda="13.0")),
    fault("CUDA from pip, where the loader does not look", "cuda", LAPTOP, "golden on cuda",
          files={f"{SITE}/nvidia/cuda_runtime/lib/libcudart.so.12": ""},
          answers={f"ldd {CUDA}": ldd("libcudnn.so.9", lacking=("libcudart.so.12",))}),
    fault("another cuDNN", "cudnn", JETPACK_6, "golden on cuda",
          answers={f"ldd {CUDA}": ldd("libcublas.so.12", "libcudart.so.12", lacking=("libcudnn.so.9",)),
                   **cache("libcudnn.so.8")}),
    fault("another TensorRT", "tensorrt", JETPACK_6,
          answers={f"ldd {TENSORRT}": ldd("libcudart.so.12", lacking=("libnvinfer.so.8",)),
                   **cache("libnvinfer.so.10")}),
    fault("PyPI's GPU build on an Orin", "gpu kernels", JETPACK_6, "golden on cuda",
          answers={f"{PROBE} kernels {CUDA}": Answer(0, "sm_120 sm_121 sm_89 sm_90")}),
    fault("a desktop's kernels on an Orin", "gpu kernels", JETPACK_6, "golden on cuda",
          answers={f"{PROBE} kernels {CUDA}": Answer(0, "ptx_90 sm_80 sm_86 sm_90")}),
    fault("a GPU older than the build", "gpu kernels", LAPTOP, "golden on cuda",
          answers={SMI: Answer(0, "NVIDIA GeForce GTX 980, 5.2")}),
    fault("kernels as PTX alone", "gpu kernels", LAPTOP,
          answers={f"{PROBE} kernels {CUDA}": Answer(0, "ptx_80")}),
    fault("a GPU that computes something else", "golden on cuda", LAPTOP,
          answers=said("verify", "--provider", "cuda", answer=WRONG)),
    fault("JetPack 4", "jetpack", JETPACK_5,
          files={"/etc/nv_tegra_release": "# R32 (release), REVISION: 7.1, X"}),
    fault("a Python that JetPack's wheels are not for", "jetpack", JETPACK_6, python=(3, 12, 3)),
    fault("a power mode with limits", "power mode", JETPACK_6,
          answers={"nvpmodel -q": Answer(0, "NV Power Mode: 15W\n0")}),
    fault("clocks that are not locked", "clocks", JETPACK_6, files={f"{CPUS.format(3)}min_freq": "729600"}),
    fault("a GPU clock that is not locked", "clocks", JETPACK_5,
          files={"/sys/class/devfreq/17000000.ga10b/min_freq": "306"}),
    fault("a governor that saves power", "governor", LAPTOP,
          files={f"{CPUS.format(0)}governor": "powersave"}),
    fault("a quota on the cores", "cores", CONTAINER, files={"/sys/fs/cgroup/cpu.max": "150000 100000"}),
    fault("a single core", "cores", CONTAINER, files={"/proc/self/status": status("2")}),
    fault("programs in swap", "swap", LAPTOP,
          files={"/proc/swaps": SWAPS + "/swapfile\tfile\t2097148\t524288\t-2"}),
    fault("no swap on a small Jetson", "swap", JETPACK_6,
          files={"/proc/swaps": SWAPS.strip(), "/proc/meminfo": "MemTotal:        7620000 kB"}),
    fault("no leave for real time", "rtprio", JETPACK_6, files={"/proc/self/limits": limits(priority=0)},
          answers={f"{PROBE} fifo 50": Answer(1, err="PermissionError: [Errno 1] Operation not permitted")}),
    fault("a kernel without real time for groups", "rtprio", JETPACK_5,
          answers={f"{PROBE} fifo 50": Answer(1, err="PermissionError: [Errno 1] Operation not permitted")}),
    fault("no leave to lock memory", "memlock", LAPTOP, files={"/proc/self/limits": limits("65536")}),
    fault("no camera", "camera", LAPTOP, "permissions", files=dict.fromkeys(CAMERA)),
    fault("another camera than the one named", "camera", LAPTOP, "permissions",
          asked={"camera": "/dev/video4"}),
    fault("two cameras without stable names", "camera", JETPACK_6,
          files={"/dev/v4l/by-id/usb-Camera-video-index0": None, "/sys/class/video4linux/video1/index": "0"}),
    fault("a camera that wants a library", "camera", CONTAINER, packages={"pyzmq": None}),
    fault("not in the group video", "permissions", LAPTOP, shut=frozenset({VIDEO}),
          files={"/etc/group": "video:x:44:", "/proc/self/status": status(groups="1000")}),
    fault("not yet in the group video", "permissions", JETPACK_6, shut=frozenset({VIDEO}),
          files={"/proc/self/status": status(groups="1000")}),
    fault("no such network", "network", JETPACK_6, asked={"network": "enp3s0"}),
    fault("a network that is down", "network", JETPACK_6, files={"/sys/class/net/eth0/flags": "0x1002"}),
    fault("a cable that is out", "network", JETPACK_6, files={"/sys/class/net/eth0/carrier": "0"}),
    fault("a network without multicast", "network", JETPACK_6, files={"/sys/class/net/eth0/flags": "0x3"}),
    fault("an address elsewhere", "network", JETPACK_6,
          answers={ADDRESS: Answer(0, "2: eth0    inet 192.168.1.20/24 scope global eth0")}),
    fault("the robot's own address", "network", JETPACK_6,
          answers={ADDRESS: Answer(0, "2: eth0    inet 192.168.123.161/24 scope global eth0")}),
    fault("DDS bound to another network", "network", JETPACK_6,
          env={"CYCLONEDDS_URI": '<NetworkInterface name="wlan0" priority="default"/>'}),
    fault("an OpenGL that is not there", "opengl", LAPTOP,
          answers={f"{PROBE} library libEGL.so.1": Answer(1, err="OSError: libEGL.so.1: cannot open")}),
    fault("a window without a display", "opengl", LAPTOP, env={"MUJOCO_GL": "glfw", "DISPLAY": None}),
    fault("a disk that is nearly full", "disk", JETPACK_6, rooms={".": 400 << 20}),
    fault("a disk that is full", "disk", JETPACK_5, rooms={".": 3 << 20}),
    fault("little shared memory", "shared memory", CONTAINER, rooms={"/dev/shm": 8 << 20}),
    fault("shared memory that is shut", "shared memory", CONTAINER, shut=frozenset({"/dev/shm"})),
    fault("boards on a disk", "shared memory", JETPACK_6,
          asked={"boards": "/var/robot"}, rooms={"/": 40 << 30}, files={"/": ""}),
    fault("a container without its GPU", "container", JETPACK_6, files={"/.dockerenv": ""}),
)  # fmt: skip
