"""The mirror: what watches and what acts, behind one object; what a vendor embeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmedge.runtimes.encoder import Encoder
from rmedge.runtimes.pilot import Pilot
from rmedge.runtimes.reading import Reading
from rmedge.specs import Frame, Intent, JointTarget, RobotState
from rmedge.trace import Marks

if TYPE_CHECKING:
    from rmedge.bundle import Bundle

__all__ = ["Mirror"]


class Mirror:
    """Watches frames at one rate, gives joint targets at another, in one thread.

    Pure: it reads no clock and opens no device, and every instant is in what it is given.
    ``write_hz`` is how often ``act`` is called.
    """

    def __init__(
        self, bundle: Bundle, provider: str = "cpu", threads: int = 1, write_hz: float = 500.0
    ) -> None:
        self.bundle = bundle
        self.encoder = Encoder(bundle, provider, threads)
        self.pilot = Pilot(bundle, provider, threads, write_hz)
        self.reading = Reading(bundle, provider, threads)

    def reset(self, seed: int = 0) -> None:
        """A new episode; an intent that was commanded stays."""
        self.encoder.reset()
        self.pilot.reset(seed)

    def watch(self, frame: Frame, trace: Marks | None = None) -> Intent:
        """See one frame; from now on the robot follows the intent that this returns."""
        self.pilot.intent = self.encoder.watch(frame, trace)
        return self.pilot.intent

    def act(self, state: RobotState, trace: Marks | None = None) -> JointTarget:
        """The command for this instant."""
        return self.pilot.act(state, trace)

    def follow(self, z: np.ndarray | None) -> None:
        """Follow this intent (Z,) whatever is seen, until told otherwise; None: follow what is seen again."""
        self.pilot.follow(z)
