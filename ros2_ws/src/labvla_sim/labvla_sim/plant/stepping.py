"""Lock-step: simulated time stands at every step until all who take part are done with it.

Without ROS: whoever receives messages tells what they say, and the thread that advances the plant
asks whether it may. Nobody can hold time for ever by falling silent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

SILENCE = 2.0  # s of the machine's clock; a participant says something five times a second


class Progress(Enum):
    """How far a participant is with a step."""

    WORKING = "working"
    DONE = "done"
    IDLE = "idle"  # done, and without any work
    LEFT = "left"


@dataclass(frozen=True)
class Answer:
    """What a participant says of a step."""

    stamp: int  # ns, of the step
    progress: Progress
    session: int = 0  # of the newest chunk that it has sent
    sequence: int = 0  # 0: none


@dataclass
class _Participant:
    answer: Answer
    since: float  # s, when it first said so
    heard: float  # s, when it last said so


class StepBarrier:
    """Where the plant waits. One thread waits, others tell."""

    def __init__(
        self, silence: float = SILENCE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._silence, self._clock = silence, clock
        self._changed = threading.Condition()
        self._participants: dict[str, _Participant] = {}
        self._arrived: dict[int, int] = {}  # newest sequence by session
        self._stamp = 0
        self._abandoned = -1
        self._hold = False
        self._ended = False
        self.steps = 0
        self.given_up = 0  # waits for somebody who fell silent, or for a chunk that did not come

    def open(self, stamp: int) -> None:
        """Begin a step: time stands at `stamp` (ns)."""
        with self._changed:
            self._stamp = stamp
            self.steps += 1

    def abandon(self, hold: bool) -> None:
        """Leave the present step, whoever works on it; `hold`: the next until somebody has work."""
        with self._changed:
            self._abandoned, self._hold = self._stamp, hold
            self._changed.notify_all()

    def tell(self, who: str, answer: Answer) -> None:
        """Note what a participant says."""
        with self._changed:
            now = self._clock()
            if answer.progress is Progress.LEFT:
                self._participants.pop(who, None)
            else:
                known = self._participants.get(who)
                since = known.since if known and known.answer == answer else now
                self._participants[who] = _Participant(answer, since, now)
            self._changed.notify_all()

    def chunk_arrived(self, session: int, sequence: int) -> None:
        """Note that a chunk has reached the controller."""
        with self._changed:
            self._arrived[session] = max(sequence, self._arrived.get(session, 0))
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait until time may go on; False if it may not yet after `timeout` s."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended or self._may_go_on(), timeout)

    def end(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def taking_part(self) -> tuple[str, ...]:
        """Who takes part at the moment."""
        with self._changed:
            self._forget_silent()
            return tuple(self._participants)

    def _may_go_on(self) -> bool:
        self._forget_silent()
        if self._stamp == self._abandoned:
            return True
        everybody = self._participants.values()
        if self._hold and not any(self._has_worked(participant) for participant in everybody):
            return False
        self._hold = False
        return all(self._is_done(participant) for participant in everybody)

    def _has_worked(self, participant: _Participant) -> bool:
        answer = participant.answer
        return answer.stamp == self._stamp and answer.progress is Progress.DONE

    def _is_done(self, participant: _Participant) -> bool:
        answer = participant.answer
        if answer.stamp != self._stamp or answer.progress is Progress.WORKING:
            return False
        return self._has_arrived(answer) or self._overdue(participant)

    def _has_arrived(self, answer: Answer) -> bool:
        return answer.sequence <= self._arrived.get(answer.session, 0)

    def _overdue(self, participant: _Participant) -> bool:
        """Whether a chunk that was sent has not come for so long that it never will."""
        overdue = self._clock() - participant.since > self._silence
        if overdue:
            self.given_up += 1
            answer = participant.answer
            self._arrived[answer.session] = answer.sequence
        return overdue

    def _forget_silent(self) -> None:
        now = self._clock()
        silent = [w for w, p in self._participants.items() if now - p.heard > self._silence]
        for who in silent:
            del self._participants[who]
            self.given_up += 1
