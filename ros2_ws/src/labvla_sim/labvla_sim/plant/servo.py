"""A plain joint-impedance controller, for experts, data generation and Gymnasium.

The running stack has its own controller (labvla_control); this one has no limits, no splice and
no stop, and exists so that the simulation can be used and tested alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from labvla_policy.runtime.types import Array

# Nm/rad per joint, and Nms/rad: critical for the unit inertia that the shoulder joints have about.
_STIFFNESS = {
    "fr3": (600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0),
    "ur5e": (800.0, 800.0, 800.0, 300.0, 200.0, 100.0),
}


class JointServo:
    """Torques that pull the joints to a moving target."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self._stiffness = np.concatenate([_STIFFNESS[kind] for kind in kinds])
        self._damping = 2.0 * np.sqrt(self._stiffness)

    def torques(self, target: Array, speed: Array, joints: Array, velocities: Array) -> Array:
        """Return Nm per joint, without gravity."""
        result: Array = self._stiffness * (target - joints) + self._damping * (speed - velocities)
        return result


class RowPlayer:
    """Plays rows of a plan smoothly: a cubic through the rows, held after the last one.

    A new plan takes over from where the old one is at that moment, so that replanning does not
    jump.
    """

    def __init__(self, start: Array, dt: float) -> None:
        self._dt = dt
        self._rows = np.stack([start, start])
        self._elapsed = 0.0

    def load(self, rows: Array) -> None:
        """Start a plan: `rows` are the targets one, two, ... row times from now."""
        here, _ = self.sample()
        self._rows = np.concatenate([[here], rows])
        self._elapsed = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed += seconds

    def sample(self) -> tuple[Array, Array]:
        """Return target and speed now."""
        rows, last = self._rows, len(self._rows) - 1
        where = min(self._elapsed / self._dt, float(last))
        below = min(int(where), last - 1)
        t = where - below
        a, b = rows[below], rows[below + 1]
        slope_a = 0.5 * (b - rows[max(below - 1, 0)])
        slope_b = 0.5 * (rows[min(below + 2, last)] - a)
        if where >= last:
            return b.copy(), np.zeros_like(b)
        position = (
            (2 * t**3 - 3 * t**2 + 1) * a
            + (t**3 - 2 * t**2 + t) * slope_a
            + (3 * t**2 - 2 * t**3) * b
            + (t**3 - t**2) * slope_b
        )
        speed = (
            6 * (t**2 - t) * (a - b)
            + (3 * t**2 - 4 * t + 1) * slope_a
            + (3 * t**2 - 2 * t) * slope_b
        ) / self._dt
        return position, speed
