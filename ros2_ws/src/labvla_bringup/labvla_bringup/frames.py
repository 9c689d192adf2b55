"""The frames of a cell that stand for ever: bench, feet of the arms, cameras."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labvla_bringup.description import Transform
from labvla_policy.runtime.cell import Camera, Cell
from labvla_policy.runtime.rotations import quaternion

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
