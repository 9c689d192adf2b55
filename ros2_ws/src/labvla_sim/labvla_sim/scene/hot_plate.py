"""A heating plate: housing, round top, sloping panel with start button, lamp and display.

The panel faces away from the arm, as if for a person on the other side of the bench, so that the
scene cameras read it.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from labvla_sim import contact, shapes
from labvla_sim.drawing import add_surface, yaw_quaternion
from labvla_sim.quality import Quality
from labvla_sim.scene.description import HotPlate

HEIGHT = 0.086  # m of the plate's top
BUTTON_TRAVEL = 0.006  # m from rest to stop
DEVICE = "hot_plate"
BUTTON = "hot_plate_button"
LAMP = "hot_plate_lamp"
PLATE = "hot_plate_top"
DIGITS = 3

TOP_RADIUS = 0.068  # m of what heats
# In the device's frame: x towards the panel, y left, z up.
TOP_CENTRE = np.array([-0.010, 0.0, HEIGHT])
BUTTON_POSITION = np.array([0.098, -0.052, 0.066])
PANEL_TILT = 0.20  # rad, panel's normal from vertical towards +x
_BUTTON_RADIUS = 0.012
_BUTTON_STICK_OUT = 0.011

_HOUSING = (0.075, 0.085, 0.034)
_SPRING = 250.0  # N/m: 1.5 N over the travel with the pre-load below
_PRELOAD = 0.6  # N

# Seven segments of a digit: centre and half size in units of its height, y across, x up.
_SEGMENTS = (
    ((0.5, 0.0), (0.07, 0.22)),
    ((0.25, -0.27), (0.21, 0.06)),
    ((-0.25, -0.27), (0.21, 0.06)),
    ((-0.5, 0.0), (0.07, 0.22)),
    ((-0.25, 0.27), (0.21, 0.06)),
    ((0.25, 0.27), (0.21, 0.06)),
    ((0.0, 0.0), (0.07, 0.22)),
)


def segment_name(digit: int, segment: int) -> str:
    """Return the geom of one bar of the display; digits count from the left."""
    return f"hot_plate_digit{digit}_{segment}"


def panel_rotation() -> shapes.Array:
    """Return the panel's axes in the device's frame; z is the panel's normal."""
    cosine, sine = np.cos(PANEL_TILT), np.sin(PANEL_TILT)
    return np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])


def add_hot_plate(spec: Any, plate: HotPlate, quality: Quality) -> None:
    """Add the device; it is heavy on rubber feet, and modelled as fixed to the bench."""
    body = spec.worldbody.add_body(
        name=DEVICE,
        pos=[plate.place.x, plate.place.y, 0],
        quat=yaw_quaternion(plate.place.yaw),
    )
    colour = (*plate.body_colour, 1.0)
    housing = shapes.rounded_box(_HOUSING, 0.010, quality.segments)
    panel_half = (0.036, _HOUSING[1], 0.026)
    add_surface(
        spec,
        body,
        "hot_plate_housing",
        housing.moved(np.eye(3), np.array([-0.010, 0.0, _HOUSING[2] + 0.006])),
        material="housing",
        rgba=colour,
    )
    rotation = panel_rotation()
    panel_centre = BUTTON_POSITION * [1, 0, 1] - rotation @ [0.006, 0.0, panel_half[2]]
    panel = shapes.rounded_box(panel_half, 0.008, quality.segments).moved(rotation, panel_centre)
    panel.vertices[:, 2] = np.maximum(panel.vertices[:, 2], 0.006)
    add_surface(spec, body, "hot_plate_panel", panel, material="housing", rgba=colour)
    _add_feet(body)
    _add_top(spec, body, quality)
    for half, centre, quat in (
        (_HOUSING, [-0.010, 0, _HOUSING[2] + 0.006], [1, 0, 0, 0]),
        (panel_half, panel_centre, [np.cos(PANEL_TILT / 2), 0, np.sin(PANEL_TILT / 2), 0]),
    ):
        _solid(body, mujoco.mjtGeom.mjGEOM_BOX, half, centre, quat)
    panel_frame = body.add_body(
        name="hot_plate_face",
        pos=BUTTON_POSITION * [1, 0, 1],
        quat=[np.cos(PANEL_TILT / 2), 0, np.sin(PANEL_TILT / 2), 0],
    )
    _add_button(spec, panel_frame, plate, quality)
    _add_lamp_and_display(panel_frame)
    _add_knob(spec, panel_frame, quality)


def _solid(body: Any, kind: Any, size: Any, pos: Any, quat: Any) -> None:
    body.add_geom(
        type=kind,
        size=size,
        pos=pos,
        quat=quat,
        contype=contact.OBJECT.type,
        conaffinity=contact.OBJECT.affinity,
        group=3,
        mass=0,
    )


def _drawn(
    body: Any, name: str, kind: Any, size: Any, pos: Any, rgba: Any, material: str = "plastic"
) -> None:
    body.add_geom(
        name=name,
        material=material,
        type=kind,
        size=size,
        pos=pos,
        rgba=rgba,
        contype=0,
        conaffinity=0,
        group=1,
        mass=0,
    )


def _add_feet(body: Any) -> None:
    for number, (x, y) in enumerate(((-0.07, -0.07), (-0.07, 0.07), (0.1, -0.07), (0.1, 0.07))):
        _drawn(
            body,
            f"hot_plate_foot{number}",
            mujoco.mjtGeom.mjGEOM_CYLINDER,
            [0.009, 0.004, 0],
            [x, y, 0.004],
            [0.08, 0.08, 0.09, 1],
        )


