"""Cameras where the cell says, shifted as the scene says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from labvla_policy.runtime.cell import Pose
from labvla_sim.drawing import add_surface, quaternion
from labvla_sim.scene.description import CameraShift
from labvla_sim.shapes import rounded_box

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Camera, Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.quality import Quality

# A cell's camera looks along x with z up; MuJoCo's looks along -z with y up.
_LENS = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_HOUSING = (0.0115, 0.045, 0.0125)  # half size of the body behind the lens


def add_cameras(spec: Any, cell: Cell, shifts: tuple[CameraShift, ...], quality: Quality) -> None:
    """Add all cameras of the cell; one on an arm also shows its housing."""
    by_name = {shift.camera: shift for shift in shifts}
    for camera in cell.cameras:
        parent = _parent(spec, cell, camera)
        pose = camera.mount.matrix()
        shift = by_name.get(camera.name)
        if shift is not None:
            pose = pose @ Pose(position=shift.position, rpy=shift.rpy).matrix()
        parent.add_camera(
            name=camera.name,
            pos=pose[:3, 3],
            quat=quaternion(pose[:3, :3] @ _LENS),
            fovy=float(np.rad2deg(camera.vertical_fov)),
        )
        if camera.mount.frame != cell.frame:
            _show_housing(spec, parent, camera.name, pose, quality)


def _parent(spec: Any, cell: Cell, camera: Camera) -> Any:
    for arm in cell.arms:
        if camera.mount.frame == arm.base_frame:
            return spec.body(f"{arm.name}/link0")
        if camera.mount.frame == arm.flange_frame:
            return spec.body(f"{arm.name}/flange")
    return spec.worldbody


def _show_housing(spec: Any, parent: Any, name: str, pose: Array, quality: Quality) -> None:
    box = rounded_box(_HOUSING, 0.006, quality.segments)
    behind = pose[:3, 3] - pose[:3, 0] * (_HOUSING[0] + 0.004)
    add_surface(
        spec,
        parent,
        f"{name}_camera_housing",
        box.moved(pose[:3, :3], behind),
        material="steel",
    )
