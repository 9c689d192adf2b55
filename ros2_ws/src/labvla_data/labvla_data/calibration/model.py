"""What ties a picture to the robot, the same for all three ways of calibrating.

A view sees the board at `inverse(camera) @ carrier @ board`:

- wrist camera: `camera` in the flange, `carrier` the cell in the flange, `board` in the cell;
- fixed camera, board on the gripper: `camera` in its frame, `carrier` the flange in that frame,
  `board` in the flange;
- board at a known place: the same with that place as `board`, which is not solved for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from labvla_data.calibration.board import Board
from labvla_data.calibration.detection import Detection
from labvla_data.calibration.lens import Lens
from labvla_data.calibration.rigid import inverse
from labvla_policy.runtime.types import Array

# Points nearer to the lens than this, or behind it, are no projection but nonsense.
NEAREST = 1e-3


@dataclass(frozen=True, eq=False)
class Sight:
    """A view that can be used: what was seen, and where the robot was."""

    name: str
    detection: Detection
    carrier: Array  # 4 x 4


@dataclass(frozen=True, eq=False)
class Poses:
    """What is solved for."""

    camera: Array  # optical frame: x right, y down, z forward
    board: Array
    scale: float = 1.0  # of the printed board against the declared one


@dataclass(frozen=True, eq=False)
class Sights:
    """Several views of one board through one lens."""

    board: Board
    lens: Lens
    items: tuple[Sight, ...]

    def __len__(self) -> int:
        return len(self.items)

    def chosen(self, which: Sequence[int]) -> Sights:
        """Return some of the views."""
        return replace(self, items=tuple(self.items[i] for i in which))

    @cached_property
    def carriers(self) -> Array:
        """Where the robot was, views x 4 x 4."""
        return np.array([sight.carrier for sight in self.items])

    @cached_property
    def owner(self) -> Array:
        """To which view each corner belongs."""
        counts = [len(sight.detection.ids) for sight in self.items]
        return np.repeat(np.arange(len(self.items)), counts)

    @cached_property
    def _points(self) -> Array:
        return np.concatenate([self.board.points[s.detection.ids] for s in self.items])

    @cached_property
    def _corners(self) -> Array:
        return np.concatenate([sight.detection.corners for sight in self.items])

    def points_before_camera(self, poses: Poses) -> Array:
        """Return all corners in the camera's optical frame."""
        chains = inverse(poses.camera) @ self.carriers @ poses.board
        chain = chains[self.owner]
        turned = np.einsum("nij,nj->ni", chain[:, :3, :3], self._points * poses.scale)
        return np.asarray(turned + chain[:, :3, 3])

    def errors(self, poses: Poses) -> Array | None:
        """Return predicted minus seen pixels, corners x 2; None where the board is behind."""
        points = self.points_before_camera(poses)
        if points[:, 2].min() < NEAREST:
            return None
        return self.lens.project(points) - self._corners

    def residuals(self, errors: Array) -> Array:
        """Return the root mean square of each view's errors in pixels."""
        squares = np.bincount(self.owner, (errors**2).sum(axis=1), minlength=len(self))
        return np.asarray(np.sqrt(squares / np.bincount(self.owner, minlength=len(self))))
