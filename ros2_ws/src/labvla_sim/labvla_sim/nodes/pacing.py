"""Keeps simulated time beside real time, by simulated time: a late tick is caught up, not lost."""

from __future__ import annotations

import time

# Further behind than this, catching up would be a burst that no real robot could do: the clock is
# let go instead, and the loss is counted.
_MOST_BEHIND = 0.25  # s


class Pacer:
    """Tells the plant's thread when the next tick is due."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._due = time.monotonic()
        self._began = self._due
        self._ticks = 0
        self.lost = 0.0  # s that were let go

    def wait(self) -> None:
        """Return when the next tick is due."""
        self._due += self._period
        self._ticks += 1
        ahead = self._due - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        elif -ahead > _MOST_BEHIND:
            self.lost -= ahead
            self._due -= ahead

    @property
    def real_time_factor(self) -> float:
        """Simulated over real time since the start."""
        elapsed = time.monotonic() - self._began
        return self._ticks * self._period / elapsed if elapsed > 0 else 1.0
