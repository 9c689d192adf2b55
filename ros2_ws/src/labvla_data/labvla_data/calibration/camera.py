"""Calibrates one camera of a cell from a set of views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from labvla_data.calibration.board import Board
from labvla_data.calibration.closed_form import board_in_camera
from labvla_data.calibration.detection import Detection, UnusableError, detect
from labvla_data.calibration.errors import CalibrationError, NotAccurateError
from labvla_data.calibration.frames import carrier, mount_of, optical_of
from labvla_data.calibration.lens import Lens, estimate_lens
from labvla_data.calibration.model import Sight, Sights
from labvla_data.calibration.rigid import change_between
from labvla_data.calibration.solve import Solution, solve
from labvla_data.calibration.views import View, Views
from labvla_policy.runtime.cell import Camera, Cell, Pose
from labvla_policy.runtime.cell.model import (
    BoardPlace,
    Calibration,
    CalibrationBoard,
    CalibrationLens,
    Mount,
)

WORST_RESIDUAL = 3.0  # pixels; a good arm with a good camera stays below 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to calibrate."""

    board: Board
    board_on: str  # frame of the cell in which the board does not move
    board_at: Pose | None = None  # where it is in that frame, if known
    estimate_intrinsics: bool = False
    worst_residual: float = WORST_RESIDUAL  # pixels


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came out, ready for the cell file."""

    mount: Mount
    calibration: Calibration
    solution: Solution
    unusable: dict[str, str]  # view: why
    lens_residual: float | None  # pixels, where the intrinsics were estimated
    moved: tuple[float, float]  # m and rad against the mount that the cell file had
    notes: tuple[str, ...]


def calibrate(
    cell: Cell,
    camera: Camera,
    views: Views,
    plan: Plan,
    date: str,
    tell: Callable[[int, int], None] = lambda done, whole: None,
) -> Outcome:
    """Return the camera's mount by what its views show, or raise why there is none."""
    if views.camera != camera.name:
        raise CalibrationError(
            f"expected views of the camera {camera.name!r}, these are of {views.camera!r}"
        )
    size = views.size
    found, unusable = _detections(plan.board, views, tell)
    lens, lens_residual = _lens(plan, views, size, [detection for _, detection in found])
    sights = []
    for view, detection in found:
        try:
            board_in_camera(plan.board, lens, detection)
        except UnusableError as error:
            unusable[view.name] = str(error)
            continue
        try:
            sights.append(
                Sight(view.name, detection, carrier(cell, camera, plan.board_on, view.joints))
            )
        except CalibrationError as error:
            raise CalibrationError(f"{view.name}: {error}") from None
    if not sights:
        raise CalibrationError(f"no view can be used; {_shown(unusable)}")
    try:
        solution = solve(
            Sights(plan.board, lens, tuple(sights)),
            None if plan.board_at is None else plan.board_at.matrix(),
        )
    except CalibrationError as error:
        hint = f"; not used: {_shown(unusable)}" if unusable else ""
        raise CalibrationError(f"{error}{hint}") from None
    if solution.residual > plan.worst_residual:
        raise NotAccurateError(
            f"the residual is {solution.residual:.2f} pixels, at most {plan.worst_residual:g} are "
            "good: is the board flat and fixed, do the intrinsics belong to this camera and "
            "resolution, did the arm stand still?"
        )
    mount = mount_of(solution.poses.camera, camera.mount)
    change = change_between(optical_of(camera.mount), solution.poses.camera)
    return Outcome(
        mount=mount,
        calibration=_record(plan, lens, solution, date),
        solution=solution,
        unusable=unusable,
        lens_residual=lens_residual,
        moved=(float(np.linalg.norm(change[3:])), float(np.linalg.norm(change[:3]))),
        notes=_notes(camera, size),
    )


def _detections(
    board: Board, views: Views, tell: Callable[[int, int], None]
) -> tuple[list[tuple[View, Detection]], dict[str, str]]:
    found, unusable = [], {}
    for done, view in enumerate(views.items, 1):
        try:
            found.append((view, detect(board, view.pixels)))
        except UnusableError as error:
            unusable[view.name] = str(error)
        tell(done, len(views.items))
    return found, unusable


def _lens(
    plan: Plan, views: Views, size: tuple[int, int], detections: list[Detection]
) -> tuple[Lens, float | None]:
    if plan.estimate_intrinsics:
        return estimate_lens(plan.board, detections, *size)
    if views.camera_info is None:
        raise CalibrationError(
            "the views have no camera_info: let the driver publish it, or estimate with "
            "--intrinsics"
        )
    lens = Lens.from_camera_info(views.camera_info, "camera_info")
    if (lens.width, lens.height) != size:
        raise CalibrationError(
            f"camera_info is for pictures of {lens.width} x {lens.height}, these are "
            f"{size[0]} x {size[1]}: repair the driver's profile, or estimate with --intrinsics"
        )
    return lens, None


def _notes(camera: Camera, size: tuple[int, int]) -> tuple[str, ...]:
    if size == (camera.width, camera.height):
        return ()
    return (
        f"the pictures are {size[0]} x {size[1]}, the cell file says {camera.width} x "
        f"{camera.height}: the mount holds for both, finer pictures give a finer mount",
    )


def _record(plan: Plan, lens: Lens, solution: Solution, date: str) -> Calibration:
    board = Pose.from_matrix(solution.poses.board)
    (fx, _, cx), (_, fy, cy) = lens.matrix[:2]
    return Calibration(
        date=date,
        views=len(solution.used),
        residual=solution.residual,
        position_error=solution.position_error,
        rotation_error=solution.rotation_error,
        board=CalibrationBoard(
            columns=plan.board.columns,
            rows=plan.board.rows,
            square=plan.board.square,
            marker=plan.board.marker,
            dictionary=plan.board.dictionary,
        ),
        board_place=BoardPlace(frame=plan.board_on, position=board.position, rpy=board.rpy),
        lens=CalibrationLens(
            width=lens.width,
            height=lens.height,
            focal=(float(fx), float(fy)),
            centre=(float(cx), float(cy)),
            distortion=tuple(map(float, lens.distortion)),
        ),
    )


def _shown(unusable: dict[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in unusable.items())
