"""A calibration board in the scene, for trying `labvla calibrate` without a robot.

It is seen and not felt: nothing collides with it. Where it is follows from the cell, before a
camera in the posture `ready`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import cv2
import mujoco
import numpy as np

from labvla_data.calibration.board import Board
from labvla_data.calibration.frames import flange_of, frame_in_cell, optical_of
from labvla_data.calibration.rigid import inverse
from labvla_policy.runtime.cell import Pose
from labvla_sim.drawing import quaternion

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Camera, Cell
    from labvla_policy.runtime.types import Array

BoardOn = Literal["bench", "gripper"]

BOARD = Board()  # what `labvla calibrate` expects unless told otherwise
_PIXELS_PER_SQUARE = 120
_RIM = 0.5  # of a square: the white rim of the paper
_THICKNESS = 0.001  # m
_ABOVE = 0.002  # m above the bench: mats are 1 mm thick
_BEYOND = 0.10  # m from the flange along the hand to the fingertips
_BELOW = 0.11  # m further to the middle of a board that is held, all of it past the fingers


class NoPlaceError(ValueError):
    """A cell has no camera that would see the board there."""


def place_of(cell: Cell, where: BoardOn) -> tuple[str, Pose]:
    """Return where the board is: the frame in which it stays, and its place in that frame."""
    arm = cell.arms[0]
    ready = dict(zip(arm.joints, arm.posture("ready").joints, strict=True))
    flange = frame_in_cell(cell, arm.flange_frame, ready)
    if where == "bench":
        camera = _camera(cell, where)
        eye = frame_in_cell(cell, camera.mount.frame, ready) @ optical_of(camera.mount)
        centre = _on_the_bench(eye)
        return cell.frame, Pose.from_matrix(_board_at(centre, np.array([0.0, 0.0, -1.0]), eye))
    camera = _camera(cell, where)
    eye = optical_of(camera.mount)
    centre = (flange @ [0.0, 0.0, _BEYOND + _BELOW, 1.0])[:3]
    away = centre - eye[:3, 3]
    held = _board_at(centre, away / np.linalg.norm(away), eye)
    return arm.flange_frame, Pose.from_matrix(inverse(flange) @ held)


def add_board(spec: Any, cell: Cell, where: BoardOn) -> None:
    """Add the board to a scene whose arms are there already."""
    _, place = place_of(cell, where)
    parent = spec.worldbody if where == "bench" else spec.body(f"{cell.arms[0].name}/flange")
    _add_paper(spec)
    pose = place.matrix()
    parent.add_geom(
        name="board",
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname="board",
        material="board",
        pos=pose[:3, 3],
        quat=quaternion(pose[:3, :3]),
        mass=0.0,
        contype=0,
        conaffinity=0,
    )


def _camera(cell: Cell, where: BoardOn) -> Camera:
    on_arm = where == "bench"
    for camera in cell.cameras:
        if flange_of(cell, camera.mount.frame) == on_arm:
            return camera
    kind = "on an arm" if on_arm else "that stands in the cell"
    raise NoPlaceError(f"board on the {where}: {cell.name} has no camera {kind} that could see it")


def _on_the_bench(eye: Array) -> Array:
    """Return where a camera's axis meets the bench."""
    origin, axis = eye[:3, 3], eye[:3, 2]
    if axis[2] > -0.1:
        raise NoPlaceError(
            "board on the bench: the camera does not look down in the posture `ready`"
        )
    return np.asarray(origin + axis * (_ABOVE - origin[2]) / axis[2])


def _board_at(centre: Array, inwards: Array, eye: Array) -> Array:
    """Return the pose of a board whose middle is at a point, upright for a camera's eye."""
    across = eye[:3, 0] - inwards * (eye[:3, 0] @ inwards)
    across /= np.linalg.norm(across)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([across, np.cross(inwards, across), inwards])
    pose[:3, 3] = centre - pose[:3, :3] @ BOARD.middle
    return pose


def _add_paper(spec: Any) -> None:
    picture = BOARD.picture(_PIXELS_PER_SQUARE)
    rim = round(_RIM * _PIXELS_PER_SQUARE)
    grey = cv2.copyMakeBorder(picture, rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=255)
    texture = spec.add_texture(
        name="board",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=grey.shape[1],
        height=grey.shape[0],
        nchannel=3,
    )
    texture.data = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR).tobytes()
    material = spec.add_material(name="board", specular=0.0, shininess=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "board"
    near, far = -_RIM * BOARD.square, _RIM * BOARD.square
    right, low = BOARD.columns * BOARD.square + far, BOARD.rows * BOARD.square + far
    outline = np.array([[near, near], [right, near], [right, low], [near, low]])
    mesh = spec.add_mesh(name="board", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    sides = [np.column_stack([outline, np.full(4, z)]) for z in (0.0, _THICKNESS)]
    mesh.uservert = np.concatenate(sides).ravel()
    mesh.usertexcoord = np.tile([0, 0, 1, 0, 1, 1, 0, 1], 2).astype(float)
    mesh.userface = np.array([0, 2, 1, 0, 3, 2, 4, 5, 6, 4, 6, 7])
