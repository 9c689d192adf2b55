"""Closed surfaces for pictures, computed instead of loaded: turned, swept and rounded bodies.

A surface is vertices and triangles. Small images cost by the triangle, so every shape takes the
number of segments around its axis, and the caller decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int32]


@dataclass(frozen=True)
class Surface:
    """A triangle mesh with outward normals."""

    vertices: Array  # n x 3
    faces: Indices  # m x 3

    def moved(self, rotation: Array, offset: Array) -> Surface:
        """Return the surface in an outer frame."""
        return Surface(self.vertices @ rotation.T + offset, self.faces)


def turned(profile: Sequence[tuple[float, float]], segments: int) -> Surface:
    """Turn a closed or open profile of (radius, z) about the z axis.

    Go along the profile so that the body lies on the left: upwards outside, downwards inside.
    """
    points = np.asarray(profile, dtype=np.float64)
    angles = np.linspace(0.0, 2.0 * np.pi, segments, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vertices = np.concatenate(
        [np.column_stack([radius * ring, np.full(segments, z)]) for radius, z in points]
    )
    return Surface(vertices, _rings(len(points), segments))


def swept(
    path: Sequence[tuple[float, float, float]],
    widths: Sequence[tuple[float, float]],
    side: tuple[float, float, float],
    segments: int,
    *,
    rings: int = 8,
    squareness: float = 2.4,
    domes: tuple[float, float] = (1.0, 1.0),
) -> Surface:
    """Sweep a rounded cross-section along a planar path, with domes on both ends.

    `widths` gives at each point of the path the half width along `side` (a direction across the
    whole path) and across it. `squareness` 2 is an ellipse; more is nearer to a rectangle.
    `domes` are the depths of both ends in half widths: 1 is round, 0.1 nearly flat.
    """
    centres = _smooth(np.asarray(path, float), rings)
    half = _smooth(np.asarray(widths, float), rings)
    across = np.asarray(side, float) / np.linalg.norm(side)
    tangents = np.gradient(centres, axis=0)
    tangents -= np.outer(tangents @ across, across)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    centres, half, tangents = _round_ends(centres, half, tangents, domes)
    angles = np.linspace(0.0, 2.0 * np.pi, segments, endpoint=False)
    section = np.stack([_power(np.cos(angles), squareness), _power(np.sin(angles), squareness)], 1)
    vertices = np.concatenate(
        [
            centre + np.outer(section[:, 0] * a, across) + np.outer(section[:, 1] * b, up)
            for centre, (a, b), up in zip(centres, half, np.cross(tangents, across), strict=True)
        ]
    )
    return Surface(vertices, _rings(len(centres), segments))


def rounded_box(half: tuple[float, float, float], radius: float, segments: int) -> Surface:
    """Return a box with edges rounded by `radius`."""
    steps = max(segments // 8, 1)
    bend = np.linspace(0.0, np.pi / 2, steps + 1)
    core = np.asarray(half) - radius
    corner = np.concatenate([bend + quarter * np.pi / 2 for quarter in range(4)])
    signs = np.repeat([[1, 1], [-1, 1], [-1, -1], [1, -1]], steps + 1, axis=0)
    outline = np.stack([np.cos(corner), np.sin(corner)], axis=1)
    rise = np.linspace(-np.pi / 2, 0.0, steps + 1)
    layers = [(np.cos(t), -core[2] + radius * np.sin(t)) for t in rise]
    layers += [(np.cos(t), core[2] - radius * np.sin(t)) for t in rise[::-1]]
    vertices = [
        np.column_stack([signs * core[:2] + radius * share * outline, np.full(len(corner), z)])
        for share, z in layers
    ]
    return Surface(np.concatenate(vertices), _rings(len(layers), len(corner)))


def _rings(count: int, segments: int) -> Indices:
    """Return the triangles between consecutive rings, and fans that close first and last ring."""
    here = np.arange(segments)
    there = (here + 1) % segments
    faces = []
    for ring in range(count - 1):
        low, high = ring * segments, (ring + 1) * segments
        faces.append(np.stack([low + here, low + there, high + there], 1))
        faces.append(np.stack([low + here, high + there, high + here], 1))
    fan = np.arange(1, segments - 1)
    first, last = np.zeros_like(fan), np.full_like(fan, (count - 1) * segments)
    faces.append(np.stack([first, fan + 1, fan], 1))
    faces.append(np.stack([last, last + fan, last + fan + 1], 1))
    return np.concatenate(faces).astype(np.int32)


def _smooth(points: Array, rings: int) -> Array:
    """Return a Catmull-Rom curve through the points."""
    if len(points) < 3:
        return points
    padded = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    where = np.linspace(0.0, len(points) - 1.0, rings + 1)
    at = np.minimum(where.astype(int), len(points) - 2)
    t = (where - at)[:, None]
    a, b, c, d = (padded[at + k] for k in range(4))
    curve: Array = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return curve


def _round_ends(
    centres: Array, half: Array, tangents: Array, domes: tuple[float, float]
) -> tuple[Array, Array, Array]:
    """Add rings that close both ends by domes, their depths in narrower half widths."""
    bend = np.array([0.15, 0.6, 1.0, 1.3])[:, None]  # rad from the pole, the ring itself at pi/2
    depth_first, depth_last = domes[0] * half[0].min(), domes[1] * half[-1].min()
    first = centres[0] - np.cos(bend) * depth_first * tangents[0]
    last = centres[-1] + np.cos(bend[::-1]) * depth_last * tangents[-1]
    count = len(bend)
    return (
        np.concatenate([first, centres, last]),
        np.concatenate([np.sin(bend) * half[0], half, np.sin(bend[::-1]) * half[-1]]),
        np.concatenate(
            [np.tile(tangents[0], (count, 1)), tangents, np.tile(tangents[-1], (count, 1))]
        ),
    )


def _power(values: Array, squareness: float) -> Array:
    result: Array = np.sign(values) * np.abs(values) ** (2.0 / squareness)
    return result
