"""The stirrer and the clutter: things that are seen and bumped into, but part of no task yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from labvla_sim import contact, shapes
from labvla_sim.drawing import add_surface, yaw_quaternion
from labvla_sim.quality import Quality
from labvla_sim.scene.description import Clutter, ClutterKind, Rgb, Stirrer
from labvla_sim.scene.furniture import bottle_profile
from labvla_sim.scene.glass import add_flask

STIR_BAR = "stir_bar"
_STIRRER_HEIGHT = 0.048

# Radius around each kind that has to stay free; the sampler keeps things apart by it.
CLUTTER_RADIUS: dict[ClutterKind, float] = {
    "tip_box": 0.075,
    "wash_bottle": 0.040,
    "tube_rack": 0.090,
    "notebook": 0.105,
    "tape": 0.032,
    "bottle": 0.042,
}

_TOUCH: dict[str, Any] = {
    "contype": contact.OBJECT.type,
    "conaffinity": contact.OBJECT.affinity,
    "group": 3,
}
_SEEN: dict[str, Any] = {"contype": 0, "conaffinity": 0, "group": 1, "mass": 0}
_BOX, _CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER


def add_stirrer(spec: Any, stirrer: Stirrer, quality: Quality) -> None:
    """Add the stirrer, fixed to the bench, its flask, and a bar that a motor turns."""
    x, y = stirrer.place.x, stirrer.place.y
    body = spec.worldbody.add_body(
        name="stirrer", pos=[x, y, 0], quat=yaw_quaternion(stirrer.place.yaw)
    )
    half = (0.065, 0.060, (_STIRRER_HEIGHT - 0.006) / 2)
    place = np.array([0, 0, half[2] + 0.004])
    housing = shapes.rounded_box(half, 0.009, quality.segments).moved(np.eye(3), place)
    add_surface(
        spec, body, "stirrer_housing", housing, material="plastic", rgba=(0.25, 0.42, 0.58, 1)
    )
    plate = [(0.0, 0.040), (0.054, 0.040), (0.055, 0.042), (0.055, 0.047), (0.0, 0.048)]
    add_surface(
        spec, body, "stirrer_plate", shapes.turned(plate, 2 * quality.segments), material="steel"
    )
    body.add_geom(type=_BOX, size=half, pos=place, mass=0, **_TOUCH)
    body.add_geom(type=_CYLINDER, size=[0.055, 0.024, 0], pos=[0, 0, 0.024], mass=0, **_TOUCH)
    body.add_geom(
        type=_CYLINDER,
        size=[0.010, 0.006, 0],
        pos=[0.070, 0.025, 0.024],
        quat=[0.7071068, 0, 0.7071068, 0],
        rgba=[0.1, 0.1, 0.11, 1],
        **_SEEN,
    )
    if stirrer.flask:
        add_flask(spec, "flask", x, y, _STIRRER_HEIGHT, stirrer.liquid_colour, quality)
    _add_bar(spec, body)


def _add_bar(spec: Any, stirrer: Any) -> None:
    bar = stirrer.add_body(name=STIR_BAR, pos=[0, 0, _STIRRER_HEIGHT + 0.009])
    bar.explicitinertial = True
    bar.mass, bar.inertia = 0.003, [1e-6, 1e-6, 1e-6]
    bar.add_joint(name=STIR_BAR, type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0, 0, 1], armature=1e-5)
    bar.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        size=[0.0035, 0.012, 0],
        quat=[0.7071068, 0, 0.7071068, 0],
        rgba=[0.96, 0.96, 0.96, 1],
        **_SEEN,
    )
    motor = spec.add_actuator(name=STIR_BAR, target=STIR_BAR, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    motor.gainprm[0] = 2e-4
    motor.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    motor.biasprm[2] = -2e-4


def add_clutter(spec: Any, number: int, thing: Clutter, quality: Quality) -> None:
    """Add one thing as a free body."""
    name = f"clutter{number}"
    body = spec.worldbody.add_body(
        name=name,
        pos=[thing.place.x, thing.place.y, 0],
        quat=yaw_quaternion(thing.place.yaw),
    )
    body.add_freejoint(name=name)
    _BUILDERS[thing.kind](spec, body, name, thing.colour, quality)


def _tip_box(spec: Any, body: Any, name: str, colour: Rgb, quality: Quality) -> None:
    half = (0.060, 0.042, 0.024)
    box = shapes.rounded_box(half, 0.005, quality.segments)
    centre = np.array([0, 0, half[2]])
    add_surface(
        spec,
        body,
        f"{name}_box",
        box.moved(np.eye(3), centre),
        material="plastic",
        rgba=(*colour, 1),
    )
    lid = shapes.rounded_box((0.058, 0.040, 0.012), 0.005, quality.segments)
    add_surface(
        spec,
        body,
        f"{name}_lid",
        lid.moved(np.eye(3), np.array([0, 0, 0.058])),
        material="plastic",
        rgba=(0.93, 0.95, 0.96, 0.55),
    )
    body.add_geom(type=_BOX, size=[0.060, 0.042, 0.035], pos=[0, 0, 0.035], mass=0.15, **_TOUCH)


def _wash_bottle(spec: Any, body: Any, name: str, colour: Rgb, quality: Quality) -> None:
    outline = [(0.0, 0.0), (0.031, 0.0), (0.034, 0.004), (0.034, 0.095), (0.024, 0.118)]
    outline += [(0.014, 0.124), (0.0, 0.124)]
    add_surface(
        spec,
        body,
        f"{name}_body",
        shapes.turned(outline, quality.segments),
        material="plastic",
        rgba=(0.90, 0.91, 0.90, 1),
    )
    body.add_geom(
        type=_CYLINDER, size=[0.016, 0.010, 0], pos=[0, 0, 0.133], rgba=[*colour, 1], **_SEEN
    )
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=[0, 0, 0.142, 0.045, 0, 0.168],
        size=[0.003, 0, 0],
        rgba=[*colour, 1],
        **_SEEN,
    )
    body.add_geom(type=_CYLINDER, size=[0.034, 0.060, 0], pos=[0, 0, 0.060], mass=0.25, **_TOUCH)


def _tube_rack(spec: Any, body: Any, name: str, colour: Rgb, quality: Quality) -> None:
    for z in (0.005, 0.055):
        board = shapes.rounded_box((0.075, 0.026, 0.004), 0.002, quality.segments)
        add_surface(
            spec,
            body,
            f"{name}_board{round(z * 1000)}",
            board.moved(np.eye(3), np.array([0, 0, z])),
            material="plastic",
            rgba=(*colour, 1),
        )
    for side in (-1, 1):
        body.add_geom(
            type=_BOX,
            size=[0.003, 0.024, 0.028],
            pos=[side * 0.071, 0, 0.030],
            rgba=[*colour, 1],
            **_SEEN,
        )
    for column in range(5):
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            size=[0.0075, 0.034, 0],
            pos=[-0.052 + 0.026 * column, 0.0, 0.051],
            rgba=[0.85, 0.92, 0.95, 0.5] if column % 2 else [0.85, 0.50, 0.45, 0.8],
            **_SEEN,
        )
    body.add_geom(type=_BOX, size=[0.075, 0.026, 0.045], pos=[0, 0, 0.045], mass=0.15, **_TOUCH)


def _notebook(spec: Any, body: Any, name: str, colour: Rgb, quality: Quality) -> None:
    cover = shapes.rounded_box((0.074, 0.052, 0.006), 0.002, quality.segments)
    add_surface(
        spec,
        body,
        f"{name}_cover",
        cover.moved(np.eye(3), np.array([0, 0, 0.006])),
        material="plastic",
        rgba=(*colour, 1),
    )
    body.add_geom(
        type=_BOX,
        size=[0.034, 0.022, 0.0003],
        pos=[0.01, 0, 0.0122],
        rgba=[0.94, 0.94, 0.92, 1],
        **_SEEN,
    )
    body.add_geom(type=_BOX, size=[0.074, 0.052, 0.006], pos=[0, 0, 0.006], mass=0.15, **_TOUCH)


def _tape(spec: Any, body: Any, name: str, colour: Rgb, quality: Quality) -> None:
    outline = [(0.013, 0.001), (0.026, 0.0), (0.027, 0.002), (0.027, 0.017), (0.026, 0.019)]
    outline += [(0.013, 0.018), (0.013, 0.001)]
    add_surface(
        spec,
        body,
        f"{name}_roll",
        shapes.turned(outline, quality.segments),
        material="plastic",
        rgba=(*colour, 1),
    )
    body.add_geom(type=_CYLINDER, size=[0.027, 0.0095, 0], pos=[0, 0, 0.0095], mass=0.03, **_TOUCH)


def _bottle(spec: Any, body: Any, name: str, colour: Rgb, quality: Quality) -> None:
    add_surface(
        spec,
        body,
        f"{name}_body",
        shapes.turned(bottle_profile(0.9), quality.segments),
        material="plastic",
        rgba=(*colour, 1),
    )
    body.add_geom(
        type=_CYLINDER,
        size=[0.0135, 0.010, 0],
        pos=[0, 0, 0.150],
        rgba=[0.15, 0.3, 0.6, 1],
        **_SEEN,
    )
    body.add_geom(type=_CYLINDER, size=[0.035, 0.074, 0], pos=[0, 0, 0.074], mass=0.30, **_TOUCH)


_BUILDERS: dict[ClutterKind, Callable[[Any, Any, str, Rgb, Quality], None]] = {
    "tip_box": _tip_box,
    "wash_bottle": _wash_bottle,
    "tube_rack": _tube_rack,
    "notebook": _notebook,
    "tape": _tape,
    "bottle": _bottle,
}
