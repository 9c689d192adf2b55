"""Timed motions with full stops between segments, inside the operating limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Arm
    from labvla_policy.runtime.types import Array

SAMPLE = 0.01  # s between stored points
_SHARE = 0.85  # of the operating limits: the controller's reference needs room of its own
_SHORTEST = 0.15  # s


@dataclass(frozen=True)
class Motion:
    """Joint and gripper targets at every SAMPLE, with the name of what is going on."""

    joints: Array  # n x joints, rad
    widths: Array  # n, m between the fingers
    phases: tuple[str, ...]  # n

    @property
    def duration(self) -> float:
        """Seconds to the last point."""
        return (len(self.widths) - 1) * SAMPLE

    def at(self, times: Array) -> tuple[Array, Array]:
        """Return joints and widths at times; the ends are held."""
        where = np.clip(np.asarray(times) / SAMPLE, 0.0, len(self.widths) - 1.0)
        below = np.minimum(where.astype(int), max(len(self.widths) - 2, 0))
        above = np.minimum(below + 1, len(self.widths) - 1)
        share = where - below
        joints = self.joints[below] + share[:, None] * (self.joints[above] - self.joints[below])
        return joints, self.widths[below] + share * (self.widths[above] - self.widths[below])

    def phase(self, time: float) -> str:
        """Return what is going on at a time."""
        index = int(np.clip(round(time / SAMPLE), 0, len(self.phases) - 1))
        return self.phases[index]


class MotionBuilder:
    """Puts a motion together, segment by segment; each begins and ends at rest."""

    def __init__(self, arm: Arm, joints: Array, width: float) -> None:
        limits = arm.operating_limits
        self._limits = [
            _SHARE * np.asarray(values)
            for values in (limits.velocity, limits.acceleration, limits.jerk)
        ]
        self._joints = [np.asarray(joints, dtype=np.float64)[None]]
        self._widths = [np.array([width])]
        self._phases: list[str] = ["start"]

    @property
    def joints(self) -> Array:
        """Where the motion ends so far."""
        last: Array = self._joints[-1][-1]
        return last

    @property
    def width(self) -> float:
        """How far the gripper is open at the end so far."""
        return float(self._widths[-1][-1])

    def move(self, points: Array, phase: str, *, slowest: float = 0.0) -> MotionBuilder:
        """Go through points (k x joints) to the last one, in no less than `slowest` seconds."""
        curve = _curve(np.concatenate([self.joints[None], np.atleast_2d(points)]))
        seconds = max(self._duration(curve), slowest)
        steps = max(int(np.ceil(seconds / SAMPLE)), 1)
        share = _minimum_jerk(np.arange(1, steps + 1) / steps)
        return self._append(curve(share), np.full(steps, self.width), phase)

    def grip(self, width: float, seconds: float, phase: str) -> MotionBuilder:
        """Command another opening and stand still meanwhile."""
        steps = max(round(seconds / SAMPLE), 1)
        return self._append(np.tile(self.joints, (steps, 1)), np.full(steps, width), phase)

    def wait(self, seconds: float, phase: str) -> MotionBuilder:
        """Stand still."""
        return self.grip(self.width, seconds, phase)

    def build(self) -> Motion:
        """Return the motion."""
        return Motion(
            np.concatenate(self._joints), np.concatenate(self._widths), tuple(self._phases)
        )

    def _append(self, joints: Array, widths: Array, phase: str) -> MotionBuilder:
        self._joints.append(joints)
        self._widths.append(widths)
        self._phases.extend([phase] * len(widths))
        return self

    def _duration(self, curve: _Curve) -> float:
        """Return the shortest time in which no joint exceeds its limits.

        Derivatives at unit duration are found numerically; the n-th shrinks with its n-th power.
        """
        derivative = curve(_minimum_jerk(np.linspace(0.0, 1.0, 201)))
        seconds = _SHORTEST
        for order, limit in enumerate(self._limits, start=1):
            derivative = np.diff(derivative, axis=0) * 200.0
            needed = float((np.abs(derivative).max(axis=0) / limit).max())
            seconds = max(seconds, needed ** (1.0 / order))
        return seconds


@dataclass(frozen=True)
class _Curve:
    """A smooth path that keeps its ends and passes near the points between."""

    start: Array
    end: Array
    bulge: Array  # 4 x joints, coefficients of s^0 to s^3, times s (1 - s)

    def __call__(self, s: Array) -> Array:
        powers = s[:, None] ** np.arange(len(self.bulge))
        straight = self.start + s[:, None] * (self.end - self.start)
        result: Array = straight + (s * (1 - s))[:, None] * (powers @ self.bulge)
        return result


def _curve(points: Array) -> _Curve:
    count = len(points)
    start, end = points[0], points[-1]
    if count <= 2:
        return _Curve(start, end, np.zeros((1, points.shape[1])))
    s = np.linspace(0.0, 1.0, count)[1:-1]
    powers = s[:, None] ** np.arange(min(4, count - 2))
    rest = points[1:-1] - (start + s[:, None] * (end - start))
    bulge, *_ = np.linalg.lstsq((s * (1 - s))[:, None] * powers, rest, rcond=None)
    return _Curve(start, end, bulge)


def _minimum_jerk(t: Array) -> Array:
    result: Array = t**3 * (10.0 - 15.0 * t + 6.0 * t**2)
    return result
