"""A chunk as whole numbers: cosine transform over time, scaled and rounded."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Chunk = NDArray[np.floating]
Coefficients = NDArray[np.int64]


def quantised(chunk: Chunk, scale: float) -> Coefficients:
    """Return the rounded coefficients of (chunks x) rows x columns, slowest motion first."""
    exact = cosines(chunk.shape[-2]) @ np.asarray(chunk, dtype=np.float64)
    whole: Coefficients = np.around(exact * scale).astype(np.int64)
    return whole


def restored(coefficients: Coefficients, scale: float) -> NDArray[np.float64]:
    """Return the chunk that has these coefficients."""
    chunk: NDArray[np.float64] = cosines(coefficients.shape[-2]).T @ (coefficients / scale)
    return chunk


def largest(rows: int, scale: float) -> int:
    """Return what no coefficient exceeds, in either direction, of values between -1 and 1."""
    reach = np.abs(cosines(rows)).sum(axis=1).max() * scale
    return int(np.ceil(reach - 1e-9))


@cache
def cosines(rows: int) -> NDArray[np.float64]:
    """Return the orthonormal cosine transform (the second kind) as a matrix."""
    order, place = np.arange(rows)[:, None], np.arange(rows)[None, :]
    matrix: NDArray[np.float64] = np.cos(np.pi * (place + 0.5) * order / rows) * np.sqrt(2 / rows)
    matrix[0] /= np.sqrt(2)
    matrix.flags.writeable = False
    return matrix
