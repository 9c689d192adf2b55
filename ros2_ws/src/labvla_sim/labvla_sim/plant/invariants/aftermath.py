"""When the reference began to slow down, and when it stood still, after an instant."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.plant.invariants.checks import MOVING, TICK

if TYPE_CHECKING:
    from labvla_policy.runtime.types import Array

_KEPT = 2400  # blocks of ticks: two minutes of full ones
_STILL = 20  # ticks: shorter rests are reversals


@dataclass(frozen=True)
class Aftermath:
    """What the reference did after an instant; infinite where it has not happened."""

    slowing: float  # s by the machine's clock until the first sample behind the plan's own pace
    standing: float  # s by the plant's ticks until it stands


_UNKNOWN = Aftermath(np.nan, np.nan)  # the instant was not watched


class History:
    """Pace and reference of the newest ticks with their times on the machine's clock."""

    def __init__(self) -> None:
        self._blocks: deque[tuple[Array, Array, Array]] = deque(maxlen=_KEPT)

    def add(self, instants: Array, paces: Array, reference: Array) -> None:
        """Note some ticks: their times (ns) and how fast the plan is executed, 1 is its own."""
        self._blocks.append((instants, paces, reference))

    def after(self, instant: int) -> Aftermath:
        """Look for what happened after an instant (ns)."""
        if not self._blocks:
            return _UNKNOWN
        instants, paces, reference = map(np.concatenate, zip(*self._blocks, strict=True))
        first = int(np.searchsorted(instants, instant, side="right"))
        if first in (0, len(instants)):
            return _UNKNOWN
        speeds = np.abs(np.diff(reference[first - 1 :], axis=0)).max(axis=1) / TICK
        still = _runs(speeds < MOVING, _STILL)
        standing = float(still[0]) * TICK if still.size else np.inf
        if paces[first - 1] < 1.0 or speeds[0] < MOVING:
            return Aftermath(np.nan, standing)  # it was slow already, or stood: nothing to time
        slower = np.flatnonzero(np.diff(paces[first - 1 :]) < 0.0)
        if not slower.size:
            return Aftermath(np.inf, standing)
        return Aftermath(float(instants[first + slower[0]] - instant) * 1e-9, standing)


def _runs(flags: np.ndarray, length: int) -> np.ndarray:
    """Return where runs of at least `length` flags begin."""
    if len(flags) < length:
        return np.empty(0, dtype=np.intp)
    counts = np.convolve(flags, np.ones(length), mode="valid")
    return np.flatnonzero(counts > length - 0.5)
