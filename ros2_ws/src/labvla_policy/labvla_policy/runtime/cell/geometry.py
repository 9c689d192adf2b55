"""Poses and boxes, as cell files write them."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from labvla_policy.runtime.cell.schema import IDENTIFIER, key
from labvla_policy.runtime.cell.units import ANGLE, LENGTH

Vector3 = tuple[float, float, float]

# Nearer to the vertical than this (rad), roll and yaw turn about the same axis.
_STRAIGHT = 1e-9


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where one frame stands in another one."""

    position: Annotated[Vector3, key("x, y, z of the origin", dimension=LENGTH)]
    rpy: Annotated[
        Vector3,
        key("roll, pitch, yaw about the fixed x, y, z axes in turn, as in URDF", dimension=ANGLE),
    ] = (0.0, 0.0, 0.0)

    @classmethod
    def from_matrix(cls, transform: NDArray[np.float64]) -> "Pose":
        """Return the pose of a 4 x 4 transform; looking straight up or down, roll is zero."""
        r = transform[:3, :3]
        flat = float(np.hypot(r[0, 0], r[1, 0]))
        pitch = float(np.arctan2(-r[2, 0], flat))
        if flat > _STRAIGHT:
            roll, yaw = np.arctan2(r[2, 1], r[2, 2]), np.arctan2(r[1, 0], r[0, 0])
        else:
            roll, yaw = 0.0, np.arctan2(-r[0, 1], r[1, 1])
        x, y, z = (float(value) for value in transform[:3, 3])
        return cls(position=(x, y, z), rpy=(float(roll), pitch, float(yaw)))

    def matrix(self) -> NDArray[np.float64]:
        """Return the 4 x 4 transform that takes points of this frame to the outer one."""
        (sr, sp, sy), (cr, cp, cy) = np.sin(self.rpy), np.cos(self.rpy)
        transform = np.eye(4)
        transform[:3, :3] = [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
        transform[:3, 3] = self.position
        return transform


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box with its edges along the cell's axes."""

    lower: Annotated[
        Vector3, key("corner with the smallest x, y, z in the cell's frame", dimension=LENGTH)
    ]
    upper: Annotated[
        Vector3, key("corner with the largest x, y, z in the cell's frame", dimension=LENGTH)
    ]

    def contains(self, other: "Box") -> bool:
        """Whether the other box lies wholly inside this one."""
        return all(
            mine <= theirs for mine, theirs in zip(self.lower, other.lower, strict=True)
        ) and all(mine >= theirs for mine, theirs in zip(self.upper, other.upper, strict=True))

    def distance(self, point: Vector3) -> float:
        """Distance from a point to the box, 0 inside."""
        nearest = np.clip(point, self.lower, self.upper)
        return float(np.linalg.norm(np.subtract(point, nearest)))


@dataclass(frozen=True, kw_only=True)
class KeepOut(Box):
    """A box that no link and no tool may enter."""

    name: Annotated[str, key("shown when a motion is refused because of this box", form=IDENTIFIER)]
