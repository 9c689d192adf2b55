"""How many rows pass between an observation and the moment when its plan takes over."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class DelaySettings:
    """How the delay is estimated."""

    warm_up: int = 2  # first answers that do not count: compilation and caches make them slow
    window: int = 20  # answers that are remembered
    quantile: float = 0.9  # of those; a mean would be late half of the time
    initial: int = 8  # rows, until enough has been seen
    most: int = 30  # rows; the estimate is never larger, an outage cannot poison it


class DelayEstimate:
    """A robust quantile of the rows that were really past when answers arrived."""

    def __init__(self, settings: DelaySettings) -> None:
        self._settings = settings
        self._seen: deque[int] = deque(maxlen=settings.window)
        self._skipped = 0

    def add(self, rows: int) -> None:
        """Note that so many rows of an answer were past on arrival."""
        if self._skipped < self._settings.warm_up:
            self._skipped += 1
            return
        self._seen.append(max(0, rows))

    @property
    def rows(self) -> int:
        """The estimate."""
        if not self._seen:
            return min(self._settings.initial, self._settings.most)
        ordered = sorted(self._seen)
        # the smallest delay that is not exceeded by `quantile` of all: never between two of them
        index = math.ceil(self._settings.quantile * len(ordered)) - 1
        return min(ordered[max(index, 0)], self._settings.most)

    @property
    def saturated(self) -> bool:
        """Whether the bound hides how large the delay is."""
        return bool(self._seen) and self.rows == self._settings.most
