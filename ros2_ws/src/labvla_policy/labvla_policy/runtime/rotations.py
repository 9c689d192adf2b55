"""Rotations as ROS writes them."""

from __future__ import annotations

import numpy as np

from labvla_policy.runtime.types import Array


def quaternion(rotation: Array) -> tuple[float, float, float, float]:
    """Return the rotation as x, y, z, w, with w not negative.

    It is the eigenvector of Bar-Itzhack's symmetric matrix with the largest eigenvalue, which has
    no special cases near half a turn.
    """
    r = rotation
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
            [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], 0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], np.trace(r)],
        ]
    )
    found = np.linalg.eigh(k)[1][:, -1]  # of the lower triangle
    if found[3] < 0:
        found = -found
    x, y, z, w = (float(value) for value in np.round(found, 12) + 0.0)
    return x, y, z, w
