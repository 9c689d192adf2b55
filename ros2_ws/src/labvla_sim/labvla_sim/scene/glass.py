"""Vessels: seen as smooth glass, touched as a bottom and a ring of wall boxes."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from labvla_sim import contact, shapes
from labvla_sim.drawing import add_surface, yaw_quaternion
from labvla_sim.quality import Quality
from labvla_sim.scene.description import BEAKER_SIZES, Beaker, BeakerSize, Rgb

WALLS = 16  # boxes around a vessel
_GAP = 0.003  # m under the walls, so that only the bottom touches the bench: 3x fewer contacts
_WATER = 1000.0  # kg/m³
_GLASS_ALPHA, _LIQUID_ALPHA = 0.26, 0.72

# Glass is stiff; anything softer lets the fingers sink in.
_STIFF: dict[str, Any] = {
    "condim": 4,
    "friction": [0.8, 0.01, 0.0005],
    "solref": [0.004, 1.0],
    "solimp": [0.95, 0.99, 0.001, 0.5, 2.0],
    "contype": contact.OBJECT.type,
    "conaffinity": contact.OBJECT.affinity,
    "group": 3,
    "mass": 0,
}


def size_of(beaker: Beaker) -> BeakerSize:
    """Return the dimensions with the beaker's own scale applied."""
    nominal = BEAKER_SIZES[beaker.size]
    return BeakerSize(
        nominal.diameter * beaker.scale,
        nominal.height * beaker.scale,
        nominal.wall,
        nominal.mass * beaker.scale**2,
    )


def add_beaker(spec: Any, beaker: Beaker, quality: Quality) -> None:
    """Add a free beaker whose frame is at the middle of its foot."""
    size = size_of(beaker)
    radius, height = size.diameter / 2, size.height
    body = _free_body(spec, beaker.name, beaker.place.x, beaker.place.y, beaker.place.yaw)
    water = _WATER * np.pi * radius**2 * height * beaker.liquid
    _weigh(body, size.mass, water, radius, height, beaker.liquid)
    _touch(body, beaker.name, radius, height, size.wall)
    prefix = f"{beaker.name}_glass"
    glass = shapes.turned(_beaker_profile(radius, height), 2 * quality.segments)
    glass.vertices[:] = _spout(glass.vertices, radius, height)
    add_surface(spec, body, prefix, glass, material="glass", rgba=(*beaker.tint, _GLASS_ALPHA))
    _graduation(body, radius, height)
    if beaker.liquid > 0:
        level = height * beaker.liquid
        _add_liquid(body, f"{beaker.name}_liquid", radius - 0.0022, level, beaker.liquid_colour)


def add_flask(spec: Any, name: str, x: float, y: float, z: float, liquid: Rgb, q: Quality) -> None:
    """Add a free conical flask, half full, standing at height z."""
    body = _free_body(spec, name, x, y, 0.0, z)
    radius, height = 0.042, 0.135
    _weigh(body, 0.090, 0.120, radius, height, 0.35)
    for base, top, r in ((0.0, 0.05, radius), (0.05, 0.09, 0.028), (0.09, height, 0.014)):
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            pos=[0, 0, (base + top) / 2],
            size=[r, (top - base) / 2, 0],
            **_STIFF,
        )
    outside = [(0.0, 0.0), (0.040, 0.0), (0.042, 0.004), (0.041, 0.015), (0.0145, 0.098)]
    outside += [(0.0135, 0.108), (0.0135, 0.128), (0.0165, 0.135)]
    inside = [(0.0140, 0.134), (0.0120, 0.126), (0.0120, 0.108), (0.0390, 0.015), (0.038, 0.004)]
    profile = [*outside, *inside, (0.0, 0.003)]
    add_surface(
        spec,
        body,
        f"{name}_glass",
        shapes.turned(profile, 2 * q.segments),
        material="glass",
        rgba=(0.82, 0.93, 0.97, _GLASS_ALPHA),
    )
    filling = shapes.turned(
        [(0.0, 0.0035), (0.0375, 0.0035), (0.0385, 0.015), (0.0270, 0.052), (0.0, 0.052)],
        q.segments,
    )
    add_surface(
        spec,
        body,
        f"{name}_liquid",
        filling,
        material="liquid",
        rgba=(*liquid, _LIQUID_ALPHA),
    )


