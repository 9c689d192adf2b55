"""The room: bench, wall, shelf, floor, mat and lamps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from labvla_sim import contact, shapes
from labvla_sim.drawing import Palette, add_surface
from labvla_sim.quality import Quality
from labvla_sim.scene.description import Light, Look

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell, KeepOut

_BENCH_HEIGHT = 0.90  # m above the floor
_FALLBACK_BENCH = ((-0.60, -0.90), (1.10, 0.90))
_TOP_THICKNESS = 0.035


def add_room(spec: Any, cell: Cell, look: Look, quality: Quality) -> None:
    """Add everything that stands still around the work, sized after the cell's boxes."""
    _materials(look, quality).add(spec)
    world = spec.worldbody
    (x0, y0), (x1, y1) = _bench_outline(cell)
    _touch_plane(world)
    _floor(spec, world, look, quality)
    _bench(spec, world, x0, y0, x1, y1, quality)
    _wall(world, x0 - 0.02)
    if not quality.textures:
        _close_room(world, x0 - 0.02)
    _shelf(spec, world, x0 - 0.01, quality)
    _mat(spec, world, quality)


def add_lights(spec: Any, light: Light, quality: Quality) -> None:
    """Add the lamp that throws shadows, a low fill light beside it, and the scattered rest."""
    colour = np.asarray(light.colour) * light.brightness
    spec.visual.headlight.ambient = 0.38 * colour
    spec.visual.headlight.diffuse = 0.20 * colour
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    for azimuth, elevation, strength, shadow in (
        (light.azimuth, light.elevation, 0.42, quality.shadow_size > 0),
        (light.azimuth - 1.5, 0.35, 0.28, False),
    ):
        towards = np.array(
            [
                np.cos(azimuth) * np.cos(elevation),
                np.sin(azimuth) * np.cos(elevation),
                np.sin(elevation),
            ]
        )
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            pos=np.array([0.4, 0.0, 0.2]) + 2.2 * towards,
            dir=-towards,
            diffuse=strength * colour,
            specular=0.35 * strength * colour,
            ambient=[0, 0, 0],
            castshadow=shadow,
        )


def _materials(look: Look, quality: Quality) -> Palette:
    polished = 0.06 if quality.reflections else 0.0
    return Palette(
        {
            "bench": look.bench,
            "wall": look.wall,
            "floor": look.floor,
            "mat": look.mat,
            "cupboard": look.cupboard,
            "edge": (0.35, 0.37, 0.40),
            "glass": (1.0, 1.0, 1.0),
            "liquid": (1.0, 1.0, 1.0),
            "housing": (1.0, 1.0, 1.0),
            "plastic": (1.0, 1.0, 1.0),
            "ceramic": (0.93, 0.93, 0.91),
            "lit": (1.0, 1.0, 1.0),
            "dark": (0.16, 0.17, 0.19),
            "steel": (0.72, 0.74, 0.76),
        },
        shine={"glass": 0.9, "liquid": 0.4, "housing": 0.35, "plastic": 0.5, "steel": 0.8},
        reflectance={"bench": polished},
        emission={"lit": 0.7},
    )


