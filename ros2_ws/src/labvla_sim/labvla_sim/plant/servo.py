"""A plain joint-impedance controller, for experts, data generation and Gymnasium.

The running stack has its own controller (labvla_control); this one has no limits, no splice and
no stop, and exists so that the simulation can be used and tested alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labvla_policy.runtime.cell import Impedance

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array

# Nm/rad per joint, and Nms/rad: critical for the unit inertia that the shoulder joints have about.
_STIFFNESS = {
    "fr3": (600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0),
    "ur5e": (800.0, 800.0, 800.0, 300.0, 200.0, 100.0),
}


def fastest_rows(cell: Cell) -> Array:
    """Return the speed up to which a cell's rows are played: joints, then grippers (which jump)."""
    joints = [np.asarray(arm.operating_limits.velocity) for arm in cell.arms]
    return np.concatenate([*joints, np.full(len(cell.arms), np.inf)])


class JointServo:
    """Torques that pull the joints to a moving target.

    Its usual gains track closely. After a violent push (140 N at the hand) they saturate against
    the robot's limit on the change of torque and may swing for seconds; those of the cell do not.
    """

    def __init__(self, stiffness: Array, damping_ratio: Array | float = 1.0) -> None:
        self._stiffness = np.asarray(stiffness, dtype=np.float64)
        self._damping = 2.0 * np.asarray(damping_ratio) * np.sqrt(self._stiffness)

    @staticmethod
    def stiff(cell: Cell) -> JointServo:
        """Return a servo that tracks closely, for demonstrations."""
        return JointServo(np.concatenate([_STIFFNESS[arm.kind] for arm in cell.arms]))

    @staticmethod
    def compliant(cell: Cell) -> JointServo:
        """Return a servo as soft as the cell asks for; arms without springs stay stiff."""
        springs, ratios = [], []
        for arm in cell.arms:
            if isinstance(arm.compliance, Impedance):
                springs.append(arm.compliance.stiffness)
                ratios.append(arm.compliance.damping_ratio)
            else:
                springs.append(_STIFFNESS[arm.kind])
                ratios.append((1.0,) * len(arm.joints))
        return JointServo(np.concatenate(springs), np.concatenate(ratios))

    def torques(self, target: Array, speed: Array, joints: Array, velocities: Array) -> Array:
        """Return Nm per joint, without gravity."""
        result: Array = self._stiffness * (target - joints) + self._damping * (speed - velocities)
        return result


class RowPlayer:
    """Plays rows of a plan smoothly: a cubic through the rows, held after the last one.

    A new plan takes over from where the old one is at that moment, and is joined no faster than
    `fastest` (per second): a plan for an arm that was pushed away would otherwise tear it along.
    """

    def __init__(self, start: Array, dt: float, fastest: Array) -> None:
        self._dt = dt
        self._largest_step = np.asarray(fastest) * dt
        self._rows = np.stack([start, start])
        self._elapsed = 0.0

    def load(self, rows: Array) -> None:
        """Start a plan: `rows` are the targets one, two, ... row times from now."""
        here, _ = self.sample()
        joined = [here]
        for row in rows:
            step = np.clip(row - joined[-1], -self._largest_step, self._largest_step)
            joined.append(joined[-1] + step)
        self._rows = np.array(joined)
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
