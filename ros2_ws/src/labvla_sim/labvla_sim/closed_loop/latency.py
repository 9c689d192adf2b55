"""How long an engine takes, in simulated time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Latency(Protocol):
    """A model of the time from question to answer."""

    def seconds(self, spent: float, random: np.random.Generator) -> float:
        """Return how long an answer takes that really took `spent` s to compute."""
        ...


@dataclass(frozen=True)
class Constant:
    """Always the same."""

    value: float = 0.0  # s

    def __post_init__(self) -> None:
        _check(self.value, "a latency")

    def seconds(self, spent: float, random: np.random.Generator) -> float:
        """Return the value."""
        return self.value


@dataclass(frozen=True)
class Lognormal:
    """Around a median with a long tail, as networks and busy machines have it."""

    median: float  # s
    spread: float  # standard deviation of the logarithm: 0.2 puts the 0.99 quantile at 1.6 medians

    def __post_init__(self) -> None:
        _check(self.median, "a median latency")
        _check(self.spread, "a spread")

    def seconds(self, spent: float, random: np.random.Generator) -> float:
        """Draw one."""
        return float(self.median * np.exp(self.spread * random.standard_normal()))


@dataclass(frozen=True)
class Measured:
    """As long as it really took, times a factor: what this engine can do on this machine.

    Episodes then depend on the machine and do not repeat.
    """

    factor: float = 1.0

    def __post_init__(self) -> None:
        _check(self.factor, "a factor")

    def seconds(self, spent: float, random: np.random.Generator) -> float:
        """Return the time spent."""
        return self.factor * spent


def _check(value: float, what: str) -> None:
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(f"expected {what} of 0 or more, got {value}")
