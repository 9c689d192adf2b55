"""How a running device looks: policies without memory can only act on what they see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from labvla_sim.scene.hot_plate import DIGITS, LAMP, PLATE, segment_name

if TYPE_CHECKING:
    from labvla_sim.plant.hot_plate_device import HotPlateState

_LAMP_ON, _LAMP_OFF = (0.15, 1.0, 0.25), (0.12, 0.16, 0.12)
_BAR_ON, _BAR_OFF = (0.35, 0.95, 1.0), (0.06, 0.08, 0.09)
_PLATE_ON, _PLATE_OFF = (0.98, 0.62, 0.40), (0.93, 0.93, 0.91)

# Bars of the seven-segment digits: top, upper right, lower right, bottom, lower left, upper left,
# middle.
_BARS = {
    " ": "0000000",
    "0": "1111110",
    "1": "0110000",
    "2": "1101101",
    "3": "1111001",
    "4": "0110011",
    "5": "1011011",
    "6": "1011111",
    "7": "1110000",
    "8": "1111111",
    "9": "1111011",
}


class HotPlateFace:
    """Recolours lamp, display and plate in a renderer's own model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._lamp, self._plate = model.geom(LAMP).id, model.geom(PLATE).id
        self._bars = [
            [model.geom(segment_name(digit, bar)).id for bar in range(7)] for digit in range(DIGITS)
        ]

    def show(self, state: HotPlateState) -> None:
        """Make the device look like its state."""
        colours = self._model.geom_rgba
        colours[self._lamp, :3] = _LAMP_ON if state.running else _LAMP_OFF
        colours[self._plate, :3] = _PLATE_ON if state.running else _PLATE_OFF
        text = f"{round(state.temperature):{DIGITS}d}" if state.running else " " * DIGITS
        for bars, digit in zip(self._bars, text, strict=True):
            lit = np.array([bar == "1" for bar in _BARS[digit]])
            colours[bars, :3] = np.where(lit[:, None], _BAR_ON, _BAR_OFF)
