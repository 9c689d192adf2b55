"""Draw scenes from a variation: poses first, refused until everything has room, then looks."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from labvla_sim.scene.description import (
    Beaker,
    CameraShift,
    Clutter,
    HotPlate,
    Light,
    Look,
    Place,
    Rgb,
    SceneDescription,
    Stirrer,
)
from labvla_sim.scene.glass import size_of
from labvla_sim.scene.hot_plate import BUTTON_POSITION, TOP_CENTRE
from labvla_sim.scene.things import CLUTTER_RADIUS

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.tasks.variation import Colours, Region, Span, Surface, Variation

Random = np.random.Generator
Target = Literal["beaker", "hot_plate"]

_PLATE_RADIUS = 0.145  # m around the device's origin
_STIRRER_RADIUS = 0.085
_FINGER_ROOM = 0.055  # m beside what is grasped or pressed
_HAND_ROOM = 0.125  # m beside it for things that stand higher than the palm comes down to
_TALL = ("wash_bottle", "bottle", "tube_rack", "tip_box")
# Where a stirrer is out of the way of arm and cameras; one that leaves room is used.
_STIRRER_SPOTS = ((0.76, -0.40), (0.24, -0.47), (0.76, 0.44))
_CLUTTER_SPAN = ((0.28, 0.86), (-0.52, 0.54))
# From the base to the point between the fingers, the hand pointing down on the bench: nearer than
# this the elbow meets its operating limit, further away the arm is stretched out.
_REACH = (0.345, 0.70)
_TRIES = 400
_HELD_OUT_MARGIN = 0.04  # per channel: a shade that nobody can tell apart would be no other one


class NoRoom(RuntimeError):
    """The ranges leave no scene in which everything has room."""


def sample_scene(
    cell: Cell,
    variation: Variation,
    known: Variation,
    target: Target,
    random: Random,
    *,
    goal: Target | None = None,
) -> SceneDescription:
    """Draw one scene; where the variation says so, the target stands outside of `known`.

    A goal is something that the arm has to reach the top of.
    """
    beaker, plate = _poses(cell, variation, known, target, goal, random)
    stirrer = _stirrer(beaker, plate, random, variation.colours)
    return SceneDescription(
        beakers=(beaker,),
        hot_plate=plate,
        stirrer=stirrer,
        clutter=_clutter(variation, beaker, plate, stirrer, random),
        light=_light(variation, random),
        look=_look(variation.colours, random),
        camera_shifts=tuple(_shift(camera.name, variation, random) for camera in cell.cameras),
    )


def without(scene: SceneDescription, target: Target) -> SceneDescription:
    """Return the same scene without one of its objects."""
    if target == "hot_plate":
        return replace(scene, hot_plate=None)
    beakers = tuple(beaker for beaker in scene.beakers if beaker.name != target)
    return replace(scene, beakers=beakers)


def holds(scene: SceneDescription, target: Target) -> bool:
    """Whether a target stands in a scene."""
    if target == "hot_plate":
        return scene.hot_plate is not None
    return any(beaker.name == target for beaker in scene.beakers)


def button_position(plate: HotPlate) -> Array:
    """Return the start button in the cell's frame."""
    return _of_device(plate, BUTTON_POSITION)


def top_in_reach(cell: Cell, plate: HotPlate) -> bool:
    """Whether the hand can put something on the plate's middle."""
    top = _of_device(plate, TOP_CENTRE)
    return _reachable(cell, top[0], top[1])


def _of_device(plate: HotPlate, point: Array) -> Array:
    """Return a point of the device in the cell's frame."""
    cosine, sine = np.cos(plate.place.yaw), np.sin(plate.place.yaw)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    result: Array = turn @ point + [plate.place.x, plate.place.y, 0.0]
    return result


def target_has_room(cell: Cell, scene: SceneDescription, target: Target, place: Place) -> bool:
    """Whether the target could stand at another place of a scene, within reach and free."""
    beaker, plate = scene.beaker("beaker"), scene.hot_plate
    assert plate is not None
    if target == "beaker":
        beaker, goal, radius = replace(beaker, place=place), place, size_of(beaker).diameter / 2
    else:
        plate, radius = replace(plate, place=place), _PLATE_RADIUS
        button = button_position(plate)
        goal = Place(button[0], button[1])
    others = [(thing.place, CLUTTER_RADIUS[thing.kind]) for thing in scene.clutter]
    if scene.stirrer is not None:
        others.append((scene.stirrer.place, _STIRRER_RADIUS))
    tall = {thing.place: _HAND_ROOM for thing in scene.clutter if thing.kind in _TALL}
    return (
        _reachable(cell, goal.x, goal.y)
        and _has_room(beaker, plate)
        and all(_distance(place, other) > radius + size + 0.01 for other, size in others)
        and all(
            _distance(goal, other) > size + tall.get(other, _FINGER_ROOM) for other, size in others
        )
    )


def _has_room(beaker: Beaker, plate: HotPlate) -> bool:
    room = _PLATE_RADIUS + size_of(beaker).diameter / 2 + _FINGER_ROOM
    return _distance(beaker.place, plate.place) > room


