"""Rotations as ROS writes them."""

from __future__ import annotations

import numpy as np

from labvla_policy.runtime.types import Array


def quaternion(rotation: Array) -> tuple[float, float, float, float]:
    """Return the rotation as x, y, z, w, with w not negative, as files and messages show it."""
    x, y, z, w = (float(value) for value in np.round(quaternion_of(rotation), 12) + 0.0)
    return x, y, z, w


def quaternion_of(rotation: Array) -> Array:
    """Return the unit quaternion (x, y, z, w) of a rotation matrix, w >= 0.

    It is the eigenvector of Bar-Itzhack's symmetric matrix with the largest eigenvalue, which has
    no special cases near half a turn.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx - yy - zz, xy + yx, xz + zx, zy - yz],
            [xy + yx, yy - xx - zz, yz + zy, xz - zx],
            [xz + zx, yz + zy, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    found: Array = np.linalg.eigh(symmetric)[1][:, -1]
    return -found if found[3] < 0.0 else found
