"""What a foreign policy observes, gathered from what the runtime observes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rmedge.export.importers.foreign import Foreign, Term
from rmedge.export.importers.wiring import Wiring

__all__ = ["Observation"]

# of both feet while a robot is told to stand: pi, as holosoma holds it (`update_phase_time`)
STANDING_PHASE = {"sin_phase": 0.0, "cos_phase": -1.0}


class Observation:
    """Where the runtime's observation has what a foreign term wants."""

    def __init__(
        self,
        wiring: Wiring,
        foreign: Foreign,
        sizes: Mapping[str, int],
        history: int,
        command: str,
        still: str,
    ):
        """``sizes``: of the runtime's terms; ``command`` (1, 3), and ``still`` (1, 1), whether to stand."""
        self._wiring, self._foreign, self._history, self._still = wiring, foreign, history, still
        starts = np.cumsum([0, *sizes.values()])
        self._start = dict(zip((*sizes, "end"), starts.tolist(), strict=True))
        self._all = wiring.add("Concat", "proprio", command, axis=1)

    def observe(self, terms: tuple[Term, ...], newest: int, shape: tuple[int, ...]) -> str:
        """An input of that shape: the terms' last ticks until ``newest``, in the layout's order."""
        blocks = [(term, newest - term.history + 1 + tick) for term in terms for tick in range(term.history)]
        if self._foreign.layout == "time_major":
            blocks.sort(key=lambda block: block[1])  # stable: within a tick, in the terms' order
        rows = [self._block(term, tick) for term, tick in blocks]
        index, sign, offset, standing = (np.concatenate(column) for column in zip(*rows, strict=True))
        scale = np.concatenate([term.scale for term, _ in blocks])
        limit = np.finfo(np.float32)
        low, high = (
            np.concatenate([np.full(len(t.scale), t.clip[side] if t.clip else bound) for t, _ in blocks])
            for side, bound in ((0, limit.min), (1, limit.max))
        )
        wiring = self._wiring
        found = wiring.add("Gather", self._all, wiring.constant(index, np.int64), axis=1)
        clips = any(term.clip for term in terms)
        one = np.ones_like(scale)
        before, after = (one, scale) if clips and not self._foreign.scale_first else (scale, one)
        found = self._times(found, sign * before)
        if offset.any():
            found = wiring.add("Add", found, wiring.constant(offset * before))
        if np.isfinite(standing).any():
            stands = wiring.add("And", self._still, wiring.constant(np.isfinite(standing)[None], bool))
            found = wiring.add(
                "Where", stands, wiring.constant(np.nan_to_num(standing * before)[None]), found
            )
        if clips:
            found = self._times(wiring.bounded(found, low, high), after)
        if shape == (1, len(index)):
            return found
        return wiring.add("Reshape", found, wiring.constant(shape, np.int64))

    def _times(self, values: str, factor: np.ndarray) -> str:
        return (
            self._wiring.add("Mul", values, self._wiring.constant(factor)) if (factor != 1).any() else values
        )

    def _block(self, term: Term, tick: int) -> tuple[np.ndarray, ...]:
        """One tick of a term: columns, signs, what to add, and what it is while standing (NaN: the same)."""
        foreign, order = self._foreign, self._foreign.order
        size = len(term.scale)
        sign, offset, standing = np.ones(size), np.zeros(size), np.full(size, np.nan)
        sense = "joint_pos" if term.sense == "joint_angles" else term.sense
        first = tick * self._start["end"]
        if sense.startswith("command"):  # an intent has no history here: the newest command stands for all
            first = self._history * self._start["end"]
            columns = {"command_lin_vel": [0, 1], "command_ang_vel": [2]}.get(sense, [0, 1, 2])
        elif sense.endswith("_phase"):  # the clock says cosine and sine of one turn a gait period
            first += self._start["clock"]
            columns = {"cos_phase": [0, 0], "sin_phase": [1, 1], "gait_phase": [1, 0]}[sense]
            if sense in STANDING_PHASE:
                sign[1] = -1.0  # the right foot, half a turn later
                standing[:] = STANDING_PHASE[sense]
        else:
            first += self._start[sense]
            columns = list(order) if sense in ("joint_pos", "joint_vel", "actions") else [0, 1, 2]
        if term.sense == "joint_angles":
            offset = foreign.default_pose.copy()
        if sense == "actions":  # the runtime's are relative to the default pose, in the same scale
            offset = (foreign.default_pose - foreign.action_offset) / foreign.action_scale
        return first + np.array(columns), sign, offset, standing