def _free_body(spec: Any, name: str, x: float, y: float, yaw: float, z: float = 0.0) -> Any:
    body = spec.worldbody.add_body(name=name, pos=[x, y, z], quat=yaw_quaternion(yaw))
    body.add_freejoint(name=name)
    return body


def _weigh(
    body: Any, glass: float, water: float, radius: float, height: float, share: float
) -> None:
    """Treat the vessel as a thin tube with a bottom, the filling as frozen."""
    mass = glass + water
    centre = (glass * 0.42 * height + water * share * height / 2) / mass
    across = mass * (radius**2 / 2 + height**2 / 12)
    body.explicitinertial = True
    body.mass, body.ipos = mass, [0, 0, centre]
    body.inertia = [across, across, mass * radius**2 * 0.8]


def _touch(body: Any, name: str, radius: float, height: float, wall: float) -> None:
    body.add_geom(
        name=f"{name}_bottom",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        pos=[0, 0, wall / 2],
        size=[radius - 0.0005, wall / 2, 0],
        **_STIFF,
    )
    half_height = (height - _GAP) / 2
    half_width = radius * np.tan(np.pi / WALLS)
    for number in range(WALLS):
        angle = 2 * np.pi * number / WALLS
        reach = radius - wall / 2
        body.add_geom(
            name=f"{name}_wall{number}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[reach * np.cos(angle), reach * np.sin(angle), _GAP + half_height],
            quat=yaw_quaternion(angle),
            size=[wall / 2, half_width, half_height],
            **_STIFF,
        )


def _beaker_profile(radius: float, height: float) -> list[tuple[float, float]]:
    glass = 0.0016
    inner = radius - glass
    return [
        (0.0, 0.0),
        (radius - 0.005, 0.0),
        (radius - 0.0012, 0.0015),
        (radius, 0.006),
        (radius, height - 0.007),
        (radius + 0.0008, height - 0.003),
        (radius + 0.0030, height),
        (radius + 0.0012, height + 0.0004),
        (inner, height - 0.004),
        (inner, 0.006),
        (inner - 0.004, 0.0028),
        (0.0, 0.0028),
    ]


def _spout(vertices: shapes.Array, radius: float, height: float) -> shapes.Array:
    """Pull the rim outwards around +x."""
    angle = np.arctan2(vertices[:, 1], vertices[:, 0])
    near_rim = np.clip((vertices[:, 2] - (height - 0.008)) / 0.008, 0.0, 1.0)
    pull = 1.0 + 0.16 * near_rim * np.exp(-((angle / 0.28) ** 2))
    moved = vertices.copy()
    moved[:, :2] *= pull[:, None]
    return moved


def _graduation(body: Any, radius: float, height: float) -> None:
    """Print a scale on the glass, half way round from the spout."""
    for number, share in enumerate((0.25, 0.40, 0.55, 0.70)):
        width = 0.0045 if number % 2 else 0.0075
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[-radius, 0, share * height],
            size=[0.0004, width, 0.0005],
            rgba=[0.97, 0.98, 0.98, 0.9],
            contype=0,
            conaffinity=0,
            group=1,
            mass=0,
        )


def _add_liquid(body: Any, name: str, radius: float, level: float, colour: Rgb) -> None:
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        pos=[0, 0, 0.003 + level / 2],
        size=[radius, level / 2, 0],
        rgba=[*colour, _LIQUID_ALPHA],
        material="liquid",
        contype=0,
        conaffinity=0,
        group=1,
        mass=0,
    )
