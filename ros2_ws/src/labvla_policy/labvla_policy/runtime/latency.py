"""Latency over the last predictions."""

from __future__ import annotations

from collections import deque
from math import nan

import numpy as np


class Latency:
    """Keeps the last hundred; the first after a start is left out, since it warms things up."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=100)
        self._warm = False

    def add(self, seconds: float) -> None:
        """Note how long a prediction took."""
        if self._warm:
            self._seconds.append(seconds)
        self._warm = True

    def quantile(self, share: float) -> float:
        """Return a quantile in seconds; NaN before the first."""
        return float(np.quantile(self._seconds, share)) if self._seconds else nan
