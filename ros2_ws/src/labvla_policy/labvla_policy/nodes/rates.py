"""How often something happens."""

from __future__ import annotations

from collections import deque


class Rate:
    """Counts over the last second."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def count(self, now: float) -> None:
        """Note that it happened (s, any steady clock)."""
        self._times.append(now)

    def per_second(self, now: float) -> float:
        """Return how often it happened in the second before now."""
        while self._times and self._times[0] < now - 1.0:
            self._times.popleft()
        return float(len(self._times))
