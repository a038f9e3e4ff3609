"""Phrases: captions of the vocabulary, and the velocity, gait and gesture that each asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rmedge.export.motions import teachers
from rmedge.export.motions.gestures import NONE

__all__ = ["PHRASES", "Phrase"]


@dataclass(frozen=True)
class Phrase:
    """What a caption means."""

    velocity: tuple[float, float, float]  # vx, vy [m/s], yaw rate [rad/s]
    gait: str = teachers.STEADY
    gesture: str = NONE


PATHS = {
    "stand": Phrase((0.0, 0.0, 0.0)),
    "walk forward slowly": Phrase((0.3, 0.0, 0.0)),
    "walk forward": Phrase((0.5, 0.0, 0.0)),
    "run forward": Phrase((1.0, 0.0, 0.0)),
    "walk backward slowly": Phrase((-0.25, 0.0, 0.0)),
    "walk backward": Phrase((-0.5, 0.0, 0.0)),
    "walk backward and to the left": Phrase((-0.3, 0.2, 0.0)),
    "walk backward and to the right": Phrase((-0.3, -0.2, 0.0)),
    "side-step left": Phrase((0.0, 0.5, 0.0)),
    "side-step right": Phrase((0.0, -0.5, 0.0)),
    "turn left slowly": Phrase((0.0, 0.0, 0.4)),
    "turn right slowly": Phrase((0.0, 0.0, -0.4)),
    "turn left": Phrase((0.0, 0.0, 0.8)),
    "turn right": Phrase((0.0, 0.0, -0.8)),
    "walk forward, turning left": Phrase((0.5, 0.0, 0.5)),
    "walk forward, turning right": Phrase((0.5, 0.0, -0.5)),
    "run forward, turning left": Phrase((1.0, 0.0, 0.3)),
    "run forward, turning right": Phrase((1.0, 0.0, -0.3)),
}
DOING = {
    "waving": "wave",
    "with both arms up": "arms_up",
    "carrying something": "carry",
    "swinging the arms": "swing_arms",
    "bowing": "bow",
    "twisting": "twist",
    "clapping": "clap",
}
WHILE = ("stand", "walk forward", "walk backward", "walk forward, turning left")
IN_SECOND_GAIT = ("stand", "walk forward", "run forward", "walk backward", "turn left", "turn right")

PHRASES = {
    **PATHS,
    **{
        f"{path}, {doing}": replace(PATHS[path], gesture=gesture)
        for path in WHILE
        for doing, gesture in DOING.items()
    },
    **{f"{path}, second gait": replace(PATHS[path], gait=teachers.FAST) for path in IN_SECOND_GAIT},
    "dance": Phrase((0.0, 0.0, 0.0), gesture="dance_one"),
    "dance differently": Phrase((0.0, 0.0, 0.0), gesture="dance_two"),
}
