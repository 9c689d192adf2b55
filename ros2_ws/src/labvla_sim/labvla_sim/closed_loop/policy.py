"""The policy node's loop in simulated time: the same cycle, without threads and processes."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from labvla_policy.engines.base import EngineError
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from labvla_policy.engines.base import Question
    from labvla_policy.runtime.cycle import Chunk, Cycle, Turn
    from labvla_policy.runtime.refusal import Refusal
    from labvla_policy.runtime.types import Observation, Prediction
    from labvla_sim.closed_loop.latency import Latency

TIMEOUT = 2 * NANOSECONDS  # that an answer may take, as the node's default


class Answers(Protocol):
    """All that is asked of an engine here."""

    def begin(self, observation: Observation) -> None:
        """Start a new instruction from this observation."""
        ...

    def infer(self, question: Question) -> Prediction:
        """Predict."""
        ...


class Tally:
    """Counts what was refused or slowed down, by source and reason."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def refused(self, refusal: Refusal, t: int) -> None:
        """Count a refusal."""
        self.counts[f"{refusal.source}: {refusal.reason}"] += 1

    def limited(self, refusal: Refusal, t: int) -> None:
        """Count a plan that was slowed down."""
        self.refused(refusal, t)


@dataclass(frozen=True, eq=False)
class _Pending:
    """An answer that is being computed, as far as the simulated clock knows."""

    turn: Turn
    prediction: Prediction | None  # None: the engine failed
    due: int


class PolicyInTime:
    """Asks, waits as long as the latency says, and publishes."""

    def __init__(
        self,
        cycle: Cycle,
        engine: Answers,
        latency: Latency,
        random: np.random.Generator,
        tally: Tally,
        publish: Callable[[Chunk], None],
    ) -> None:
        self._cycle, self._engine, self._latency = cycle, engine, latency
        self._random, self._tally, self._publish = random, tally, publish
        self._pending: _Pending | None = None
        self.questions = 0

    def advance(self, t: int, picture: bool) -> None:
        """Do what the loop would do at t; like the loop it looks for work when a picture comes."""
        if self._pending is None and picture:
            turn = self._cycle.turn(t)
            if turn is not None:
                self.questions += 1
                self._pending = self._ask(turn, t)
        if self._pending is not None and self._pending.due <= t:
            pending, self._pending = self._pending, None
            self._deliver(pending, t)

    def _ask(self, turn: Turn, t: int) -> _Pending:
        begin = time.perf_counter()
        prediction: Prediction | None = None
        try:
            if turn.begins:
                self._engine.begin(turn.question.observation)
            prediction = self._engine.infer(turn.question)
        except Refused as refused:
            self._tally.refused(refused.refusal, t)
        except EngineError:
            self._tally.counts["engine: engine_error"] += 1
        spent = time.perf_counter() - begin
        wait = round(self._latency.seconds(spent, self._random) * NANOSECONDS)
        if wait > TIMEOUT:
            self._tally.counts["engine: engine_hung"] += 1
            return _Pending(turn, None, t + TIMEOUT)
        return _Pending(turn, prediction, t + wait)

    def _deliver(self, pending: _Pending, t: int) -> None:
        if pending.prediction is None:
            self._cycle.failed(pending.turn, t)
            return
        chunk = self._cycle.answer(pending.turn, pending.prediction, t)
        if chunk is not None:
            self._publish(chunk)
