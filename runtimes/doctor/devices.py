"""Devices: cameras, the robot's network, and OpenGL."""

from __future__ import annotations

import ipaddress
import re

from rmedge.runtimes.doctor.engine import PROBE
from rmedge.runtimes.doctor.finding import Finding, failure, not_here, ok, unknown, warning
from rmedge.runtimes.doctor.system import System

__all__ = ["cameras", "network", "opengl", "permissions"]

ROBOT = ipaddress.IPv4Network("192.168.123.0/24")  # of Unitree's robots
TAKEN = {"192.168.123.161": "the robot's own computer", "192.168.123.120": "the robot's LiDAR"}
UP, MULTICAST = 0x1, 0x1000  # of the kernel's flags of an interface
NEEDS = {  # kinds of camera that want more than NumPy: a package, or a program and what it is asked
    **dict.fromkeys(("rtsp", "rtsps", "http", "https"), "av"),
    "teleimager": "pyzmq",
}
LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8", "glfw": "libGL.so.1"}
SOURCES = {"egl": "libegl1 libopengl0", "osmesa": "libosmesa6", "glfw": "libgl1 libglfw3"}


def cameras(system: System, name: str | None = None) -> Finding:
    """The camera that was named, or any, under a name that stays."""
    kind, _, rest = (name or "").partition(":")
    if name in ("null", "synthetic"):
        return ok(f"{name}, which is always there")
    if kind in NEEDS:
        needed = NEEDS[kind]
        if needed in system.packages:
            return ok(f"{kind} can be read; the other end was not asked")
        extra = "teleimager" if kind == "teleimager" else "camera"
        return failure(f"{kind} wants {needed}, which is not installed", f'pip install "rmedge[{extra}]"')
    if kind in ("csi", "gst"):
        return _pipeline(system, kind)
    if name is not None and not name.isdecimal() and not name.startswith("/dev/"):
        where = rest if kind == "boards" else name
        if system.glob(where):
            return ok(f"{where} is there")
        if re.fullmatch(r"[\w.]+:\w+", name):
            return unknown(f"{name} is code of yours", f"rmedge conform --camera {name}")
        return failure(f"{where} is not there", "rmedge run --help lists the kinds of cameras")
    nodes, stable = _nodes(system), system.glob("/dev/v4l/by-id/*")
    if name is not None:
        node = f"/dev/video{name}" if name.isdecimal() else name
        if system.glob(node):
            return ok(f"{node} is there")
        choices = ", ".join(stable or nodes) or "none"
        return failure(
            f"{node} is not there; here: {choices}", "ls -l /dev/v4l/by-id; lsusb; dmesg | grep -i uvc"
        )
    if not nodes:
        return warning("no /dev/video*", "plug one in, or name it: rmedge doctor --camera NAME")
    if len(nodes) > 1 and not stable:
        return warning(
            f"{', '.join(nodes)}, and no name in /dev/v4l/by-id: numbers may change places",
            "a rule in /etc/udev/rules.d that gives each a SYMLINK; docker run -v /dev/v4l:/dev/v4l",
        )
    return ok(", ".join(stable or nodes))


def _nodes(system: System) -> list[str]:
    """The nodes that give pictures; a camera's second one gives what it knows about them."""
    nodes = system.glob("/dev/video[0-9]*")
    return [node for node in nodes if (system.read(f"/sys/class/video4linux/{node[5:]}/index") or "0") == "0"]


def _pipeline(system: System, kind: str) -> Finding:
    element = "nvarguscamerasrc" if kind == "csi" else "appsink"
    answer = system.run("gst-inspect-1.0", element)
    if answer is None:
        return failure(
            f"{kind} wants GStreamer's programs",
            "sudo apt install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good",
        )
    if answer.code is None:
        return unknown("gst-inspect-1.0 did not end in time", f"gst-inspect-1.0 {element}")
    if answer.code != 0:
        return failure(f"GStreamer has no {element}", "sudo apt install nvidia-l4t-gstreamer, on a Jetson")
    return ok(f"GStreamer has {element}; the camera was not opened")


