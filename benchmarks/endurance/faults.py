"""The faults of the campaign: what breaks, when, and for how long, drawn by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Sequence

import numpy as np

from rmedge.testing import KINDS, Kind

__all__ = ["ALL", "BLIND", "DEATHS", "EYES", "SENSED", "UNHEARD", "Blow", "plan"]

OWN = {  # what breaks between the parts, or a whole process; the rest is in `rmedge.testing.KINDS`
    "vision.killed": Kind("vision's process dies, and a new one takes over", "the intent decays; it goes on"),
    "vision.frozen": Kind("vision's process is stopped, and goes on", "the intent decays; it goes on"),
    "intent.corrupt": Kind("bytes of the board are changed all the time", "no such record is believed"),
    "intent.torn": Kind("records are half this one, half another", "no such record is believed"),
    "operator.silent": Kind("the operator gives no sign of life", "the robot stands, in balance"),
    "body.stall": Kind("the body's process is held up so long [s], again and again", "it walks on", 0.02),
    "body.killed": Kind("the body's process dies", "the robot's own time-out damps it"),
}
ALL: Mapping[str, Kind] = {**KINDS, **OWN}
# vision dies, freezes or is slowed down
DEATHS = (
    "camera.drop", "camera.delay", "camera.duplicate", "camera.freeze", "camera.crc", "camera.slow_read",
    "camera.read_raises", "encoder.slow", "encoder.silent", "encoder.raises", "vision.killed",
    "vision.frozen",
)  # fmt: skip
SLOW = ("camera.slow_read", "encoder.slow", "intent.corrupt")  # intents still come, late or few
LASTING = ("camera.slow_read", "encoder.slow")  # a call takes `amount` [s]
# nothing tells that what comes is wrong
FED = ("camera.freeze", "camera.dark", "camera.wrong_size")
# nothing that can be believed is seen any more
BLIND = tuple(
    kind
    for kind in ALL
    if kind.partition(".")[0] in ("camera", "encoder", "vision", "intent") and kind not in FED + SLOW
)
EYES = BLIND + SLOW + FED
SENSED = ("actuator.tilt", "actuator.flail", "actuator.overheat")  # the robot must be damped at once
UNHEARD = ("actuator.write_lost", "actuator.link_lost", "body.killed")  # nobody's damping gets there
WALKING_S = (1.2, 2.2)  # when a fault begins: it walks by then, in any phase of its stride
LASTING_S, BLIND_S = (0.05, 1.0), (2.0, 5.0)


@dataclass(frozen=True)
class Blow:
    """One fault and the trial that it is put into."""

    kind: str
    at_s: float
    for_s: float
    amount: float
    share: float
    joint: int
    seed: int

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.at_s + self.for_s

    @property
    def sees_s(self) -> float:
        """When vision is back at the latest: a call that lasts may have begun just before the end."""
        return self.end_s + (self.amount if self.kind in LASTING else 0.0)


def plan(seed: int, count: int, kinds: Sequence[str] = tuple(ALL), joints: int = 1) -> list[Blow]:
    """That many faults, all kinds in turn in a drawn order, vision's deaths twice as often."""
    rng = np.random.default_rng(seed)
    turn = [kind for kind in kinds for _ in range(2 if kind in DEATHS else 1)]
    order = [turn[n] for _ in range(-(-count // len(turn))) for n in rng.permutation(len(turn))]
    return [_blow(rng, kind, number, joints) for number, kind in enumerate(order[:count])]


def _blow(rng: np.random.Generator, kind: str, number: int, joints: int) -> Blow:
    eyes = kind in EYES
    for_s = float(rng.uniform(*(BLIND_S if eyes else LASTING_S)))
    whole = eyes or kind in SENSED + UNHEARD or kind in OWN
    return Blow(
        kind,
        at_s=round(float(rng.uniform(*WALKING_S)), 3),
        for_s=round(max(for_s, 1.3) if kind == "operator.silent" else for_s, 3),
        amount=float(ALL[kind].amount * rng.uniform(1.0, 5.0 if kind in SLOW else 1.5)),
        share=1.0 if whole else float(rng.choice([1.0, 0.5])),
        joint=int(rng.integers(joints)),
        seed=number,
    )
