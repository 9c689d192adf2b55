"""What both nodes answer, at once: a slow turn of every joint from where it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS = 50
TURN = 0.01  # rad over all rows

Array = NDArray[np.float64]


def rows_from(positions: Any) -> Array:
    """Return rows x joints."""
    turn: Array = TURN * np.linspace(0.0, 1.0, ROWS)[:, None]
    return np.asarray(positions, dtype=np.float64) + turn
