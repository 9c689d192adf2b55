"""Simulated time as stamps, on a clock that may be set while everything runs."""

from __future__ import annotations

import time


class StampClock:
    """Adds the time of day at the start to the plant's time: what is recorded has a date."""

    def __init__(self, epoch: int | None = None) -> None:
        """Begin at `epoch` (ns), the time of day if not given."""
        self._epoch = time.time_ns() if epoch is None else epoch

    def stamp(self, simulated: int) -> int:
        """Return the stamp (ns) of a moment of the plant (ns)."""
        return self._epoch + simulated

    def set_forward(self, by: int) -> None:
        """Set the clock by some ns, back if negative: a fault hook."""
        self._epoch += by
