"""Put surfaces, materials and rotations into an MjSpec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

if TYPE_CHECKING:
    from labvla_sim.shapes import Array, Surface

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Palette:
    """Named plain materials."""

    colours: Mapping[str, Rgb]
    shine: Mapping[str, float] = field(default_factory=dict)
    alpha: Mapping[str, float] = field(default_factory=dict)
    reflectance: Mapping[str, float] = field(default_factory=dict)
    emission: Mapping[str, float] = field(default_factory=dict)

    def add(self, spec: Any, prefix: str = "") -> None:
        """Add all materials, their names behind a prefix."""
        for name, colour in self.colours.items():
            shine = self.shine.get(name, 0.1)
            spec.add_material(
                name=prefix + name,
                rgba=[*colour, self.alpha.get(name, 1.0)],
                specular=shine,
                shininess=shine,
                reflectance=self.reflectance.get(name, 0.0),
                emission=self.emission.get(name, 0.0),
            )


def add_surface(
    spec: Any,
    body: Any,
    name: str,
    surface: Surface,
    *,
    material: str,
    rgba: tuple[float, float, float, float] | None = None,
) -> Any:
    """Add a surface that is only seen: no mass, no contact. `rgba` overrides the material's."""
    spec.add_mesh(
        name=name,
        uservert=surface.vertices.ravel(),
        userface=surface.faces.ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    geom = body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        material=material,
        contype=0,
        conaffinity=0,
        group=1,
        mass=0,
    )
    if rgba is not None:
        geom.rgba = rgba
    return geom


def quaternion(rotation: Array) -> Array:
    """Return w, x, y, z of a rotation matrix."""
    result = np.empty(4)
    mujoco.mju_mat2Quat(result, np.ascontiguousarray(rotation, dtype=np.float64).ravel())
    return result


def yaw_quaternion(yaw: float) -> Array:
    """Return w, x, y, z of a turn about z."""
    return np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
