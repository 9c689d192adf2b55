"""What one publisher has sent, as far as a witness can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labvla_policy.runtime.types import NANOSECONDS

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Stream:
    """The messages of one topic that came to the witness, in the order in which they came."""

    numbers: Numbers  # the publisher's own
    stamps: Numbers  # ns
    arrivals: Numbers  # ns, on the monotonic clock

    @classmethod
    def of(cls, rows: Numbers) -> Stream:
        """Make one of rows (number, stamp, arrival)."""
        return cls(*rows.reshape(-1, 3).T)

    def within(self, begin: int, end: int) -> Stream:
        """Return what arrived between two instants."""
        chosen = (self.arrivals >= begin) & (self.arrivals <= end)
        return Stream(self.numbers[chosen], self.stamps[chosen], self.arrivals[chosen])

    @property
    def came(self) -> int:
        """Messages that came."""
        return len(self.numbers)

    @property
    def lost(self) -> int:
        """Messages that were sent between the first and the last, and did not come."""
        return int(np.sum(np.diff(self.numbers) - 1)) if self.came else 0

    def number_at(self, stamp: int) -> int:
        """Return the number of the message with a stamp, even if it did not come here."""
        if not self.came or not self.stamps[0] <= stamp <= self.stamps[-1]:
            raise ValueError(
                f"nobody has witnessed the time of the stamp {stamp}: expected one between "
                f"{self.stamps[:1].tolist()} and {self.stamps[-1:].tolist()}"
            )
        return round(float(np.interp(stamp, self.stamps, self.numbers)))

    def sent(self, after: int, until: int) -> int:
        """Return how many messages were sent after the one with a stamp, until another's."""
        return self.number_at(until) - self.number_at(after)

    def never_sent(self, after: int, until: int, rate: float) -> int:
        """Return how many a sender of a rate has left out between two stamps.

        They are counted as whoever receives counts them: by the step between two stamps. Steps over
        messages that did not come here tell nothing of the sender.
        """
        chosen = (self.stamps >= after) & (self.stamps <= until)
        steps, follow = np.diff(self.stamps[chosen]), np.diff(self.numbers[chosen]) == 1
        missing = np.round(steps[follow] * rate / NANOSECONDS).astype(int) - 1
        return int(missing.clip(min=0).sum())

    def rate(self, begin: int, end: int) -> float:
        """Return what came per second (Hz) between two instants."""
        return self.within(begin, end).came * NANOSECONDS / (end - begin)

    def rates(self, begin: int, end: int, seconds: float) -> NDArray[np.float64]:
        """Return what came per second (Hz) in each stretch of some seconds between two instants."""
        edges = np.arange(begin, end + 1, round(seconds * NANOSECONDS))
        came: Numbers = np.histogram(self.arrivals, edges)[0]
        return came / seconds

    def pace(self, begin: int, end: int) -> float:
        """Return how fast the stamps went between two instants: 1 is real time."""
        chosen = self.within(begin, end)
        if chosen.came < 2:
            return float("nan")
        stamps, arrivals = chosen.stamps, chosen.arrivals
        return float((stamps[-1] - stamps[0]) / (arrivals[-1] - arrivals[0]))

    def paces(self, begin: int, end: int, seconds: float) -> NDArray[np.float64]:
        """Return the pace in each stretch of some seconds between two instants."""
        edges = np.arange(begin, end + 1, round(seconds * NANOSECONDS))
        at = np.interp(edges, self.arrivals, self.stamps - self.stamps[0])
        found: NDArray[np.float64] = np.diff(at) / np.diff(edges)
        return found
