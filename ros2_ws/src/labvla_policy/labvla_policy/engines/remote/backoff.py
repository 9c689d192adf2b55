"""When to try again: after ever longer pauses, and not at the same moment as everybody else."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

FIRST = 0.1  # s
LONGEST = 5.0  # s; a server that comes back is in use again after so long at most


@dataclass
class Backoff:
    """Pauses between attempts, on a clock that the caller reads."""

    chance: random.Random = field(default_factory=random.Random)
    _failures: int = 0
    _until: float = float("-inf")

    def failed(self, now: float) -> None:
        """Note an attempt that failed."""
        pause = min(LONGEST, FIRST * 2**self._failures)
        self._failures += 1
        self._until = now + pause * self.chance.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        """Note that the server answers."""
        self._failures, self._until = 0, float("-inf")

    def left(self, now: float) -> float:
        """Return how long the pause still lasts; 0 if an attempt may be made."""
        return max(0.0, self._until - now)