def _add_top(spec: Any, body: Any, quality: Quality) -> None:
    base = 2 * _HOUSING[2] + 0.006
    collar = [
        (0.0, base - 0.004),
        (0.062, base - 0.004),
        (0.062, base + 0.004),
        (0.0, base + 0.004),
    ]
    top = [(0.0, base + 0.003), (0.066, base + 0.003), (TOP_RADIUS, base + 0.005)]
    top += [(TOP_RADIUS, HEIGHT - 0.002), (0.066, HEIGHT), (0.0, HEIGHT)]
    centre = TOP_CENTRE * [1, 1, 0]
    for name, profile, material in ((PLATE, top, "ceramic"), ("hot_plate_collar", collar, "dark")):
        surface = shapes.turned(profile, 2 * quality.segments).moved(np.eye(3), centre)
        add_surface(spec, body, name, surface, material=material)
    half = (HEIGHT - base) / 2
    _solid(
        body,
        mujoco.mjtGeom.mjGEOM_CYLINDER,
        [TOP_RADIUS, half, 0],
        [*centre[:2], base + half],
        [1, 0, 0, 0],
    )


def _add_button(spec: Any, face: Any, plate: HotPlate, quality: Quality) -> None:
    """Add the start button: it slides along the panel's normal against a spring."""
    collar = [(0.0, -0.002), (0.0165, -0.002), (0.0165, 0.0015), (0.0145, 0.0030), (0.0, 0.0030)]
    across = np.array([0.0, BUTTON_POSITION[1], 0.0])
    add_surface(
        spec,
        face,
        "hot_plate_button_collar",
        shapes.turned(collar, quality.segments).moved(np.eye(3), across),
        material="dark",
    )
    button = face.add_body(name=BUTTON, pos=across)
    # MuJoCo lets a body touch its parent when the parent stands still, as the housing does.
    spec.add_exclude(name=BUTTON, bodyname1="hot_plate", bodyname2=BUTTON)
    button.explicitinertial = True
    button.mass, button.inertia = 0.01, [1e-6, 1e-6, 1e-6]
    button.add_joint(
        name=BUTTON,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[0, 0, -1],
        limited=1,
        range=[0, BUTTON_TRAVEL],
        stiffness=[_SPRING, 0, 0],
        springref=-_PRELOAD / _SPRING,
        damping=[1.5, 0, 0],
        armature=0.01,
    )
    button.add_geom(
        name=f"{BUTTON}_cap",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[_BUTTON_RADIUS, _BUTTON_STICK_OUT / 2, 0],
        pos=[0, 0, _BUTTON_STICK_OUT / 2],
        contype=contact.OBJECT.type,
        conaffinity=contact.OBJECT.affinity,
        group=3,
        mass=0,
        friction=[1.0, 0.005, 0.0001],
        solref=[0.005, 1.0],
    )
    top, r = _BUTTON_STICK_OUT, _BUTTON_RADIUS
    cap = [(0.0, -0.004), (r, -0.004), (r, top - 0.003), (r - 0.002, top - 0.0008)]
    cap += [(r - 0.005, top), (0.0, top)]
    add_surface(
        spec,
        button,
        f"{BUTTON}_shape",
        shapes.turned(cap, quality.segments),
        material="plastic",
        rgba=(*plate.button_colour, 1.0),
    )


def _add_lamp_and_display(face: Any) -> None:
    _drawn(
        face,
        LAMP,
        mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        [0.0060, 0.0060, 0.0035],
        [0.0, -0.022, 0.001],
        [0.12, 0.16, 0.12, 1],
        "lit",
    )
    _drawn(
        face,
        "hot_plate_display",
        mujoco.mjtGeom.mjGEOM_BOX,
        [0.0150, 0.0260, 0.0012],
        [0.002, 0.018, 0.0],
        [0.03, 0.04, 0.05, 1],
    )
    height = 0.017
    for digit in range(DIGITS):
        centre = 0.018 + (digit - (DIGITS - 1) / 2) * 0.0155
        for segment, ((up, across), (half_up, half_across)) in enumerate(_SEGMENTS):
            # A reader on the +x side sees the panel's -x end as the top and +y to the right.
            _drawn(
                face,
                segment_name(digit, segment),
                mujoco.mjtGeom.mjGEOM_BOX,
                [half_up * height, half_across * height, 0.0004],
                [0.002 - up * height, centre - across * height, 0.0014],
                [0.06, 0.08, 0.09, 1],
                "lit",
            )


def _add_knob(spec: Any, face: Any, quality: Quality) -> None:
    profile = [(0.0, 0.0), (0.0125, 0.0), (0.0115, 0.012), (0.0095, 0.0135), (0.0, 0.0135)]
    knob = shapes.turned(profile, quality.segments).moved(np.eye(3), np.array([0.0, 0.065, 0.0]))
    add_surface(spec, face, "hot_plate_knob", knob, material="dark")
    face.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[0.012, 0.007, 0],
        pos=[0, 0.065, 0.007],
        contype=contact.OBJECT.type,
        conaffinity=contact.OBJECT.affinity,
        group=3,
        mass=0,
    )
    _drawn(
        face,
        "hot_plate_knob_mark",
        mujoco.mjtGeom.mjGEOM_BOX,
        [0.0045, 0.0008, 0.0006],
        [-0.0045, 0.065, 0.0137],
        [0.95, 0.95, 0.95, 1],
    )
