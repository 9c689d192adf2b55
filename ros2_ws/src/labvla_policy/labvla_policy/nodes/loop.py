"""The road from an observation to a chunk, on a thread of its own.

Nothing here runs in a ROS callback: assembling decodes pictures, and the engine may take as long as
its deadline allows.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.host import EngineFault, EngineHost
from labvla_policy.nodes.events import Events
from labvla_policy.runtime.arbiter import Arbiter, Lease, Owner
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Situation
from labvla_policy.runtime.latency import Latency
from labvla_policy.runtime.observation.assembler import Assembler
from labvla_policy.runtime.reference import ReferenceHistory
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.scheduling.scheduler import Dropped, Scheduler, Ticket
from labvla_policy.runtime.types import Observation, Prediction

POLL = 0.004  # s between two looks whether there is something to do
RETRY = 0.05  # s after an observation was refused: one and a half frames
RESTART_PAUSE = 1.0  # s before a failed engine is started again


@dataclass(frozen=True, eq=False)
class Chunk:
    """A plan that passed everything, with what it was made from."""

    plan: Prediction
    observation: Observation
    latency: float  # s


class PolicyLoop(threading.Thread):
    """Observes, asks the engine, checks the answer and hands it on while an instruction is set."""

    def __init__(
        self,
        cell: Cell,
        host: EngineHost,
        assembler: Assembler,
        scheduler: Scheduler,
        gate: Gate,
        arbiter: Arbiter,
        events: Events,
        clock: Callable[[], int],
        references: ReferenceHistory,
        publish: Callable[[Chunk], None],
        timeout: float,
        load_timeout: float,
    ) -> None:
        super().__init__(name="policy", daemon=True)
        self._cell, self._host, self._assembler = cell, host, assembler
        self._scheduler, self._gate, self._arbiter = scheduler, gate, arbiter
        self._events, self._clock, self._references = events, clock, references
        self._publish, self._timeout, self._load_timeout = publish, timeout, load_timeout
        self._row_time = 1.0 / cell.policy.row_rate
        self._lock = threading.Lock()  # scheduler, arbiter and instruction
        self._ending = threading.Event()
        self._instruction = ""
        self._lease: Lease | None = None
        self._begun = False
        self._previous: Prediction | None = None
        self.ready = threading.Event()
        self.fault = ""  # why the engine is not ready; empty while it loads
        self.latency = Latency()
        self.last: Observation | None = None
        self.observations_refused = 0
        self.predictions_refused = 0

    @property
    def instruction(self) -> str:
        """What is being done; empty for nothing."""
        return self._instruction

    @property
    def policy(self) -> str:
        """The engine's own name."""
        return self._host.policy

    def begin(self, instruction: str) -> Refusal | None:
        """Start an instruction, or learn why not."""
        with self._lock:
            t = self._clock()
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

    def end(self) -> None:
        """End the thread and the engine."""
        self._ending.set()
        self.join(timeout=5.0)
        self._host.stop()

    def run(self) -> None:
        """Load the engine, then work until the end; a fault of its own ends the whole process."""
        try:
            self._work()
        except BaseException:
            traceback.print_exc()
            os.kill(os.getpid(), signal.SIGABRT)  # a node without its loop would look alive

    def _work(self) -> None:
        while not self._ending.is_set():
            if not self.ready.is_set():
                self._load()
                continue
            with self._lock:
                t = self._clock()
                reference = self._references.newest(t)
                due = self._scheduler.ask(t, reference.remaining if reference else None)
            if not due:
                self._ending.wait(POLL)
            elif not self._once():
                self._ending.wait(RETRY)

    def _load(self) -> None:
        try:
            self._host.start(self._load_timeout)
        except (EngineFault, EngineError) as error:
            self.fault = str(error)
            self._events.engine_fault("engine_not_ready", self.fault, self._clock())
            self._ending.wait(RESTART_PAUSE)
        else:
            self.fault = ""
            self.ready.set()

    def _once(self) -> bool:
        """Make one chunk; False when the observation was refused."""
        t = self._clock()
        try:
            observation = self._assembler.assemble(
                t, self._instruction, self._references.positions_at
            )
        except Refused as refused:
            self.observations_refused += 1
            self._events.refused(refused.refusal, t)
            return False
        if self.last is not None and observation.stamp == self.last.stamp:
            return False  # nothing new has arrived since the last question
        with self._lock:
            lease = self._own_motion(t)
            if lease is None or observation.stamp < lease.granted:
                return False  # not ours, or the state before it became ours
            ticket = self._scheduler.sent(observation.stamp, t, self._references.recent(t))
        self.last = observation
        prediction = self._ask(observation, ticket)
        if prediction is not None:
            self._hand_on(prediction, observation, ticket, lease)
        return True

    def _own_motion(self, t: int) -> Lease | None:
        """Return the lease, asking again where it ran out during a pause of good observations."""
        if self._lease is None or self._arbiter.keep(self._lease, t):
            return self._lease
        lease = self._arbiter.request(Owner.POLICY, t)
        if isinstance(lease, Refusal):
            self._events.refused(lease, t)
            return None
        self._lease = lease
        return lease

    def _ask(self, observation: Observation, ticket: Ticket) -> Prediction | None:
        begin = time.monotonic()
        try:
            if not self._begun:
                self._host.begin(observation, self._timeout)
                self._begun = True
            prediction = self._host.infer(Question(observation, ticket.prefix), self._timeout)
        except EngineFault as fault:
            self.ready.clear()
            self._fail(ticket, fault.reason, fault.detail)
        except EngineError as error:
            self._fail(ticket, "engine_error", str(error))
        else:
            self.latency.add(time.monotonic() - begin)
            return prediction
        return None

    def _fail(self, ticket: Ticket, reason: str, detail: str) -> None:
        t = self._clock()
        self.predictions_refused += 1
        self._begun = False
        with self._lock:
            self._scheduler.failed(ticket, t)
        self._events.engine_fault(reason, detail, t)

    def _hand_on(
        self, prediction: Prediction, observation: Observation, ticket: Ticket, lease: Lease
    ) -> None:
        """Let the answer through scheduler, gate and arbiter, or tell who refused it."""
        t = self._clock()
        with self._lock:
            outcome = self._scheduler.reply(ticket, prediction, t)
        if isinstance(outcome, Dropped):
            self._refuse(outcome.refusal, t)
            return
        verdict = self._gate.check(outcome.plan, self._situation(observation, t))
        refusal = verdict.refusal if verdict.plan is None else None
        with self._lock:
            refusal = refusal or self._arbiter.admit(lease, observation.stamp, t)
            if refusal is not None or verdict.plan is None:
                self._scheduler.failed(ticket, t)
            elif not self._scheduler.execute(outcome, verdict.plan):
                return  # the instruction has changed meanwhile
        if refusal is not None or verdict.plan is None:
            if refusal is not None:
                self._refuse(refusal, t)
            return
        if verdict.refusal is not None:
            self._events.limited(verdict.refusal, t)
        # Only what was executed: asked twice from one posture, a planner may say the same twice.
        self._previous = outcome.plan
        latency = (t - observation.stamp) * 1e-9
        self._publish(Chunk(verdict.plan, observation, latency))

    def _refuse(self, refusal: Refusal, t: int) -> None:
        self.predictions_refused += 1
        self._events.refused(refusal, t)

    def _situation(self, observation: Observation, t: int) -> Situation:
        reference = self._references.newest(t)
        positions = reference.positions if reference else observation.positions
        velocities = reference.velocities if reference else np.zeros_like(observation.positions)
        return Situation(t, positions, velocities, self._row_time, self._previous)
