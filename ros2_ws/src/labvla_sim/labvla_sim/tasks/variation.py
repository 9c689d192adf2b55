"""What varies between episodes, as data.

`id` is the range that results are quoted for. `train` stands a little wider, since a policy is weak
at the edge of what it has seen, and looks like almost anything, since it fails under a look that it
has never met. `ood` has wider poses, of which the task's own object always lies outside `id`.

Held out, so that `ood` stays a test: its colours, its two additional kinds of clutter and its
wordings, which `train` never draws; and the outer part of its light and of its cameras' shifts.

`ood_…` is `id` with one thing of `ood`, to see what a policy cannot bear. `swapped` is a scene of
another task's `id` with this task's wording; `absent` is `id` without the task's own object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from labvla_sim.scene.description import ClutterKind, Rgb

Span = tuple[float, float]
VariationName = Literal[
    "train",
    "id",
    "ood",
    "ood_layout",
    "ood_looks",
    "ood_camera",
    "ood_wording",
    "ood_clutter",
    "swapped",
    "absent",
]
Surface = Literal["bench", "mat", "wall", "glass", "liquid", "device", "button", "clutter"]


@dataclass(frozen=True)
class Region:
    """Where something may stand, and how turned."""

    x: Span  # m
    y: Span
    yaw: Span  # rad

    def contains(self, x: float, y: float, yaw: float) -> bool:
        """Whether a pose lies in the region."""
        return all(
            low <= value <= high
            for value, (low, high) in ((x, self.x), (y, self.y), (yaw, self.yaw))
        )

    def widened(self, margin: float) -> Region:
        """Return the region with more room on all four sides."""
        (x0, x1), (y0, y1) = self.x, self.y
        return replace(self, x=(x0 - margin, x1 + margin), y=(y0 - margin, y1 + margin))


@dataclass(frozen=True)
class Shades:
    """Every colour of any hue that is so strong and so bright."""

    saturation: Span
    value: Span


@dataclass(frozen=True)
class Colours:
    """What things look like: each is drawn from a list, then varied a little per channel.

    Where there are shades, a share of the draws comes from anywhere in them instead of the list.
    """

    bench: tuple[Rgb, ...]
    mat: tuple[Rgb, ...]
    wall: tuple[Rgb, ...]
    glass: tuple[Rgb, ...]
    liquid: tuple[Rgb, ...]
    device: tuple[Rgb, ...]
    button: tuple[Rgb, ...]
    clutter: tuple[Rgb, ...]
    jitter: float
    shades: Mapping[Surface, Shades] = field(default_factory=dict)
    shaded: float = 0.0  # share of draws
    held_out: Colours | None = None  # that are never drawn

    def of(self, surface: Surface) -> tuple[Rgb, ...]:
        """Return the list of a surface."""
        colours: tuple[Rgb, ...] = getattr(self, surface)
        return colours

    def covers(self, surface: Surface, colour: Rgb, margin: float = 0.0) -> bool:
        """Whether the list and its jitter come as near to a colour as the margin."""
        reach = self.jitter + margin
        return any(
            max(abs(a - b) for a, b in zip(colour, known, strict=True)) <= reach
            for known in self.of(surface)
        )


@dataclass(frozen=True)
class Lighting:
    """The main lamp."""

    brightness: Span
    azimuth: Span  # rad
    elevation: Span  # rad
    warmth: Span  # share of blue taken away


@dataclass(frozen=True)
class Variation:
    """All ranges of one kind of episode."""

    name: VariationName
    beaker: Region
    hot_plate: Region
    sizes: tuple[str, ...]
    scale: Span
    filling: Span  # of the beaker; below 0.1 it is empty
    colours: Colours
    lighting: Lighting
    camera_position: float  # m, largest shift per axis
    camera_angle: float  # rad, largest turn per axis
    clutter_count: tuple[int, int]
    clutter_kinds: tuple[ClutterKind, ...]
    start_noise: float  # rad, standard deviation per joint around the starting posture
    target_outside: bool = False  # whether the task's own object always stands outside of `id`
    held_out_wordings: bool = False  # whether the instruction is one that training never says
    others_scene: VariationName | None = None  # the scene is what another task has in this one
    absent: bool = False  # whether the task's own object is taken away


_FULL_TURN = np.deg2rad(45.0)
_KNOWN_BEAKER = Region((0.36, 0.61), (-0.33, -0.08), (-_FULL_TURN, _FULL_TURN))
_KNOWN_PLATE = Region((0.34, 0.59), (0.15, 0.40), (-np.deg2rad(25.0), np.deg2rad(25.0)))

_KNOWN_COLOURS = Colours(
    bench=((0.80, 0.81, 0.82), (0.88, 0.87, 0.84), (0.70, 0.72, 0.74), (0.78, 0.74, 0.68)),
    mat=((0.26, 0.33, 0.38), (0.20, 0.24, 0.30), (0.35, 0.40, 0.42), (0.45, 0.47, 0.48)),
    wall=((0.86, 0.88, 0.89), (0.82, 0.84, 0.80), (0.90, 0.88, 0.84)),
    glass=((0.80, 0.92, 0.97), (0.88, 0.95, 0.93), (0.93, 0.95, 0.97)),
    liquid=((0.20, 0.45, 0.85), (0.85, 0.30, 0.25), (0.30, 0.65, 0.35)),
    device=((0.86, 0.87, 0.88), (0.75, 0.78, 0.80), (0.92, 0.91, 0.87)),
    button=((0.80, 0.13, 0.11), (0.85, 0.25, 0.10)),
    clutter=((0.30, 0.45, 0.60), (0.75, 0.66, 0.25), (0.40, 0.55, 0.42), (0.45, 0.40, 0.55)),
    jitter=0.04,
)
_NEW_COLOURS = Colours(
    bench=((0.52, 0.40, 0.29), (0.30, 0.32, 0.35), (0.62, 0.70, 0.66)),
    mat=((0.50, 0.28, 0.25), (0.62, 0.60, 0.52), (0.15, 0.30, 0.20)),
    wall=((0.62, 0.70, 0.76), (0.70, 0.62, 0.54)),
    glass=((0.95, 0.88, 0.75), (0.78, 0.85, 0.80)),
    liquid=((0.90, 0.75, 0.15), (0.50, 0.25, 0.60)),
    device=((0.35, 0.38, 0.42), (0.55, 0.66, 0.72)),
    button=((0.15, 0.55, 0.25), (0.15, 0.35, 0.75)),
    clutter=((0.80, 0.35, 0.45), (0.20, 0.60, 0.62), (0.85, 0.50, 0.20)),
    jitter=0.06,
)

_ID = Variation(
    name="id",
    beaker=_KNOWN_BEAKER,
    hot_plate=_KNOWN_PLATE,
    sizes=("50ml", "100ml", "250ml"),
    scale=(0.96, 1.03),
    filling=(0.0, 0.6),
    colours=_KNOWN_COLOURS,
    lighting=Lighting((0.85, 1.15), (-0.8, 1.4), (0.85, 1.30), (0.0, 0.06)),
    camera_position=0.01,
    camera_angle=float(np.deg2rad(1.0)),
    clutter_count=(0, 2),
    clutter_kinds=("tip_box", "notebook", "tape", "tube_rack"),
    start_noise=0.05,
)

# What a laboratory might look like, and then some: glass stays clear, paint stays pale, and
# whatever has to be told from its surroundings may have a strong colour.
_ANY_COLOURS = replace(
    _KNOWN_COLOURS,
    shades={
        "bench": Shades((0.0, 0.40), (0.20, 0.98)),
        "mat": Shades((0.0, 0.50), (0.10, 0.85)),
        "wall": Shades((0.0, 0.30), (0.40, 0.98)),
        "glass": Shades((0.0, 0.25), (0.75, 0.98)),
        "liquid": Shades((0.35, 0.98), (0.25, 0.95)),
        "device": Shades((0.0, 0.35), (0.25, 0.96)),
        "button": Shades((0.55, 0.98), (0.40, 0.95)),
        "clutter": Shades((0.05, 0.85), (0.15, 0.92)),
    },
    shaded=0.7,
    held_out=_NEW_COLOURS,
)

_TRAIN = replace(
    _ID,
    name="train",
    beaker=_KNOWN_BEAKER.widened(0.025),
    hot_plate=_KNOWN_PLATE.widened(0.025),
    colours=_ANY_COLOURS,
    lighting=Lighting((0.70, 1.30), (-1.6, 1.9), (0.72, 1.38), (0.0, 0.14)),
    camera_position=0.015,
    camera_angle=float(np.deg2rad(1.5)),
    clutter_count=(0, 3),
    start_noise=0.10,
)

_NEW_LIGHTING = Lighting((0.60, 1.40), (-2.2, 2.4), (0.65, 1.40), (0.0, 0.20))
_NEW_CLUTTER: tuple[ClutterKind, ...] = ("wash_bottle", "bottle")
_FAR, _TURNED = 0.02, float(np.deg2rad(2.0))  # cameras: m, rad

_OOD = replace(
    _ID,
    name="ood",
    beaker=_KNOWN_BEAKER.widened(0.05),
    hot_plate=replace(_KNOWN_PLATE.widened(0.03), yaw=(-_FULL_TURN, _FULL_TURN)),
    scale=(0.92, 1.06),
    filling=(0.0, 0.75),
    colours=_NEW_COLOURS,
    lighting=_NEW_LIGHTING,
    clutter_count=(2, 4),
    clutter_kinds=(*_ID.clutter_kinds, *_NEW_CLUTTER),
    start_noise=0.10,
    target_outside=True,
    held_out_wordings=True,
    camera_position=_FAR,
    camera_angle=_TURNED,
)

_ONE_THING = (
    replace(
        _ID,
        name="ood_layout",
        beaker=_KNOWN_BEAKER.widened(0.05),
        hot_plate=_KNOWN_PLATE.widened(0.05),
        target_outside=True,
    ),
    replace(_ID, name="ood_looks", colours=_NEW_COLOURS, lighting=_NEW_LIGHTING),
    replace(_ID, name="ood_camera", camera_position=_FAR, camera_angle=_TURNED),
    replace(_ID, name="ood_wording", held_out_wordings=True),
    replace(_ID, name="ood_clutter", clutter_count=(2, 2), clutter_kinds=_NEW_CLUTTER),
)

_SWAPPED = replace(_ID, name="swapped", others_scene="id")
_ABSENT = replace(_ID, name="absent", absent=True)

VARIATIONS: dict[VariationName, Variation] = {
    variation.name: variation for variation in (_TRAIN, _ID, _OOD, *_ONE_THING, _SWAPPED, _ABSENT)
}
