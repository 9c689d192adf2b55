"""From readings to wishes in SI units: how fast, in which frame, what the fingers do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labvla_data.teleoperation.reading import Button, Reading
from labvla_policy.runtime.cell import Arm
from labvla_policy.runtime.teleop.jog import FASTEST, FASTEST_TURN, Frame

SLOWEST = 0.1  # of the full speed
FACTOR = 1.5  # between two speeds
# Buttons that concern nobody else.
_OWN = (Button.GRIPPER, Button.FRAME, Button.SLOWER, Button.FASTER)


@dataclass(frozen=True)
class Speeds:
    """What a full deflection means."""

    linear: float = 0.12  # m/s
    angular: float = 0.6  # rad/s

    def __post_init__(self) -> None:
        for name, value, most in (
            ("linear", self.linear, FASTEST),
            ("angular", self.angular, FASTEST_TURN),
        ):
            if not 0 < value <= most:
                raise ValueError(
                    f"{name} speed: expected above 0 and at most {most:g}, got {value}"
                )


@dataclass(frozen=True)
class Wish:
    """What one reading comes to."""

    frame: Frame
    twist: tuple[float, ...]  # m/s, rad/s
    opening: float | None  # m; None: as it was
    asked: tuple[Button, ...]  # what others have to do


class Pilot:
    """Keeps what the person has chosen: frame, speed, and whether the fingers are open."""

    def __init__(self, arm: Arm, frame: Frame = "base", speeds: Speeds | None = None) -> None:
        self._stroke = arm.gripper.stroke
        self.frame: Frame = frame
        self._speeds = speeds or Speeds()
        self.share = 1.0  # of the full speed
        self.open = True  # or so it is taken to be until the first press

    def wish(self, reading: Reading) -> Wish:
        """Return what a reading asks for."""
        opening = None if reading.opening is None else self._within(reading.opening)
        for button in reading.pressed:
            if button is Button.GRIPPER:
                opening = 0.0 if self.open else self._stroke
            elif button is Button.FRAME:
                self.frame = "tool" if self.frame == "base" else "base"
            elif button is Button.SLOWER:
                self.share = max(SLOWEST, self.share / FACTOR)
            elif button is Button.FASTER:
                self.share = min(1.0, self.share * FACTOR)
        if opening is not None:
            self.open = opening > self._stroke / 2
        asked = tuple(button for button in reading.pressed if button not in _OWN)
        return Wish(reading.frame or self.frame, self._twist(reading.axes), opening, asked)

    def _twist(self, axes: tuple[float, ...]) -> tuple[float, ...]:
        """Return velocities; a diagonal deflection is not faster than a straight one."""
        wish = np.clip(np.asarray(axes, dtype=np.float64), -1.0, 1.0)
        full = (self._speeds.linear, self._speeds.angular)
        parts = [
            part * speed * self.share / max(1.0, float(np.linalg.norm(part)))
            for part, speed in zip(np.split(wish, 2), full, strict=True)
        ]
        return tuple(np.concatenate(parts).tolist())

    def _within(self, opening: float) -> float:
        return float(np.clip(opening, 0.0, self._stroke))
