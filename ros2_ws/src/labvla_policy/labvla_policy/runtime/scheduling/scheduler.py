"""The chunk scheduler: asks in time, and lets no answer through that belongs to another moment.

A state machine without threads and clocks: every call says what time it is (ns, the clock of the
stamps). Between calls nothing happens.

    ask(t)             is it time for a new prediction?
    sent(...)          the engine got this observation
    reply(...)         its answer, as the plan that would be executed, or why it is dropped
    execute(...)       that plan, or the gate's slower version of it, is published now
    failed(...)        there is no plan: the engine failed, or the gate refused
    begin(...), end()  a new instruction, or none: answers to the old one can no longer get through
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from labvla_policy.runtime import plans
from labvla_policy.runtime.reference import Reference
from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.scheduling.delay import DelayEstimate, DelaySettings
from labvla_policy.runtime.types import CLOCK_JUMP, NANOSECONDS, Prediction, Prefix

Mode = Literal["sync", "async", "ensemble", "rtc"]


@dataclass(frozen=True)
class SchedulerSettings:
    """How predictions follow each other."""

    mode: Mode = "async"
    execute_rows: int = 25  # H: rows of a prediction after which the next one should take over
    least_rows: int = 5  # an answer with fewer rows left is late
    timeout: int = 2 * NANOSECONDS  # after which an answer is no longer waited for
    retry: int = NANOSECONDS // 10  # pause after a failure, so that a broken engine is not flooded
    ensemble_decay: float = 0.1
    ensemble_size: int = 4  # predictions that are averaged
    delay: DelaySettings = field(default_factory=DelaySettings)


@dataclass(frozen=True, eq=False)
class Ticket:
    """One question to the engine."""

    number: int
    epoch: int  # of the instruction
    observation_stamp: int
    sent: int
    at_rest: bool = False  # nothing is executed meanwhile
    prefix: Prefix | None = None  # rtc: what the answer has to begin with


@dataclass(frozen=True, eq=False)
class Accepted:
    """An answer that still counts: the gate may judge it, and then it may be executed."""

    ticket: Ticket
    prediction: Prediction  # the answer
    plan: Prediction  # what would be executed of it
    rows_past: int  # rows of the plan whose time was over on arrival


@dataclass(frozen=True)
class Dropped:
    """An answer that must not be executed."""

    refusal: Refusal


class Scheduler:
    """Decides when to ask, and what becomes of answers."""

    def __init__(self, settings: SchedulerSettings, row_rate: float, row_offset: int) -> None:
        self._settings = settings
        self._dt = 1.0 / row_rate
        self._row_offset = row_offset
        self._delay = DelayEstimate(settings.delay)
        self._epoch = 0
        self._running = False
        self._numbers = 0
        self._waiting: Ticket | None = None
        self._time = 0
        self._not_before = 0
        self._published: Prediction | None = None
        self._newest_stamp = -1
        self._recent: deque[Prediction] = deque(maxlen=settings.ensemble_size - 1)
        self._dropped: Counter[str] = Counter()
        self._accepted = 0
        self._fallbacks = 0

    @property
    def epoch(self) -> int:
        """Changes with every begin and end."""
        return self._epoch

    @property
    def delay_rows(self) -> int:
        """Rows that are expected to pass between an observation and its plan."""
        return self._delay.rows

    @property
    def mode(self) -> Mode:
        """What is really done: rtc falls back to async where the delay leaves no room for it."""
        if self._settings.mode != "rtc":
            return self._settings.mode
        crowded = self._delay.saturated or self._delay.rows > self._settings.execute_rows
        return "async" if crowded else "rtc"

    @property
    def dropped(self) -> Mapping[str, int]:
        """Answers that were dropped, by reason."""
        return dict(self._dropped)

    @property
    def accepted(self) -> int:
        """Answers that were executed."""
        return self._accepted

    @property
    def fallbacks(self) -> int:
        """Questions that were asked without a prefix although the mode is rtc."""
        return self._fallbacks

    def begin(self, t: int) -> int:
        """Start a new instruction; answers to an older one cannot be used from now on."""
        self._expire(t)
        self._reset()
        self._running = True
        self._not_before = t
        return self._epoch

    def end(self) -> None:
        """Stop asking; answers under way cannot be used any more."""
        self._reset()
        self._running = False

    def _reset(self) -> None:
        self._epoch += 1
        self._waiting = None
        self._published = None
        self._newest_stamp = -1
        self._recent.clear()

    def ask(self, t: int, remaining: int | None = None) -> bool:
        """Whether the engine should get a new observation now.

        `remaining` (ns) is how much of the published plan the controller has left, where it says
        so: a robot that runs at half its speed needs the next plan later. Without it plans are
        taken to be executed by the clock.
        """
        self._expire(t)
        if not self._running or self._waiting is not None or t < self._not_before:
            return False
        plan = self._published
        if plan is None:
            return True
        left = max(0, plan.end - t) if remaining is None else remaining
        if self._settings.mode == "sync":
            return left <= 0  # the picture must show where the last plan has led
        if self._settings.mode == "ensemble":
            return True
        # In the plan's own rhythm, which the gate may have slowed: rows that are left over would
        # otherwise be worth less time than they take, and the next question would come too late.
        spare = max(0, plan.rows - 1 - self._settings.execute_rows) * round(plan.dt * NANOSECONDS)
        return left <= spare + self._delay.rows * self._row

    def sent(
        self,
        observation_stamp: int,
        t: int,
        executed: Sequence[Reference] = (),
        at_rest: bool = False,
    ) -> Ticket:
        """Note that the engine works on this observation; its answer needs the ticket.

        `executed` is what the controller says about its reference, where it is known: it is what
        the answer has to continue, and not always what was published. `at_rest` says that the arms
        stand, and that no plan is left which could move them.
        """
        if self._waiting is not None:
            raise RuntimeError("one question at a time: the engine has not answered the last one")
        self._numbers += 1
        prefix = self._prefix(observation_stamp, executed)
        at_rest = at_rest or self._settings.mode == "sync"
        self._waiting = Ticket(self._numbers, self._epoch, observation_stamp, t, at_rest, prefix)
        return self._waiting

    def reply(self, ticket: Ticket, prediction: Prediction, t: int) -> Accepted | Dropped:
        """Return what would be executed of an answer (in absolute targets) that arrives at t."""
        self._expire(t)
        delay = plans.rows_past(prediction, t)
        if ticket.at_rest:
            # The arm stood still while the engine worked: the plan begins now, and no row is past.
            # Skipped, its first rows would be a jump, and a fast plan could be refused for ever.
            prediction = plans.begun_at(prediction, t + self._row_offset * self._row)
        refusal = self._refusal(ticket, prediction, t, delay)
        if self._waiting is ticket:
            self._waiting = None
        if refusal is not None:
            return self._drop(refusal)
        plan = self._plan(prediction)
        return Accepted(ticket, prediction, plan, plans.rows_past(plan, t))

    def execute(self, accepted: Accepted, plan: Prediction) -> bool:
        """Note that this plan is published; False if it must not be, since things have changed.

        The gate may have slowed the plan down. Between reply and now the instruction may have been
        replaced by another thread.
        """
        if accepted.ticket.epoch != self._epoch:
            self._dropped["reply_old_instruction"] += 1
            return False
        self._published = plan
        self._newest_stamp = accepted.ticket.observation_stamp
        self._recent.append(accepted.prediction)
        self._accepted += 1
        return True

    def failed(self, ticket: Ticket, t: int) -> None:
        """Note that nothing comes of a question: the engine failed, or the gate refused."""
        if ticket.epoch == self._epoch and self._waiting in (None, ticket):
            self._waiting = None
            self._not_before = t + self._settings.retry

    def _refusal(
        self, ticket: Ticket, prediction: Prediction, t: int, delay: int
    ) -> Refusal | None:
        if ticket.epoch != self._epoch:
            return Refusal("reply_old_instruction", "the instruction changed while it was made")
        if ticket is not self._waiting:
            return Refusal("reply_unexpected", "it was given up after its time, or came twice")
        if ticket.observation_stamp <= self._newest_stamp:
            return Refusal("reply_stale", "a plan from a later observation is executed already")
        self._delay.add(delay)
        past = plans.rows_past(prediction, t)
        left = prediction.rows - past
        if left < self._settings.least_rows:
            return Refusal(
                "reply_late",
                f"{past} of {prediction.rows} rows are past: the engine is too slow for its rows",
                value=left,
                limit=self._settings.least_rows,
            )
        return None

    def _plan(self, prediction: Prediction) -> Prediction:
        """Return what is executed of a prediction."""
        mode = self._settings.mode
        if mode == "sync":
            return plans.brought_to_rest(prediction, self._settings.execute_rows)
        if mode == "ensemble":
            return plans.ensemble([*self._recent, prediction], self._settings.ensemble_decay)
        return prediction

    def _prefix(self, observation_stamp: int, executed: Sequence[Reference]) -> Prefix | None:
        plan = self._published
        if self._settings.mode != "rtc" or plan is None:
            return None
        if self.mode != "rtc":
            self._fallbacks += 1
            return None
        start = observation_stamp + self._row_offset * self._row
        return plans.committed_prefix(
            plan, start, self._dt, self._settings.execute_rows, self._delay.rows, executed
        )

    def _expire(self, t: int) -> None:
        """Note the time; give up answers that are overdue, and everything if the clock was set."""
        if t < self._time - CLOCK_JUMP:
            self._reset()
            self._not_before = t
            self._dropped["clock_jump"] += 1
        self._time = t
        waiting = self._waiting
        if waiting is not None and t - waiting.sent > self._settings.timeout:
            self._waiting = None
            self._not_before = t + self._settings.retry
            self._dropped["reply_timeout"] += 1

    def _drop(self, refusal: Refusal) -> Dropped:
        self._dropped[refusal.reason] += 1
        return Dropped(refusal)

    @property
    def _row(self) -> int:
        return round(self._dt * NANOSECONDS)
