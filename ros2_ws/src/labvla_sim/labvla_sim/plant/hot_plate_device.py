"""What the heating plate does: start button, controller, temperature."""

from __future__ import annotations

from dataclasses import dataclass

from labvla_sim.scene.hot_plate import BUTTON_TRAVEL

CONTACT_TRAVEL = 0.004  # m from rest at which the switch closes
_DEBOUNCE = 0.030  # s; shorter taps are ignored, as real panels do

_AMBIENT = 22.0  # degrees Celsius
_HEATER = 550.0  # W
_HEAT_CAPACITY = 450.0  # J/K of plate and heater
_LOSS = 1.6  # W/K to the room
_BAND = 15.0  # K below the set point within which the power is throttled

assert CONTACT_TRAVEL < BUTTON_TRAVEL


@dataclass(frozen=True)
class HotPlateState:
    """What a person standing beside it could read off."""

    travel: float  # m of the button
    pressed: bool  # the switch is closed
    running: bool
    temperature: float  # degrees Celsius


class HotPlateDevice:
    """Starts on a press and then runs until it is reset; a second press changes nothing."""

    def __init__(self, set_point: float) -> None:
        self._set_point = set_point
        self._closed_for = 0.0
        self._running = False
        self._temperature = _AMBIENT
        self._travel = 0.0

    def step(self, travel: float, dt: float) -> None:
        """Advance by one tick with the button pushed in by `travel`."""
        self._travel = travel
        self._closed_for = self._closed_for + dt if travel >= CONTACT_TRAVEL else 0.0
        if self._closed_for >= _DEBOUNCE:
            self._running = True
        share = min(max((self._set_point - self._temperature) / _BAND, 0.0), 1.0)
        power = _HEATER * share if self._running else 0.0
        loss = _LOSS * (self._temperature - _AMBIENT)
        self._temperature += (power - loss) / _HEAT_CAPACITY * dt

    def restore(self, running: bool, temperature: float | None) -> None:
        """Go on from what a person once read off; an unknown temperature is the room's."""
        self._running = running
        self._temperature = _AMBIENT if temperature is None else temperature
        self._closed_for = 0.0

    @property
    def state(self) -> HotPlateState:
        """The state after the last tick."""
        return HotPlateState(
            travel=self._travel,
            pressed=self._travel >= CONTACT_TRAVEL,
            running=self._running,
            temperature=self._temperature,
        )
