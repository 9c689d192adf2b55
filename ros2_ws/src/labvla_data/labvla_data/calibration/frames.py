"""Where the frames of a cell are, by the joint positions of a view."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from labvla_data.calibration.errors import CalibrationError
from labvla_data.calibration.rigid import inverse
from labvla_policy.runtime.cell import Camera, Cell, Pose
from labvla_policy.runtime.cell.model import Mount
from labvla_policy.runtime.joint_sample import select_positions
from labvla_policy.runtime.kinematics import CHAINS
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.types import Array

# A camera's body looks along x with z up, its optical frame along z with y down.
BODY_OF_OPTICAL = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)


def frame_in_cell(cell: Cell, frame: str, joints: Mapping[str, float]) -> Array:
    """Return the pose of a frame in the cell's own."""
    for arm in cell.arms:
        base = arm.base.matrix()
        if frame == arm.base_frame:
            return base
        if frame == arm.flange_frame:
            try:
                q = select_positions(list(joints), list(joints.values()), arm.joints)
            except Refused as refused:
                raise CalibrationError(refused.refusal.detail) from None
            return base @ CHAINS[arm.kind].forward(q)
    if frame == cell.frame:
        return np.eye(4)
    known = [cell.frame, *(f for arm in cell.arms for f in (arm.base_frame, arm.flange_frame))]
    raise CalibrationError(f"expected one of the frames {', '.join(known)}; got {frame!r}")


def flange_of(cell: Cell, frame: str) -> bool:
    """Whether a frame moves with an arm."""
    return any(frame == arm.flange_frame for arm in cell.arms)


def board_frame(cell: Cell, camera: Camera) -> str:
    """Where the board has to be: in the cell for a camera on an arm, else on the arm."""
    if flange_of(cell, camera.mount.frame):
        return cell.frame
    if len(cell.arms) > 1:
        names = " or ".join(arm.flange_frame for arm in cell.arms)
        raise CalibrationError(f"which arm holds the board? say --board-on {names}")
    return cell.arms[0].flange_frame


def carrier(cell: Cell, camera: Camera, board_on: str, joints: Mapping[str, float]) -> Array:
    """Return what the robot contributes between camera and board (see `model`)."""
    mount = frame_in_cell(cell, camera.mount.frame, joints)
    return inverse(mount) @ frame_in_cell(cell, board_on, joints)


def optical_of(pose: Pose) -> Array:
    """Return the optical frame of a camera's body."""
    optical: Array = pose.matrix() @ BODY_OF_OPTICAL
    return optical


def mount_of(optical: Array, old: Mount) -> Mount:
    """Return the mount of a camera by its optical frame, written as the old one was.

    Every rotation has two spellings in roll, pitch and yaw: people compare with what stood there.
    """
    pose = Pose.from_matrix(optical @ inverse(BODY_OF_OPTICAL))
    roll, pitch, yaw = pose.rpy
    spellings = np.array([[roll, pitch, yaw], [roll + np.pi, np.pi - pitch, yaw + np.pi]])
    near = old.rpy + (spellings - old.rpy + np.pi) % (2 * np.pi) - np.pi
    x, y, z = (float(angle) for angle in near[np.abs(near - old.rpy).sum(axis=1).argmin()])
    return Mount(frame=old.frame, position=pose.position, rpy=(x, y, z))
