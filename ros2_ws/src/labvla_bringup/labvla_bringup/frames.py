"""The frames of a cell that stand for ever: bench, feet of the arms, cameras."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labvla_bringup.description import Transform
from labvla_policy.runtime.cell import Camera, Cell

Matrix = NDArray[np.float64]

# A camera's body looks along its x axis, its picture (the optical frame) along z, with x right.
OPTICAL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def bench_below(cell: Cell) -> Transform:
    """Return where the bench is, as seen from the foot of the first arm.

    The maker's description is a tree with a root of its own, and a frame has one parent: the bench
    can only hang on that tree.
    """
    arm = cell.arms[0]
    return transform(arm.base_frame, cell.frame, np.asarray(np.linalg.inv(arm.base.matrix())))


def cameras(cell: Cell) -> tuple[Transform, ...]:
    """Return where the pictures are taken; only of cameras that name their frame."""
    return tuple(_optical(camera) for camera in cell.cameras if camera.frame_id is not None)


def _optical(camera: Camera) -> Transform:
    assert camera.frame_id is not None
    return transform(camera.mount.frame, camera.frame_id, camera.mount.matrix() @ OPTICAL)


def transform(parent: str, child: str, pose: Matrix) -> Transform:
    """Return a pose as tf wants it."""
    x, y, z = (float(value) for value in np.round(pose[:3, 3], 12))
    return Transform(parent, child, (x, y, z), quaternion(pose[:3, :3]))


def quaternion(rotation: Matrix) -> tuple[float, float, float, float]:
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
