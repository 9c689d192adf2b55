"""What the policy's threads live by: the clock, or the steps of a simulation that waits for them.

A thread joins, looks what time it is, does what is due, and rests. In real time a rest ends with
the next picture or after a while. In lock-step it ends with the next step, and when all are at rest
the simulation is told that it may go on: so nothing depends on how fast the machine is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Member(Protocol):
    """One thread's part in the beat."""

    def look(self) -> int:
        """Return what time it is (ns), now that something may be done."""
        ...

    def rest(self, seconds: float) -> None:
        """Wait until there may be something to do again, in real time for that long at most."""
        ...

    def leave(self) -> None:
        """Take part no more."""
        ...


class Beat(Protocol):
    """Where threads join."""

    def now(self) -> int:
        """Return the time of the stamps (ns)."""
        ...

    def join(self, wake: threading.Event) -> Member:
        """Take part; in real time `wake` ends a rest early."""
        ...

    def poke(self) -> None:
        """Tell that something has changed that may be acted on at once."""
        ...


class RealTime:
    """Time goes on by itself."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock

    def now(self) -> int:
        """Return the clock's time."""
        return self._clock()

    def join(self, wake: threading.Event) -> Member:
        """Take part."""
        return _FreeMember(self._clock, wake)

    def poke(self) -> None:
        """Nothing: threads look often enough."""


class _FreeMember:
    def __init__(self, clock: Callable[[], int], wake: threading.Event) -> None:
        self._clock, self._wake = clock, wake

    def look(self) -> int:
        self._wake.clear()
        return self._clock()

    def rest(self, seconds: float) -> None:
        self._wake.wait(seconds)

    def leave(self) -> None:
        pass


@dataclass(frozen=True)
class Step:
    """A moment at which the simulation stands."""

    stamp: int  # ns
    topics: frozenset[str]  # that carry a message of this stamp


class Progress(Enum):
    """How far all threads together are with a step."""

    WORKING = "working"
    DONE = "done"
    IDLE = "idle"
    LEFT = "left"


_POLL = 0.001  # s between two looks whether a step's messages have arrived
_STRAGGLERS = 0.5  # s of the machine's clock; what has not arrived then was lost on the way
_BEGINNING = Step(0, frozenset())


class LockStep:
    """Time goes on when all who take part are at rest."""

    def __init__(
        self,
        clock: Callable[[], int],
        has_arrived: Callable[[Step], bool],
        is_idle: Callable[[], bool],
        tell: Callable[[int, Progress], None],
    ) -> None:
        """Prepare.

        Args:
            clock: the time before the first step.
            has_arrived: whether all that a step carries has been received.
            is_idle: whether there is no work for anybody.
            tell: passes on how far everybody is with the step of a stamp.
        """
        self._clock, self._has_arrived = clock, has_arrived
        self._is_idle, self._tell = is_idle, tell
        self._changed = threading.Condition()
        self._step = _BEGINNING
        self._changes = 0  # steps and pokes
        self._resting: dict[_BoundMember, bool] = {}
        self._ended = False
        self.stragglers = 0  # steps whose messages did not all arrive

    def now(self) -> int:
        """Return the time of the newest step."""
        step = self._step
        return self._clock() if step is _BEGINNING else step.stamp

    def join(self, wake: threading.Event) -> Member:
        """Take part."""
        member = _BoundMember(self)
        with self._changed:
            self._resting[member] = False
        return member

    def offer(self, step: Step) -> None:
        """A step has been announced; the same may be announced again."""
        with self._changed:
            if step.stamp != self._step.stamp:
                self._step = step
                self._awaken()

    def poke(self) -> None:
        """Have everybody look again, in the same step."""
        with self._changed:
            self._awaken()

    def repeat(self) -> None:
        """Tell again how far everybody is."""
        with self._changed:
            if self._resting:
                self._tell_progress()

    def end(self) -> None:
        """Let nobody rest any more."""
        with self._changed:
            self._ended = True
            self._awaken()

    def _awaken(self) -> None:
        self._changes += 1
        for member in self._resting:
            self._resting[member] = False
        self._changed.notify_all()

    def _tell_progress(self) -> None:
        if not self._resting:
            progress = Progress.LEFT
        elif not all(self._resting.values()):
            progress = Progress.WORKING
        else:
            progress = Progress.IDLE if self._is_idle() else Progress.DONE
        self._tell(self._step.stamp, progress)

    # What members do

    def _seen(self) -> int:
        with self._changed:
            return self._changes

    def _rest(self, member: _BoundMember, seen: int) -> None:
        """Rest unless something has changed since the member looked."""
        with self._changed:
            if self._changes != seen or self._ended:
                return
            self._resting[member] = True
            if all(self._resting.values()):
                self._tell_progress()
            self._changed.wait_for(lambda: self._changes != seen or self._ended)

    def _receive(self) -> int:
        """Wait until the newest step's messages have arrived; return its stamp."""
        deadline = time.monotonic() + _STRAGGLERS
        step = self._step
        if step is _BEGINNING:
            return self._clock()
        while not (self._ended or self._has_arrived(step)):
            if time.monotonic() > deadline:
                self.stragglers += 1
                break
            time.sleep(_POLL)
        return step.stamp

    def _leave(self, member: _BoundMember) -> None:
        with self._changed:
            if self._resting.pop(member, None) is not None and (
                not self._resting or all(self._resting.values())
            ):
                self._tell_progress()


class _BoundMember:
    def __init__(self, beat: LockStep) -> None:
        self._beat = beat
        self._seen = -1

    def look(self) -> int:
        self._seen = self._beat._seen()
        return self._beat._receive()

    def rest(self, _seconds: float) -> None:
        self._beat._rest(self, self._seen)

    def leave(self) -> None:
        self._beat._leave(self)
