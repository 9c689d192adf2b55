"""Smooth rows: each row of a sampled chunk has an error of its own, which shakes the arm.

A parabola is fitted through a window around every row (at the ends, through the outermost window)
and the row is put on it: what the chunk means stays, what no two rows agree on goes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DEGREE = 2
LEAST_WINDOW = 2 * _DEGREE + 1  # a shorter one hardly differs from the rows themselves


def smoother(rows: int, window: int) -> NDArray[np.float32]:
    """Return the matrix that smooths a chunk of so many rows."""
    matrix = np.zeros((rows, rows))
    for row in range(rows):
        first = min(max(row - window // 2, 0), rows - window)
        powers = np.vander(np.arange(first, first + window) - row, _DEGREE + 1, increasing=True)
        matrix[row, first : first + window] = np.linalg.pinv(powers)[0]
    return matrix.astype(np.float32)
