"""What every engine offers."""

from typing import Protocol

from labvla_policy.runtime.types import Observation, Prediction


class EngineError(RuntimeError):
    """The engine cannot be made or cannot answer; the text says what to do."""


class Engine(Protocol):
    """Something that turns an observation into a plan."""

    @property
    def policy(self) -> str:
        """Name the engine and what it runs, for logs and recordings."""
        ...

    def begin(self, observation: Observation) -> None:
        """Start a new instruction from this observation."""
        ...

    def infer(self, observation: Observation) -> Prediction:
        """Predict. Runs in a process of its own, never in a ROS callback."""
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...
