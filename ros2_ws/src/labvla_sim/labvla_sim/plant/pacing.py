"""Keep simulated time in step with the wall, softly."""

from __future__ import annotations

import time
from collections.abc import Callable

_WORTH_SLEEPING = 0.001  # s ahead; shorter sleeps cost more than they wait


class Pacer:
    """Holds a stepping loop back to real time, and lets it catch up when it is late.

    Single ticks are up to 20 ms late on a busy machine; that is no fault. Only when the loop falls
    behind by more than `most_lag` the debt is given up and counted, since running flat out for
    seconds would make every reader of the clock see a fast-forward.
    """

    def __init__(
        self,
        factor: float = 1.0,
        most_lag: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; time starts with the first tick.

        Args:
            factor: simulated seconds per second of the wall.
            most_lag: seconds of the wall.
            clock: monotonic seconds.
            sleep: how to wait.
        """
        self._factor, self._most_lag = factor, most_lag
        self._clock, self._sleep = clock, sleep
        self._origin: float | None = None
        self.lost = 0.0  # s of the wall that were given up
        self.worst_lag = 0.0  # s

    def wait(self, simulated: float) -> None:
        """Wait until the wall has reached a simulated time in seconds."""
        now = self._clock()
        if self._origin is None:
            self._origin = now - simulated / self._factor
        ahead = self._origin + simulated / self._factor - now
        if ahead > _WORTH_SLEEPING:
            self._sleep(ahead)
            return
        self.worst_lag = max(self.worst_lag, -ahead)
        if -ahead > self._most_lag:
            self.lost += -ahead
            self._origin -= ahead


class Pace:
    """How fast simulated time may go: at a speed, or as fast as it can while others hold it."""

    def __init__(self, speed: float, new_pacer: Callable[[float], Pacer] = Pacer) -> None:
        """Prepare.

        Args:
            speed: simulated seconds per second of the wall at most; 0 for real time where nobody
                holds time, and without a bound where somebody does.
            new_pacer: makes a pacer for a speed.
        """
        self._speed, self._new_pacer = speed, new_pacer
        self._pacer: Pacer | None = None

    def wait(self, simulated: float, free: bool) -> None:
        """Wait until time may go on from `simulated` s; `free` while somebody holds it."""
        if free and self._speed == 0:
            self._pacer = None  # time that ran freely is not to be waited for later
            return
        if self._pacer is None:
            self._pacer = self._new_pacer(self._speed or 1.0)
        self._pacer.wait(simulated)