def _poses(
    cell: Cell,
    variation: Variation,
    known: Variation,
    target: Target,
    goal: Target | None,
    random: Random,
) -> tuple[Beaker, HotPlate]:
    for _ in range(_TRIES):
        beaker_place = _place(variation.beaker, random)
        plate_place = _place(variation.hot_plate, random)
        if variation.target_outside:
            place = beaker_place if target == "beaker" else plate_place
            region = known.beaker if target == "beaker" else known.hot_plate
            if region.contains(place.x, place.y, place.yaw):
                continue
        colours = variation.colours
        filling = _uniform(variation.filling, random)
        beaker = Beaker(
            "beaker",
            str(random.choice(variation.sizes)),
            beaker_place,
            tint=_colour("glass", colours, random),
            liquid=filling if filling >= 0.1 else 0.0,
            liquid_colour=_colour("liquid", colours, random),
            scale=_uniform(variation.scale, random),
        )
        plate = HotPlate(
            plate_place,
            body_colour=_colour("device", colours, random),
            button_colour=_colour("button", colours, random),
        )
        button = button_position(plate)
        reachable = _reachable(cell, beaker_place.x, beaker_place.y) and _reachable(
            cell, button[0], button[1]
        )
        if goal == "hot_plate":
            reachable = reachable and top_in_reach(cell, plate)
        if reachable and _has_room(beaker, plate):
            return beaker, plate
    raise NoRoom(f"no room for a beaker and a hot plate in {_TRIES} draws of {variation.name!r}")


def _reachable(cell: Cell, x: float, y: float) -> bool:
    box = cell.workspace.tool
    inside = box.lower[0] <= x <= box.upper[0] and box.lower[1] <= y <= box.upper[1]
    feet = [arm.base.position for arm in cell.arms]
    return inside and any(_REACH[0] <= np.hypot(x - f[0], y - f[1]) <= _REACH[1] for f in feet)


def _stirrer(beaker: Beaker, plate: HotPlate, random: Random, colours: Colours) -> Stirrer | None:
    for x, y in random.permutation(_STIRRER_SPOTS):
        place = Place(
            x + _uniform((-0.02, 0.02), random),
            y + _uniform((-0.02, 0.02), random),
            _uniform((-0.4, 0.4), random),
        )
        far = _distance(place, beaker.place) > _STIRRER_RADIUS + _HAND_ROOM
        if far and _distance(place, plate.place) > _PLATE_RADIUS + _HAND_ROOM:
            return Stirrer(place, liquid_colour=_colour("liquid", colours, random))
    return None


def _clutter(
    variation: Variation,
    beaker: Beaker,
    plate: HotPlate,
    stirrer: Stirrer | None,
    random: Random,
) -> tuple[Clutter, ...]:
    low, high = variation.clutter_count
    wanted = int(random.integers(low, high + 1))
    button = button_position(plate)
    taken = [(plate.place, _PLATE_RADIUS), (Place(0.0, 0.0), 0.20)]
    if stirrer is not None:
        taken.append((stirrer.place, _STIRRER_RADIUS))
    placed: list[Clutter] = []
    for _ in range(_TRIES):
        if len(placed) == wanted:
            break
        kind = variation.clutter_kinds[int(random.integers(len(variation.clutter_kinds)))]
        place = Place(
            _uniform(_CLUTTER_SPAN[0], random),
            _uniform(_CLUTTER_SPAN[1], random),
            _uniform((-np.pi, np.pi), random),
        )
        radius = CLUTTER_RADIUS[kind]
        room = radius + (_HAND_ROOM if kind in _TALL else _FINGER_ROOM)
        free = (
            all(_distance(place, other) > radius + size + 0.01 for other, size in taken)
            and _distance(place, beaker.place) > room + size_of(beaker).diameter / 2
            and _distance(place, Place(button[0], button[1])) > room
        )
        if free:
            colour = _colour("clutter", variation.colours, random)
            placed.append(Clutter(kind, place, colour))
            taken.append((place, radius))
    return tuple(placed)


def _light(variation: Variation, random: Random) -> Light:
    lighting = variation.lighting
    warmth = _uniform(lighting.warmth, random)
    return Light(
        brightness=_uniform(lighting.brightness, random),
        azimuth=_uniform(lighting.azimuth, random),
        elevation=_uniform(lighting.elevation, random),
        colour=(1.0, 1.0 - 0.3 * warmth, 1.0 - warmth),
    )


def _look(colours: Colours, random: Random) -> Look:
    return Look(
        bench=_colour("bench", colours, random),
        mat=_colour("mat", colours, random),
        wall=_colour("wall", colours, random),
    )


def _shift(camera: str, variation: Variation, random: Random) -> CameraShift:
    x, y, z = random.uniform(-1, 1, 3) * variation.camera_position
    roll, pitch, yaw = random.uniform(-1, 1, 3) * variation.camera_angle
    return CameraShift(
        camera, (float(x), float(y), float(z)), (float(roll), float(pitch), float(yaw))
    )


def _place(region: Region, random: Random) -> Place:
    return Place(
        _uniform(region.x, random), _uniform(region.y, random), _uniform(region.yaw, random)
    )


def _colour(surface: Surface, colours: Colours, random: Random) -> Rgb:
    for _ in range(_TRIES):
        colour = _any_colour(surface, colours, random)
        avoided = colours.held_out
        if avoided is None or not avoided.covers(surface, colour, _HELD_OUT_MARGIN):
            return colour
    raise NoRoom(f"the held-out colours leave none for the {surface} in {_TRIES} draws")


def _any_colour(surface: Surface, colours: Colours, random: Random) -> Rgb:
    if colours.shaded and random.random() < colours.shaded:
        shades = colours.shades[surface]
        saturation, value = _uniform(shades.saturation, random), _uniform(shades.value, random)
        return colorsys.hsv_to_rgb(float(random.random()), saturation, value)
    choices = colours.of(surface)
    base = np.asarray(choices[int(random.integers(len(choices)))])
    red, green, blue = np.clip(base + random.uniform(-1, 1, 3) * colours.jitter, 0.02, 0.98)
    return (float(red), float(green), float(blue))


def _uniform(span: Span, random: Random) -> float:
    return float(random.uniform(*span))


def _distance(a: Place, b: Place) -> float:
    return float(np.hypot(a.x - b.x, a.y - b.y))
