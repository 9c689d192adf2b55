"""Pick up the beaker: held between both fingers, upright, 10 cm up, for a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.scene.glass import size_of
from labvla_sim.tasks.judging import SustainedJudge

if TYPE_CHECKING:
    from labvla_sim.plant.truth import Truth
    from labvla_sim.scene.description import SceneDescription

TARGET = "beaker"
LIFT = 0.10  # m
UPRIGHT = float(np.deg2rad(15.0))
# Sixteen flat walls make the body between 0 and 2 % wider than its diameter, depending on how it
# is turned; the rest is squeeze. A rim pinch is 3 mm wide.
_WIDTH_TOLERANCE = 0.004
TOPPLED = float(np.deg2rad(60.0))


class PickJudge(SustainedJudge):
    """Judges `pick`."""

    def __init__(self, description: SceneDescription, start: Truth) -> None:
        super().__init__("the beaker is not held")
        self._diameter = size_of(description.beaker(TARGET)).diameter
        self._start = float(start.bodies[TARGET].position[2])

    def look(self, truth: Truth) -> None:
        """Take one look."""
        beaker = truth.bodies[TARGET]
        held = is_held(truth, self._diameter)
        height = float(beaker.position[2]) - self._start
        raised = height > LIFT
        upright = beaker.tilt < UPRIGHT
        self._sustain(truth.time, holds=held and raised and upright)
        self._log.follow(truth.time, "held", held, f"{truth.widths.min() * 1e3:.1f} mm")
        self._log.follow(truth.time, "raised", raised)
        self._log.follow(truth.time, "toppled", beaker.tilt > TOPPLED)
        self._phase = "raised" if held and raised else "grasped" if held else "approach"
        self._reason = _reason(held, upright, height)


def is_held(truth: Truth, diameter: float) -> bool:
    """Whether both fingers hold the body of the beaker from outside, and nothing else of an arm."""
    for arm, width in enumerate(truth.widths):
        names = {touch.arm for touch in truth.touches if touch.body == TARGET}
        both = truth.holders(TARGET) == {"left_pad", "right_pad"} and len(names) == 1
        near = np.linalg.norm(truth.tools[arm][:3, 3] - truth.bodies[TARGET].position) < 0.15
        if both and near and abs(width - diameter) < _WIDTH_TOLERANCE:
            return True
    return False


def _reason(held: bool, upright: bool, height: float) -> str:
    if not held:
        return "the beaker is not held between both fingers around its body"
    if not upright:
        return "the beaker is tilted"
    if height <= LIFT:
        return f"the beaker is {height * 1e3:.0f} mm up, expected more than {LIFT * 1e3:.0f} mm"
    return "held up, but not for a second yet"
