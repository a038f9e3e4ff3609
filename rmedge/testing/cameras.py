"""What must hold of a camera, rule by rule; the list and the checks made of it."""

from __future__ import annotations

from typing import Callable

import numpy as np

from rmedge.protocols import Camera
from rmedge.testing.verdict import Rule, Unchecked, Verdict, judge, require, rule
from rmedge.testing.viewing import Viewing

__all__ = ["CAMERA_RULES", "camera_conformance", "check_camera"]

QUICK_S = 0.01  # a camera that waits for its next frame takes longer, at up to 60 frames a second

CAMERA_RULES: list[Rule] = []


@rule(
    CAMERA_RULES,
    "seam",
    "attach, read, __enter__ and __exit__",
    "give your class the four methods of rmedge.protocols.Camera; nothing needs to be inherited",
)
def _seam(viewing: Viewing) -> str:
    require(viewing.watch().conforms, "camera", "attach, read, __enter__ and __exit__", "less")
    return "all four"


@rule(
    CAMERA_RULES,
    "answers",
    "read never raises: a camera that has gone blind shows None",
    "catch the driver's errors where they occur, try again in the thread, and let read() answer None",
)
def _answers(viewing: Viewing) -> str:
    error = viewing.watch().error
    if error is not None:
        raise AssertionError(f"read: expected a Frame or None, got {error!r}") from error
    return f"{len(viewing.looks)} times with a picture"


@rule(CAMERA_RULES, "alive", "a picture within the time of the check", "is it connected, and does it stream?")
def _alive(viewing: Viewing) -> str:
    seen = len({look.sequence for look in viewing.watch().newest})
    if not seen and not viewing.pictures:
        raise Unchecked("no picture was seen, and none was asked for")
    require(seen > 0, "read", "a picture", "None every time")
    return f"{seen} pictures"


@rule(
    CAMERA_RULES,
    "picture",
    "a Frame or None; pixels uint8 (H, W, 3), RGB",
    "return Frame(pixels, captured_ns, received_ns, sequence); convert what is grey, float or BGR first",
)
def _picture(viewing: Viewing) -> str:
    for look in viewing.watch().looks:
        require(look.answer == "Frame", "read", "a Frame or None", look.answer)
        require(look.fits, "pixels", "uint8 (H, W, 3)", look.pixels)
    return viewing.frames()[0].pixels


@rule(
    CAMERA_RULES,
    "stamps",
    "whole nanoseconds; captured_ns <= received_ns <= the now of the clock that was attached",
    "take instants from the clock that attach() gave; convert the driver's own by the offset of both",
)
def _stamps(viewing: Viewing) -> str:
    frames = viewing.frames()
    for look in frames:
        stamps = (*look.stamps, look.after_ns)
        require(all(isinstance(t, int) for t in stamps), "stamps", "whole nanoseconds (int)", stamps)
        ordered = list(stamps) == sorted(stamps)
        require(ordered, "stamps", "captured_ns <= received_ns <= the clock's now", stamps)
    return f"{len(frames)} in order"


@rule(
    CAMERA_RULES,
    "fresh",
    "no frame older than asked, and the newest one to whoever asks for its age",
    "compare clock.now_ns() - frame.captured_ns with max_age_ns in read(); keep the newest frame alone",
)
def _fresh(viewing: Viewing) -> str:
    frames = viewing.frames()
    for look in frames:
        require(
            look.age_ns <= look.asked_ns,
            "read",
            f"no frame older than {look.asked_ns} ns",
            f"{look.age_ns} ns",
        )
    age_ns = viewing.withheld_ns
    require(age_ns is None, "read", f"the frame that is {age_ns} ns old, asked for that age", None)
    return f"at most {max(look.age_ns for look in frames) / 1e6:.1f} ms old"


@rule(
    CAMERA_RULES,
    "order",
    "capture instants that never go back, and a greater number for a newer frame",
    "count every frame that the device gives, dropped ones too; never hand out an older one again",
)
def _order(viewing: Viewing) -> str:
    viewing.frames()
    newest = [look for look in viewing.newest if look.answer == "Frame"]
    for before, after in zip(newest, newest[1:]):
        captured = (before.stamps[0], after.stamps[0])
        require(captured[0] <= captured[1], "captured_ns", "instants that never go back", captured)
        numbers = (before.sequence, after.sequence)
        rises = numbers[0] < numbers[1] or (captured[0] == captured[1] and numbers[0] == numbers[1])
        require(rises, "sequence", "a greater number for a newer frame", numbers)
    return f"{len(newest)} in order"


@rule(
    CAMERA_RULES,
    "kept",
    "a frame that is kept stays as it was",
    "give every frame pixels of its own: copy out of the driver's buffer",
)
def _kept(viewing: Viewing) -> str:
    viewing.frames()
    if viewing.first is None:
        raise Unchecked("no pixels were seen")
    same = np.array_equal(viewing.first.pixels, viewing.kept)
    require(same, "frame", "a kept one that stays", "other pixels")
    return "the first one did"


@rule(
    CAMERA_RULES,
    "prompt",
    "an answer at once, without waiting for the next picture",
    "read the device in a thread that keeps its newest frame; read() only hands that out",
)
def _prompt(viewing: Viewing) -> str:
    if not viewing.watch().took_s:
        raise Unchecked("it was not watched to the end")
    quickest_s = min(viewing.took_s)
    # the quickest: a busy machine delays some reads, a camera that waits delays all
    require(quickest_s < QUICK_S, "read", "an answer at once", f"{quickest_s * 1e3:.0f} ms at best")
    require(viewing.waits == 0, "read", "no waiting on the clock", f"{viewing.waits} waits")
    return f"{quickest_s * 1e3:.2f} ms at best"


def camera_conformance(
    make: Callable[[], Camera], seconds: float = 2.0, real: bool = False, pictures: bool = True
) -> list[Verdict]:
    """The pass/fail list of a camera.

    Args:
        make: opens a new one.
        seconds: how long to watch.
        real: in real time; else on a clock that is turned by hand, for cameras that live in the process.
        pictures: whether it must show any.

    Raises:
        AbsentError: the camera is not there.
    """
    return judge(CAMERA_RULES, Viewing(make, seconds, real, pictures))


def check_camera(make: Callable[[], Camera], seconds: float = 2.0) -> None:
    """A camera counts on the clock that it is given, never waits, and shows nothing older than asked.

    Raises:
        AssertionError: it does not; the message says what must hold and what was found.
    """
    viewing = Viewing(make, seconds, real=False, pictures=False)
    for each in CAMERA_RULES:
        try:
            each.check(viewing)
        except Unchecked:
            continue
