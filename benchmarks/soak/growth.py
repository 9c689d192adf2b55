"""Does a process grow? The slope of its resident memory, by a rule that steps do not upset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A stack that gains this much still runs for a week in 10 GB more. Less cannot be told from a
# heap that settles, within ten minutes.
ALLOWED = 1.0  # MB/min
SETTLING = 60.0  # s in which buffers fill and nothing is judged
SHARE = 1 / 3  # of a run, if that is shorter
_MOST = 600  # samples: the rule looks at every pair of them


@dataclass(frozen=True)
class Growth:
    """How the memory of a process changed after the settling time."""

    slope: float  # MB/min
    later: float  # MB/min, of the second half of that alone: what settles has a smaller one
    first: float  # MB, median of the first tenth of it
    last: float  # MB, median of the last tenth

    @property
    def none(self) -> bool:
        """Whether it does not count as growing."""
        return self.slope <= ALLOWED


def growth(seconds: Sequence[float], megabytes: Sequence[float]) -> Growth:
    """Judge samples of a process's memory; `seconds` since the begin."""
    t, m = np.asarray(seconds, float), np.asarray(megabytes, float)
    if len(t) < 2:
        raise ValueError(f"expected two samples of the memory or more, got {len(t)}")
    settled = t - t[0] >= min(SETTLING, SHARE * (t[-1] - t[0]))
    t, m = t[settled], m[settled]
    tenth = max(1, len(t) // 10)
    half = len(t) // 2
    return Growth(
        slope=slope(t, m),
        later=slope(t[half:], m[half:]),
        first=float(np.median(m[:tenth])),
        last=float(np.median(m[-tenth:])),
    )


def slope(seconds: Floats, megabytes: Floats) -> float:
    """Return the median of the slopes between all pairs of samples (Theil and Sen), in MB/min."""
    every = max(1, -(-len(seconds) // _MOST))
    t, m = seconds[::every], megabytes[::every]
    if len(t) < 2:
        return float("nan")
    first, second = np.triu_indices(len(t), k=1)
    return float(np.median((m[second] - m[first]) / (t[second] - t[first])) * 60.0)
