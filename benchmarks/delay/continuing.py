"""An engine whose answers continue what is being executed, as `rtc` asks for.

The expert cannot do that: it plans from where the arm is. Here its answer begins with the prefix's
frozen rows, which are executed before it can take over, and then leads over to its own, smoothly in
place and speed. It shows what the scheduling does with an engine that keeps its word, not how well
a policy keeps it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from labvla_policy.engines.base import Question
    from labvla_policy.runtime.types import Array, Observation, Prediction
    from labvla_sim.closed_loop.policy import Answers


_LEADING_OVER = 15  # rows: half a second


class Continuing:
    """Wraps an engine."""

    def __init__(self, engine: Answers) -> None:
        self._engine = engine

    def begin(self, observation: Observation) -> None:
        """Start a new instruction."""
        self._engine.begin(observation)

    def infer(self, question: Question) -> Prediction:
        """Predict, and bend the beginning onto the prefix."""
        answer = self._engine.infer(question)
        prefix = question.prefix
        if prefix is None:
            return answer
        frozen = min(prefix.frozen, answer.rows)
        if frozen < 2:
            return answer
        off = prefix.joint_targets[:frozen] - answer.joint_targets[:frozen]
        since = np.arange(answer.rows - frozen + 1)[1:, None] / _LEADING_OVER
        behind = off[-1] * _place(since) + (off[-1] - off[-2]) * _LEADING_OVER * _speed(since)
        targets = answer.joint_targets + np.concatenate([off, behind])
        return replace(answer, joint_targets=targets, prefix_rows=frozen)


def _place(t: Array) -> Array:
    """Return 1 falling to 0 over t from 0 to 1, level at both ends."""
    t = np.minimum(t, 1.0)
    result: Array = 1.0 + t**2 * (2.0 * t - 3.0)
    return result


def _speed(t: Array) -> Array:
    """Return 0 at both ends, with a slope of 1 at t = 0 and none at t = 1."""
    t = np.minimum(t, 1.0)
    result: Array = t * (1.0 - t) ** 2
    return result
