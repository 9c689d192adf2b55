"""What a generated arm is made of: one table per kind, plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from labvla_policy.runtime.kinematics import Chain
from labvla_sim import shapes
from labvla_sim.shapes import Array, Surface

Vector = tuple[float, float, float]
Material = Literal["shell", "joint", "dark", "metal", "rubber", "glow"]
Zone = Literal["foot", "middle", "far_end"]


@dataclass(frozen=True)
class Turned:
    """A body of revolution; `profile` holds (radius, distance along the axis)."""

    material: Material
    profile: tuple[tuple[float, float], ...]
    origin: Vector = (0.0, 0.0, 0.0)
    axis: Vector = (0.0, 0.0, 1.0)

    def surface(self, segments: int) -> Surface:
        """Return the triangles in the link's frame."""
        return shapes.turned(self.profile, segments).moved(
            _rotation_to(self.axis), np.asarray(self.origin)
        )


@dataclass(frozen=True)
class Swept:
    """A shell along a planar path; see `shapes.swept`."""

    material: Material
    path: tuple[Vector, ...]
    widths: tuple[tuple[float, float], ...]
    side: Vector
    squareness: float = 2.4
    domes: tuple[float, float] = (1.0, 1.0)

    def surface(self, segments: int) -> Surface:
        """Return the triangles in the link's frame."""
        rings = max(segments // 2, 3)
        return shapes.swept(
            self.path,
            self.widths,
            self.side,
            segments,
            rings=rings,
            squareness=self.squareness,
            domes=self.domes,
        )


@dataclass(frozen=True)
class Block:
    """A box with rounded edges."""

    material: Material
    half: Vector
    radius: float
    origin: Vector = (0.0, 0.0, 0.0)

    def surface(self, segments: int) -> Surface:
        """Return the triangles in the link's frame."""
        box = shapes.rounded_box(self.half, self.radius, segments)
        return box.moved(np.eye(3), np.asarray(self.origin))


Part = Turned | Swept | Block


@dataclass(frozen=True)
class Capsule:
    """Collision shape: a cylinder with round ends."""

    start: Vector
    end: Vector
    radius: float


@dataclass(frozen=True)
class Link:
    """One rigid body of the arm, in the frame of the joint that moves it."""

    mass: float  # kg
    com: Vector  # m
    inertia: tuple[float, float, float, float, float, float]  # kgm²: xx yy zz xy xz yz about com
    zone: Zone
    collision: tuple[Capsule, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class ArmTable:
    """A kind of arm: its chain, then the base and one link per joint."""

    kind: str
    chain: Chain
    links: tuple[Link, ...]


def ring(
    material: Material, radius: float, start: float, end: float, axis: Vector, origin: Vector
) -> Turned:
    """Return a plain cylinder between two distances along an axis, edges slightly broken."""
    edge = min(0.004, 0.3 * (end - start))
    profile = (
        (0.0, start),
        (radius - edge, start),
        (radius, start + edge),
        (radius, end - edge),
        (radius - edge, end),
        (0.0, end),
    )
    return Turned(material, profile, origin, axis)


def _rotation_to(axis: Vector) -> Array:
    """Return a rotation that takes z to `axis`; the angle about it does not matter here."""
    z = np.asarray(axis) / np.linalg.norm(axis)
    x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)
