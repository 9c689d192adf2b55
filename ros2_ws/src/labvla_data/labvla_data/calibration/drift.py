"""Whether a calibrated camera still stands where it stood, by the board at its old place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labvla_data.calibration.board import Board
from labvla_data.calibration.detection import UnusableError, detect
from labvla_data.calibration.errors import CalibrationError
from labvla_data.calibration.frames import carrier, optical_of
from labvla_data.calibration.lens import Lens
from labvla_data.calibration.model import Poses, Sight, Sights
from labvla_data.calibration.refine import Freedom, refine
from labvla_data.calibration.rigid import change_between
from labvla_data.calibration.views import Views
from labvla_policy.runtime.cell import Camera, Cell
from labvla_policy.runtime.cell.model import Calibration

# What is allowed: several times what the calibration itself left, and what putting a board back
# against its marks costs.
ALLOWED_RATIO = 4.0
ALLOWED_PIXELS = 1.5


@dataclass(frozen=True)
class Drift:
    """How far the board is seen from where the calibration expects it."""

    residual: float  # pixels, root mean square over all views
    allowed: float  # pixels
    at_the_board: float  # m that the residual amounts to there
    moved: float  # m that the camera seems to have moved, if the board has not
    turned: float  # rad
    views: int
    unusable: dict[str, str]

    @property
    def within(self) -> bool:
        """Whether the calibration still holds."""
        return self.residual <= self.allowed

    def text(self) -> str:
        """One line for people."""
        return (
            f"the board is seen {self.residual:.2f} px from where it should be ({self.allowed:.2f} "
            f"are allowed), {self.at_the_board * 1000:.1f} mm there; as a motion of the camera "
            f"{self.moved * 1000:.1f} mm and {np.rad2deg(self.turned):.2f} degrees"
        )


def drift(cell: Cell, camera: Camera, views: Views) -> Drift:
    """Compare views of the board at its stored place with the camera's calibration."""
    calibration = camera.calibration
    if calibration is None:
        raise CalibrationError(
            f"the camera {camera.name!r} has no calibration to compare with: "
            f"labvla calibrate camera {cell.name} {camera.name}"
        )
    if views.camera != camera.name:
        raise CalibrationError(
            f"expected views of the camera {camera.name!r}, these are of {views.camera!r}"
        )
    board, lens = board_of(calibration), _lens(calibration, views)
    place = calibration.board_place
    sights, unusable = [], {}
    for view in views.items:
        try:
            found = detect(board, view.pixels)
        except UnusableError as error:
            unusable[view.name] = str(error)
            continue
        pose = carrier(cell, camera, place.frame, view.joints)
        sights.append(Sight(view.name, found, pose))
    if not sights:
        raise CalibrationError(
            "the board is not seen in any view: put it where it stood at the calibration "
            f"({place.frame}, {', '.join(f'{value:.3f}' for value in place.position)} m); "
            + "; ".join(f"{name}: {why}" for name, why in unusable.items())
        )
    seen = Sights(board, lens, tuple(sights))
    expected = Poses(camera=optical_of(camera.mount), board=place.matrix())
    errors = seen.errors(expected)
    if errors is None:
        raise CalibrationError(
            "by its calibration the camera would have the board behind it: is the arm in a posture "
            "from which the camera can see the board?"
        )
    residual = float(np.sqrt((errors**2).sum(axis=1).mean()))
    change = change_between(expected.camera, refine(seen, expected, Freedom(board=False)).camera)
    distance = float(seen.points_before_camera(expected)[:, 2].mean())
    return Drift(
        residual=residual,
        allowed=max(ALLOWED_PIXELS, ALLOWED_RATIO * calibration.residual),
        at_the_board=residual * distance / lens.focal,
        moved=float(np.linalg.norm(change[3:])),
        turned=float(np.linalg.norm(change[:3])),
        views=len(seen),
        unusable=unusable,
    )


def board_of(calibration: Calibration) -> Board:
    """Return the board that a camera was calibrated with."""
    board = calibration.board
    return Board(board.columns, board.rows, board.square, board.marker, board.dictionary)


def _lens(calibration: Calibration, views: Views) -> Lens:
    """Return the lens of the calibration; at another resolution the driver's own has to do."""
    stored, size = calibration.lens, views.size
    if (stored.width, stored.height) == size:
        (fx, fy), (cx, cy) = stored.focal, stored.centre
        matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
        return Lens(*size, matrix, np.array(stored.distortion))
    if views.camera_info is not None:
        lens = Lens.from_camera_info(views.camera_info, "camera_info")
        if (lens.width, lens.height) == size:
            return lens
    raise CalibrationError(
        f"expected pictures of {stored.width} x {stored.height} as at the calibration, or a "
        f"camera_info that fits them; got {size[0]} x {size[1]}"
    )
