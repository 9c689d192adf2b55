"""What every judge has: a verdict from the true state, with what happened on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from labvla_sim.plant.truth import Truth

RATE = 60.0  # Hz, of looks at the truth
SUSTAINED = 60  # consecutive looks for which a goal must hold: one second


@dataclass(frozen=True)
class Event:
    """Something that a person watching would have called out."""

    time: float  # s since the reset
    name: str
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the judge says so far; success is final."""

    success: bool
    phase: str  # the furthest that holds at the moment
    reason: str  # what is missing; empty on success
    events: tuple[Event, ...] = ()


class Judge(Protocol):
    """Looks at the truth at 60 Hz."""

    def look(self, truth: Truth) -> None:
        """Take one look."""
        ...

    @property
    def verdict(self) -> Verdict:
        """What the judge says so far."""
        ...


class EventLog:
    """Notes changes of named conditions."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._holding: dict[str, bool] = {}

    def note(self, time: float, name: str, detail: str = "") -> None:
        """Add an event."""
        self._events.append(Event(time, name, detail))

    def follow(self, time: float, condition: str, holds: bool, detail: str = "") -> None:
        """Add an event when a condition begins or ends to hold."""
        if holds != self._holding.get(condition, False):
            self._holding[condition] = holds
            self.note(time, condition if holds else f"no longer {condition}", detail)

    @property
    def events(self) -> tuple[Event, ...]:
        """All events so far."""
        return tuple(self._events)


class SustainedJudge:
    """A judge whose goal must hold for a second on end."""

    def __init__(self, missing: str) -> None:
        self._phase, self._reason = "approach", missing
        self._log = EventLog()
        self._sustained = 0
        self._success = False

    def _sustain(self, time: float, *, holds: bool, anew: bool = False) -> None:
        """Count a look at which the goal holds; `anew` makes it the first of a second."""
        before = 0 if anew else self._sustained
        self._sustained = before + 1 if holds else 0
        if self._sustained >= SUSTAINED and not self._success:
            self._success = True
            self._log.note(time, "success")

    @property
    def verdict(self) -> Verdict:
        """What the judge says so far."""
        reason = "" if self._success else self._reason
        return Verdict(self._success, self._phase, reason, self._log.events)
