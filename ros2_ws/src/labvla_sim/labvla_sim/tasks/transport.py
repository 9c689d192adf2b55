"""Put the beaker on the hot plate: it was put down, and stands there untouched, for a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.scene.glass import size_of
from labvla_sim.scene.hot_plate import DEVICE, TOP_CENTRE, TOP_RADIUS
from labvla_sim.tasks.judging import SustainedJudge
from labvla_sim.tasks.pick import TARGET, TOPPLED, UPRIGHT, is_held

if TYPE_CHECKING:
    from labvla_policy.runtime.types import Array
    from labvla_sim.plant.truth import Truth
    from labvla_sim.scene.description import SceneDescription

# What stands on the plate has its foot at the plate's height; held or leaning it has not.
_TOUCHING = 0.002  # m
_STILL = 0.002  # m within the second that counts
_DROP = 0.020  # m above the plate from which letting go is no longer putting down


class TransportJudge(SustainedJudge):
    """Judges `transport`."""

    def __init__(self, description: SceneDescription, start: Truth) -> None:
        if description.hot_plate is None or start.hot_plate is None:
            raise ValueError("expected a scene with a hot plate to put the beaker on")
        super().__init__("the beaker is not held")
        self._diameter = size_of(description.beaker(TARGET)).diameter
        self._rests_at = np.full(3, np.inf)
        self._let_go = np.inf  # m of the foot above the plate, when the arm last touched it

    def look(self, truth: Truth) -> None:
        """Take one look."""
        beaker = truth.bodies[TARGET]
        held = is_held(truth, self._diameter)
        above = is_above_plate(truth, self._diameter)
        if truth.holders(TARGET):
            self._let_go = float(beaker.position[2] - top_of_plate(truth)[2])
        missing = _missing(truth, self._diameter, held)
        if not missing and self._let_go > _DROP:
            missing = "the beaker was dropped on the hot plate, and not put down"
        moved = bool(np.linalg.norm(beaker.position - self._rests_at) > _STILL)
        if missing or moved:
            self._rests_at = beaker.position
        self._sustain(truth.time, holds=not missing, anew=moved)
        self._log.follow(truth.time, "held", held, f"{truth.widths.min() * 1e3:.1f} mm")
        self._log.follow(truth.time, "above the plate", held and above)
        self._log.follow(truth.time, "on the plate", not missing)
        self._log.follow(truth.time, "toppled", beaker.tilt > TOPPLED)
        self._phase = _phase(held, above, placed=not missing)
        self._reason = missing or "on the hot plate, but not at rest for a second yet"


def top_of_plate(truth: Truth) -> Array:
    """Return the middle of the plate's top in the cell's frame."""
    device = truth.bodies[DEVICE]
    top: Array = device.position + device.rotation @ TOP_CENTRE
    return top


def is_above_plate(truth: Truth, diameter: float) -> bool:
    """Whether the beaker's whole foot is over the plate's top, and nowhere below it."""
    offset = truth.bodies[TARGET].position - top_of_plate(truth)
    inside = float(np.hypot(*offset[:2])) + diameter / 2 <= TOP_RADIUS
    return inside and float(offset[2]) > -_TOUCHING


def stands_on_plate(truth: Truth, diameter: float) -> bool:
    """Whether the beaker's whole foot is on the plate's top; a hand may still be at it."""
    beaker = truth.bodies[TARGET]
    height = float(beaker.position[2] - top_of_plate(truth)[2])
    return is_above_plate(truth, diameter) and height < _TOUCHING and beaker.tilt < UPRIGHT


def _missing(truth: Truth, diameter: float, held: bool) -> str:
    """Return what is missing for the beaker to be put down, or nothing."""
    if held:
        above = is_above_plate(truth, diameter)
        return f"the beaker is held{' above the hot plate' if above else ''}, and not put down"
    if truth.bodies[TARGET].tilt >= UPRIGHT:
        return "the beaker does not stand upright"
    if not stands_on_plate(truth, diameter):
        off = np.linalg.norm((truth.bodies[TARGET].position - top_of_plate(truth))[:2])
        most = TOP_RADIUS - diameter / 2
        return (
            f"the beaker does not stand on the hot plate with all of its foot: {off * 1e3:.0f} mm "
            f"off its middle, expected at most {most * 1e3:.0f} mm"
        )
    return "the arm still touches the beaker" if truth.holders(TARGET) else ""


def _phase(held: bool, above: bool, *, placed: bool) -> str:
    if placed:
        return "placed"
    if held:
        return "above" if above else "grasped"
    return "approach"
