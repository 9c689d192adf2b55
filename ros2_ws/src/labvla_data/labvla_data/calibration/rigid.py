"""Poses as 4 x 4 matrices, and the six numbers by which they are varied."""

from __future__ import annotations

import cv2
import numpy as np

from labvla_policy.runtime.types import Array


def pose_of(rotation_vector: Array, translation: Array) -> Array:
    """Return the pose of a rotation vector (rad) and a translation (m)."""
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.asarray(rotation_vector, dtype=np.float64))[0]
    pose[:3, 3] = np.ravel(translation)
    return pose


def inverse(pose: Array) -> Array:
    """Return the inverse of a pose, or of a stack of them."""
    turned = np.swapaxes(pose[..., :3, :3], -1, -2)
    result = np.zeros_like(pose)
    result[..., :3, :3] = turned
    result[..., :3, 3] = -np.einsum("...ij,...j->...i", turned, pose[..., :3, 3])
    result[..., 3, 3] = 1.0
    return result


def rotation_vector(rotation: Array) -> Array:
    """Return axis times angle (rad) of a rotation matrix."""
    twice_sine = rotation - rotation.T
    axis_sine = np.array([twice_sine[2, 1], twice_sine[0, 2], twice_sine[1, 0]]) / 2
    sine, cosine = float(np.linalg.norm(axis_sine)), float(np.trace(rotation) - 1) / 2
    if cosine > 0:  # OpenCV returns zero for angles below 1e-5, which are wanted here
        return np.asarray(axis_sine * (np.arctan2(sine, cosine) / sine if sine > 0 else 1.0))
    return np.asarray(cv2.Rodrigues(np.ascontiguousarray(rotation))[0], dtype=np.float64).ravel()


def step(pose: Array, change: Array) -> Array:
    """Return a pose moved by a small change in its own frame: three angles, three lengths."""
    return pose @ pose_of(change[:3], change[3:])


def change_between(one: Array, other: Array) -> Array:
    """Return the change by which `step` leads from one pose to the other."""
    relative = inverse(one) @ other
    return np.concatenate([rotation_vector(relative[:3, :3]), relative[:3, 3]])


def nearest_rotation(matrix: Array) -> Array:
    """Return the rotation nearest to a 3 x 3 matrix of positive determinant."""
    u, _, v = np.linalg.svd(matrix)
    return np.asarray(u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v)
