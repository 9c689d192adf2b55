"""Where the parts of a cell are while its arms are somewhere: all poses in the cell's frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.cell.arm import Arm
from labvla_policy.runtime.gate.bodies import Capsule, capsules_of
from labvla_policy.runtime.kinematics import CHAINS
from labvla_policy.runtime.types import Array


@dataclass(frozen=True, eq=False)
class Limb:
    """An arm with its own columns of cell.joints."""

    arm: Arm
    columns: slice
    capsules: tuple[Capsule, ...]

    def flange(self, path: Array) -> Array:
        """Return the flange's poses at every row of a path of cell.joints: rows x 4 x 4."""
        poses: Array = self._base @ CHAINS[self.arm.kind].forward(path[:, self.columns])
        return poses

    def tool(self, path: Array) -> Array:
        """Return where the tool centre point is at every row: rows x 3."""
        points: Array = (self.flange(path) @ self.arm.tcp.matrix())[:, :3, 3]
        return points

    def bodies(self, q: Array) -> list[tuple[Array, Array, float]]:
        """Return the ends and the radius of every capsule."""
        links = np.concatenate(
            [self._base[np.newaxis], self._base @ CHAINS[self.arm.kind].frames(q[self.columns])]
        )
        ends = []
        for capsule in self.capsules:
            pose = links[capsule.link + 1]
            start, end = (
                pose[:3, :3] @ np.asarray(point) + pose[:3, 3]
                for point in (capsule.start, capsule.end)
            )
            ends.append((start, end, capsule.radius))
        return ends

    @property
    def _base(self) -> Array:
        return self.arm.base.matrix()


def limbs_of(cell: Cell) -> tuple[Limb, ...]:
    """Return the arms of a cell, each with its columns."""
    limbs, first = [], 0
    for arm in cell.arms:
        columns = slice(first, first + len(arm.joints))
        limbs.append(Limb(arm, columns, capsules_of(arm)))
        first = columns.stop
    return tuple(limbs)


def frames_of(cell: Cell, limbs: tuple[Limb, ...], q: Array | None) -> dict[str, Array]:
    """Return the frames that cameras hang on; without joint positions only those that stand."""
    frames = {cell.frame: np.eye(4)}
    for limb in limbs:
        frames[limb.arm.base_frame] = limb.arm.base.matrix()
        if q is not None:
            frames[limb.arm.flange_frame] = limb.flange(q[np.newaxis])[0]
    return frames
