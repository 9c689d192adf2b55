"""What two messages that follow each other in a stream say about what came between them."""

from __future__ import annotations

from dataclasses import dataclass

from labvla_policy.runtime.types import CLOCK_JUMP


@dataclass(frozen=True)
class Follow:
    """How a message follows the one before it."""

    missing: int = 0  # messages that should have come between them
    backwards: bool = False  # not newer than the one before
    jumped: bool = False  # a clock was set: the two stamps cannot be compared


_NEXT = Follow()
_BACKWARDS = Follow(backwards=True)
_JUMPED = Follow(jumped=True)


def follow(step: int, elapsed: int, period: float) -> Follow:
    """Judge a step between two stamps, given the time between the arrivals (all in ns).

    The stream must not jitter by more than a quarter of its period.
    """
    if step <= -CLOCK_JUMP or step - elapsed >= CLOCK_JUMP:
        return _JUMPED
    if step <= 0:
        return _BACKWARDS
    missing = round(step / period) - 1
    return Follow(missing) if missing > 0 else _NEXT
