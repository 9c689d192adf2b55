"""Moves camera and board until the corners are where they were seen: Levenberg and Marquardt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from labvla_data.calibration.errors import CalibrationError
from labvla_data.calibration.model import Poses, Sights
from labvla_data.calibration.rigid import step
from labvla_policy.runtime.types import Array

_STEP = 1e-6  # for differences: far below what a pixel resolves, far above rounding
_SMALLEST_CHANGE = 1e-9  # rad, m
_MOST_ROUNDS = 60


@dataclass(frozen=True)
class Freedom:
    """What may change beside the camera."""

    board: bool
    scale: bool = False

    @property
    def count(self) -> int:
        """Number of unknowns."""
        return 6 + 6 * self.board + self.scale

    def moved(self, poses: Poses, change: Array) -> Poses:
        """Return the poses after a small change."""
        moved = replace(poses, camera=step(poses.camera, change[:6]))
        if self.board:
            moved = replace(moved, board=step(poses.board, change[6:12]))
        return replace(moved, scale=poses.scale + change[-1]) if self.scale else moved


def refine(sights: Sights, start: Poses, freedom: Freedom, weights: Array | None = None) -> Poses:
    """Return the poses of the least sum of squares; `weights`: one for each view."""
    factor = (np.ones(len(sights)) if weights is None else weights)[sights.owner][:, None]

    def errors_at(poses: Poses) -> Array | None:
        errors = sights.errors(poses)
        return None if errors is None else np.ravel(errors * factor)

    poses, damping = start, 1e-3
    errors = errors_at(poses)
    if errors is None:
        raise CalibrationError(
            "the views contradict each other: some would see the board behind the camera. Do the "
            "joint states belong to the pictures, and is the right arm meant?"
        )
    for _ in range(_MOST_ROUNDS):
        jacobian = _differences(errors_at, errors, poses, freedom)
        normal, slope = jacobian.T @ jacobian, jacobian.T @ errors
        change: Array = np.full(freedom.count, np.inf)
        while damping < 1e12:
            damped = normal + damping * np.diag(np.maximum(np.diag(normal), 1e-12))
            change = -np.linalg.solve(damped, slope).astype(np.float64, copy=False)
            trial = freedom.moved(poses, change)
            there = errors_at(trial)
            if there is not None and there @ there <= errors @ errors:
                poses, errors, damping = trial, there, max(damping / 10, 1e-12)
                break
            damping *= 10
        else:
            return poses
        if np.abs(change).max() < _SMALLEST_CHANGE:
            return poses
    return poses


def _differences(
    errors_at: Callable[[Poses], Array | None], errors: Array, poses: Poses, freedom: Freedom
) -> Array:
    columns = []
    for unknown in range(freedom.count):
        change = np.zeros(freedom.count)
        change[unknown] = _STEP
        moved = errors_at(freedom.moved(poses, change))
        assert moved is not None, "a board a micrometre behind the camera"
        columns.append((moved - errors) / _STEP)
    return np.stack(columns, axis=1)