def permissions(system: System, name: str | None = None) -> Finding:
    """Leave to read and write the camera's node."""
    if name is not None and not (name.isdecimal() or name.startswith("/dev/")):
        return not_here(f"{name.partition(':')[0]} is no node")
    chosen = None if name is None else f"/dev/video{name}" if name.isdecimal() else name
    nodes = _nodes(system) if chosen is None else system.glob(chosen)
    if not nodes:
        return not_here("no /dev/video*")
    shut = [node for node in nodes if not system.usable(node)]
    if not shut:
        return ok(f"{', '.join(nodes)} may be used")
    group = re.search(r"^video:[^:]*:(\d+):(.*)$", system.read("/etc/group") or "", re.M)
    mine = re.search(r"^Groups:(.*)$", system.read("/proc/self/status") or "", re.M)
    listed = group is not None and system.env.get("USER", "?") in group.group(2).split(",")
    if group and listed and mine and group.group(1) not in mine.group(1).split():
        return failure(
            f"{', '.join(shut)} may not be used yet: video is a new group of yours", "log out and in again"
        )
    return failure(
        f"{', '.join(shut)} may not be used",
        "sudo usermod -aG video $USER, then log in again; in a container --device",
    )


def network(system: System, interface: str | None = None) -> Finding:
    """The robot's network: there, up, multicast, an address in 192.168.123.x."""
    here = [path.rpartition("/")[2] for path in system.glob("/sys/class/net/*")]
    if interface is None:
        return not_here(
            f"none was named; rmedge doctor --network IFACE ({', '.join(here) or 'there are none'})"
        )
    if interface not in here:
        return failure(
            f"no interface {interface}; here: {', '.join(here) or 'none'}",
            "ip link, and name one of these; docker run --network host",
        )
    flags, base = system.read(f"/sys/class/net/{interface}/flags") or "", f"/sys/class/net/{interface}"
    if not re.fullmatch(r"0x[0-9a-fA-F]{1,8}", flags):
        return unknown(f"the kernel does not tell about {interface}", f"ip addr show {interface}")
    if not int(flags, 16) & UP:
        return failure(f"{interface} is down", f"sudo ip link set {interface} up")
    if system.read(f"{base}/carrier") == "0":
        return failure(f"{interface} has no link", "plug the cable in, switch the robot on")
    if not int(flags, 16) & MULTICAST:
        return failure(
            f"{interface} has no multicast: DDS finds nobody", f"sudo ip link set {interface} multicast on"
        )
    bound = re.findall(r"NetworkInterface[^>]*\bname=[\"']([^\"']+)", system.env.get("CYCLONEDDS_URI", ""))
    if bound and interface not in bound:
        return failure(
            f"CYCLONEDDS_URI binds DDS to {', '.join(bound)}, not to {interface}", "unset CYCLONEDDS_URI"
        )
    return ok(f"{interface} is up") if interface == "lo" else _address(system, interface)


def _address(system: System, interface: str) -> Finding:
    answer = system.run("ip", "-4", "-o", "addr", "show", "dev", interface)
    if answer is None or answer.code != 0:
        return unknown("no program ip tells the address", "sudo apt install iproute2")
    found = re.findall(r"\binet (\d{1,3}(?:\.\d{1,3}){3})/(\d{1,2})", answer.out)
    mend = f"sudo ip addr add 192.168.123.222/24 dev {interface}"
    for address, bits in found:
        if address in TAKEN:
            drop = f"sudo ip addr del {address}/{bits} dev {interface} && {mend}"
            return failure(f"{interface} has {address}, which is {TAKEN[address]}", drop)
    within = [address for address, _ in found if _inside(address)]
    if within:
        return ok(f"{interface} is up, with {', '.join(within)}")
    told = ", ".join(address for address, _ in found) or "no address"
    return failure(f"{interface} has {told}, none in 192.168.123.x", mend)


def _inside(address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address) in ROBOT
    except ValueError:
        return False


def opengl(system: System) -> Finding:
    """The OpenGL that MUJOCO_GL names loads."""
    asked = system.env.get("MUJOCO_GL", "").lower()
    if "mujoco" not in system.packages:
        return not_here("no MuJoCo")
    if asked in ("", "disable", "disabled", "off", "false", "0"):
        return ok(f"MUJOCO_GL is {asked or 'not set'}: films are painted, without OpenGL")
    if asked not in LIBRARIES:
        return failure(f"MUJOCO_GL is {asked}, which MuJoCo does not know", "export MUJOCO_GL=egl")
    if asked == "glfw" and not (system.env.get("DISPLAY") or system.env.get("WAYLAND_DISPLAY")):
        return failure("MUJOCO_GL is glfw, and there is no display", "export MUJOCO_GL=egl")
    answer = system.run(*PROBE, "library", LIBRARIES[asked])
    if answer is None or answer.code is None:
        return unknown(f"whether {LIBRARIES[asked]} loads could not be tried")
    if answer.code != 0:
        return failure(
            f"MUJOCO_GL is {asked}, and {LIBRARIES[asked]} does not load",
            f"sudo apt install {SOURCES[asked]}, or export MUJOCO_GL=disable",
        )
    return ok(f"MUJOCO_GL is {asked}; {LIBRARIES[asked]} loads")