def _bench_outline(cell: Cell) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the corners of the keep-out box whose top is the bench, if the cell has one."""
    tops: list[KeepOut] = [box for box in cell.workspace.keep_out if abs(box.upper[2]) < 1e-6]
    if not tops:
        return _FALLBACK_BENCH
    return (tops[0].lower[0], tops[0].lower[1]), (tops[0].upper[0], tops[0].upper[1])


def _drawn(body: Any, kind: Any, size: Any, pos: Any, material: str) -> Any:
    return body.add_geom(
        type=kind,
        size=size,
        pos=pos,
        material=material,
        contype=0,
        conaffinity=0,
        group=1,
        mass=0,
    )


def _touch_plane(world: Any) -> None:
    """Add the bench top as a plane: cheaper and steadier contacts than a box."""
    world.add_geom(
        name="bench",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[2, 2, 0.1],
        contype=contact.OBJECT.type,
        conaffinity=contact.OBJECT.affinity,
        friction=[0.7, 0.01, 0.0005],
        solref=[0.005, 1.0],
        group=3,
    )


def _floor(spec: Any, world: Any, look: Look, quality: Quality) -> None:
    place = [0, 0, -_BENCH_HEIGHT]
    if not quality.textures:
        _drawn(world, mujoco.mjtGeom.mjGEOM_PLANE, [8, 8, 0.1], place, "floor")
        return
    spec.add_texture(
        name="tiles",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        mark=mujoco.mjtMark.mjMARK_EDGE,
        rgb1=look.floor,
        markrgb=np.clip(np.asarray(look.floor) * 0.86, 0, 1),
        width=256,
        height=256,
    )
    tiles = spec.add_material(name="tiles", texrepeat=[1.6, 1.6], texuniform=True)
    tiles.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "tiles"
    _drawn(world, mujoco.mjtGeom.mjGEOM_PLANE, [8, 8, 0.1], place, "tiles")


def _bench(
    spec: Any, world: Any, x0: float, y0: float, x1: float, y1: float, quality: Quality
) -> None:
    centre, half = ((x0 + x1) / 2, (y0 + y1) / 2), ((x1 - x0) / 2, (y1 - y0) / 2)
    box = mujoco.mjtGeom.mjGEOM_BOX
    top = shapes.rounded_box((half[0], half[1], _TOP_THICKNESS / 2), 0.008, quality.segments)
    centred = np.array([*centre, -_TOP_THICKNESS / 2])
    add_surface(spec, world, "bench_top", top.moved(np.eye(3), centred), material="bench")
    carcass = (_BENCH_HEIGHT - _TOP_THICKNESS - 0.10) / 2
    low = -_TOP_THICKNESS - carcass
    _drawn(world, box, [half[0] - 0.05, half[1] - 0.05, carcass], [*centre, low], "cupboard")
    _drawn(world, box, [half[0] - 0.10, half[1] - 0.10, 0.05], [*centre, -0.85], "edge")
    doors = 3
    width = (2 * half[1] - 0.10) / doors
    for door in range(doors):
        y = y0 + 0.05 + width * (door + 0.5)
        _drawn(
            world,
            box,
            [0.008, width / 2 - 0.006, carcass - 0.02],
            [x1 - 0.045, y, low],
            "cupboard",
        )
        _drawn(
            world,
            mujoco.mjtGeom.mjGEOM_CAPSULE,
            [0.006, 0.07, 0],
            [x1 - 0.020, y + width / 2 - 0.05, low + carcass - 0.16],
            "steel",
        )


def _wall(world: Any, x: float) -> None:
    """Add the wall behind the bench with its sockets, and the walls beside it."""
    box = mujoco.mjtGeom.mjGEOM_BOX
    _drawn(world, box, [0.05, 4.0, 1.75], [x - 0.05, 0, 0.85], "wall")
    _drawn(world, box, [0.008, 4.0, 0.05], [x + 0.002, 0, -0.85], "edge")
    for side in (-4.0, 4.0):
        _drawn(world, box, [3.5, 0.05, 1.75], [x + 3.4, side, 0.85], "wall")
        _drawn(world, box, [3.5, 0.060, 0.05], [x + 3.4, side, -0.85], "edge")
    _drawn(world, box, [0.014, 0.95, 0.040], [x + 0.008, 0, 0.16], "cupboard")
    for y in (-0.62, -0.50, 0.50, 0.62):
        _drawn(world, box, [0.003, 0.028, 0.022], [x + 0.023, y, 0.16], "ceramic")
        _drawn(
            world,
            mujoco.mjtGeom.mjGEOM_ELLIPSOID,
            [0.003, 0.014, 0.014],
            [x + 0.025, y, 0.16],
            "edge",
        )


def _close_room(world: Any, x: float) -> None:
    """Add what a sky would otherwise be seen through; with shadows it would darken the room."""
    box = mujoco.mjtGeom.mjGEOM_BOX
    _drawn(world, box, [0.05, 4.0, 1.75], [x + 6.8, 0, 0.85], "wall")
    _drawn(world, box, [3.5, 4.0, 0.05], [x + 3.4, 0, 2.65], "wall")


def _shelf(spec: Any, world: Any, x: float, quality: Quality) -> None:
    """Add a shelf with reagent bottles, behind and above what the arm can reach."""
    z = 0.62
    board = shapes.rounded_box((0.085, 0.85, 0.011), 0.004, quality.segments)
    add_surface(
        spec,
        world,
        "shelf",
        board.moved(np.eye(3), np.array([x + 0.085, 0, z])),
        material="cupboard",
    )
    for y in (-0.7, 0.7):
        _drawn(
            world,
            mujoco.mjtGeom.mjGEOM_BOX,
            [0.07, 0.006, 0.04],
            [x + 0.07, y, z - 0.048],
            "steel",
        )
    colours = {
        "brown": (0.36, 0.19, 0.08, 1.0),
        "blue": (0.25, 0.45, 0.70, 1.0),
        "white": (0.92, 0.93, 0.93, 1.0),
        "green": (0.35, 0.58, 0.42, 1.0),
    }
    row = [(-0.70, 1.0, "brown"), (-0.59, 0.85, "brown"), (-0.48, 1.1, "white")]
    row += [(-0.36, 0.8, "blue"), (0.42, 1.0, "white"), (0.53, 0.85, "green")]
    row += [(0.63, 1.1, "brown"), (0.74, 0.9, "blue")]
    for number, (y, scale, colour) in enumerate(row):
        bottle = shapes.turned(bottle_profile(scale), quality.segments)
        place = np.array([x + 0.08, y, z + 0.011])
        add_surface(
            spec,
            world,
            f"shelf_bottle{number}",
            bottle.moved(np.eye(3), place),
            material="plastic",
            rgba=colours[colour],
        )
        _drawn(
            world,
            mujoco.mjtGeom.mjGEOM_CYLINDER,
            [0.0145 * scale, 0.011 * scale, 0],
            place + np.array([0, 0, 0.166 * scale]),
            "dark" if number % 2 else "ceramic",
        )


def bottle_profile(scale: float) -> list[tuple[float, float]]:
    """Return the outline of a reagent bottle without its cap."""
    outline = [(0.0, 0.0), (0.036, 0.0), (0.039, 0.004), (0.039, 0.105), (0.034, 0.125)]
    outline += [(0.016, 0.143), (0.013, 0.150), (0.013, 0.165), (0.0, 0.165)]
    return [(radius * scale, z * scale) for radius, z in outline]


def _mat(spec: Any, world: Any, quality: Quality) -> None:
    mat = shapes.rounded_box((0.27, 0.42, 0.0012), 0.001, quality.segments)
    add_surface(
        spec, world, "mat", mat.moved(np.eye(3), np.array([0.50, 0.0, -0.0003])), material="mat"
    )
