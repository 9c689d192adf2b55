"""On which clock an episode lives: the machine's, or that of a simulation that waits for it.

Arrivals, lengths and rates are told on it. In real time messages are dated when they arrive. In
lock-step a second may take a minute of the machine's time; there a message is dated by the newest
stamp that has been heard, as `ros2 bag record --use-sim-time` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class EpisodeClock(Protocol):
    """Dates messages."""

    @property
    def name(self) -> str:
        """How episode.json calls it."""
        ...

    def now(self) -> int:
        """Return the time (ns)."""
        ...

    def date(self, received: int, stamp: int | None) -> int:
        """Return when a message arrived that the machine received at some time (ns)."""
        ...


class MachineClock:
    """The machine's clock."""

    name = "system"

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock

    def now(self) -> int:
        """Return the time of day."""
        return self._clock()

    def date(self, received: int, stamp: int | None) -> int:
        """Return when the machine received it."""
        return received


class StampClock:
    """It is as late as the newest stamp says; before the first one, time has not begun."""

    name = "simulated"

    def __init__(self) -> None:
        self._newest = 0

    def now(self) -> int:
        """Return the newest stamp."""
        return self._newest

    def date(self, received: int, stamp: int | None) -> int:
        """Return the newest stamp, this message's included; it never goes back."""
        if stamp is not None and stamp > self._newest:
            self._newest = stamp
        return self._newest
