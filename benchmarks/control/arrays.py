"""Array types, and the two curves that several methods and the metrics share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Indices = NDArray[np.int64]


def spline_velocities(
    times: Floats, values: Floats, start: Floats | None = None, end: Floats | None = None
) -> Floats:
    """Return the knot velocities of the C2 cubic spline through values of shape [knots, joints].

    An end without a given velocity gets constant curvature over its outermost interval.
    """
    knots = len(times)
    if knots == 1:
        return np.zeros_like(values)
    h = np.diff(times)
    slopes = np.diff(values, axis=0) / h[:, None]
    matrix = np.zeros((knots, knots))
    right = np.zeros_like(values)
    for k in range(1, knots - 1):
        matrix[k, k - 1 : k + 2] = 1 / h[k - 1], 2 / h[k - 1] + 2 / h[k], 1 / h[k]
        right[k] = 3 * (slopes[k - 1] / h[k - 1] + slopes[k] / h[k])
    for row, neighbour, slope, given in ((0, 1, slopes[0], start), (-1, -2, slopes[-1], end)):
        matrix[row, row] = 1.0
        right[row] = 2 * slope if given is None else given
        matrix[row, neighbour] = 1.0 if given is None else 0.0
    if knots == 2 and start is None and end is None:
        return np.broadcast_to(slopes, values.shape).copy()
    return np.linalg.solve(matrix, right)


def hermite(times: Floats, values: Floats, velocities: Floats, at: Floats) -> Floats:
    """Sample the piecewise cubic with these knots; `at` must lie within them."""
    k = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    h = (times[k + 1] - times[k])[:, None]
    u = (at[:, None] - times[k][:, None]) / h
    w = 1.0 - u
    sampled: Floats = (
        w * w * (1 + 2 * u) * values[k]
        + u * u * (1 + 2 * w) * values[k + 1]
        + h * u * w * (w * velocities[k] - u * velocities[k + 1])
    )
    return sampled


def linear(times: Floats, values: Floats, at: Floats) -> Floats:
    """Sample the polyline with these knots; outside them the nearest end is held."""
    return np.stack([np.interp(at, times, column) for column in values.T], axis=1)
