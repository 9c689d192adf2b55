"""Forward kinematics of the known arms, from the numbers that their makers publish.

An arm is a chain of fixed transforms, each followed by a rotation about the new z axis: the way in
which robot descriptions (URDF) write it, to which both makers' conventions reduce.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labvla_policy.runtime.types import Array

_PI = np.pi


@dataclass(frozen=True)
class Chain:
    """One arm: n fixed transforms before its joints, and one from the last joint to the flange."""

    origins: Array  # n x 4 x 4
    flange: Array  # 4 x 4

    @property
    def joints(self) -> int:
        """Number of joints."""
        return len(self.origins)

    def frames(self, q: Array) -> Array:
        """Return the poses of all joint frames and of the flange in the base frame.

        q is (..., n); the result (..., n + 1, 4, 4), the flange last. Row k of a whole chunk of
        targets is computed together with all others.
        """
        q = np.asarray(q, dtype=np.float64)
        frames = np.empty((*q.shape[:-1], self.joints + 1, 4, 4))
        pose = np.broadcast_to(np.eye(4), (*q.shape[:-1], 4, 4))
        for joint, origin in enumerate(self.origins):
            pose = pose @ origin @ _rotations_z(q[..., joint])
            frames[..., joint, :, :] = pose
        frames[..., -1, :, :] = pose @ self.flange
        return frames

    def forward(self, q: Array) -> Array:
        """Return the pose of the flange in the base frame, (..., 4, 4)."""
        return self.frames(q)[..., -1, :, :]

    def jacobian(self, q: Array, tool: Array | None = None) -> Array:
        """Return the geometric Jacobian (6 x n: linear, angular) of a point fixed to the flange.

        `tool` is the pose of the point's frame in the flange's; velocities are in the base frame.
        """
        frames = self.frames(q)
        end = frames[-1] if tool is None else frames[-1] @ tool
        axes, points = frames[:-1, :3, 2], frames[:-1, :3, 3]
        return np.concatenate([np.cross(axes, end[:3, 3] - points).T, axes.T])


def _rotations_z(angles: Array) -> Array:
    rotations = np.zeros((*angles.shape, 4, 4))
    cosine, sine = np.cos(angles), np.sin(angles)
    rotations[..., 0, 0] = rotations[..., 1, 1] = cosine
    rotations[..., 0, 1], rotations[..., 1, 0] = -sine, sine
    rotations[..., 2, 2] = rotations[..., 3, 3] = 1.0
    return rotations


def _step(alpha: float, a: float, d: float) -> Array:
    """Return a rotation about x followed by translations along the new x and z."""
    cosine, sine = np.cos(alpha), np.sin(alpha)
    return np.array(
        [[1, 0, 0, a], [0, cosine, -sine, -sine * d], [0, sine, cosine, cosine * d], [0, 0, 0, 1]]
    )


def _from_modified_dh(rows: Sequence[tuple[float, float, float]]) -> Chain:
    """Build a chain from (alpha, a, d) of each joint and, last, of the flange: Craig's way."""
    steps = np.array([_step(*row) for row in rows])
    return Chain(origins=steps[:-1], flange=steps[-1])


def _from_classic_dh(base: Array, rows: Sequence[tuple[float, float, float]]) -> Chain:
    """Build a chain from (d, a, alpha) of each joint, where the rotation about z comes first."""
    after = [_translation(a, d) @ _step(alpha, 0.0, 0.0) for d, a, alpha in rows]
    return Chain(origins=np.array([base, *after[:-1]]), flange=after[-1])


def _translation(x: float, z: float) -> Array:
    pose = np.eye(4)
    pose[0, 3], pose[2, 3] = x, z
    return pose


# Franka Robotics, FR3 product manual: Denavit-Hartenberg parameters after Craig; base is fr3_link0.
FR3 = _from_modified_dh(
    [
        (0.0, 0.0, 0.333),
        (-_PI / 2, 0.0, 0.0),
        (_PI / 2, 0.0, 0.316),
        (_PI / 2, 0.0825, 0.0),
        (-_PI / 2, -0.0825, 0.384),
        (_PI / 2, 0.0, 0.0),
        (_PI / 2, 0.088, 0.0),
        (0.0, 0.0, 0.107),
    ]
)

# Universal Robots, nominal parameters of the UR5e. Its own base frame is the description's
# base_link turned by half a turn.
UR5E = _from_classic_dh(
    _rotations_z(np.array(_PI)),
    [
        (0.1625, 0.0, _PI / 2),
        (0.0, -0.425, 0.0),
        (0.0, -0.3922, 0.0),
        (0.1333, 0.0, _PI / 2),
        (0.0997, 0.0, -_PI / 2),
        (0.0996, 0.0, 0.0),
    ],
)

CHAINS = {"fr3": FR3, "ur5e": UR5E}
