"""The lens: focal lengths, centre and distortion, declared by the driver or estimated from views.

Pixel coordinates are OpenCV's and camera_info's: whole numbers are the middles of pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from labvla_data.calibration.board import Board
from labvla_data.calibration.detection import Detection
from labvla_data.calibration.errors import CalibrationError
from labvla_policy.runtime.types import Array

# How many coefficients OpenCV understands, by the name that camera_info gives the model.
COEFFICIENTS = {"plumb_bob": 5, "rational_polynomial": 8}
LEAST_VIEWS_FOR_A_LENS = 8


@dataclass(frozen=True, eq=False)
class Lens:
    """How a camera projects."""

    width: int
    height: int
    matrix: Array  # 3 x 3
    distortion: Array

    @classmethod
    def from_camera_info(cls, info: Mapping[str, Any], where: str) -> Lens:
        """Return the lens of a camera_info message, given as a mapping of its fields."""
        try:
            model = str(info["distortion_model"])
            width, height = int(info["width"]), int(info["height"])
            matrix = np.array(info["k"], dtype=np.float64).reshape(3, 3)
            distortion = np.array(info["d"], dtype=np.float64).ravel()
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(
                f"{where}: expected width, height, distortion_model, d and k: {error!r}"
            ) from None
        if distortion.size and model not in COEFFICIENTS:
            raise CalibrationError(
                f"{where}: expected the distortion model {' or '.join(COEFFICIENTS)}, got "
                f"{model!r}: rectify the pictures in the driver, or estimate with --intrinsics"
            )
        if distortion.size and distortion.size != COEFFICIENTS[model]:
            raise CalibrationError(
                f"{where}: expected {COEFFICIENTS[model]} distortion coefficients for {model}, "
                f"got {distortion.size}"
            )
        focal = matrix[[0, 1], [0, 1]]
        if not (np.isfinite(matrix).all() and np.isfinite(distortion).all() and (focal > 0).all()):
            raise CalibrationError(
                f"{where}: expected focal lengths above 0, got {focal.tolist()}: the driver has "
                "no calibration of its own; estimate one with --intrinsics"
            )
        return cls(width, height, matrix, distortion if distortion.size else np.zeros(5))

    def project(self, points: Array) -> Array:
        """Return the pixels of points in the camera's optical frame (n x 3), n x 2."""
        origin = np.zeros(3)
        pixels, _ = cv2.projectPoints(points, origin, origin, self.matrix, self.distortion)
        return np.asarray(pixels, dtype=np.float64).reshape(-1, 2)

    @property
    def focal(self) -> float:
        """The mean focal length in pixels."""
        return float((self.matrix[0, 0] + self.matrix[1, 1]) / 2)


def estimate_lens(
    board: Board, detections: Sequence[Detection], width: int, height: int
) -> tuple[Lens, float]:
    """Return the lens that fits several views of the board best, and its residual in pixels."""
    if len(detections) < LEAST_VIEWS_FOR_A_LENS:
        raise CalibrationError(
            f"--intrinsics: expected at least {LEAST_VIEWS_FOR_A_LENS} good views, got "
            f"{len(detections)}"
        )
    residual, matrix, distortion, *_ = cv2.calibrateCamera(
        [board.points[found.ids].astype(np.float32) for found in detections],
        [found.corners.astype(np.float32) for found in detections],
        (width, height),
        None,
        None,
    )
    lens = Lens(width, height, np.asarray(matrix), np.asarray(distortion).ravel()[:5])
    if not np.isfinite(lens.matrix).all():
        raise CalibrationError(
            "--intrinsics: no lens fits these views: tilt the board (or the camera) by 20 to 40 "
            "degrees in several of them, and let it reach the picture's edges"
        )
    return lens, float(residual)
