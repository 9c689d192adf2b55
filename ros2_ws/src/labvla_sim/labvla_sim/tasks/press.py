"""Press the start button: the arm pushes it in, and the hot plate runs for a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labvla_sim.scene.hot_plate import BUTTON
from labvla_sim.tasks.judging import SustainedJudge

if TYPE_CHECKING:
    from labvla_sim.plant.truth import Truth
    from labvla_sim.scene.description import SceneDescription


class PressJudge(SustainedJudge):
    """Judges `press`."""

    def __init__(self, description: SceneDescription, start: Truth) -> None:
        if description.hot_plate is None or start.hot_plate is None:
            raise ValueError("expected a scene with a hot plate to press its button")
        super().__init__("the button is not pressed")
        self._pushed = False

    def look(self, truth: Truth) -> None:
        """Take one look."""
        plate = truth.hot_plate
        assert plate is not None
        touched = bool(truth.holders(BUTTON))
        # A button that something else falls on starts the plate too, but that is no success.
        self._pushed = self._pushed or (touched and plate.pressed)
        self._sustain(truth.time, holds=self._pushed and plate.running)
        self._log.follow(truth.time, "button touched", touched)
        self._log.follow(
            truth.time, "button pressed", plate.pressed, f"{plate.travel * 1e3:.1f} mm"
        )
        self._log.follow(truth.time, "plate running", plate.running)
        self._phase = "started" if plate.running else "touching" if touched else "approach"
        self._reason = _reason(self._pushed, plate.running)


def _reason(pushed: bool, running: bool) -> str:
    if not pushed:
        return "the arm has not pushed the button in"
    if not running:
        return "the button was pushed in too shortly for the hot plate to start"
    return "started, but not for a second yet"
