"""What a number of successes says."""

from __future__ import annotations

import math

_Z = 1.959963984540054  # two-sided 95 %


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of the rate of success."""
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"expected 0 to {trials} successes of 1 trial or more, got {successes}")
    rate = successes / trials
    scale = 1.0 + _Z**2 / trials
    middle = (rate + _Z**2 / (2 * trials)) / scale
    half = _Z / scale * math.sqrt(rate * (1 - rate) / trials + _Z**2 / (4 * trials**2))
    return max(0.0, middle - half), min(1.0, middle + half)
