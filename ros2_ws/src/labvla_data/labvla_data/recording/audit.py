"""Finds out what a stream has lost before a message, and where it was lost."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from labvla_policy.runtime.streams.gaps import follow
from labvla_policy.runtime.types import NANOSECONDS


@dataclass(frozen=True)
class Before:
    """What happened in a stream between a message and the one before it."""

    transport: int = 0  # sent, and lost by the middleware
    source: int = 0  # never sent
    jumped: bool = False  # a clock was set
    backwards: bool = False  # the stamp is not newer than the one before


NOTHING = Before()


class Audit:
    """Follows one stream.

    A publisher numbers what it sends, so a gap between numbers is a loss on the way. A gap between
    stamps that the numbers do not explain is something that was never sent.
    """

    def __init__(self, rate: float | None) -> None:
        self._period = NANOSECONDS / rate if rate else None
        self._numbers: dict[Hashable, int] = {}
        self._stamp: int | None = None
        self._arrival = 0

    def arrived(
        self, arrival: int, stamp: int | None, origin: Hashable, number: int | None
    ) -> Before:
        """Judge a message: when it came, its stamp, who sent it, and the sender's number."""
        transport = self._lost_on_the_way(origin, number)
        if self._period is None or stamp is None:
            return Before(transport) if transport else NOTHING
        last, self._stamp = self._stamp, stamp
        elapsed, self._arrival = arrival - self._arrival, arrival
        if last is None:
            return Before(transport) if transport else NOTHING
        after = follow(stamp - last, elapsed, self._period)
        source = max(0, after.missing - transport)
        if not (transport or source or after.jumped or after.backwards):
            return NOTHING
        return Before(transport, source, after.jumped, after.backwards)

    def _lost_on_the_way(self, origin: Hashable, number: int | None) -> int:
        if number is None:
            return 0
        last = self._numbers.get(origin)
        self._numbers[origin] = number
        return max(0, number - last - 1) if last is not None else 0
