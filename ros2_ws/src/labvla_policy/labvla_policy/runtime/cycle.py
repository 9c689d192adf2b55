"""From the rings to a checked plan, one question at a time.

Joins assembler, scheduler, gate and arbiter, without threads and clocks of its own: the node runs
it on a thread beside ROS, the simulation in simulated time, and both execute the same plans.

    turn(t)               what the engine is asked, if anything; call it when a picture comes
    answer(turn, ...)     the plan to publish, if everybody agrees
    failed(turn, ...)     the engine has no answer
    begin(...), halt()    an instruction, or none; from any thread
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from labvla_policy.engines.base import Question
from labvla_policy.runtime.arbiter import Arbiter, Lease, Owner
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Situation
from labvla_policy.runtime.observation.assembler import Assembler
from labvla_policy.runtime.reference import Reference, ReferenceHistory
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.scheduling.scheduler import Dropped, Scheduler, Ticket
from labvla_policy.runtime.types import NANOSECONDS, Observation, Prediction

# The controller tells its state at 50 Hz: what it said until then is not yet about the newest plan,
# which it follows from its first row on, and no sooner.
TAKEN_OVER = 30 * NANOSECONDS // 1000
RETRY = NANOSECONDS // 20  # after an observation was refused: one and a half frames


class Reports(Protocol):
    """Who hears of everything that is not executed as it was asked."""

    def refused(self, refusal: Refusal, t: int) -> None:
        """Something was refused."""
        ...

    def limited(self, refusal: Refusal, t: int) -> None:
        """Something was accepted, but slowed down."""
        ...


@dataclass(frozen=True, eq=False)
class Turn:
    """A question to the engine, and what its answer will be held against."""

    question: Question
    ticket: Ticket
    lease: Lease
    begins: bool  # the first one of an instruction, or the first after a failure


@dataclass(frozen=True, eq=False)
class Chunk:
    """A plan that passed everything, with what it was made from."""

    plan: Prediction
    observation: Observation
    latency: float  # s from the observation to the decision


class Cycle:
    """Observes, asks, checks the answer and hands it on while an instruction is set."""

    def __init__(
        self,
        cell: Cell,
        assembler: Assembler,
        scheduler: Scheduler,
        gate: Gate,
        arbiter: Arbiter,
        reports: Reports,
        references: ReferenceHistory,
    ) -> None:
        self._assembler, self._scheduler = assembler, scheduler
        self._gate, self._arbiter, self._reports = gate, arbiter, reports
        self._references = references
        self._row_time = 1.0 / cell.policy.row_rate
        self._lock = threading.Lock()  # scheduler, arbiter and instruction
        self._instruction = ""
        self._lease: Lease | None = None
        self._begun = False
        self._previous: Prediction | None = None
        self._begins = 0  # when the newest plan takes over
        self._not_before = 0
        self._waiting_since: int | None = None  # for pictures, since a question is due
        rates = [camera.rate for camera in cell.policy_cameras]
        self._patience = round(NANOSECONDS / min(rates)) if rates else 0
        self.last: Observation | None = None
        self.observations_refused = 0
        self.predictions_refused = 0

    @property
    def instruction(self) -> str:
        """What is being done; empty for nothing."""
        return self._instruction

    def begin(self, instruction: str, t: int) -> Refusal | None:
        """Start an instruction, or learn why not."""
        with self._lock:
            lease = self._arbiter.request(Owner.POLICY, t)
            if isinstance(lease, Refusal):
                return lease
            self._lease, self._instruction = lease, instruction
            self._begun, self._previous = False, None
            self._scheduler.begin(t)
        return None

    def halt(self, keep_instruction: bool = False) -> None:
        """Send nothing more; answers under way are dropped."""
        with self._lock:
            self._scheduler.end()
            if self._lease is not None:
                self._arbiter.release(self._lease)
            self._lease = None
            if not keep_instruction:
                self._instruction = ""

    def turn(self, t: int) -> Turn | None:
        """Return what to ask now; None when it is not time, or there is no good or new observation.

        Pictures of several cameras come one after another: a question waits for the last of them,
        for a frame's time at most.
        """
        if not self._due(t) or not self._complete(t):
            return None
        try:
            observation = self._assembler.assemble(
                t, self._instruction, self._references.positions_at
            )
        except Refused as refused:
            self.observations_refused += 1
            self._not_before = t + RETRY
            self._reports.refused(refused.refusal, t)
            return None
        if self.last is not None and _same_moment(observation, self.last):
            return None  # nothing new has arrived since the last question
        with self._lock:
            lease = self._own_motion(t)
            if lease is None or observation.stamp < lease.granted:
                return None  # not ours, or the state before it became ours
            told = self._told(t)
            at_rest = told is not None and told.at_rest
            executed = self._references.recent(t)
            ticket = self._scheduler.sent(observation.stamp, t, executed, at_rest)
            begins = not self._begun
        self.last = observation
        return Turn(Question(observation, ticket.prefix), ticket, lease, begins)

    def answer(self, turn: Turn, prediction: Prediction, t: int) -> Chunk | None:
        """Let an answer through scheduler, gate and arbiter, or report who refused it."""
        with self._lock:
            if turn.ticket.epoch == self._scheduler.epoch:
                self._begun = True
            outcome = self._scheduler.reply(turn.ticket, prediction, t)
        if isinstance(outcome, Dropped):
            self._refuse(outcome.refusal, t)
            return None
        observation = turn.question.observation
        verdict = self._gate.check(outcome.plan, self._situation(observation, t))
        refusal = verdict.refusal if verdict.plan is None else None
        with self._lock:
            refusal = refusal or self._arbiter.admit(turn.lease, observation.stamp, t)
            if refusal is not None or verdict.plan is None:
                self._scheduler.failed(turn.ticket, t)
            elif not self._scheduler.execute(outcome, verdict.plan):
                return None  # the instruction has changed meanwhile
        if refusal is not None or verdict.plan is None:
            if refusal is not None:
                self._refuse(refusal, t)
            return None
        if verdict.refusal is not None:
            self._reports.limited(verdict.refusal, t)
        # Only what was executed: asked twice from one posture, a planner may say the same twice.
        self._previous, self._begins = outcome.plan, max(t, verdict.plan.plan_start)
        latency = (t - observation.stamp) * 1e-9
        return Chunk(verdict.plan, observation, latency)

    def failed(self, turn: Turn, t: int) -> None:
        """Note that the engine has no answer; it has to begin again."""
        self.predictions_refused += 1
        with self._lock:
            self._begun = False
            self._scheduler.failed(turn.ticket, t)

    def _due(self, t: int) -> bool:
        with self._lock:
            told = self._told(t)
            due = self._scheduler.ask(t, told.remaining if told else None)
        if not due:
            self._waiting_since = None
        return due and not 0 < self._not_before - t <= RETRY

    def _complete(self, t: int) -> bool:
        if self._waiting_since is None:
            self._waiting_since = t
        waited = t - self._waiting_since
        return not 0 <= waited < self._patience or self._assembler.uses_newest(t)

    def _told(self, t: int) -> Reference | None:
        """Return what the controller says, once it can be about the newest plan."""
        reference = self._references.newest(t)
        if reference is None or reference.stamp < self._begins + TAKEN_OVER:
            return None
        return reference

    def _own_motion(self, t: int) -> Lease | None:
        """Return the lease, asking again where it ran out during a pause of good observations."""
        if self._lease is None or self._arbiter.keep(self._lease, t):
            return self._lease
        lease = self._arbiter.request(Owner.POLICY, t)
        if isinstance(lease, Refusal):
            self._reports.refused(lease, t)
            return None
        self._lease = lease
        return lease

    def _refuse(self, refusal: Refusal, t: int) -> None:
        self.predictions_refused += 1
        self._reports.refused(refusal, t)

    def _situation(self, observation: Observation, t: int) -> Situation:
        reference = self._references.newest(t)
        positions = reference.positions if reference else observation.positions
        velocities = reference.velocities if reference else np.zeros_like(observation.positions)
        return Situation(t, positions, velocities, self._row_time, self._previous)


def _same_moment(one: Observation, other: Observation) -> bool:
    """Whether two observations show the same pictures; without any, the same joint state."""
    if one.camera_stamps or other.camera_stamps:
        return one.camera_stamps == other.camera_stamps
    return one.stamp == other.stamp
