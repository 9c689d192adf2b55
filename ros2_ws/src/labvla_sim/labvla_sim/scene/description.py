"""Everything about a scene that may vary, as plain frozen data.

Randomisation is choosing one of these, recording is writing one down: the same description and
cell give the same model, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Rgb = tuple[float, float, float]
ClutterKind = Literal["tip_box", "wash_bottle", "tube_rack", "notebook", "tape", "bottle"]


@dataclass(frozen=True)
class Place:
    """Where something stands on the bench."""

    x: float  # m in the cell's frame
    y: float
    yaw: float = 0.0  # rad


@dataclass(frozen=True)
class BeakerSize:
    """Outer dimensions of a glass beaker."""

    diameter: float  # m
    height: float  # m
    wall: float  # m, of the contact shape; drawn as thick as glass is
    mass: float  # kg


# Low-form beakers after ISO 3819: nominal diameter and height; masses of common makes.
BEAKER_SIZES: Mapping[str, BeakerSize] = {
    "50ml": BeakerSize(0.042, 0.060, 0.003, 0.032),
    "100ml": BeakerSize(0.050, 0.070, 0.003, 0.050),
    "250ml": BeakerSize(0.070, 0.095, 0.003, 0.110),
}


@dataclass(frozen=True)
class Beaker:
    """A glass beaker that can be moved."""

    name: str
    size: str  # a key of BEAKER_SIZES
    place: Place
    tint: Rgb = (0.80, 0.92, 0.97)
    liquid: float = 0.0  # filled share of the height; seen, and weighed as water
    liquid_colour: Rgb = (0.20, 0.45, 0.85)
    scale: float = 1.0  # of both dimensions; beakers of different makes differ


@dataclass(frozen=True)
class HotPlate:
    """A heating plate with start button, lamp and display, fixed to the bench."""

    place: Place
    body_colour: Rgb = (0.86, 0.87, 0.88)
    button_colour: Rgb = (0.80, 0.13, 0.11)
    set_point: float = 80.0  # degrees Celsius


@dataclass(frozen=True)
class Stirrer:
    """A magnetic stirrer with a flask on it; the bar turns while it runs."""

    place: Place
    running: bool = True
    flask: bool = True
    liquid_colour: Rgb = (0.90, 0.55, 0.15)


@dataclass(frozen=True)
class Clutter:
    """Something that is not part of the task."""

    kind: ClutterKind
    place: Place
    colour: Rgb = (0.30, 0.45, 0.60)


@dataclass(frozen=True)
class Light:
    """One main lamp above the bench and what the room scatters."""

    brightness: float = 1.0
    azimuth: float = 0.6  # rad, of where the light comes from
    elevation: float = 1.05  # rad above the horizon
    colour: Rgb = (1.0, 0.98, 0.95)


@dataclass(frozen=True)
class Look:
    """Colours of the room."""

    bench: Rgb = (0.80, 0.81, 0.82)
    mat: Rgb = (0.26, 0.33, 0.38)
    wall: Rgb = (0.86, 0.88, 0.89)
    floor: Rgb = (0.55, 0.57, 0.58)
    cupboard: Rgb = (0.91, 0.92, 0.92)


@dataclass(frozen=True)
class CameraShift:
    """How far a camera is from where the cell says, in its own body frame."""

    camera: str
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)  # m
    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)  # rad


@dataclass(frozen=True)
class SceneDescription:
    """One scene."""

    beakers: tuple[Beaker, ...] = (Beaker("beaker", "100ml", Place(0.47, -0.17)),)
    hot_plate: HotPlate | None = HotPlate(Place(0.50, 0.24))
    stirrer: Stirrer | None = Stirrer(Place(0.74, -0.36))
    clutter: tuple[Clutter, ...] = ()
    light: Light = field(default_factory=Light)
    look: Look = field(default_factory=Look)
    camera_shifts: tuple[CameraShift, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for recording."""
        return asdict(self)

    def beaker(self, name: str) -> Beaker:
        """Return a beaker by name."""
        return next(beaker for beaker in self.beakers if beaker.name == name)
