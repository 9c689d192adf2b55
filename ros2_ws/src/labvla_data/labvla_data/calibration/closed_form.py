"""A first guess without iteration: board poses from single pictures, then linear algebra.

Both unknown poses follow from one linear system, as M. Shah showed (2013): rotations by
`vec(A X B) = (A kron B') vec(X)`, then translations by least squares. OpenCV 4 has this as
calibrateRobotWorldHandEye; the Python module of OpenCV 5.0 has no hand-eye solver.
"""

from __future__ import annotations

import cv2
import numpy as np

from labvla_data.calibration.board import Board
from labvla_data.calibration.detection import Detection, UnusableError
from labvla_data.calibration.lens import Lens
from labvla_data.calibration.model import NEAREST, Poses, Sights
from labvla_data.calibration.rigid import inverse, nearest_rotation, pose_of
from labvla_policy.runtime.types import Array

# A flat board that is really the declared one fits better than this in every single picture.
WORST_FIT = 3.0  # pixels


def board_in_camera(board: Board, lens: Lens, detection: Detection) -> Array:
    """Return the pose of the board in the camera's optical frame, from one picture."""
    points, corners = board.points[detection.ids], detection.corners
    done, rotations, translations, errors = cv2.solvePnPGeneric(
        points, corners, lens.matrix, lens.distortion, flags=cv2.SOLVEPNP_IPPE
    )
    usable = [
        i for i in range(done) if np.isfinite(translations[i]).all() and translations[i][2] > 0
    ]
    if not usable:
        raise UnusableError("the corners do not lie as on a flat board in front of the camera")
    best = min(usable, key=lambda i: float(np.ravel(errors[i])[0]))
    turn, shift = cv2.solvePnPRefineLM(
        points, corners, lens.matrix, lens.distortion, rotations[best], translations[best]
    )
    pose = pose_of(turn, shift)
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    if seen[:, 2].min() < NEAREST:
        raise UnusableError("the corners do not lie as on a flat board in front of the camera")
    fit = float(np.sqrt(((lens.project(seen) - corners) ** 2).sum(axis=1).mean()))
    if fit > WORST_FIT:
        raise UnusableError(
            f"the corners are {fit:.1f} pixels away from where a flat board of {board} would have "
            "them: another board, a bent one, or the intrinsics of another camera or resolution"
        )
    return pose


def guess(sights: Sights, known_board: Array | None) -> Poses:
    """Return camera and board from the board's pose in every view."""
    seen = np.array([board_in_camera(sights.board, sights.lens, s.detection) for s in sights.items])
    if known_board is not None:
        cameras = sights.carriers @ known_board @ inverse(seen)
        return Poses(camera=_mean(cameras), board=known_board)
    return _camera_and_board(sights.carriers, seen)


def _mean(poses: Array) -> Array:
    mean = np.eye(4)
    mean[:3, :3] = nearest_rotation(poses[:, :3, :3].sum(axis=0))
    mean[:3, 3] = np.median(poses[:, :3, 3], axis=0)
    return mean


def _camera_and_board(carriers: Array, seen: Array) -> Poses:
    """Solve `carrier @ board = camera @ seen` for camera and board."""
    a, b = carriers[:, :3, :3], seen[:, :3, :3]
    # Sum over views of A' X B' couples the two rotations; its largest singular pair is both.
    coupling = sum(np.kron(a_i.T, b_i.T) for a_i, b_i in zip(a, b, strict=True))
    u, _, v = np.linalg.svd(np.asarray(coupling))
    board, camera = u[:, 0].reshape(3, 3), v[0].reshape(3, 3)
    sign = np.sign(np.linalg.det(camera)) or 1.0
    camera_turn, board_turn = nearest_rotation(sign * camera), nearest_rotation(sign * board)
    system = np.concatenate([np.concatenate([a_i, -np.eye(3)], axis=1) for a_i in a])
    known = np.concatenate(
        [camera_turn @ s[:3, 3] - c[:3, 3] for s, c in zip(seen, carriers, strict=True)]
    )
    shifts = np.linalg.lstsq(system, known, rcond=None)[0]
    board_pose, camera_pose = np.eye(4), np.eye(4)
    board_pose[:3, :3], board_pose[:3, 3] = board_turn, shifts[:3]
    camera_pose[:3, :3], camera_pose[:3, 3] = camera_turn, shifts[3:]
    return Poses(camera=camera_pose, board=board_pose)
