"""Faults to order: what can break, when it does, and what must happen then; seeded, and plain data.

::

    faults = draw(seed=7, count=20, seconds=60.0, kinds=("camera.drop", "actuator.nan"))
    text = json.dumps([asdict(fault) for fault in faults])
    same = tuple(Fault(**row) for row in json.loads(text))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from rmedge.errors import UsageError

__all__ = ["KINDS", "Fault", "Kind", "draw"]


@dataclass(frozen=True)
class Kind:
    """One way to break."""

    does: str
    must: str  # what must happen then
    amount: float = 0.0  # of what ``does`` says, where nothing else is asked for


_FADE = "the intent ages and decays to standing; the robot keeps its balance and goes on afterwards"
_REFUSE = "the picture is refused and counted; the robot keeps its balance"
_KEEP = (
    "the state is refused and counted; the one before is used until it is too old, then the robot is damped"
)
_LOST = "who owns the motors damps within its own command time-out"
_PLAY = "the last chunk plays on; when it is over hold, then damp, latched"
_IGNORE = "the intent is refused and counted; the one before ages and decays to standing"

KINDS = {
    "camera.drop": Kind("no picture gets through", _FADE),
    "camera.delay": Kind("pictures come so late [s], honestly stamped", _FADE, 0.6),
    "camera.duplicate": Kind("the last picture comes again, with its old stamp and a new number", _FADE),
    "camera.freeze": Kind("the same pixels come under new stamps", "the robot keeps its balance"),
    "camera.dark": Kind("pictures are black", "presence falls; the robot keeps its balance"),
    "camera.nan": Kind("pixels are floats that are not numbers", _REFUSE),
    "camera.wrong_size": Kind("pictures have half their height", "the robot keeps its balance"),
    "camera.wrong_shape": Kind("pictures have no colours", _REFUSE),
    "camera.jump_forward": Kind("stamps are so far ahead [s]", _REFUSE, 5.0),
    "camera.jump_back": Kind("stamps are so far behind [s]", _FADE, 5.0),
    "camera.crc": Kind("records are corrupt: the newest whole one is read", _FADE),
    "camera.slow_read": Kind("a read takes so long [s]", _FADE, 0.3),
    "camera.read_raises": Kind("a read raises", _FADE),
    "actuator.drop": Kind("no new state gets through", _KEEP),
    "actuator.delay": Kind("states come so late [s], honestly stamped", _KEEP, 0.15),
    "actuator.duplicate": Kind("every other read gives the state before again", "the robot walks on"),
    "actuator.freeze": Kind("the same numbers come under new stamps", "commands stay in the envelope"),
    "actuator.nan": Kind("a joint's position is not a number", _KEEP),
    "actuator.inf": Kind("a joint's velocity is infinite", _KEEP),
    "actuator.wrong_size": Kind("states lack a joint", _KEEP),
    "actuator.jump_forward": Kind("stamps are so far ahead [s]", _KEEP, 5.0),
    "actuator.jump_back": Kind("stamps are so far behind [s]", _KEEP, 5.0),
    "actuator.crc": Kind("records are corrupt: the newest whole one is read", _KEEP),
    "actuator.slow_read": Kind(
        "a read takes so long [s]", "periods are skipped and counted, not made up", 0.02
    ),
    "actuator.slow_write": Kind("a write takes so long [s]", "periods are skipped and counted", 0.02),
    "actuator.read_raises": Kind("a read raises", _KEEP),
    "actuator.write_raises": Kind("a write raises; damping gets through", "the robot is damped, latched"),
    "actuator.write_lost": Kind("what is sent never arrives, damping neither", _LOST),
    "actuator.link_lost": Kind(
        "every read, write and damp raises", f"damping is tried at every step; {_LOST}"
    ),
    "actuator.second_writer": Kind(
        "another program writes too, and holds the joints where they are",
        "refused where the actuator is exclusive; else commands stay in the envelope",
    ),
    "actuator.stuck_joint": Kind(
        "a joint stays where it is, whatever it is told", "commands stay in the envelope"
    ),
    "actuator.overheat": Kind("a motor is so hot [deg C]", "the robot is damped, latched", 95.0),
    "actuator.flail": Kind("every joint is so fast [rad/s]", "the robot is damped, latched", 40.0),
    "actuator.tilt": Kind(
        "gravity says that the robot leans so far [rad]", "the robot is damped, latched", 1.3
    ),
    "policy.slow": Kind("an answer takes so long [s]", _PLAY, 0.05),
    "policy.silent": Kind("there is no answer", _PLAY),
    "policy.stale": Kind("the last chunk comes again", _PLAY),
    "policy.nan": Kind("a joint's plan is not a number", _PLAY),
    "policy.inf": Kind("a joint's plan is infinite", _PLAY),
    "policy.wrong_shape": Kind("the plan lacks a joint", _PLAY),
    "policy.wild": Kind("plans are so far off [rad], by turns to either side", "the envelope clamps", 3.0),
    "policy.raises": Kind("the engine raises", _PLAY),
    "encoder.slow": Kind("an answer takes so long [s]", _FADE, 0.3),
    "encoder.silent": Kind("the last intent comes again", _FADE),
    "encoder.nan": Kind("an intent is not a number", _IGNORE),
    "encoder.inf": Kind("an intent is infinite", _IGNORE),
    "encoder.wrong_shape": Kind("an intent lacks its last number", _IGNORE),
    "encoder.wild": Kind("intents are so many times too long", _IGNORE, 100.0),
    "encoder.raises": Kind("the engine raises", _FADE),
}


@dataclass(frozen=True)
class Fault:
    """One breakage of one part, from an instant on, for a while.

    Raises:
        UsageError: there is no such kind, or no such time or share.
    """

    kind: str  # one of ``KINDS``: the part, a dot, and what happens to it
    at_ns: int  # counted from when the part was attached
    for_ns: int
    amount: float = float("nan")  # what the kind says; its own where none is given
    share: float = 1.0  # of the calls in that time that are hit, by a seeded draw
    joint: int = 0  # which, where the kind is about one
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            near = [kind for kind in KINDS if kind.startswith(self.part + ".")] or sorted(
                {kind.partition(".")[0] for kind in KINDS}
            )
            raise UsageError(f"fault: expected one of {', '.join(near)}, got {self.kind!r}")
        if not (self.at_ns >= 0 and self.for_ns > 0 and 0 < self.share <= 1 and self.joint >= 0):
            raise UsageError(f"fault: expected a time, a share of (0, 1] and a joint, got {self}")
        if not np.isfinite(self.amount):
            object.__setattr__(self, "amount", KINDS[self.kind].amount)

    @property
    def part(self) -> str:
        """What it breaks: camera, actuator, policy or encoder."""
        return self.kind.partition(".")[0]


def draw(
    seed: int,
    count: int,
    seconds: float,
    kinds: Sequence[str] = tuple(KINDS),
    lasting_s: tuple[float, float] = (0.05, 1.0),
    joints: int = 1,
) -> tuple[Fault, ...]:
    """That many faults within that time, in order: the same seed gives the same.

    Kinds come in turn, in a drawn order, so that none is rarer than another by more than one.

    Args:
        kinds: to choose from.
        lasting_s: shortest and longest [s].
        joints: how many there are to choose one from.
    """
    rng = np.random.default_rng(seed)
    turns = [kinds[n] for _ in range(-(-count // len(kinds))) for n in rng.permutation(len(kinds))]
    faults = [
        Fault(
            kind,
            at_ns=int(rng.uniform(0.0, seconds) * 1e9),
            for_ns=int(rng.uniform(*lasting_s) * 1e9),
            amount=float(KINDS[kind].amount * rng.uniform(1.0, 1.5)),
            share=float(rng.choice([1.0, 0.5])),
            joint=int(rng.integers(joints)),
            seed=int(rng.integers(2**31)),
        )
        for kind in turns[:count]
    ]
    return tuple(sorted(faults, key=lambda fault: fault.at_ns))
