"""From views to a camera's pose: guess, refine, leave out what does not fit, say how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labvla_data.calibration.closed_form import guess
from labvla_data.calibration.errors import CalibrationError, NotAccurateError
from labvla_data.calibration.model import Poses, Sights
from labvla_data.calibration.refine import Freedom, refine
from labvla_data.calibration.rigid import change_between, rotation_vector
from labvla_policy.runtime.types import Array

LEAST_VIEWS = 6  # twelve unknowns take two; the others are what the uncertainty comes from
# Root mean square of the turn between views, about the second of its three main axes. One axis
# alone leaves the camera free to move along it.
LEAST_TURN = np.deg2rad(5.0)
# A view is left out where it fits this much worse than the median one ...
OUTLIER_RATIO = 4.0
# ... and by more pixels than noise and rendering explain.
OUTLIER_PIXELS = 0.7
MOST_LEFT_OUT = 1 / 3
# A printer that scales to fit makes a board some per cent smaller; a good ruler tells 0.3 %.
WRONG_SCALE = 0.005
_ROUNDS_OF_WEIGHTS = 6


@dataclass(frozen=True, eq=False)
class Solution:
    """Where the camera and the board are, and how well that explains the views."""

    poses: Poses
    used: Sights
    residual: float  # pixels, root mean square
    view_residuals: dict[str, float]  # pixels; the left out ones too
    left_out: tuple[str, ...]
    position_error: float | None  # m, standard error; None where there are too few views
    rotation_error: float | None  # rad
    scale: float | None  # of the printed board, where the robot's motion tells it
    distance: float  # m, from the camera to the corners, mean

    @property
    def at_the_board(self) -> float:
        """The residual in metres at the board's distance."""
        return self.residual * self.distance / self.used.lens.focal


def solve(sights: Sights, known_board: Array | None) -> Solution:
    """Return the best pose of the camera; `known_board`: where the board is, if that is known."""
    if known_board is None:
        _refuse_too_few(sights)
        _refuse_too_little_turn(sights)
    elif not len(sights):
        raise CalibrationError("expected at least one good view, got none")
    freedom = Freedom(board=known_board is None)
    everything = _robust(sights, guess(sights, known_board), freedom)
    kept, poses = _without_outliers(sights, everything, freedom)
    used = sights.chosen(kept)
    scale = None
    if known_board is None:
        scale = refine(used, poses, Freedom(board=True, scale=True)).scale
        if abs(scale - 1) > WRONG_SCALE:
            raise NotAccurateError(
                f"the robot's motion says that the board's squares are "
                f"{used.board.square * scale * 1000:.2f} mm and not "
                f"{used.board.square * 1000:.2f} mm ({scale - 1:+.1%}): measure a row of squares "
                "and give its true size; print at 100 %. If the size is right, the intrinsics or "
                "the robot's joint zeros are wrong"
            )
    errors = _errors(used, poses)
    residuals = sights.residuals(_errors(sights, poses))
    names = [sight.name for sight in sights.items]
    position_error, rotation_error = _uncertainty(used, poses, freedom)
    return Solution(
        poses=poses,
        used=used,
        residual=float(np.sqrt((errors**2).sum(axis=1).mean())),
        view_residuals=dict(zip(names, residuals.tolist(), strict=True)),
        left_out=tuple(name for i, name in enumerate(names) if i not in kept),
        position_error=position_error,
        rotation_error=rotation_error,
        scale=scale,
        distance=float(used.points_before_camera(poses)[:, 2].mean()),
    )


def _refuse_too_few(sights: Sights) -> None:
    if len(sights) < LEAST_VIEWS:
        raise CalibrationError(
            f"expected at least {LEAST_VIEWS} good views, got {len(sights)}: 15 that differ in "
            "direction and distance are a good number"
        )


def _refuse_too_little_turn(sights: Sights) -> None:
    rotations = sights.carriers[:, :3, :3]
    turns = np.array(
        [
            rotation_vector(one.T @ other)
            for i, one in enumerate(rotations)
            for other in rotations[i + 1 :]
        ]
    )
    spread = np.linalg.svd(turns, compute_uv=False) / np.sqrt(len(turns))
    if spread[1] < LEAST_TURN:
        first, second = np.rad2deg(spread[:2])
        raise CalibrationError(
            f"the flange turned by {first:.1f} degrees about one axis and {second:.1f} about any "
            f"other (root mean square between views); at least {np.rad2deg(LEAST_TURN):.0f} about "
            "two axes are needed: tilt the wrist to the left, right, front and back, by 20 degrees "
            "or more"
        )


def _errors(sights: Sights, poses: Poses) -> Array:
    errors = sights.errors(poses)
    if errors is None:  # only a view that was left out can be behind
        return np.full((len(sights.owner), 2), np.inf)
    return errors


def _robust(sights: Sights, start: Poses, freedom: Freedom) -> Poses:
    """Refine with less weight for views that fit badly: one wrong view bends no other."""
    poses = refine(sights, start, freedom)
    for _ in range(_ROUNDS_OF_WEIGHTS):
        residuals = sights.residuals(_errors(sights, poses))
        bearable = max(2 * float(np.median(residuals)), 1e-9)
        weights = np.minimum(1.0, bearable / np.maximum(residuals, 1e-12))
        poses = refine(sights, poses, freedom, weights)
    return poses


def _without_outliers(
    sights: Sights, poses: Poses, freedom: Freedom
) -> tuple[tuple[int, ...], Poses]:
    kept: tuple[int, ...] = tuple(range(len(sights)))
    while True:
        residuals = sights.residuals(_errors(sights, poses))
        typical = float(np.median(residuals[list(kept)]))
        limit = max(OUTLIER_RATIO * typical, typical + OUTLIER_PIXELS)
        fitting = tuple(int(i) for i in np.flatnonzero(residuals <= limit))
        if len(sights) - len(fitting) > MOST_LEFT_OUT * len(sights):
            bad = [s.name for i, s in enumerate(sights.items) if i not in fitting]
            raise NotAccurateError(
                f"{len(bad)} of {len(sights)} views do not fit the others ({', '.join(bad)}): did "
                "the board or the camera move, or do the joint states belong to other pictures?"
            )
        poses = refine(sights.chosen(fitting), poses, freedom)
        if fitting == kept:
            return kept, poses
        kept = fitting


def _uncertainty(
    sights: Sights, poses: Poses, freedom: Freedom
) -> tuple[float | None, float | None]:
    """Return standard errors of position and rotation, by leaving out one view after another.

    Corners of one view err together, since the robot's own error is common to them: what a view
    more or less changes is an honest measure, the number of corners is not.
    """
    count = len(sights)
    if count < LEAST_VIEWS:
        return None, None
    changes = []
    for gone in range(count):
        rest = sights.chosen([i for i in range(count) if i != gone])
        changes.append(change_between(poses.camera, refine(rest, poses, freedom).camera))
    spread = np.array(changes) - np.mean(changes, axis=0)
    variance = (count - 1) / count * (spread**2).sum(axis=0)
    return float(np.sqrt(variance[3:].sum())), float(np.sqrt(variance[:3].sum()))
