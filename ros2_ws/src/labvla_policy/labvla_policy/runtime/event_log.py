"""What was refused, limited or stopped: counted in full, told once in a while."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from labvla_policy.runtime.types import NANOSECONDS

QUIET = NANOSECONDS  # the same reason about the same subject is told once in this time
REMEMBERED = 100


class Cause(Protocol):
    """Why something happened: a Refusal, or what has the same fields."""

    @property
    def reason(self) -> str:
        """Stable name."""

    @property
    def detail(self) -> str:
        """What was expected, what came, what to do."""

    @property
    def subject(self) -> str:
        """What is concerned."""

    @property
    def value(self) -> float:
        """The offending figure."""

    @property
    def limit(self) -> float:
        """The bound that it broke."""


@dataclass(frozen=True)
class Noted:
    """One event."""

    t: int  # ns
    source: str
    reason: str
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class EventLog:
    """Counts events, and says which of them are news. Any thread may note and ask."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], int] = {}
        self._held_back: Counter[tuple[str, str]] = Counter()
        self._counts: Counter[tuple[str, str]] = Counter()  # by source and reason
        self._recent: deque[Noted] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()

    def note(self, source: str, cause: Cause, t: int) -> int:
        """Count an event; return for how many it has to be told now, 0 if it was told lately."""
        key = (cause.reason, cause.subject)
        with self._lock:
            self._counts[source, cause.reason] += 1
            self._recent.append(Noted(t, source, cause.reason, cause.subject, cause.detail))
            if key in self._told and 0 <= t - self._told[key] < QUIET:
                self._held_back[key] += 1
                return 0
            self._told[key] = t
            return 1 + self._held_back.pop(key, 0)

    @property
    def total(self) -> int:
        """All events until now."""
        with self._lock:
            return self._counts.total()

    def counts(self, sources: Sequence[str]) -> Mapping[str, int]:
        """Return how often each reason of these sources was noted."""
        with self._lock:
            return {reason: n for (source, reason), n in self._counts.items() if source in sources}

    def since(self, t: int) -> tuple[Noted, ...]:
        """Return the events after a time, oldest first."""
        with self._lock:
            return tuple(event for event in self._recent if event.t > t)
