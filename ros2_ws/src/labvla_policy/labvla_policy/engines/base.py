"""What every engine offers."""

from dataclasses import dataclass
from typing import Protocol

from labvla_policy.runtime.types import Observation, Prediction, Prefix


class EngineError(RuntimeError):
    """The engine cannot be made or cannot answer; the text says what to do."""


@dataclass(frozen=True, eq=False)
class Question:
    """What an engine is asked."""

    observation: Observation
    # What the answer has to continue (scheduling `rtc`). An engine that does, says so in the
    # prediction's `prefix_rows`; one that cannot, answers as if there were none.
    prefix: Prefix | None = None


class Engine(Protocol):
    """Something that turns an observation into a plan."""

    @property
    def policy(self) -> str:
        """Name the engine and what it runs, for logs and recordings."""
        ...

    def begin(self, observation: Observation) -> None:
        """Start a new instruction from this observation."""
        ...

    def infer(self, question: Question) -> Prediction:
        """Predict, or raise Refused or EngineError.

        Runs in a process of its own, never in a ROS callback.
        """
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...
