"""An engine whose answers continue what is being executed, as `rtc` asks for.

The expert cannot do that: it plans from where the arm is. Its rows are bent onto the prefix here,
fully where they will be executed before the answer can take over, and less and less behind: that is
the shape in which in-painting leaves a flow policy's answer. It shows what the scheduling does with
an engine that keeps its word, not how well a policy keeps it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from labvla_policy.engines.base import Question
    from labvla_policy.runtime.types import Array, Observation, Prediction, Prefix
    from labvla_sim.closed_loop.policy import Answers


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
        rows = min(prefix.rows, answer.rows)
        weights = _weights(prefix)[:rows, None]
        targets = answer.joint_targets.copy()
        targets[:rows] += weights * (prefix.joint_targets[:rows] - targets[:rows])
        return replace(answer, joint_targets=targets, prefix_rows=min(prefix.frozen, rows))


def _weights(prefix: Prefix) -> Array:
    """Return 1 for frozen rows, then a smooth fall to 0 behind the last row."""
    behind = np.arange(prefix.rows) - prefix.frozen + 1
    share = np.clip(behind / (prefix.rows - prefix.frozen + 1), 0.0, 1.0)
    weights: Array = 1 - share**2 * (3 - 2 * share)
    return weights
